#pragma once
// Small models for the tests of native files.

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "graph/graph.h"
#include "io/native/native.h"

namespace fewbit {

inline ValueId add_node(Graph& graph, const std::string& op, std::vector<ValueId> inputs,
                        const std::string& output, const std::string& domain = "") {
  Node node;
  node.op_type = op;
  node.domain = domain;
  node.opset = domain.empty() ? 21 : 1;
  node.inputs = std::move(inputs);
  node.outputs = {graph.add_value(output)};
  const ValueId id = node.outputs[0];
  graph.add_node(std::move(node));
  return id;
}

inline Model empty_model() {
  Model model;
  model.opsets = {{"", 21}};
  model.graph.name = "tiny";
  model.graph.inputs = {model.graph.add_value(
      "x", ValueType::tensor(DType::kFloat32, Shape{Dim::of(2), Dim::of(3)}))};
  return model;
}

/// x[2, 3] -> Add w -> y, with w[3] and a line of metadata.
inline Model tiny_model() {
  Model model = empty_model();
  Graph& g = model.graph;
  const ValueId w = g.add_constant("w", Tensor::from<float>({3}, std::vector<float>{1, -2, 0.5F}));
  g.outputs = {add_node(g, "Add", {g.inputs[0], w}, "y")};
  model.metadata["fewbit.seed"] = "7";
  return model;
}

inline Result<Model> parse_bytes(const std::string& bytes) {
  return parse_native(std::as_bytes(std::span(bytes)), nullptr, "m");
}

inline Status verify_bytes(const std::string& bytes) {
  return verify_native(std::as_bytes(std::span(bytes)), "m");
}

inline std::string native_bytes(const Model& model) {
  Result<std::string> bytes = serialize_native(model);
  EXPECT_TRUE(bytes.ok()) << bytes.error().message();
  return bytes.ok() ? *bytes : "";
}

/// The constant of that name in what `bytes` is read as.
inline Tensor constant_of(const Model& model, const std::string& name) {
  const Tensor* tensor = model.graph.constant(model.graph.find_value(name));
  EXPECT_NE(tensor, nullptr) << name;
  return tensor == nullptr ? Tensor() : *tensor;
}

}  // namespace fewbit
