#pragma once
// Type and shape inference, and what each operator's signature must look like.
//
// One row per operator (and version): its arity, and a function from the types (and, where a shape
// depends on values, the constants) of its inputs to the types of its outputs.

#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace fewbit {

/// What a row's function sees and sets (graph/infer_context.h).
class InferContext;
using InferFunction = Status (*)(InferContext&);

struct SchemaRow {
  std::string_view domain;
  std::string_view op_type;
  int since;
  int min_inputs, max_inputs;  ///< max -1: variadic
  int min_outputs, max_outputs;
  InferFunction infer;      ///< nullptr: output types stay unknown
  bool containers = false;  ///< some input may be a sequence or an optional
  uint32_t optional = 0;    ///< bit i: input i may be left out although i < min_inputs
};

/// All rows: the concatenation of the tables of graph/infer/ (infer_table.cpp).
std::span<const SchemaRow> schema_table();

/// The row with the largest `since` that is not above `opset`; nullptr if the operator is unknown.
const SchemaRow* find_schema(std::string_view domain, std::string_view op_type, int opset);

/// Error if the node's number of inputs or outputs is not the row's, or a required input is left
/// out; names the node and what was expected.
Status check_arity(const SchemaRow& row, const Node& node);

/// Infers the output types of one node from its inputs' current types and constants, and writes
/// them to the output values. A declared type that contradicts the inferred one is an error that
/// names the node; the more precise of two compatible ones is kept. Unknown stays unknown.
Status infer_node(Graph& graph, NodeId id);

/// infer_node over the whole graph in order, sub-graphs included. The elements of small integer
/// (and float) tensors are carried along as far as they are known, so Shape -> Gather -> Concat ->
/// Reshape keeps static and symbolic dimensions. An initializer that is also a graph input counts
/// as constant.
Status infer_graph(Graph& graph);

/// Binds symbolic dimensions of the graph's inputs to numbers: input name -> dims (inputs that
/// share a symbol and are not listed get its number too); then clears the shapes of all values that
/// a node produces, sub-graphs included, so that they are inferred again. Error if a static
/// dimension disagrees or the name is no input; names the input.
Status bind_input_shapes(Graph& graph, const std::vector<std::pair<std::string, Dims>>& shapes);

}  // namespace fewbit
