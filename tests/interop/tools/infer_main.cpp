// fewbit_infer: reads paths of ONNX models from standard input, one a line, and writes one line of
// JSON for each: the types of all values of the main graph after inference, the graph as text, its
// cost, or the error.
//
//   {"path": "a.onnx", "outputs": ["y"], "values": {"y": {"kind": "tensor", "elem": "float32",
//    "dims": [1, "batch", null]}}}
//   {"path": "b.onnx", "error": "..."}
//
// fewbit_infer --schemas writes the operators that are known, one line of JSON for each row:
// [domain, operator, since version, least and most inputs, least and most outputs].
//
// "dims" is left out where the rank is unknown. The declared shapes of what nodes produce are
// forgotten first, so that what is written is what inference finds.

#include <iostream>
#include <nlohmann/json.hpp>
#include <string>

#include "graph/cost.h"
#include "graph/infer.h"
#include "graph/print.h"
#include "graph/verify.h"
#include "io/onnx/reader.h"

namespace fewbit {

namespace {

using Json = nlohmann::json;

Json to_json(const ValueType& type) {
  static constexpr const char* kKinds[] = {"unknown", "tensor", "sequence", "optional"};
  Json out = {{"kind", kKinds[static_cast<size_t>(type.kind)]}};
  if (type.kind == ValueType::Kind::kTensor) out["elem"] = std::string(name_of(type.elem));
  if (type.inner) out["inner"] = to_json(*type.inner);
  if (type.kind != ValueType::Kind::kTensor || !type.shape) return out;
  out["dims"] = Json::array();
  for (const Dim& d : *type.shape) {
    if (d.known()) {
      out["dims"].push_back(d.value);
    } else if (!d.symbol.empty()) {
      out["dims"].push_back(d.symbol);
    } else {
      out["dims"].push_back(nullptr);
    }
  }
  return out;
}

Status infer_file(const std::string& path, Json& line) {
  FEWBIT_ASSIGN(Model model, read_onnx(path));
  Graph& graph = model.graph;
  FEWBIT_TRY(verify(model));
  FEWBIT_TRY(bind_input_shapes(graph, {}));
  FEWBIT_TRY(infer_graph(graph));
  line["outputs"] = Json::array();
  for (ValueId id : graph.outputs) line["outputs"].push_back(graph.value(id).name);
  line["values"] = Json::object();
  for (ValueId id = 0; id < static_cast<ValueId>(graph.value_count()); ++id) {
    line["values"][graph.value(id).name] = to_json(graph.value(id).type);
  }
  line["text"] = print(graph);
  line["macs"] = cost_of(graph).macs;
  return {};
}

}  // namespace

}  // namespace fewbit

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "--schemas") {
    for (const fewbit::SchemaRow& row : fewbit::schema_table()) {
      fewbit::Json line = {row.domain,     row.op_type,     row.since,      row.min_inputs,
                           row.max_inputs, row.min_outputs, row.max_outputs};
      std::cout << line.dump() << '\n';
    }
    return 0;
  }
  std::string path;
  while (std::getline(std::cin, path)) {
    fewbit::Json line = {{"path", path}};
    fewbit::Status status = fewbit::infer_file(path, line);
    if (!status.ok()) line["error"] = status.error().message();
    std::cout << line.dump(-1, ' ', false, fewbit::Json::error_handler_t::replace) << std::endl;
  }
  return 0;
}
