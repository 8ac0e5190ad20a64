#include "graph/print.h"

#include <cctype>
#include <iterator>

#include "graph/infer/partial.h"

namespace fewbit {

namespace {

constexpr int64_t kShownElements = 8;
constexpr size_t kShownCharacters = 64;

// Names come from files: control characters must not break the lines.
std::string escaped(std::string_view text) {
  std::string out;
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

std::string quoted(std::string_view text) {
  bool cut = text.size() > kShownCharacters;
  return fmt::format("'{}'{}", escaped(text.substr(0, kShownCharacters)), cut ? "..." : "");
}

template <typename List, typename Show>
std::string listed(const List& list, Show&& show) {
  std::string out = "[";
  size_t shown = 0;
  for (const auto& item : list) {
    if (shown > 0) out += ", ";
    if (shown++ == static_cast<size_t>(4 * kShownElements)) {
      out += fmt::format("... {} in all", list.size());
      break;
    }
    out += show(item);
  }
  return out + "]";
}

std::string show_element(const infer::PartialElement& e, DType type) {
  if (type == DType::kBool) return e.integer != 0 ? "true" : "false";
  if (e.is_int()) return std::to_string(e.integer);
  return e.is_real() ? fmt::format("{:.9g}", e.real) : "?";
}

// " = [1, 2]", or nothing for large tensors and types without a short form.
std::string small_value(const Tensor& tensor) {
  if (tensor.elements() > kShownElements) return "";
  std::string out;
  if (tensor.type() == DType::kString) {
    out = listed(tensor.strings(), [](const std::string& s) { return quoted(s); });
  } else {
    auto value = infer::partial_of(tensor);
    if (!value) return "";
    out = listed(value->elements,
                 [&](const infer::PartialElement& e) { return show_element(e, tensor.type()); });
  }
  // A scalar has no brackets.
  if (tensor.rank() == 0) out = out.substr(1, out.size() - 2);
  return fmt::format(" = {}", out);
}

std::string show_tensor(const Tensor& tensor) {
  return fmt::format("{}{}{}", name_of(tensor.type()), to_string(tensor.dims()),
                     small_value(tensor));
}

struct ShowAttribute {
  std::string operator()(int64_t v) const { return std::to_string(v); }
  std::string operator()(float v) const { return fmt::format("{:g}", v); }
  std::string operator()(const std::string& v) const { return quoted(v); }
  std::string operator()(const Tensor& v) const { return show_tensor(v); }
  std::string operator()(const std::shared_ptr<Graph>&) const { return "graph"; }
  std::string operator()(const ValueType& v) const { return v.to_string(); }
  template <typename T>
  std::string operator()(const std::vector<T>& list) const {
    return listed(list, *this);
  }
};

std::string name_in(const Graph& graph, ValueId id) {
  return id == kNone ? "_" : fmt::format("%{}", escaped(graph.value(id).name));
}

std::string typed(const Graph& graph, ValueId id) {
  return id == kNone
             ? "_"
             : fmt::format("{}: {}", name_in(graph, id), escaped(graph.value(id).type.to_string()));
}

void print_graph(const Graph& graph, const std::string& indent, std::string& out);

void print_subgraphs(const Node& node, const std::string& indent, std::string& out) {
  for (const auto& [key, attribute] : node.attributes) {
    auto show = [&, &name = key](const std::shared_ptr<Graph>& sub) {
      out += fmt::format("{}{}:\n", indent, escaped(name));
      if (sub != nullptr) print_graph(*sub, indent + "  ", out);
    };
    if (const auto* one = std::get_if<std::shared_ptr<Graph>>(&attribute)) show(*one);
    if (const auto* list = std::get_if<std::vector<std::shared_ptr<Graph>>>(&attribute)) {
      for (const auto& sub : *list) show(sub);
    }
  }
}

std::string node_line(const Graph& graph, const Node& node) {
  std::string out;
  for (size_t i = 0; i < node.outputs.size(); ++i) {
    if (i > 0) out += ", ";
    out += typed(graph, node.outputs[i]);
  }
  if (!node.outputs.empty()) out += " = ";
  if (!node.domain.empty()) out += fmt::format("{}.", escaped(node.domain));
  out += fmt::format("{}(", escaped(node.op_type));
  for (size_t i = 0; i < node.inputs.size(); ++i) {
    if (i > 0) out += ", ";
    out += name_in(graph, node.inputs[i]);
  }
  out += ")";
  std::string attributes;
  for (const auto& [key, attribute] : node.attributes) {
    if (!attributes.empty()) attributes += ", ";
    attributes += fmt::format("{}: {}", escaped(key), std::visit(ShowAttribute{}, attribute));
  }
  if (!attributes.empty()) out += fmt::format(" {{{}}}", attributes);
  if (!node.name.empty()) out += fmt::format(" # {}", escaped(node.name));
  return out;
}

void print_graph(const Graph& graph, const std::string& indent, std::string& out) {
  out += fmt::format("{}graph {}\n", indent, quoted(graph.name));
  std::string inner = indent + "  ";
  for (ValueId id : graph.inputs) {
    out += fmt::format("{}input {}\n", inner, typed(graph, id));
  }
  for (ValueId id = 0; id < static_cast<ValueId>(graph.value_count()); ++id) {
    if (const Tensor* tensor = graph.constant(id)) {
      out += fmt::format("{}constant {}: {}\n", inner, name_in(graph, id), show_tensor(*tensor));
    }
  }
  for (NodeId id : graph.order()) {
    out += fmt::format("{}{}\n", inner, node_line(graph, graph.node(id)));
    print_subgraphs(graph.node(id), inner + "  ", out);
  }
  for (ValueId id : graph.outputs) {
    out += fmt::format("{}output {}\n", inner, typed(graph, id));
  }
}

}  // namespace

std::string print(const Graph& graph) {
  std::string out;
  print_graph(graph, "", out);
  return out;
}

}  // namespace fewbit
