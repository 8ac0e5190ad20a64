#include "io/native/constant_store.h"

#include <fmt/format.h>

#include "base/sha256.h"
#include "base/text.h"
#include "io/json.h"

namespace fewbit::native {
namespace {

constexpr int64_t kShapeBytes = 1024;

bool stays_in_graph(const Tensor& tensor) {
  const bool shape =
      tensor.type() == DType::kInt64 && tensor.rank() <= 1 && tensor.bytes() < kShapeBytes;
  return tensor.elements() <= 1 || shape;
}

// A constant of the graph, or of one around it where the value is a capture.
const Tensor* constant_of(const std::vector<const Graph*>& scopes, ValueId id) {
  if (id == kNone) return nullptr;
  const std::string& name = scopes.back()->value(id).name;
  for (auto scope = scopes.rbegin(); scope != scopes.rend(); ++scope) {
    const ValueId found = (*scope)->find_value(name);
    if (found == kNone) continue;
    if (const Tensor* tensor = (*scope)->constant(found)) return tensor;
  }
  return nullptr;
}

}  // namespace

void ConstantStore::collect_parts(const Graph& graph, std::vector<const Graph*> outer) {
  outer.push_back(&graph);
  for (const NodeId id : graph.order()) {
    const Node& node = graph.node(id);
    for (const auto& [key, attribute] : node.attributes) {
      if (const auto* sub = std::get_if<std::shared_ptr<Graph>>(&attribute)) {
        collect_parts(**sub, outer);
      } else if (const auto* list = std::get_if<std::vector<std::shared_ptr<Graph>>>(&attribute)) {
        for (const auto& sub_graph : *list) collect_parts(*sub_graph, outer);
      }
    }
    if (!node.is("Decode", "ai.fewbit") || node.output(0) == kNone) continue;
    // A string attribute may hold any bytes, JSON may not.
    const std::string format = node.get_string("format", "");
    PackedWeight weight{graph.value(node.output(0)).name,
                        is_utf8(format) ? format : "",
                        node.get_int("rows", 0),
                        node.get_int("cols", 0),
                        node.get_int("transposed", 0),
                        node.get_ints("dims"),
                        {}};
    for (const ValueId input : node.inputs) {
      const Tensor* part = constant_of(outer, input);
      if (part == nullptr || part->type() == DType::kString || part->elements() == 0) continue;
      weight.parts.push_back(*part);
      parts_.insert(identity_of(*part));
    }
    weights_.push_back(std::move(weight));
  }
}

std::string ConstantStore::free_name(const std::string& name) {
  const auto is_free = [&](const std::string& n) {
    return n != kSafetensorsMetadata && !n.starts_with(kSafetensorsPadding) && names_.count(n) == 0;
  };
  // What begins like padding does so with a number behind it, too.
  const std::string stem = name.starts_with(kSafetensorsPadding) ? "_" + name : name;
  std::string candidate = stem;
  for (int i = 1; !is_free(candidate); ++i) candidate = fmt::format("{}.{}", stem, i);
  names_.insert(candidate);
  return candidate;
}

std::optional<std::string> ConstantStore::place(const std::string& name, const Tensor& tensor) {
  if (tensor.type() == DType::kString || tensor.elements() == 0) return std::nullopt;
  const Identity identity = identity_of(tensor);
  if (stays_in_graph(tensor) && parts_.count(identity) == 0) return std::nullopt;
  if (const auto known = by_identity_.find(identity); known != by_identity_.end()) {
    return known->second;
  }
  std::string hash = sha256_hex(std::span(tensor.raw(), static_cast<size_t>(tensor.bytes())));
  const auto [content, is_new] =
      by_content_.try_emplace(Content{tensor.type(), tensor.dims(), hash});
  if (is_new) {
    content->second = free_name(name);
    tensors_.push_back({content->second, tensor});
    hashes_.push_back(std::move(hash));
  }
  by_identity_.emplace(identity, content->second);
  return content->second;
}

std::string ConstantStore::hashes_json() const {
  std::string json;
  for (size_t i = 0; i < tensors_.size(); ++i) {
    json += fmt::format("{}{}:\"{}\"", json.empty() ? "" : ",", json_quoted(tensors_[i].name),
                        hashes_[i]);
  }
  return fmt::format("{{{}}}", json);
}

std::string ConstantStore::formats_json() const {
  std::string json;
  std::set<std::string_view> seen;  // sub-graphs may use a name again
  for (const PackedWeight& w : weights_) {
    if (!seen.insert(w.name).second) continue;
    std::vector<std::string> parts;
    for (const Tensor& part : w.parts) {
      const auto stored = by_identity_.find(identity_of(part));
      if (stored != by_identity_.end()) parts.push_back(json_quoted(stored->second));
    }
    json += fmt::format(
        R"({}{}:{{"format":{},"rows":{},"cols":{},"dims":[{}],"transposed":{},"parts":[{}]}})",
        json.empty() ? "" : ",", json_quoted(w.name), json_quoted(w.format), w.rows, w.cols,
        fmt::join(w.dims, ","), w.transposed, fmt::join(parts, ","));
  }
  return fmt::format("{{{}}}", json);
}

}  // namespace fewbit::native
