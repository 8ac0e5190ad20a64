#include "io/onnx/tensor_proto.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "base/text.h"
#include "io/onnx/type_proto.h"

namespace fewbit::onnx {
namespace {

static_assert(std::endian::native == std::endian::little, "ONNX stores little-endian numbers");

constexpr uint32_t kRawDataField = 9;

/// The repeated field that holds a type's elements when they are not raw.
enum class TypedField : uint8_t { kNone, kFloat, kInt32, kInt64, kUint64, kDouble, kString };

struct TypedRow {
  TypedField field;
  std::string_view name;
  uint32_t number;
};

TypedRow typed_field(DType type) {
  switch (type) {
    case DType::kUndefined:
      return {TypedField::kNone, "", 0};
    case DType::kFloat32:
    case DType::kComplex64:
      return {TypedField::kFloat, "float_data", 4};
    case DType::kFloat64:
    case DType::kComplex128:
      return {TypedField::kDouble, "double_data", 10};
    case DType::kInt64:
      return {TypedField::kInt64, "int64_data", 7};
    case DType::kUint32:
    case DType::kUint64:
      return {TypedField::kUint64, "uint64_data", 11};
    case DType::kString:
      return {TypedField::kString, "string_data", 6};
    default:
      return {TypedField::kInt32, "int32_data", 5};
  }
}

Result<Tensor> from_bytes(DType type, Dims dims, std::string_view what,
                          std::span<const std::byte> bytes, const ByteSource& source) {
  const int64_t expected = bytes_of(type, elements_of(dims));
  if (bytes.size() != static_cast<uint64_t>(expected)) {
    return bad_input("{} holds {} bytes, but {}{} needs {}", what, bytes.size(), name_of(type),
                     to_string(dims), expected);
  }
  return view_or_copy(type, std::move(dims), bytes, source);
}

Status check_count(const TypedRow& row, int64_t found, int64_t expected, DType type,
                   const Dims& dims) {
  if (found == expected) return {};
  return bad_input("{} holds {} numbers, but {}{} needs {}", row.name, found, name_of(type),
                   to_string(dims), expected);
}

// int32_data: one number per element, or per packed byte for types below 8 bits. Writers disagree
// on whether an int8 of -1 is -1 or 255, so both are taken; what fits neither way is an error.
template <typename Stored>
Status narrow_int32(const pb::TensorProto& proto, Tensor& t) {
  constexpr int64_t kLimit = int64_t{1} << (8 * sizeof(Stored));
  auto* out = reinterpret_cast<Stored*>(t.raw());
  for (int32_t v : proto.int32_data()) {
    if (v >= kLimit || v < -kLimit / 2) {
      return bad_input("int32_data holds {}, which is no {}", v, name_of(t.type()));
    }
    *out++ = static_cast<Stored>(v);
  }
  return {};
}

Status fill_int32(const pb::TensorProto& proto, Tensor& t) {
  if (t.type() == DType::kBool) {
    auto* out = reinterpret_cast<uint8_t*>(t.raw());
    for (int32_t v : proto.int32_data()) *out++ = v != 0 ? 1 : 0;
    return {};
  }
  switch (bits_of(t.type())) {
    case 32:
      std::copy(proto.int32_data().begin(), proto.int32_data().end(), t.data<int32_t>());
      return {};
    case 16:
      return narrow_int32<uint16_t>(proto, t);
    default:
      return narrow_int32<uint8_t>(proto, t);
  }
}

Status fill_uint64(const pb::TensorProto& proto, Tensor& t) {
  if (t.type() == DType::kUint64) {
    std::copy(proto.uint64_data().begin(), proto.uint64_data().end(), t.data<uint64_t>());
    return {};
  }
  auto* out = t.data<uint32_t>();
  for (uint64_t v : proto.uint64_data()) {
    if (v > UINT32_MAX) return bad_input("uint64_data holds {}, which is no uint32", v);
    *out++ = static_cast<uint32_t>(v);
  }
  return {};
}

Result<Tensor> from_typed_field(const pb::TensorProto& proto, DType type, Dims dims) {
  const TypedRow row = typed_field(type);
  const int64_t elements = elements_of(dims);
  const auto count = [&](int64_t found, int64_t expected) {
    return check_count(row, found, expected, type, dims);
  };
  switch (row.field) {
    case TypedField::kNone:
      break;
    case TypedField::kString:
      FEWBIT_TRY(count(proto.string_data_size(), elements));
      return Tensor::strings(std::move(dims),
                             {proto.string_data().begin(), proto.string_data().end()});
    case TypedField::kFloat:
      FEWBIT_TRY(count(proto.float_data_size(), bytes_of(type, elements) / 4));
      break;
    case TypedField::kDouble:
      FEWBIT_TRY(count(proto.double_data_size(), bytes_of(type, elements) / 8));
      break;
    case TypedField::kInt32:
      FEWBIT_TRY(
          count(proto.int32_data_size(), bits_of(type) < 8 ? bytes_of(type, elements) : elements));
      break;
    case TypedField::kInt64:
      FEWBIT_TRY(count(proto.int64_data_size(), elements));
      break;
    case TypedField::kUint64:
      FEWBIT_TRY(count(proto.uint64_data_size(), elements));
      break;
  }
  Tensor t = Tensor::uninitialized(type, std::move(dims));
  switch (row.field) {
    case TypedField::kFloat:
      std::copy(proto.float_data().begin(), proto.float_data().end(), t.data<float>());
      break;
    case TypedField::kDouble:
      std::copy(proto.double_data().begin(), proto.double_data().end(), t.data<double>());
      break;
    case TypedField::kInt64:
      std::copy(proto.int64_data().begin(), proto.int64_data().end(), t.data<int64_t>());
      break;
    case TypedField::kInt32:
      FEWBIT_TRY(fill_int32(proto, t));
      break;
    case TypedField::kUint64:
      FEWBIT_TRY(fill_uint64(proto, t));
      break;
    default:
      break;
  }
  return t;
}

struct ExternalPlace {
  std::string location;
  int64_t offset = 0;
  std::optional<int64_t> length;
};

Result<ExternalPlace> read_place(const pb::TensorProto& proto) {
  ExternalPlace place;
  for (const auto& entry : proto.external_data()) {
    if (entry.key() == "location") {
      place.location = entry.value();
    } else if (entry.key() == "offset" || entry.key() == "length") {
      std::optional<int64_t> number = parse_int64(entry.value());
      if (!number || *number < 0) {
        return bad_input("external data: {} is '{}', not a number of bytes", entry.key(),
                         entry.value());
      }
      if (entry.key() == "offset") {
        place.offset = *number;
      } else {
        place.length = number;
      }
    }
  }
  return place;
}

Result<Tensor> from_external(const pb::TensorProto& proto, DType type, Dims dims,
                             TensorSources& sources) {
  if (type == DType::kString) return bad_input("strings cannot be external data");
  FEWBIT_ASSIGN(ExternalPlace place, read_place(proto));
  if (sources.lookup) return sources.lookup(place.location, type, dims);
  const int64_t expected = bytes_of(type, elements_of(dims));
  if (place.length && *place.length != expected) {
    return bad_input("external data of {} bytes, but {}{} needs {}", *place.length, name_of(type),
                     to_string(dims), expected);
  }
  FEWBIT_ASSIGN(MappedFile file, sources.external.open(place.location));
  const auto size = static_cast<int64_t>(file.size());
  if (place.offset > size || expected > size - place.offset) {
    return bad_input("external data at bytes {} to {} of '{}', which has only {}", place.offset,
                     static_cast<uint64_t>(place.offset) + static_cast<uint64_t>(expected),
                     place.location, size);
  }
  ByteSource source{file.bytes(), file.owner(), true};
  auto bytes =
      source.bytes.subspan(static_cast<size_t>(place.offset), static_cast<size_t>(expected));
  return view_or_copy(type, std::move(dims), bytes, source);
}

}  // namespace

Result<Tensor> read_tensor(const pb::TensorProto& proto, TensorSources& sources) {
  FEWBIT_ASSIGN(DType type, read_element_type(proto.data_type()));
  if (type == DType::kUndefined) return bad_input("a tensor without an element type");
  if (proto.has_segment()) return unsupported("tensors stored in segments are not supported");
  Dims dims(proto.dims().begin(), proto.dims().end());
  FEWBIT_ASSIGN(const int64_t elements, checked_elements(dims, type));
  if (proto.data_location() == pb::TensorProto::EXTERNAL) {
    return from_external(proto, type, std::move(dims), sources);
  }
  const TypedRow row = typed_field(type);
  const bool raw = proto.has_payload_at() && proto.payload_field() == kRawDataField;
  // An empty raw_data beside a filled typed field is what some writers leave behind.
  const bool empty_raw = raw && proto.payload_bytes() == 0 && elements > 0;
  const bool run = proto.has_payload_at() && proto.payload_field() == row.number;
  if ((raw && !empty_raw) || run) {
    if (type == DType::kString) return bad_input("strings in raw_data instead of string_data");
    auto bytes = sources.model.bytes.subspan(proto.payload_at(), proto.payload_bytes());
    return from_bytes(type, std::move(dims), raw ? "raw_data" : row.name, bytes, sources.model);
  }
  return from_typed_field(proto, type, std::move(dims));
}

namespace {

// Row-major position of the i-th stored element.
Result<int64_t> linear_index(const Tensor& indices, int64_t i, const Dims& dims, int64_t elements) {
  const auto* index = indices.data<int64_t>();
  int64_t linear = 0;
  if (indices.rank() == 1) {
    linear = index[i];
    if (linear < 0 || linear >= elements) {
      return bad_input("sparse index {} is outside 0 to {}", linear, elements - 1);
    }
    return linear;
  }
  for (size_t axis = 0; axis < dims.size(); ++axis) {
    const int64_t at = index[i * static_cast<int64_t>(dims.size()) + static_cast<int64_t>(axis)];
    if (at < 0 || at >= dims[axis]) {
      return bad_input("sparse index {} on axis {} is outside shape {}", at, axis, to_string(dims));
    }
    linear = linear * dims[axis] + at;
  }
  return linear;
}

}  // namespace

Result<Tensor> read_sparse_tensor(const pb::SparseTensorProto& proto, TensorSources& sources) {
  FEWBIT_ASSIGN(const Tensor values, read_tensor(proto.values(), sources));
  FEWBIT_ASSIGN(const Tensor indices, read_tensor(proto.indices(), sources));
  Dims dims(proto.dims().begin(), proto.dims().end());
  const DType type = values.type();
  FEWBIT_ASSIGN(const int64_t elements, checked_elements(dims, type));
  const int element_bits = type == DType::kString ? 8 * int{sizeof(std::string)} : bits_of(type);
  if (element_bits < 8) return unsupported("sparse tensors of {} are not supported", name_of(type));
  if (elements > sources.max_dense_bytes / (element_bits / 8)) {
    return unsupported("the sparse tensor of shape {} is larger than {} when dense",
                       to_string(dims), human_bytes(sources.max_dense_bytes));
  }
  const bool flat = indices.rank() == 1;
  const bool shaped = indices.rank() == 2 && indices.dim(1) == static_cast<int64_t>(dims.size());
  if (values.rank() != 1 || indices.type() != DType::kInt64 || (!flat && !shaped) ||
      indices.dim(0) != values.dim(0)) {
    return bad_input("sparse values {}{} and indices {}{} do not fit shape {}", name_of(type),
                     to_string(values.dims()), name_of(indices.type()), to_string(indices.dims()),
                     to_string(dims));
  }
  Tensor dense = Tensor::zeros(type, dims);
  for (int64_t i = 0; i < values.elements(); ++i) {
    FEWBIT_ASSIGN(const int64_t at, linear_index(indices, i, dims, elements));
    if (type == DType::kString) {
      dense.strings()[static_cast<size_t>(at)] = values.strings()[static_cast<size_t>(i)];
    } else {
      const auto bytes = static_cast<size_t>(element_bits / 8);
      std::memcpy(dense.raw() + static_cast<size_t>(at) * bytes,
                  values.raw() + static_cast<size_t>(i) * bytes, bytes);
    }
  }
  return dense;
}

}  // namespace fewbit::onnx
