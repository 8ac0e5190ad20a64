#include "data/array_file.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>
#include <optional>

#include "base/file.h"
#include "base/text.h"
#include "data/idx.h"
#include "data/inflate.h"
#include "data/npy.h"
#include "data/zip.h"

namespace fewbit {
namespace {

static_assert(std::endian::native == std::endian::little, "npy files are mapped as they are");

using Bytes = std::span<const std::byte>;

bool starts_with(Bytes file, std::string_view magic) {
  return file.size() >= magic.size() && std::memcmp(file.data(), magic.data(), magic.size()) == 0;
}

void swap_bytes(std::byte* data, int64_t elements, int64_t element_bytes) {
  for (int64_t i = 0; i < elements; ++i, data += element_bytes) {
    std::reverse(data, data + element_bytes);
  }
}

/// A file must hold exactly the elements its header promises.
Status check_size(const std::string& name, const Dims& dims, DType type, int64_t expected_bytes,
                  uint64_t found_bytes) {
  const auto expected = static_cast<uint64_t>(expected_bytes);
  if (found_bytes == expected) return {};
  return bad_input("{}: {} of {}: expected {} bytes of elements, found {}{}", name, to_string(dims),
                   name_of(type), expected, found_bytes,
                   found_bytes < expected ? " (the file is cut off)" : "");
}

/// The entry of an npz that is meant, by its name without ".npy".
Result<const ZipEntry*> choose_entry(const std::vector<ZipEntry>& entries, const std::string& path,
                                     const std::string& array) {
  std::vector<std::string> names;
  for (const ZipEntry& entry : entries) {
    if (!entry.name.ends_with(".npy")) continue;
    names.push_back(entry.name.substr(0, entry.name.size() - 4));
    if (names.back() == array) return &entry;
  }
  if (names.empty()) return bad_input("{}: the npz file holds no array", path);
  if (array.empty() && names.size() == 1) return choose_entry(entries, path, names[0]);
  const std::string all = join(names, ", ");
  if (array.empty()) return bad_input("{}: holds several arrays, name one of {}", path, all);
  return bad_input("{}: no array '{}'{}; it holds {}", path, array, did_you_mean(names, array),
                   all);
}

}  // namespace

/// Fills a FileArray from one container or another.
struct ArrayOpener {
  const std::string& path;
  MappedFile file;
  FileArray array;

  Status npy(Bytes bytes, std::shared_ptr<void> owner) {
    FEWBIT_ASSIGN(const NpyHeader header, parse_npy_header(bytes, array.name_));
    set(header.type, header.dims, header.big_endian);
    FEWBIT_TRY(check_size(array.name_, header.dims, header.type, header.data_bytes,
                          bytes.size() - header.data_offset));
    array.data_ = bytes.data() + header.data_offset;
    array.owner_ = std::move(owner);
    return {};
  }

  Status npz(const std::string& wanted) {
    FEWBIT_ASSIGN(const std::vector<ZipEntry> entries, read_zip(file.bytes(), path));
    FEWBIT_ASSIGN(const ZipEntry* entry, choose_entry(entries, path, wanted));
    array.named_ = true;
    array.name_ = fmt::format("{}: {}", path, entry->name.substr(0, entry->name.size() - 4));
    if (!entry->deflated) return npy(entry->data, file.owner());
    if (entry->content_bytes >
        static_cast<uint64_t>(largest_inflated_bytes(static_cast<int64_t>(entry->data.size())))) {
      return bad_input("{}: damaged: {} compressed bytes cannot hold {}", array.name_,
                       entry->data.size(), entry->content_bytes);
    }
    FEWBIT_ASSIGN(const Scratch scratch,
                  allocate_scratch(static_cast<int64_t>(entry->content_bytes)));
    const std::span content(scratch.data, static_cast<size_t>(entry->content_bytes));
    Inflater inflater(entry->data, Inflater::Wrapping::kRaw, array.name_);
    FEWBIT_TRY(inflater.read(content));
    FEWBIT_TRY(inflater.expect_end());
    if (inflater.crc() != entry->crc) return bad_input("{}: damaged: wrong checksum", array.name_);
    return npy(content, scratch.owner);
  }

