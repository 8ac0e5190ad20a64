#pragma once
// Small graphs for the tests of this folder.

#include <gtest/gtest.h>

#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.h"
#include "graph/infer.h"

namespace fewbit::testing {

using Attributes = std::map<std::string, Attribute, std::less<>>;
using Ints = std::vector<int64_t>;

/// A dimension from a number (-1: unknown) or a symbol.
struct D : Dim {
  D(int v) : Dim{v < 0 ? -1 : v, {}} {}      // NOLINT: implicit
  D(int64_t v) : Dim{v < 0 ? -1 : v, {}} {}  // NOLINT: implicit
  D(const char* s) : Dim{-1, s} {}           // NOLINT: implicit
};

inline Shape shape(std::initializer_list<D> dims) {
  return {dims.begin(), dims.end()};
}

struct TestGraph {
  Model model;
  Graph& graph = model.graph;
  int opset = 21;

  ValueId input(const std::string& name, std::initializer_list<D> dims,
                DType elem = DType::kFloat32) {
    return input_of_type(name, ValueType::tensor(elem, shape(dims)));
  }
  ValueId input_of_type(const std::string& name, ValueType type) {
    ValueId id = graph.add_value(name, std::move(type));
    graph.inputs.push_back(id);
    return id;
  }
  ValueId ints(const std::string& name, const Ints& values) {
    return graph.add_constant(name, Tensor::from({static_cast<int64_t>(values.size())}, values));
  }
  ValueId int_scalar(const std::string& name, int64_t v) {
    return graph.add_constant(name, Tensor::scalar(v));
  }
  ValueId weights(const std::string& name, const Dims& dims) {
    return graph.add_constant(name, Tensor::zeros(DType::kFloat32, dims));
  }
  /// A node named after its operator; outputs are named y0, y1, ... of the whole graph.
  std::vector<ValueId> nodes(const std::string& op, std::vector<ValueId> inputs, size_t outputs,
                             Attributes attributes = {}, const std::string& domain = "") {
    Node n;
    n.op_type = op;
    n.domain = domain;
    n.name = "my_" + op;
    n.opset = domain.empty() ? opset : 1;
    n.inputs = std::move(inputs);
    n.attributes = std::move(attributes);
    for (size_t i = 0; i < outputs; ++i)
      n.outputs.push_back(graph.add_value(graph.unique_name("y")));
    std::vector<ValueId> out = n.outputs;
    graph.add_node(std::move(n));
    return out;
  }
  ValueId node(const std::string& op, std::vector<ValueId> inputs, Attributes attributes = {},
               const std::string& domain = "") {
    return nodes(op, std::move(inputs), 1, std::move(attributes), domain).front();
  }

  std::string type(ValueId id) const { return graph.value(id).type.to_string(); }
  /// Infers and returns the type of `id`, or the error.
  std::string infer(ValueId id) {
    Status status = infer_graph(graph);
    return status.ok() ? type(id) : status.error().message();
  }
};

}  // namespace fewbit::testing
