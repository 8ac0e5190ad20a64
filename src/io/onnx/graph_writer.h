#pragma once
// Model to ModelProto, with the bytes of its tensors beside it.

#include <map>
#include <vector>

#include "base/result.h"
#include "fewbit_onnx.pb.h"
#include "graph/graph.h"
#include "io/onnx/writer.h"

namespace fewbit::onnx {

struct ExternalBlob {
  Tensor tensor;
  uint64_t offset;  ///< in the data file
};

class GraphWriter {
 public:
  /// `data_file`: name of the external file, "" for none. Constants of at least `threshold_bytes`
  /// go there. The placer, if there is one, is asked first.
  GraphWriter(std::string data_file, int64_t threshold_bytes, TensorPlacer placer = nullptr)
      : data_file_(std::move(data_file)),
        threshold_bytes_(threshold_bytes),
        placer_(std::move(placer)) {}

  /// Error: the graph has a cycle.
  Result<pb::ModelProto> write(const Model& model);

  /// What TensorProto.payload_at counts (wire.h).
  const std::vector<Tensor>& payloads() const { return payloads_; }
  /// In the order of their offsets.
  const std::vector<ExternalBlob>& blobs() const { return blobs_; }

 private:
  Status write_graph(Graph& graph, pb::GraphProto* proto);
  void write_constants(const Graph& graph, pb::GraphProto* proto);
  void write_value_infos(const Graph& graph, pb::GraphProto* proto);
  void write_value_info(const Value& value, pb::ValueInfoProto* proto);
  void write_annotations(const Graph& graph, pb::GraphProto* proto);
  Status write_node(const Graph& graph, Node& node, pb::NodeProto* proto);
  Status write_attribute(const std::string& name, Attribute& attribute, pb::AttributeProto* proto);
  void write_tensor(const Tensor& tensor, bool may_be_external, pb::TensorProto* proto);
  void write_external(const Tensor& tensor, pb::TensorProto* proto);
  void use_type(const ValueType& type);
  void use_element(DType type);

  std::string data_file_;
  int64_t threshold_bytes_;
  TensorPlacer placer_;
  std::vector<Tensor> payloads_;
  std::vector<ExternalBlob> blobs_;
  /// By place and length: values that share a tensor share its bytes in the file.
  std::map<std::pair<const std::byte*, uint64_t>, uint64_t> blob_offsets_;
  uint64_t data_end_ = 0;
  int64_t needed_ir_ = 3;
  std::map<std::string, int> used_opsets_;
};

}  // namespace fewbit::onnx
