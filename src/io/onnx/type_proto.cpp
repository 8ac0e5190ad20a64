#include "io/onnx/type_proto.h"

namespace fewbit::onnx {
namespace {

constexpr int32_t kFloat6E2M3 = 27;
constexpr int32_t kFloat6E3M2 = 28;

// Deeper types than sequence(optional(tensor)) are not in use; the bound keeps what is written
// within protobuf's own limit on nesting.
constexpr int kMaxTypeDepth = 8;

Result<ValueType> read_nested(const pb::TypeProto& proto, int depth);

Result<ValueType> read_tensor_type(const pb::TypeProto::Tensor& proto) {
  FEWBIT_ASSIGN(DType elem, read_element_type(proto.elem_type()));
  if (!proto.has_shape()) return ValueType::tensor(elem);
  Shape shape;
  for (const auto& d : proto.shape().dim()) {
    if (d.has_dim_value()) {
      if (d.dim_value() < -1) return bad_input("a dimension of {}", d.dim_value());
      shape.push_back(Dim::of(d.dim_value()));
    } else {
      shape.push_back(Dim::named(d.dim_param()));
    }
  }
  return ValueType::tensor(elem, std::move(shape));
}

Result<ValueType> read_container(ValueType::Kind kind, const pb::TypeProto& inner, int depth) {
  if (depth >= kMaxTypeDepth) {
    return unsupported("types are nested deeper than {} levels", kMaxTypeDepth);
  }
  ValueType type;
  type.kind = kind;
  FEWBIT_ASSIGN(ValueType inside, read_nested(inner, depth + 1));
  type.elem = inside.elem;
  if (inside.kind != ValueType::Kind::kUnknown) {
    type.inner = std::make_shared<ValueType>(std::move(inside));
  }
  return type;
}

Result<ValueType> read_nested(const pb::TypeProto& proto, int depth) {
  switch (proto.value_case()) {
    case pb::TypeProto::VALUE_NOT_SET:
      return ValueType{};
    case pb::TypeProto::kTensorType:
      return read_tensor_type(proto.tensor_type());
    case pb::TypeProto::kSequenceType:
      return read_container(ValueType::Kind::kSequence, proto.sequence_type().elem_type(), depth);
    case pb::TypeProto::kOptionalType:
      return read_container(ValueType::Kind::kOptional, proto.optional_type().elem_type(), depth);
    case pb::TypeProto::kMapType:
      return unsupported("map types are not supported");
    case pb::TypeProto::kOpaqueType:
      return unsupported("opaque types are not supported");
    case pb::TypeProto::kSparseTensorType:
      return unsupported("sparse tensor types are not supported");
  }
  return ValueType{};
}

}  // namespace

Result<DType> read_element_type(int32_t number) {
  if (number == kFloat6E2M3 || number == kFloat6E3M2) {
    return unsupported("element type {} (a 6-bit float) is not supported", number);
  }
  if (number < 0 || number >= kDTypeCount) {
    return bad_input("unknown element type {} (known: 1 to {})", number, kDTypeCount - 1);
  }
  return static_cast<DType>(number);
}

Result<ValueType> read_type(const pb::TypeProto& proto) {
  return read_nested(proto, 0);
}

void write_type(const ValueType& type, pb::TypeProto* proto) {
  switch (type.kind) {
    case ValueType::Kind::kUnknown:
      return;
    case ValueType::Kind::kSequence:
    case ValueType::Kind::kOptional: {
      pb::TypeProto* inner = type.kind == ValueType::Kind::kSequence
                                 ? proto->mutable_sequence_type()->mutable_elem_type()
                                 : proto->mutable_optional_type()->mutable_elem_type();
      if (type.inner) {
        write_type(*type.inner, inner);
      } else if (type.elem != DType::kUndefined) {
        write_type(ValueType::tensor(type.elem), inner);
      }
      return;
    }
    case ValueType::Kind::kTensor:
      break;
  }
  auto* tensor = proto->mutable_tensor_type();
  tensor->set_elem_type(static_cast<int32_t>(type.elem));
  if (!type.shape) return;
  auto* shape = tensor->mutable_shape();
  for (const Dim& d : *type.shape) {
    auto* dim = shape->add_dim();
    if (d.known()) {
      dim->set_dim_value(d.value);
    } else if (!d.symbol.empty()) {
      dim->set_dim_param(d.symbol);
    }
  }
}

}  // namespace fewbit::onnx
