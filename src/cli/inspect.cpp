// fewbit inspect: what a model is made of.

#include <filesystem>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/inspection.h"
#include "graph/print.h"
#include "io/model_file.h"
#include "io/native/native.h"
#include "report/table.h"

namespace fewbit::cli {
namespace {

struct InspectOptions {
  std::string model;
  std::vector<std::string> inputs;
  bool graph = false;
  bool all = false;
  bool json = false;
  bool verify_hashes = false;
};

Json typed_values(const std::vector<std::pair<std::string, ValueType>>& values) {
  Json list = Json::array();
  for (const auto& [name, type] : values) {
    Json shape;
    if (type.shape) {
      shape = Json::array();
      for (const Dim& d : *type.shape) {
        shape.push_back(d.known() ? Json(d.value) : d.symbol.empty() ? Json() : Json(d.symbol));
      }
    }
    list.push_back({{"name", name},
                    {"type", type.elem == DType::kUndefined ? Json() : Json(name_of(type.elem))},
                    {"shape", shape}});
  }
  return list;
}

Json json_of(const LayerInfo& layer) {
  return {{"name", layer.name},
          {"op", layer.op},
          {"output", layer.output},
          {"runs_as", layer.runs_as},
          {"precision", layer.precision},
          {"stored", layer.stored},
          {"macs", layer.macs_known ? Json(layer.macs) : Json()},
          {"parameters", layer.parameters},
          {"bytes", layer.bytes}};
}

Json json_of(const Model& model, const Inspection& found, int64_t file_bytes) {
  Json operators = Json::object();
  for (const auto& [op, count] : found.operators) operators.set(op, count);
  Json opsets = Json::object();
  for (const auto& [domain, version] : model.opsets) {
    opsets.set(domain.empty() ? "ai.onnx" : domain, version);
  }
  Json layers = Json::array();
  for (const LayerInfo& layer : found.layers) layers.push_back(json_of(layer));
  Json metadata = Json::object();
  for (const auto& [key, value] : model.metadata) metadata.set(key, value);
  return {{"model", model.path},
          {"file_bytes", file_bytes},
          {"ir_version", model.ir_version},
          {"opsets", opsets},
          {"producer", model.producer_name},
          {"producer_version", model.producer_version},
          {"inputs", typed_values(found.inputs)},
          {"outputs", typed_values(found.outputs)},
          {"operators", operators},
          {"layers", layers},
          {"parameters", found.parameters},
          {"bytes", found.bytes},
          {"macs", found.macs},
          {"layers_of_unknown_macs", found.unknown_macs_layers},
          {"runnable", found.unsupported.empty() && found.problems.empty()},
          {"unsupported", found.unsupported},
          {"problems", found.problems},
          {"assumptions", found.assumptions},
          {"metadata", metadata}};
}

std::string heading(const Model& model, const Inspection& found, int64_t file_bytes) {
  std::vector<std::string> opsets;
  for (const auto& [domain, version] : model.opsets) {
    opsets.push_back(fmt::format("{} {}", domain.empty() ? "ai.onnx" : domain, version));
  }
  std::string text = fmt::format("{}: {}, ONNX IR {}, opset {}", model.path,
                                 human_bytes(file_bytes), model.ir_version, join(opsets, ", "));
  if (!model.producer_name.empty()) {
    text += fmt::format(", made by {} {}", model.producer_name, model.producer_version);
  }
  while (text.back() == ' ') text.pop_back();
  text += "\n\n";
  for (const auto& [name, type] : found.inputs) {
    text += fmt::format("input   {}: {}\n", name, type.to_string());
  }
  for (const auto& [name, type] : found.outputs) {
    text += fmt::format("output  {}: {}\n", name, type.to_string());
  }
  std::vector<std::string> operators;
  for (const auto& [op, count] : found.operators)
    operators.push_back(fmt::format("{} {}", count, op));
  return text + fmt::format("nodes   {}\n\n", join(operators, ", "));
}

std::string shape_of(const LayerInfo& layer) {
  const size_t bracket = layer.output.find('[');
  return bracket == std::string::npos ? layer.output : layer.output.substr(bracket);
}

std::string precision_of(const LayerInfo& layer) {
  const bool shown = layer.stored.empty() || layer.parameters == 0 ||
                     layer.precision.find(layer.stored) != std::string::npos;
  if (shown || layer.precision.empty()) return layer.precision;
  return fmt::format("{} ({} stored)", layer.precision, layer.stored);
}

// What does products, and what has weights of its own when the model is run (a batch normalization
// that goes into the convolution before it has none).
bool matters(const LayerInfo& layer) {
  constexpr int64_t kFewParameters = 16;
  const bool runs = layer.runs_as.empty() || layer.runs_as == layer.op;
  return layer.macs > 0 || !layer.macs_known || (runs && layer.parameters >= kFewParameters);
}

std::string layer_table(const Inspection& found, bool all) {
  Table table({"layer", "operator", "output", "computed in", ">MACs", ">parameters", ">bytes"});
  int64_t shown = 0;
  for (const LayerInfo& layer : found.layers) {
    if (!all && !matters(layer)) continue;
    ++shown;
    std::string op = layer.op;
    if (!layer.runs_as.empty() && layer.runs_as != layer.op) op += " -> " + layer.runs_as;
    table.row({layer.name, op, shape_of(layer), precision_of(layer),
               layer.macs_known ? human_count(static_cast<double>(layer.macs)) : "?",
               human_count(static_cast<double>(layer.parameters)), human_bytes(layer.bytes)});
  }
  std::string text = shown > 0 ? table.print(terminal_columns()) : "";
  const auto hidden = static_cast<int64_t>(found.layers.size()) - shown;
  if (hidden > 0) {
    text += fmt::format("and {} more without products and weights of their own (--all)\n", hidden);
  }
  return text;
}

std::string totals(const Inspection& found) {
  std::string text =
      fmt::format("\ntotal   {} parameters, {} of weights, {} multiply-accumulates",
                  human_count(static_cast<double>(found.parameters)), human_bytes(found.bytes),
                  human_count(static_cast<double>(found.macs)));
  if (found.unknown_macs_layers > 0) {
    text += fmt::format(" (and those of {} layers whose shapes are not known)",
                        found.unknown_macs_layers);
  }
  text += "\n";
  for (const std::string& assumption : found.assumptions) text += "        " + assumption + "\n";
  return text;
}

std::string verdict(const Inspection& found) {
  if (found.unsupported.empty() && found.problems.empty()) return "runs    yes\n";
  std::string text;
  if (!found.unsupported.empty()) {
    text += fmt::format("runs    no: no implementation of {}\n", join(found.unsupported, ", "));
  }
  for (const std::string& problem : found.problems) text += "runs    no: " + problem + "\n";
  return text;
}

std::string metadata_lines(const Model& model) {
  std::string text;
  for (const auto& [key, value] : model.metadata) {
    const bool lines = value.find('\n') != std::string::npos;
    text += lines ? fmt::format("\n{}:\n{}\n", key, value) : fmt::format("{} = {}\n", key, value);
  }
  return text.empty() ? "" : "\nmetadata\n" + text;
}

// Weights are not read when a native file is opened: this reads them all.
Status verify_hashes(const std::string& path) {
  FEWBIT_ASSIGN(const ModelFileKind kind, kind_of_file(path));
  if (kind == ModelFileKind::kOnnx) {
    return misuse("--verify-hashes: {} is an ONNX file, which holds no hashes", path);
  }
  return verify_native(path);
}

Status inspect_model(const InspectOptions& options) {
  if (options.verify_hashes) FEWBIT_TRY(verify_hashes(options.model));
  FEWBIT_ASSIGN(Model model, load_model(options.model));
  std::vector<std::pair<std::string, ValueType>> inputs;
  for (ValueId id : model.graph.inputs) {
    const Value& v = model.graph.value(id);
    if (!v.is_constant()) inputs.emplace_back(v.name, v.type);
  }
  FEWBIT_ASSIGN(const auto specs, parse_inputs(options.inputs, inputs));
  FEWBIT_ASSIGN(const Inspection found, inspect(model, specs));
  std::error_code ignored;
  const auto file_bytes = static_cast<int64_t>(std::filesystem::file_size(options.model, ignored));
  if (options.json) {
    Json json = json_of(model, found, file_bytes);
    if (options.graph) json.set("graph", print(model.graph));
    if (options.verify_hashes) json.set("hashes_verified", true);
    return print_json(json);
  }
  if (options.graph) return print_text(print(model.graph));
  const std::string hashes = options.verify_hashes ? "hashes  every tensor is as written\n" : "";
  return print_text(heading(model, found, file_bytes) + layer_table(found, options.all) +
                    totals(found) + verdict(found) + hashes + metadata_lines(model));
}

}  // namespace

Run add_inspect(Arguments& arguments) {
  auto options = std::make_shared<InspectOptions>();
  arguments.option("model", options->model, kModelHelp).required().type_name("MODEL");
  arguments
      .option("-i,--input", options->inputs,
              "Shape of an input whose dimensions the model leaves open; once per input")
      .type_name("NAME=1,3,224,224")
      .one_value();
  arguments.flag("--graph", options->graph, "Print the graph itself, one line per node");
  arguments.flag("--verify-hashes", options->verify_hashes,
                 "Of a .fewbit file: read all tensors and compare them with their hashes");
  arguments.flag("--all", options->all, "Show layers without products and weights too");
  arguments.flag("--json", options->json, "Print everything as one JSON object");
  return [options] { return inspect_model(*options); };
}

}  // namespace fewbit::cli
