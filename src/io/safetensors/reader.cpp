#include "io/safetensors/reader.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <tuple>

#include "base/file.h"
#include "io/safetensors/header_listener.h"

namespace fewbit {
namespace {

constexpr uint64_t kLengthBytes = 8;

std::string_view text_of(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Where the tensors begin.
Result<uint64_t> header_end(std::span<const std::byte> bytes) {
  if (bytes.size() < kLengthBytes) {
    return bad_input("has {} bytes: a safetensors file begins with the {} of its header's length",
                     bytes.size(), kLengthBytes);
  }
  uint64_t length = 0;
  std::memcpy(&length, bytes.data(), kLengthBytes);  // little-endian, as this machine is
  if (length > kSafetensorsMaxHeader) {
    return bad_input(
        "not a safetensors file: bytes 0 to 8 give its header {} bytes, at most {} are "
        "allowed",
        length, kSafetensorsMaxHeader);
  }
  if (length > bytes.size() - kLengthBytes) {
    return bad_input("cut short: its header should end at byte {}, the file at byte {}",
                     kLengthBytes + length, bytes.size());
  }
  if (length == 0 || bytes[kLengthBytes] != std::byte{'{'}) {
    return bad_input("not a safetensors file: its header, at byte {}, does not begin with '{{'",
                     kLengthBytes);
  }
  return kLengthBytes + length;
}

}  // namespace

std::string SafetensorsEntry::label() const {
  return fmt::format("tensor '{}' at bytes {} to {}", name, begin, end);
}

Result<SafetensorsFile> SafetensorsFile::parse(ByteSource source) {
  SafetensorsFile file;
  FEWBIT_ASSIGN(file.data_begin_, header_end(source.bytes));
  file.source_ = std::move(source);
  HeaderListener listener;
  const std::string_view json = file.header().substr(kLengthBytes);
  if (Status status = read_json(json, listener, kLengthBytes); !status.ok()) {
    const std::string place = listener.place();
    return std::move(status).error().with_context(place.empty() ? "the header"
                                                                : "the header: " + place);
  }
  file.metadata_ = std::move(listener.metadata);
  file.entries_ = std::move(listener.entries);
  FEWBIT_TRY(file.check_places());
  return file;
}

Result<SafetensorsFile> SafetensorsFile::open(const std::string& path) {
  FEWBIT_ASSIGN(const MappedFile mapped, MappedFile::open(path));
  Result<SafetensorsFile> file = parse({mapped.bytes(), mapped.owner(), true});
  if (!file.ok()) return std::move(file).error().with_context(path);
  return file;
}

// Moves the entries from offsets in the data to bytes of the file, in order.
Status SafetensorsFile::check_places() {
  const auto place = [](const SafetensorsEntry& e) { return std::tie(e.begin, e.end); };
  std::stable_sort(entries_.begin(), entries_.end(),
                   [&](const auto& a, const auto& b) { return place(a) < place(b); });
  const uint64_t data_bytes = source_.bytes.size() - data_begin_;
  uint64_t at = 0;  // the end of the tensor before
  const SafetensorsEntry* before = nullptr;
  for (SafetensorsEntry& entry : entries_) {
    if (entry.end > data_bytes) {
      return bad_input(
          "tensor '{}' has data_offsets {} to {}, counted from byte {}, but the file "
          "ends at byte {}: cut short?",
          entry.name, entry.begin, entry.end, data_begin_, source_.bytes.size());
    }
    const uint64_t begin = entry.begin;
    entry.begin += data_begin_;
    entry.end += data_begin_;
    if (begin < at) return bad_input("{} overlaps {}", entry.label(), before->label());
    if (begin > at) {
      return bad_input("bytes {} to {}, before {}, belong to no tensor", data_begin_ + at,
                       entry.begin, entry.label());
    }
    at = entry.end - data_begin_;
    before = &entry;
  }
  if (at != data_bytes) {
    return bad_input("bytes {} to {}, the end of the file, belong to no tensor", data_begin_ + at,
                     source_.bytes.size());
  }
  by_name_.resize(entries_.size());
  std::iota(by_name_.begin(), by_name_.end(), size_t{0});
  const auto name = [&](size_t i) -> const std::string& { return entries_[i].name; };
  std::sort(by_name_.begin(), by_name_.end(),
            [&](size_t a, size_t b) { return std::tie(name(a), a) < std::tie(name(b), b); });
  for (size_t i = 1; i < by_name_.size(); ++i) {
    if (name(by_name_[i - 1]) != name(by_name_[i])) continue;
    return bad_input("{}: another one, at byte {}, has the same name",
                     entries_[by_name_[i]].label(), entries_[by_name_[i - 1]].begin);
  }
  return {};
}

const SafetensorsEntry* SafetensorsFile::find(std::string_view name) const {
  const auto found =
      std::lower_bound(by_name_.begin(), by_name_.end(), name,
                       [&](size_t i, std::string_view n) { return entries_[i].name < n; });
  if (found == by_name_.end() || entries_[*found].name != name) return nullptr;
  return &entries_[*found];
}

std::string_view SafetensorsFile::header() const {
  return text_of(source_.bytes.first(data_begin_));
}

std::span<const std::byte> SafetensorsFile::bytes(const SafetensorsEntry& entry) const {
  return source_.bytes.subspan(entry.begin, entry.end - entry.begin);
}

Tensor SafetensorsFile::tensor(const SafetensorsEntry& entry, DType type, const Dims& dims) const {
  return view_or_copy(type, dims, bytes(entry), source_);
}

}  // namespace fewbit
