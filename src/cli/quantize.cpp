// fewbit quantize: the whole run, from a float model to a quantized one with its proof.

#include <memory>

#include "cli/commands.h"
#include "cli/common.h"
#include "flow/quantize.h"

namespace fewbit::cli {
namespace {

struct Options {
  std::string model, output, recipe_file, calib, eval, scheme;
  std::vector<std::string> sets;
  bool strict = false;
  bool json = false;
  bool print_recipe = false;
  int threads = -1;
};

std::string keys_help() {
  std::string out = "\nRecipe keys (--set KEY=VALUE, or lines of the --recipe file):\n";
  Recipe defaults;
  for (const RecipeKey& key : recipe_keys()) {
    out += fmt::format("  {:<32} {} (default {})\n", key.key, key.help, key.get(defaults));
  }
  return out;
}

Result<Recipe> recipe_of(const Options& o) {
  Recipe recipe;
  if (!o.recipe_file.empty()) FEWBIT_TRY(read_recipe(o.recipe_file, recipe));
  if (!o.scheme.empty()) recipe.scheme = o.scheme;
  if (!o.calib.empty()) recipe.calibration_data = o.calib;
  if (!o.eval.empty()) recipe.evaluation_data = o.eval;
  if (o.strict) recipe.strict = true;
  if (o.threads >= 0) recipe.threads = o.threads;
  for (const std::string& text : o.sets) {
    size_t equals = text.find('=');
    if (equals == std::string::npos) {
      return misuse("--set {}: expected KEY=VALUE", text);
    }
    FEWBIT_TRY(set_key(recipe, text.substr(0, equals), text.substr(equals + 1)));
  }
  return recipe;
}

Status quantize(const Options& o) {
  FEWBIT_ASSIGN(Recipe recipe, recipe_of(o));
  if (o.print_recipe) return print_text(to_toml(recipe));
  if (o.output.empty()) return misuse("quantize: --output FILE is missing");
  FEWBIT_ASSIGN(QuantizeReport report, quantize_file(o.model, o.output, recipe));
  if (o.json) return print_text(to_json(report) + "\n");
  return print_text(to_table(report, terminal_columns()));
}

}  // namespace

Run add_quantize(Arguments& arguments) {
  auto o = std::make_shared<Options>();
  arguments.option("model", o->model, "Float model (.onnx, .fewbit)").required();
  arguments.option("-o,--output", o->output,
                   "Where the quantized model goes, a name in .onnx or .fewbit");
  arguments.option("--calib", o->calib, "Data set that the ranges are measured on (TOML)");
  arguments.option("--eval", o->eval,
                   "Data set that accuracy is measured on, before and after (TOML)");
  arguments.option(
      "--scheme", o->scheme,
      "Bits of weights and activations: w8a8, w8a8:tensor, w8a8:dynamic, w8a8:token, w8a16, w8, "
      "w4:g32, w4a8:g128, ..., or a format: nf4, mxfp4, nvfp4, fp8, ternary (`fewbit formats`)");
  arguments.option("--recipe", o->recipe_file, "The whole run as a TOML file; flags override it");
  arguments.option("--set", o->sets, "KEY=VALUE of one recipe key; may be given often");
  arguments.option("--threads", o->threads, "Worker threads (0: all processors)");
  arguments.flag("--strict", o->strict, "A layer that would stay in float is an error");
  arguments.flag("--print-recipe", o->print_recipe, "Print the recipe that would run, and stop");
  arguments.flag("--json", o->json, "Print the report as one JSON object");
  arguments.explain(keys_help());
  return [o] { return quantize(*o); };
}

}  // namespace fewbit::cli
