#pragma once
// GraphProto to Graph: scopes, sub-graphs, Constant nodes, model-local functions.

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/result.h"
#include "fewbit_onnx.pb.h"
#include "graph/graph.h"
#include "io/onnx/reader.h"
#include "io/onnx/tensor_proto.h"

namespace fewbit::onnx {

using Opsets = std::map<std::string, int>;

/// "ai.onnx" is "".
std::string normal_domain(const std::string& domain);

/// The versions a model or a function imports; of one domain the highest. Error: a version below 1.
Result<Opsets> read_opsets(
    const google::protobuf::RepeatedPtrField<pb::OperatorSetIdProto>& imports);

class GraphReader {
 public:
  GraphReader(const pb::ModelProto& model, TensorSources& sources, const OnnxReadOptions& options,
              Opsets opsets);

  /// Error: two functions of the same domain, name and overload.
  Status index_functions();

  /// Reads the model's graph. Once.
  Status read(Graph& graph);

  /// The model's imports and those of the functions that were inlined.
  const Opsets& opsets() const { return opsets_; }

 private:
  /// The names that nodes of one body (a graph's or a function's) can see.
  struct Scope {
    Graph* graph = nullptr;                           ///< where the nodes go
    const Scope* outer = nullptr;                     ///< of the graph around a sub-graph
    std::unordered_map<std::string, ValueId> values;  ///< kNone: an input the caller left out
    /// Function bodies: the values that its outputs are bound to, until a node defines them.
    std::unordered_map<std::string, ValueId> bound_outputs;
  };

  /// A call of a model-local function that is being inlined.
  struct Call {
    const pb::FunctionProto* function = nullptr;
    const Call* caller = nullptr;
    int depth = 0;
    std::string prefix;  ///< of the names of the body's nodes and values
    Opsets opsets;
    std::map<std::string, Attribute> attributes;      ///< what ref_attr_name refers to
    std::map<std::string, uint64_t> attribute_bytes;  ///< their size in the file
  };

  using FunctionKey = std::tuple<std::string, std::string, std::string>;  // domain, name, overload

  // graph_reader.cpp
  Status read_graph(const pb::GraphProto& proto, Graph& graph, const Scope* outer,
                    const Call* call);
  Status read_body(const pb::GraphProto& proto, Scope& scope, const Call* call);
  Status declare_inputs(const pb::GraphProto& proto, Scope& scope, const Call* call);
  Status declare_initializers(const pb::GraphProto& proto, Scope& scope, const Call* call);
  Status declare_constant(const std::string& name, Tensor tensor, Scope& scope, const Call* call);
  Status read_outputs(const pb::GraphProto& proto, Scope& scope);
  Status read_value_infos(const google::protobuf::RepeatedPtrField<pb::ValueInfoProto>& infos,
                          Scope& scope);
  void read_annotations(const pb::GraphProto& proto, Scope& scope);
  Status read_nodes(const google::protobuf::RepeatedPtrField<pb::NodeProto>& nodes, Scope& scope,
                    const Call* call);
  Status declare_outputs(const pb::NodeProto& node, Scope& scope, const Call* call);
  Status read_node(const pb::NodeProto& proto, Scope& scope, const Call* call);
  Status fold_constant(const pb::NodeProto& proto, const Node& node, Scope& scope);
  Result<ValueId> find(const std::string& name, Scope& scope);
  std::string value_name(const std::string& name, const Call* call);
  void note(const std::string& line);

  // attribute_reader.cpp
  Status read_attributes(const pb::NodeProto& proto, Scope& scope, const Call* call,
                         std::map<std::string, Attribute, std::less<>>& attributes);
  Result<Attribute> read_attribute(const pb::AttributeProto& proto, Scope& scope, const Call* call);
  Result<std::shared_ptr<Graph>> read_subgraph(const pb::GraphProto& proto, Scope& scope,
                                               const Call* call);
  Result<std::optional<Attribute>> resolve_reference(const pb::AttributeProto& proto,
                                                     const Call* call);

  // function_inliner.cpp
  const pb::FunctionProto* find_function(const pb::NodeProto& node) const;
  Status inline_call(const pb::NodeProto& node, const pb::FunctionProto& function, Scope& scope,
                     const Call* caller);
  Status start_call(const pb::NodeProto& node, const pb::FunctionProto& function, Scope& scope,
                    const Call* caller, Call& call);
  Status bind_inputs(const pb::NodeProto& node, const pb::FunctionProto& function, Scope& scope,
                     Scope& body);
  Status finish_outputs(const pb::NodeProto& node, const pb::FunctionProto& function, Scope& scope,
                        Scope& body, const Call& call);
  Status spend(uint64_t bytes);
  std::string fresh_name(const std::string& stem);
  void collect_names(const pb::GraphProto& proto);

  const pb::ModelProto& model_;
  TensorSources& sources_;
  const OnnxReadOptions& options_;
  Opsets opsets_;
  std::map<FunctionKey, const pb::FunctionProto*> functions_;
  std::unordered_set<std::string> taken_;  ///< every value name of the file, and the fresh ones
  int calls_ = 0;
  int graph_depth_ = 0;
  uint64_t spent_bytes_ = 0;
};

/// "Conv node 'conv1'", or "Conv node with output 'y'" for one without a name.
std::string node_label(const pb::NodeProto& node);

}  // namespace fewbit::onnx
