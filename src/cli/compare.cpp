// fewbit compare: a quantized model against its float original, layer by layer.

#include "eval/compare.h"

#include "cli/commands.h"
#include "cli/common.h"
#include "report/table.h"

namespace fewbit::cli {
namespace {

struct CompareCommand {
  std::string original, quantized, data;
  int64_t samples = CompareOptions().samples;
  int threads = 0;
  bool json = false;
};

Json json_of(const LayerComparison& layer) {
  return {{"name", layer.name},
          {"op", layer.op},
          {"value", layer.value},
          {"sqnr_db", layer.sqnr_db},
          {"own_sqnr_db", layer.own_sqnr_db},
          {"cosine", layer.cosine},
          {"rescaled", layer.rescaled}};
}

Json json_of(const CompareCommand& command, const Comparison& found) {
  Json layers = Json::array(), outputs = Json::array();
  for (const LayerComparison& layer : found.layers) layers.push_back(json_of(layer));
  for (const LayerComparison& output : found.outputs) {
    outputs.push_back(
        {{"name", output.name}, {"sqnr_db", output.sqnr_db}, {"cosine", output.cosine}});
  }
  return {{"float", command.original}, {"quantized", command.quantized},
          {"data", command.data},      {"samples", found.samples},
          {"layers", layers},          {"outputs", outputs}};
}

std::string text_of(const Comparison& found) {
  Table table({"layer", "operator", ">born here", ">with inherited", ">cosine", ""});
  for (const LayerComparison& layer : found.layers) {
    table.row({layer.name, layer.op, decibels(layer.own_sqnr_db), decibels(layer.sqnr_db),
               fmt::format("{:.5f}", layer.cosine), layer.rescaled ? "rescaled" : ""});
  }
  std::string text = table.print(terminal_columns());
  for (const LayerComparison& output : found.outputs) {
    text += fmt::format("\noutput {}: SQNR {}, cosine {:.5f}", output.name,
                        decibels(output.sqnr_db), output.cosine);
  }
  return text + fmt::format(
                    "\n{} samples; signal to quantization noise (SQNR), worst first: the "
                    "error born in the layer, and the whole error of its output\n",
                    found.samples);
}

Status compare_models(const CompareCommand& command) {
  DataSetOverrides overrides;
  if (command.samples > 0) overrides.limit = command.samples;
  FEWBIT_ASSIGN(const DataSet data, DataSet::open(command.data, overrides));
  FEWBIT_ASSIGN(const Model original, load_model(command.original));
  FEWBIT_ASSIGN(const Model quantized, load_model(command.quantized));
  CompareOptions options;
  options.samples = command.samples;
  options.threads = command.threads;
  FEWBIT_ASSIGN(const Comparison found, compare(original, quantized, data, options));
  return command.json ? print_json(json_of(command, found)) : print_text(text_of(found));
}

}  // namespace

Run add_compare(Arguments& arguments) {
  auto command = std::make_shared<CompareCommand>();
  arguments.option("float", command->original, "The float model").required().type_name("FLOAT");
  arguments.option("quantized", command->quantized, "What was made of it")
      .required()
      .type_name("QUANTIZED");
  arguments.option("-d,--data", command->data, "Data-set file (docs/data-sets.md); needs no labels")
      .required()
      .type_name("SET.toml");
  arguments.option("--samples", command->samples, "At most so many samples; 0: all")
      .range(0, int64_t{1} << 62)
      .show_default()
      .type_name("N");
  add_threads(arguments, command->threads);
  arguments.flag("--json", command->json, "Print the result as one JSON object");
  return [command] { return compare_models(*command); };
}

}  // namespace fewbit::cli
