#include "data/idx.h"

#include "data/byte_reader.h"

namespace fewbit {
namespace {

DType idx_type(uint64_t code) {
  switch (code) {
    case 0x08:
      return DType::kUint8;
    case 0x09:
      return DType::kInt8;
    case 0x0b:
      return DType::kInt16;
    case 0x0c:
      return DType::kInt32;
    case 0x0d:
      return DType::kFloat32;
    case 0x0e:
      return DType::kFloat64;
    default:
      return DType::kUndefined;
  }
}

}  // namespace

bool looks_like_idx(std::span<const std::byte> bytes) {
  return big_endian(bytes, 0, 2) == 0U && bytes.size() >= 4 &&
         idx_type(static_cast<uint64_t>(bytes[2])) != DType::kUndefined && bytes[3] != std::byte{0};
}

Result<IdxHeader> parse_idx_header(std::span<const std::byte> bytes, std::string_view name) {
  if (!looks_like_idx(bytes)) {
    return bad_input("{}: not an IDX file (expected the bytes 0, 0, element type, rank)", name);
  }
  IdxHeader header;
  header.type = idx_type(static_cast<uint64_t>(bytes[2]));
  const auto rank = static_cast<size_t>(bytes[3]);
  for (size_t i = 0; i < rank; ++i) {
    const auto size = big_endian(bytes, 4 + 4 * i, 4);
    if (!size) return bad_input("{}: cut off within the IDX header", name);
    header.dims.push_back(static_cast<int64_t>(*size));
  }
  header.data_offset = 4 + 4 * rank;
  auto elements = checked_elements(header.dims, header.type);
  if (!elements.ok()) return std::move(elements).error().with_context(name);
  header.data_bytes = bytes_of(header.type, *elements);
  return header;
}

}  // namespace fewbit
