#include "data/zip.h"

#include <optional>

#include "data/byte_reader.h"

namespace fewbit {
namespace {

using Bytes = std::span<const std::byte>;

constexpr uint32_t kEndSignature = 0x06054b50;
constexpr uint32_t kEnd64Signature = 0x06064b50;
constexpr uint32_t kEnd64LocatorSignature = 0x07064b50;
constexpr uint32_t kDirectorySignature = 0x02014b50;
constexpr uint32_t kLocalSignature = 0x04034b50;
constexpr size_t kEndBytes = 22;
constexpr size_t kMaxCommentBytes = 65535;
constexpr uint64_t kIn64BitField = 0xffffffff;

/// Offset of the record that ends the archive: the last signature before a comment of its length.
std::optional<uint64_t> find_end(Bytes file) {
  if (file.size() < kEndBytes) return std::nullopt;
  const size_t last = file.size() - kEndBytes;
  const size_t first = last > kMaxCommentBytes ? last - kMaxCommentBytes : 0;
  for (size_t at = last + 1; at-- > first;) {
    if (little_endian(file, at, 4) != kEndSignature) continue;
    if (at + kEndBytes + *little_endian(file, at + 20, 2) == file.size()) return at;
  }
  return std::nullopt;
}

struct Directory {
  uint64_t entries = 0;
  uint64_t offset = 0;
};

std::optional<Directory> find_directory(Bytes file) {
  const std::optional<uint64_t> end = find_end(file);
  if (!end) return std::nullopt;
  Directory directory{*little_endian(file, *end + 10, 2), *little_endian(file, *end + 16, 4)};
  if (directory.entries != 0xffff && directory.offset != kIn64BitField) return directory;
  if (*end < 20 || little_endian(file, *end - 20, 4) != kEnd64LocatorSignature) return directory;
  const uint64_t end64 = *little_endian(file, *end - 12, 8);
  if (little_endian(file, end64, 4) != kEnd64Signature) return std::nullopt;
  const auto entries = little_endian(file, end64 + 32, 8);
  const auto offset = little_endian(file, end64 + 48, 8);
  if (!entries || !offset) return std::nullopt;
  return Directory{*entries, *offset};
}

/// What the directory says of one entry.
struct Record {
  uint64_t flags = 0;
  uint64_t method = 0;
  uint64_t crc = 0;
  uint64_t stored_bytes = 0;
  uint64_t content_bytes = 0;
  uint64_t local_offset = 0;
  std::string name;
  uint64_t record_bytes = 0;
};

/// The 64-bit values stand in an extra field, in this order, for those that did not fit.
bool read_64_bit_fields(Bytes extra, Record& record) {
  uint64_t at = 0;
  while (at + 4 <= extra.size()) {
    const uint64_t id = *little_endian(extra, at, 2);
    const uint64_t size = *little_endian(extra, at + 2, 2);
    const auto field = slice(extra, at + 4, size);
    if (!field) return false;
    at += 4 + size;
    if (id != 1) continue;
    uint64_t value_at = 0;
    for (uint64_t* value : {&record.content_bytes, &record.stored_bytes, &record.local_offset}) {
      if (*value != kIn64BitField) continue;
      const auto wide = little_endian(*field, value_at, 8);
      if (!wide) return false;
      *value = *wide;
      value_at += 8;
    }
  }
  return true;
}

std::optional<Record> read_record(Bytes file, uint64_t at) {
  const auto fixed = slice(file, at, 46);
  if (!fixed || little_endian(*fixed, 0, 4) != kDirectorySignature) return std::nullopt;
  const auto number = [&](uint64_t offset, size_t size) {
    return *little_endian(*fixed, offset, size);
  };
  Record record;
  record.flags = number(8, 2);
  record.method = number(10, 2);
  record.crc = number(16, 4);
  record.stored_bytes = number(20, 4);
  record.content_bytes = number(24, 4);
  record.local_offset = number(42, 4);
  const uint64_t name_bytes = number(28, 2);
  const uint64_t extra_bytes = number(30, 2);
  const auto name = slice(file, at + 46, name_bytes);
  const auto extra = slice(file, at + 46 + name_bytes, extra_bytes);
  if (!name || !extra || !read_64_bit_fields(*extra, record)) return std::nullopt;
  record.name.assign(reinterpret_cast<const char*>(name->data()), name->size());
  record.record_bytes = 46 + name_bytes + extra_bytes + number(32, 2);
  return record;
}

/// The data begins after the entry's own header, whose lengths may differ from the directory's.
std::optional<Bytes> entry_data(Bytes file, const Record& record) {
  const auto local = slice(file, record.local_offset, 30);
  if (!local || little_endian(*local, 0, 4) != kLocalSignature) return std::nullopt;
  const uint64_t skipped = 30 + *little_endian(*local, 26, 2) + *little_endian(*local, 28, 2);
  return slice(file, record.local_offset + skipped, record.stored_bytes);
}

}  // namespace

Result<std::vector<ZipEntry>> read_zip(std::span<const std::byte> file, std::string_view name) {
  const std::optional<Directory> directory = find_directory(file);
  if (!directory)
    return bad_input("{}: not a zip file, or cut off: its directory is missing", name);
  std::vector<ZipEntry> entries;
  uint64_t at = directory->offset;
  for (uint64_t i = 0; i < directory->entries; ++i) {
    const std::optional<Record> record = read_record(file, at);
    if (!record) {
      return bad_input("{}: the zip directory is damaged at offset {} (entry {} of {})", name, at,
                       i, directory->entries);
    }
    at += record->record_bytes;
    if ((record->flags & 1) != 0) {
      return unsupported("{}: entry '{}' is encrypted", name, record->name);
    }
    if (record->method != 0 && record->method != 8) {
      return unsupported("{}: entry '{}' uses compression method {}, expected stored or deflate",
                         name, record->name, record->method);
    }
    const auto data = entry_data(file, *record);
    if (!data || (record->method == 0 && record->stored_bytes != record->content_bytes)) {
      return bad_input("{}: entry '{}' is damaged or cut off", name, record->name);
    }
    entries.push_back({record->name, record->method == 8, static_cast<uint32_t>(record->crc),
                       record->content_bytes, *data});
  }
  return entries;
}

}  // namespace fewbit
