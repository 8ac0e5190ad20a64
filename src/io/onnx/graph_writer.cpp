#include "io/onnx/graph_writer.h"

#include <algorithm>
#include <unordered_set>

#include "io/byte_source.h"
#include "io/onnx/reader.h"
#include "io/onnx/type_proto.h"

namespace fewbit::onnx {
namespace {

/// The first IR version that knows the element type (the list of versions in the format's proto).
int64_t ir_version_of(DType type) {
  switch (type) {
    case DType::kBfloat16:
      return 4;
    case DType::kFloat8E4M3FN:
    case DType::kFloat8E4M3FNUZ:
    case DType::kFloat8E5M2:
    case DType::kFloat8E5M2FNUZ:
      return 9;
    case DType::kUint4:
    case DType::kInt4:
      return 10;
    case DType::kFloat4E2M1:
      return 11;
    case DType::kFloat8E8M0:
      return 12;
    case DType::kUint2:
    case DType::kInt2:
      return 13;
    default:
      return 1;
  }
}
constexpr int64_t kIrOfFreeInitializers = 4;  // before, each had to be listed as a graph input
constexpr int64_t kIrOfOptional = 8;

bool is_annotation(const std::string& key) {
  return key.starts_with(kQuantAnnotationPrefix);
}

template <typename Proto>
void write_metadata(const std::map<std::string, std::string>& metadata, Proto* proto) {
  for (const auto& [key, value] : metadata) {
    if (is_annotation(key)) continue;
    auto* entry = proto->add_metadata_props();
    entry->set_key(key);
    entry->set_value(value);
  }
}

void add_pair(pb::TensorProto* proto, const char* key, const std::string& value) {
  auto* entry = proto->add_external_data();
  entry->set_key(key);
  entry->set_value(value);
}

bool has_plain_metadata(const Value& value) {
  return !value.doc.empty() ||
         std::any_of(value.metadata.begin(), value.metadata.end(),
                     [](const auto& entry) { return !is_annotation(entry.first); });
}

std::unordered_set<ValueId> as_set(const std::vector<ValueId>& ids) {
  return {ids.begin(), ids.end()};
}

}  // namespace

void GraphWriter::use_element(DType type) {
  needed_ir_ = std::max(needed_ir_, ir_version_of(type));
}

void GraphWriter::use_type(const ValueType& type) {
  use_element(type.elem);
  if (type.kind == ValueType::Kind::kOptional) needed_ir_ = std::max(needed_ir_, kIrOfOptional);
  if (type.inner) use_type(*type.inner);
}

Result<pb::ModelProto> GraphWriter::write(const Model& model) {
  pb::ModelProto proto;
  Graph sorted = model.graph;  // constants are shared, not copied
  FEWBIT_TRY(write_graph(sorted, proto.mutable_graph()));
  proto.set_ir_version(std::max(model.ir_version, needed_ir_));
  if (!model.producer_name.empty()) proto.set_producer_name(model.producer_name);
  if (!model.producer_version.empty()) proto.set_producer_version(model.producer_version);
  if (!model.domain.empty()) proto.set_domain(model.domain);
  if (model.model_version != 0) proto.set_model_version(model.model_version);
  if (!model.doc.empty()) proto.set_doc_string(model.doc);
  write_metadata(model.metadata, &proto);
  used_opsets_.insert(model.opsets.begin(), model.opsets.end());
  for (auto& [domain, version] : used_opsets_) {
    auto imported = model.opsets.find(domain);
    auto* opset = proto.add_opset_import();
    opset->set_domain(domain);
    opset->set_version(imported != model.opsets.end() ? imported->second : version);
  }
  return proto;
}

Status GraphWriter::write_graph(Graph& graph, pb::GraphProto* proto) {
  FEWBIT_TRY(graph.sort());
  proto->set_name(graph.name.empty() ? "graph" : graph.name);  // the format demands a name
  if (!graph.doc.empty()) proto->set_doc_string(graph.doc);
  write_metadata(graph.metadata, proto);
  for (NodeId id : graph.order()) {
    FEWBIT_TRY(write_node(graph, graph.node(id), proto->add_node()));
  }
  for (ValueId id : graph.inputs) write_value_info(graph.value(id), proto->add_input());
  for (ValueId id : graph.outputs) write_value_info(graph.value(id), proto->add_output());
  write_constants(graph, proto);
  write_value_infos(graph, proto);
  write_annotations(graph, proto);
  return {};
}

void GraphWriter::write_constants(const Graph& graph, pb::GraphProto* proto) {
  const UseMap uses(graph);
  const auto inputs = as_set(graph.inputs);
  for (ValueId id = 0; id < static_cast<ValueId>(graph.value_count()); ++id) {
    const Value& value = graph.value(id);
    if (!value.is_constant() || value.producer != kNone) continue;
    const bool is_input = inputs.count(id) != 0;
    const bool is_output = uses.outputs[static_cast<size_t>(id)] > 0;
    if (!is_input && !is_output && uses.consumers[static_cast<size_t>(id)].empty()) continue;
    auto* tensor = proto->add_initializer();
    tensor->set_name(value.name);
    write_tensor(*value.constant, true, tensor);
    if (!is_input) needed_ir_ = std::max(needed_ir_, kIrOfFreeInitializers);
    if (is_input || is_output) continue;  // doc and metadata stand there
    if (!value.doc.empty()) tensor->set_doc_string(value.doc);
    write_metadata(value.metadata, tensor);
  }
}

void GraphWriter::write_value_info(const Value& value, pb::ValueInfoProto* proto) {
  proto->set_name(value.name);
  if (value.type.kind != ValueType::Kind::kUnknown) {
    write_type(value.type, proto->mutable_type());
    use_type(value.type);
  }
  if (!value.doc.empty()) proto->set_doc_string(value.doc);
  write_metadata(value.metadata, proto);
}

void GraphWriter::write_value_infos(const Graph& graph, pb::GraphProto* proto) {
  const auto outputs = as_set(graph.outputs);
  for (ValueId id = 0; id < static_cast<ValueId>(graph.value_count()); ++id) {
    const Value& value = graph.value(id);
    if (value.producer == kNone || outputs.count(id) != 0) continue;
    if (value.type.kind == ValueType::Kind::kUnknown && !has_plain_metadata(value)) continue;
    write_value_info(value, proto->add_value_info());
  }
}

void GraphWriter::write_annotations(const Graph& graph, pb::GraphProto* proto) {
  for (ValueId id = 0; id < static_cast<ValueId>(graph.value_count()); ++id) {
    const Value& value = graph.value(id);
    pb::TensorAnnotation* annotation = nullptr;
    for (const auto& [key, name] : value.metadata) {
      if (!is_annotation(key) || graph.find_value(name) == kNone) continue;
      if (annotation == nullptr) annotation = proto->add_quantization_annotation();
      annotation->set_tensor_name(value.name);
      auto* entry = annotation->add_quant_parameter_tensor_names();
      entry->set_key(key.substr(kQuantAnnotationPrefix.size()));
      entry->set_value(name);
    }
  }
}

Status GraphWriter::write_node(const Graph& graph, Node& node, pb::NodeProto* proto) {
  for (ValueId id : node.inputs) proto->add_input(id == kNone ? "" : graph.value(id).name);
  for (ValueId id : node.outputs) proto->add_output(id == kNone ? "" : graph.value(id).name);
  if (!node.name.empty()) proto->set_name(node.name);
  proto->set_op_type(node.op_type);
  if (!node.domain.empty()) proto->set_domain(node.domain);
  if (!node.doc.empty()) proto->set_doc_string(node.doc);
  write_metadata(node.metadata, proto);
  int& version = used_opsets_[node.domain];
  version = std::max({version, node.opset, 1});
  for (auto& [name, attribute] : node.attributes) {
    Status status = write_attribute(name, attribute, proto->add_attribute());
    if (!status.ok()) return std::move(status).error().with_context(node.label());
  }
  return {};
}

Status GraphWriter::write_attribute(const std::string& name, Attribute& attribute,
                                    pb::AttributeProto* proto) {
  using Type = pb::AttributeProto;
  proto->set_name(name);
  const auto write = [&](auto& value) -> Status {
    using T = std::decay_t<decltype(value)>;
    if constexpr (std::is_same_v<T, int64_t>) {
      proto->set_type(Type::INT);
      proto->set_i(value);
    } else if constexpr (std::is_same_v<T, float>) {
      proto->set_type(Type::FLOAT);
      proto->set_f(value);
    } else if constexpr (std::is_same_v<T, std::string>) {
      proto->set_type(Type::STRING);
      proto->set_s(value);
    } else if constexpr (std::is_same_v<T, Tensor>) {
      proto->set_type(Type::TENSOR);
      write_tensor(value, false, proto->mutable_t());
    } else if constexpr (std::is_same_v<T, std::shared_ptr<Graph>>) {
      proto->set_type(Type::GRAPH);
      return write_graph(*value, proto->mutable_g());
    } else if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
      proto->set_type(Type::INTS);
      proto->mutable_ints()->Add(value.begin(), value.end());
    } else if constexpr (std::is_same_v<T, std::vector<float>>) {
      proto->set_type(Type::FLOATS);
      proto->mutable_floats()->Add(value.begin(), value.end());
    } else if constexpr (std::is_same_v<T, std::vector<std::string>>) {
      proto->set_type(Type::STRINGS);
      for (const std::string& s : value) proto->add_strings(s);
    } else if constexpr (std::is_same_v<T, std::vector<Tensor>>) {
      proto->set_type(Type::TENSORS);
      for (const Tensor& t : value) write_tensor(t, false, proto->add_tensors());
    } else if constexpr (std::is_same_v<T, std::vector<std::shared_ptr<Graph>>>) {
      proto->set_type(Type::GRAPHS);
      for (auto& g : value) FEWBIT_TRY(write_graph(*g, proto->add_graphs()));
    } else {
      static_assert(std::is_same_v<T, ValueType>);
      proto->set_type(Type::TYPE_PROTO);
      write_type(value, proto->mutable_tp());
      use_type(value);
    }
    return {};
  };
  return std::visit(write, attribute);
}

