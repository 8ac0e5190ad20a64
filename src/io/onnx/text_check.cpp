#include "io/onnx/text_check.h"

#include <cstdint>

#include "base/text.h"

namespace fewbit::onnx {

namespace {

// The bytes of `text` that are not printable ASCII as \xHH, cut to a line's length.
std::string printable(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, 60)) {
    if (c >= 0x20 && c < 0x7f) {
      out += c;
    } else {
      out += fmt::format("\\x{:02x}", static_cast<uint8_t>(c));
    }
  }
  return out;
}

Status text(std::string_view what, const std::string& value) {
  if (is_utf8(value)) return {};
  return bad_input("{} '{}' is not valid UTF-8", what, printable(value));
}

template <typename Repeated>
Status texts(std::string_view what, const Repeated& values) {
  for (const std::string& value : values) FEWBIT_TRY(text(what, value));
  return {};
}

template <typename Repeated>
Status pairs(std::string_view what, const Repeated& entries) {
  for (const auto& entry : entries) {
    FEWBIT_TRY(text(what, entry.key()));
    FEWBIT_TRY(text(what, entry.value()));
  }
  return {};
}

Status check(const pb::GraphProto& graph);

Status check(const pb::TensorProto& tensor) {
  FEWBIT_TRY(text("the tensor name", tensor.name()));
  FEWBIT_TRY(text("the doc of a tensor", tensor.doc_string()));
  FEWBIT_TRY(pairs("external data of a tensor:", tensor.external_data()));
  return pairs("metadata of a tensor:", tensor.metadata_props());
}

Status check(const pb::TypeProto& type) {
  for (const auto& d : type.tensor_type().shape().dim()) {
    FEWBIT_TRY(text("the dimension name", d.dim_param()));
  }
  if (type.has_sequence_type()) return check(type.sequence_type().elem_type());
  if (type.has_optional_type()) return check(type.optional_type().elem_type());
  return {};
}

Status check(const pb::ValueInfoProto& info) {
  FEWBIT_TRY(text("the value name", info.name()));
  FEWBIT_TRY(text("the doc of a value", info.doc_string()));
  FEWBIT_TRY(pairs("metadata of a value:", info.metadata_props()));
  return check(info.type());
}

Status check(const pb::AttributeProto& attribute) {
  FEWBIT_TRY(text("the attribute name", attribute.name()));
  FEWBIT_TRY(text("the attribute reference", attribute.ref_attr_name()));
  if (attribute.has_t()) FEWBIT_TRY(check(attribute.t()));
  if (attribute.has_g()) FEWBIT_TRY(check(attribute.g()));
  if (attribute.has_tp()) FEWBIT_TRY(check(attribute.tp()));
  for (const auto& t : attribute.tensors()) FEWBIT_TRY(check(t));
  for (const auto& g : attribute.graphs()) FEWBIT_TRY(check(g));
  return {};
}

Status check(const pb::NodeProto& node) {
  FEWBIT_TRY(text("the node name", node.name()));
  const auto body = [&]() -> Status {
    FEWBIT_TRY(text("the operator", node.op_type()));
    FEWBIT_TRY(text("the domain", node.domain()));
    FEWBIT_TRY(text("the overload", node.overload()));
    FEWBIT_TRY(texts("the input", node.input()));
    FEWBIT_TRY(texts("the output", node.output()));
    FEWBIT_TRY(text("the doc", node.doc_string()));
    FEWBIT_TRY(pairs("metadata:", node.metadata_props()));
    for (const auto& a : node.attribute()) FEWBIT_TRY(check(a));
    return {};
  };
  Status status = body();
  if (status.ok()) return status;
  const std::string op = is_utf8(node.op_type()) ? node.op_type() + " " : "";
  return std::move(status).error().with_context(fmt::format("{}node '{}'", op, node.name()));
}

Status check(const pb::GraphProto& graph) {
  FEWBIT_TRY(text("the graph name", graph.name()));
  FEWBIT_TRY(text("the doc of a graph", graph.doc_string()));
  FEWBIT_TRY(pairs("metadata of a graph:", graph.metadata_props()));
  for (const auto& v : graph.input()) FEWBIT_TRY(check(v));
  for (const auto& v : graph.output()) FEWBIT_TRY(check(v));
  for (const auto& v : graph.value_info()) FEWBIT_TRY(check(v));
  for (const auto& t : graph.initializer()) FEWBIT_TRY(check(t));
  for (const auto& t : graph.sparse_initializer()) FEWBIT_TRY(check(t.values()));
  for (const auto& a : graph.quantization_annotation()) {
    FEWBIT_TRY(text("the annotated tensor", a.tensor_name()));
    FEWBIT_TRY(pairs("a quantization annotation:", a.quant_parameter_tensor_names()));
  }
  for (const auto& n : graph.node()) FEWBIT_TRY(check(n));
  return {};
}

Status check(const pb::FunctionProto& function) {
  FEWBIT_TRY(text("the function name", function.name()));
  FEWBIT_TRY(text("the domain of a function", function.domain()));
  FEWBIT_TRY(text("the overload of a function", function.overload()));
  FEWBIT_TRY(texts("the function input", function.input()));
  FEWBIT_TRY(texts("the function output", function.output()));
  FEWBIT_TRY(texts("the function attribute", function.attribute()));
  for (const auto& o : function.opset_import()) FEWBIT_TRY(text("the domain", o.domain()));
  for (const auto& a : function.attribute_proto()) FEWBIT_TRY(check(a));
  for (const auto& v : function.value_info()) FEWBIT_TRY(check(v));
  for (const auto& n : function.node()) FEWBIT_TRY(check(n));
  return {};
}

}  // namespace

Status check_text(const pb::ModelProto& model) {
  FEWBIT_TRY(text("the producer", model.producer_name()));
  FEWBIT_TRY(text("the producer's version", model.producer_version()));
  FEWBIT_TRY(text("the domain", model.domain()));
  FEWBIT_TRY(text("the doc of the model", model.doc_string()));
  FEWBIT_TRY(pairs("metadata:", model.metadata_props()));
  for (const auto& o : model.opset_import()) FEWBIT_TRY(text("the domain", o.domain()));
  for (const auto& f : model.functions()) FEWBIT_TRY(check(f));
  return check(model.graph());
}

}  // namespace fewbit::onnx