  Status idx() {
    FEWBIT_ASSIGN(const IdxHeader header, parse_idx_header(file.bytes(), path));
    set(header.type, header.dims, true);
    FEWBIT_TRY(check_size(path, header.dims, header.type, header.data_bytes,
                          file.size() - header.data_offset));
    array.data_ = file.data() + header.data_offset;
    array.owner_ = file.owner();
    return {};
  }

  Status gzip() {
    std::array<std::byte, kMaxIdxHeaderBytes> head;
    Inflater peek(file.bytes(), Inflater::Wrapping::kGzip, path);
    FEWBIT_ASSIGN(const size_t head_bytes, peek.read_some(head));
    FEWBIT_ASSIGN(const IdxHeader header, parse_idx_header(Bytes(head).first(head_bytes), path));
    set(header.type, header.dims, true);
    if (header.data_bytes > largest_inflated_bytes(static_cast<int64_t>(file.size()))) {
      return bad_input("{}: {} of {} cannot be in {} compressed bytes", path,
                       to_string(header.dims), name_of(header.type), file.size());
    }
    FEWBIT_ASSIGN(const Scratch scratch, allocate_scratch(header.data_bytes));
    Inflater inflater(file.bytes(), Inflater::Wrapping::kGzip, path);
    FEWBIT_TRY(inflater.read(std::span(head).first(header.data_offset)));
    FEWBIT_TRY(inflater.read(std::span(scratch.data, static_cast<size_t>(header.data_bytes))));
    FEWBIT_TRY(inflater.expect_end());
    array.data_ = scratch.data;
    array.owner_ = scratch.owner;
    return {};
  }

  void set(DType type, const Dims& dims, bool big_endian) {
    array.type_ = type;
    array.dims_ = dims;
    array.big_endian_ = big_endian && bits_of(type) > 8;
  }
};

Result<FileArray> FileArray::open(const std::string& path, const std::string& array) {
  ArrayOpener opener{path, {}, {}};
  FEWBIT_ASSIGN(opener.file, MappedFile::open(path));
  opener.array.name_ = path;
  const Bytes bytes = opener.file.bytes();
  if (bytes.empty()) return bad_input("{}: the file is empty, expected npy, npz or IDX", path);
  if (starts_with(bytes, "\x93NUMPY")) {
    FEWBIT_TRY(opener.npy(bytes, opener.file.owner()));
  } else if (starts_with(bytes, "PK")) {
    FEWBIT_TRY(opener.npz(array));
  } else if (starts_with(bytes, "\x1f\x8b")) {
    FEWBIT_TRY(opener.gzip());
  } else if (looks_like_idx(bytes)) {
    FEWBIT_TRY(opener.idx());
  } else {
    return bad_input("{}: neither npy, npz, IDX nor IDX in gzip", path);
  }
  return std::move(opener.array);
}

Tensor FileArray::rows(int64_t begin, int64_t count) const {
  FEWBIT_CHECK(!dims_.empty() && begin >= 0 && count >= 0 && begin <= dims_[0] - count, begin,
               count);
  Dims dims = dims_;
  dims[0] = count;
  Tensor out = Tensor::uninitialized(type_, dims);
  const int64_t row_bytes = count == 0 ? 0 : out.bytes() / count;
  if (out.bytes() > 0) {
    std::memcpy(out.raw(), data_ + begin * row_bytes, static_cast<size_t>(out.bytes()));
  }
  if (big_endian_) swap_bytes(out.raw(), out.elements(), bits_of(type_) / 8);
  return out;
}

Tensor FileArray::whole() const {
  const bool aligned = reinterpret_cast<uintptr_t>(data_) % kTensorAlignment == 0;
  if (aligned && !big_endian_ && elements_of(dims_) > 0) {
    // The view is read-only by contract; Tensor has no constant form.
    return Tensor::view(type_, dims_, const_cast<std::byte*>(data_), owner_);
  }
  if (!dims_.empty()) return rows(0, dims_[0]);
  FileArray vector = *this;
  vector.dims_ = {1};
  return vector.rows(0, 1).reshaped({});
}

Result<Tensor> read_npy(const std::string& path) {
  FEWBIT_ASSIGN(const MappedFile file, MappedFile::open(path));
  // Said here, so that an npz or IDX file is not taken silently.
  FEWBIT_TRY(parse_npy_header(file.bytes(), path));
  FEWBIT_ASSIGN(const FileArray array, FileArray::open(path));
  return array.whole();
}

}  // namespace fewbit
