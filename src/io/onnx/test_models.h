#pragma once
// Small protobuf models for the tests of the reader and the writer.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "fewbit_onnx.pb.h"
#include "io/onnx/reader.h"

namespace fewbit::onnx {

using Strings = std::vector<std::string>;

inline pb::NodeProto* add_node(google::protobuf::RepeatedPtrField<pb::NodeProto>* nodes,
                               const std::string& op, const Strings& inputs, const Strings& outputs,
                               const std::string& domain = "") {
  pb::NodeProto* n = nodes->Add();
  n->set_op_type(op);
  n->set_name(op + std::to_string(nodes->size()));
  n->set_domain(domain);
  for (const std::string& s : inputs) n->add_input(s);
  for (const std::string& s : outputs) n->add_output(s);
  return n;
}

inline void set_value(pb::ValueInfoProto* info, const std::string& name,
                      const std::vector<int64_t>& dims, DType type = DType::kFloat32) {
  info->set_name(name);
  auto* tensor = info->mutable_type()->mutable_tensor_type();
  tensor->set_elem_type(static_cast<int32_t>(type));
  for (int64_t d : dims) tensor->mutable_shape()->add_dim()->set_dim_value(d);
}

inline pb::TensorProto* set_floats(pb::TensorProto* t, const std::string& name,
                                   const std::vector<int64_t>& dims,
                                   const std::vector<float>& values) {
  t->set_name(name);
  t->set_data_type(static_cast<int32_t>(DType::kFloat32));
  for (int64_t d : dims) t->add_dims(d);
  t->set_raw_data(values.data(), values.size() * sizeof(float));
  return t;
}

inline pb::AttributeProto* add_attribute(pb::NodeProto* node, const std::string& name,
                                         pb::AttributeProto::AttributeType type) {
  pb::AttributeProto* a = node->add_attribute();
  a->set_name(name);
  a->set_type(type);
  return a;
}

inline void import(google::protobuf::RepeatedPtrField<pb::OperatorSetIdProto>* imports,
                   const std::string& domain, int64_t version) {
  auto* opset = imports->Add();
  opset->set_domain(domain);
  opset->set_version(version);
}

/// x[2] -> Add w -> t -> Relu -> y[2]
inline pb::ModelProto small_model() {
  pb::ModelProto m;
  m.set_ir_version(8);
  import(m.mutable_opset_import(), "", 17);
  pb::GraphProto* g = m.mutable_graph();
  g->set_name("small");
  set_value(g->add_input(), "x", {2});
  set_floats(g->add_initializer(), "w", {2}, {1.5F, -2.0F});
  add_node(g->mutable_node(), "Add", {"x", "w"}, {"t"});
  add_node(g->mutable_node(), "Relu", {"t"}, {"y"});
  set_value(g->add_output(), "y", {2});
  return m;
}

inline Result<Model> parse_bytes(const std::string& bytes, const OnnxReadOptions& options = {}) {
  return parse_onnx(std::as_bytes(std::span(bytes)), nullptr, "", options, "m");
}

inline Result<Model> parse(const pb::ModelProto& m, const OnnxReadOptions& options = {}) {
  return parse_bytes(m.SerializeAsString(), options);
}

inline ::testing::AssertionResult fails_with(const Result<Model>& model, const std::string& text) {
  if (model.ok()) return ::testing::AssertionFailure() << "it was read";
  if (model.error().message().find(text) != std::string::npos) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << "error: " << model.error().message();
}

}  // namespace fewbit::onnx

#define ASSERT_READ(model) ASSERT_TRUE((model).ok()) << (model).error().message()
#define EXPECT_READ(model) EXPECT_TRUE((model).ok())