void GraphWriter::write_tensor(const Tensor& tensor, bool may_be_external, pb::TensorProto* proto) {
  for (int64_t d : tensor.dims()) proto->add_dims(d);
  proto->set_data_type(static_cast<int32_t>(tensor.type()));
  use_element(tensor.type());
  if (tensor.type() == DType::kString) {
    for (const std::string& s : tensor.strings()) proto->add_string_data(s);
    return;
  }
  if (may_be_external && placer_) {
    if (const std::optional<std::string> location = placer_(proto->name(), tensor)) {
      proto->set_data_location(pb::TensorProto::EXTERNAL);
      add_pair(proto, "location", *location);
      return;
    }
  }
  if (may_be_external && !data_file_.empty() && tensor.bytes() >= threshold_bytes_) {
    write_external(tensor, proto);
    return;
  }
  proto->set_payload_at(payloads_.size());
  proto->set_payload_bytes(static_cast<uint64_t>(tensor.bytes()));
  payloads_.push_back(tensor);
}

void GraphWriter::write_external(const Tensor& tensor, pb::TensorProto* proto) {
  const auto bytes = static_cast<uint64_t>(tensor.bytes());
  auto known = blob_offsets_.find({tensor.raw(), bytes});
  uint64_t offset = known == blob_offsets_.end() ? 0 : known->second;
  if (known == blob_offsets_.end()) {
    const uint64_t alignment = mapping_alignment(bytes);
    offset = (data_end_ + alignment - 1) / alignment * alignment;
    data_end_ = offset + bytes;
    blob_offsets_.emplace(std::pair(tensor.raw(), bytes), offset);
    blobs_.push_back({tensor, offset});
  }
  proto->set_data_location(pb::TensorProto::EXTERNAL);
  add_pair(proto, "location", data_file_);
  add_pair(proto, "offset", std::to_string(offset));
  add_pair(proto, "length", std::to_string(bytes));
}

}  // namespace fewbit::onnx
