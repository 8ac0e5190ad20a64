#pragma once
// Type and shape inference, and what each operator's signature must look like.
//
// One row per operator (and version): its arity, and a function from the types (and, where a shape
// depends on values, the constants) of its inputs to the types of its outputs.

#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "graph/graph.h"

namespace fewbit {

/// The integer elements of a small tensor as far as they are known: numbers, symbols, or unknown.
/// Lets Shape -> Gather -> Concat -> Reshape chains keep symbolic dimensions.
using PartialValue = std::vector<Dim>;

/// What a row's function sees and sets. (Definition in infer.cpp's implementation header.)
class InferContext;
using InferFunction = Status (*)(InferContext&);

struct SchemaRow {
  std::string_view domain;
  std::string_view op_type;
  int since;
  int min_inputs, max_inputs;    ///< max -1: variadic
  int min_outputs, max_outputs;
  InferFunction infer;           ///< nullptr: output types stay unknown
};

std::span<const SchemaRow> schema_table();
const SchemaRow* find_schema(std::string_view domain, std::string_view op_type, int opset);

/// Infers the output types of one node from its inputs' current types and constants, and writes
/// them to the output values. A declared type that contradicts the inferred one is an error that
/// names the node; the more precise of two compatible ones is kept. Unknown stays unknown.
Status infer_node(Graph& graph, NodeId id);

/// infer_node over the whole graph in order, sub-graphs included. With `symbols`, partial integer
/// values are carried along (for `inspect`).
Status infer_graph(Graph& graph);

/// Binds symbolic dimensions of the graph's inputs to numbers: input name -> dims; then clears the
/// inferred types of inner values so that they are inferred again. Error if a static dimension
/// disagrees, names the input.
Status bind_input_shapes(Graph& graph, const std::vector<std::pair<std::string, Dims>>& shapes);

}  // namespace fewbit
