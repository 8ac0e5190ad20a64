#pragma once
// The recipe: a whole quantization run as one TOML file. Every flag of `fewbit quantize` has its
// line here, every key can be given as `--set key=value`, and what was used is embedded in the
// output.

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "passes/scheme.h"

namespace fewbit {

struct Recipe {
  std::string scheme = "w8a8";
  std::string target = "ort-cpu";
  int64_t seed = 0;
  bool strict = false;  ///< a fallback to float is an error
  int64_t threads = 0;  ///< 0: all processors

  std::string calibration_data;
  int64_t calibration_samples = 250;  ///< at most; 0: all
  int64_t calibration_batch = 8;
  std::string observer = "mse";
  double percentile = 99.999;
  double moving_average = 0.9;

  std::string evaluation_data;

  std::string weight_range = "mse";
  bool weight_importance = true;  ///< with calibration data, formats: errors weighted by the inputs
  std::string activation_type = "uint8";
  bool activation_symmetric = false;

  bool fold_batch_norm = true;
  std::string equalize = "auto";  ///< auto: with one weight scale per tensor
  double equalize_max_scale = 64;
  bool absorb_bias = false;              ///< not exact; docs/quantization.md says why it is off
  std::string bias_correction = "auto";  ///< none, analytic, empirical; auto: the better of the two
  int64_t bias_samples = 64;

  std::vector<std::string> float_layers;

  std::string export_products = "qdq";  ///< ONNX files with weights in few bits: qdq or nbits
};

/// One key of the recipe.
struct RecipeKey {
  std::string_view key;  ///< "calibration.samples"
  std::string_view help;
  /// Sets the field from TOML text of the value ("8", "true", "\"mse\"", "[\"a\"]").
  Status (*set)(Recipe& recipe, std::string_view toml_value);
  std::string (*get)(const Recipe& recipe);  ///< as TOML text
};

/// All keys, in the order in which they are written.
std::span<const RecipeKey> recipe_keys();

/// Sets one key; `value` may leave out the quotes of a string. Errors: unknown key (the nearest is
/// suggested), a value of the wrong type.
Status set_key(Recipe& recipe, std::string_view key, std::string_view value);

/// Reads a recipe file over `recipe`. Paths in it are relative to the file. Errors name file and
/// line.
Status read_recipe(const std::string& path, Recipe& recipe);

/// The same from text; `name` stands for the file in messages, and paths are left as they are.
Status parse_recipe(std::string_view text, const std::string& name, Recipe& recipe);

/// The whole recipe as TOML, every key with its value.
std::string to_toml(const Recipe& recipe);

/// The scheme that the recipe describes; checks every choice.
Result<QuantScheme> scheme_of(const Recipe& recipe);

}  // namespace fewbit
