#include "flow/recipe.h"

#include <filesystem>
#include <sstream>
#include <toml++/toml.h>

#include "base/text.h"

namespace fewbit {
namespace {

// toml++ as Debian builds it throws: the only place where that is seen.
template <typename Parse>
Result<toml::table> parse_toml(const std::string& where, Parse&& parse) {
  try {
    return parse();
  } catch (const toml::parse_error& e) {
    return misuse("{}:{}: {}", where, e.source().begin.line, e.description());
  }
}

// `value = ...`, so that toml++ reads the text of one value.
Result<toml::table> parse_value(std::string_view value) {
  return parse_toml("value", [&] { return toml::parse(fmt::format("value = {}", value)); });
}

std::string as_toml(const std::string& text) {
  std::ostringstream out;
  out << toml::value<std::string>(text);
  return out.str();
}
std::string as_toml(bool value) {
  return value ? "true" : "false";
}
std::string as_toml(int64_t value) {
  return std::to_string(value);
}
std::string as_toml(double value) {
  std::ostringstream out;
  out << toml::value<double>(value);
  return out.str();
}
std::string as_toml(const std::vector<std::string>& list) {
  std::vector<std::string> quoted;
  for (const std::string& s : list) quoted.push_back(as_toml(s));
  return fmt::format("[{}]", join(quoted, ", "));
}

template <typename T>
constexpr std::string_view kKind = "a list of strings";
template <>
constexpr std::string_view kKind<std::string> = "a string";
template <>
constexpr std::string_view kKind<bool> = "true or false";
template <>
constexpr std::string_view kKind<int64_t> = "an integer";
template <>
constexpr std::string_view kKind<double> = "a number";

bool assign(std::vector<std::string>& field, const toml::node& node) {
  const toml::array* array = node.as_array();
  if (array == nullptr) return false;
  std::vector<std::string> list;
  for (const toml::node& item : *array) {
    std::optional<std::string> text = item.value_exact<std::string>();
    if (!text) return false;
    list.push_back(*text);
  }
  field = std::move(list);
  return true;
}
bool assign(double& field, const toml::node& node) {
  std::optional<double> value = node.value<double>();
  if (!value || !node.is_number()) return false;
  field = *value;
  return true;
}
template <typename T>
bool assign(T& field, const toml::node& node) {
  std::optional<T> value = node.value_exact<T>();
  if (!value) return false;
  field = *value;
  return true;
}

template <auto Member>
Status set_member(Recipe& recipe, std::string_view text) {
  FEWBIT_ASSIGN(toml::table table, parse_value(text));
  auto& field = recipe.*Member;
  if (!assign(field, *table.get("value"))) {
    return misuse("expected {}, found {}", kKind<std::decay_t<decltype(field)>>, text);
  }
  return {};
}
template <auto Member>
std::string get_member(const Recipe& recipe) {
  return as_toml(recipe.*Member);
}

template <auto Member>
constexpr RecipeKey key(std::string_view name, std::string_view help) {
  return {name, help, set_member<Member>, get_member<Member>};
}

constexpr RecipeKey kKeys[] = {
    key<&Recipe::scheme>("scheme",
                         "bits of weights and activations: w8a8, w8a16, w8; :tensor, "
                         ":dynamic, :token; w4:g32, w4a8:g128, ...; a format such as nf4 or "
                         "mxfp4, alone or with +a8"),
    key<&Recipe::target>("target", "where the model will run: ort-cpu"),
    key<&Recipe::seed>("seed", "of everything random"),
    key<&Recipe::strict>("strict", "a layer that stays in float is an error"),
    key<&Recipe::threads>("threads", "worker threads; 0: all processors"),
    key<&Recipe::calibration_data>("calibration.data", "data-set file"),
    key<&Recipe::calibration_samples>("calibration.samples", "at most so many; 0: all"),
    key<&Recipe::calibration_batch>("calibration.batch", "samples run at once"),
    key<&Recipe::observer>("calibration.observer",
                           "mse, minmax, moving_average, percentile, entropy"),
    key<&Recipe::percentile>("calibration.percentile", "percentile: share of values kept"),
    key<&Recipe::moving_average>("calibration.moving_average",
                                 "moving_average: weight of the past"),
    key<&Recipe::evaluation_data>("evaluation.data",
                                  "data-set file for the accuracy before and after"),
    key<&Recipe::weight_range>("weights.range", "max or mse"),
    key<&Recipe::weight_importance>("weights.importance",
                                    "formats, with calibration data: errors count by what the "
                                    "weights are multiplied with"),
    key<&Recipe::activation_type>("activations.type", "uint8 or int8 (w8a16: uint16 or int16)"),
    key<&Recipe::activation_symmetric>("activations.symmetric", "zero in the middle of the codes"),
    key<&Recipe::fold_batch_norm>("passes.fold_batch_norm", "batch normalisation into weights"),
    key<&Recipe::equalize>("passes.equalize", "cross-layer equalization: auto, on, off"),
    key<&Recipe::equalize_max_scale>("passes.equalize_max_scale", "bound of its scales"),
    key<&Recipe::absorb_bias>("passes.absorb_bias", "high biases into the layer behind; not exact"),
    key<&Recipe::bias_correction>("passes.bias_correction",
                                  "none, analytic, empirical; auto: the better"),
    key<&Recipe::bias_samples>("passes.bias_samples",
                               "samples of the empirical correction; 0: all"),
    key<&Recipe::float_layers>("layers.float", "names of layers to leave in float"),
    key<&Recipe::export_products>(
        "export.products",
        "ONNX files, weights in few bits: qdq (DequantizeLinear) or nbits "
        "(MatMulNBits)"),
};

const RecipeKey* find_key(std::string_view name) {
  for (const RecipeKey& row : kKeys) {
    if (row.key == name) return &row;
  }
  return nullptr;
}

Error unknown_key(std::string_view name) {
  std::vector<std::string_view> names;
  for (const RecipeKey& row : kKeys) names.push_back(row.key);
  return misuse("unknown recipe key '{}'{}", name, did_you_mean(names, name));
}

Status read_table(const toml::table& table, const std::string& prefix, const std::string& path,
                  Recipe& recipe) {
  for (const auto& [k, node] : table) {
    std::string name = prefix + std::string(k.str());
    const std::string place = fmt::format("{}:{}", path, node.source().begin.line);
    auto at = [&place](Error error) { return std::move(error).with_context(place); };
    if (node.is_table()) {
      FEWBIT_TRY(read_table(*node.as_table(), name + ".", path, recipe));
      continue;
    }
    const RecipeKey* row = find_key(name);
    if (row == nullptr) return at(unknown_key(name));
    std::ostringstream text;
    node.visit([&](const auto& n) { text << n; });
    Status status = row->set(recipe, text.str());
    if (!status.ok()) return at(std::move(status).error().with_context(name));
  }
  return {};
}

// Data-set paths in a recipe are relative to the recipe.
void resolve(std::string& path, const std::filesystem::path& base) {
  if (!path.empty() && std::filesystem::path(path).is_relative()) path = (base / path).string();
}

Status one_of(std::string_view key, const std::string& value,
              std::initializer_list<std::string_view> choices) {
  for (std::string_view c : choices) {
    if (c == value) return {};
  }
  std::vector<std::string_view> list(choices);
  return misuse("recipe key '{}': '{}' is none of {}{}", key, value, join(list, ", "),
                did_you_mean(list, value));
}

Status at_least(std::string_view key, auto least, auto found) {
  if (found >= least) return {};
  return misuse("recipe key '{}': expected at least {}, found {}", key, least, found);
}

// Numbers within what they can mean. NaN is outside of everything.
Status check_numbers(const Recipe& recipe) {
  FEWBIT_TRY(at_least("threads", 0, recipe.threads));
  constexpr int64_t kMaxThreads = 4096;
  if (recipe.threads > kMaxThreads) {
    return misuse("recipe key 'threads': expected at most {}, found {}", kMaxThreads,
                  recipe.threads);
  }
  FEWBIT_TRY(at_least("calibration.samples", 0, recipe.calibration_samples));
  FEWBIT_TRY(at_least("calibration.batch", 1, recipe.calibration_batch));
  FEWBIT_TRY(at_least("passes.equalize_max_scale", 1, recipe.equalize_max_scale));
  FEWBIT_TRY(at_least("passes.bias_samples", 0, recipe.bias_samples));
  if (!(recipe.percentile > 50 && recipe.percentile <= 100)) {
    return misuse(
        "recipe key 'calibration.percentile': expected more than 50 and at most 100, found {}",
        recipe.percentile);
  }
  if (!(recipe.moving_average >= 0 && recipe.moving_average < 1)) {
    return misuse(
        "recipe key 'calibration.moving_average': expected at least 0 and below 1, found {}",
        recipe.moving_average);
  }
  return {};
}

}  // namespace

std::span<const RecipeKey> recipe_keys() {
  return kKeys;
}

Status set_key(Recipe& recipe, std::string_view name, std::string_view value) {
  const RecipeKey* row = find_key(name);
  if (row == nullptr) return unknown_key(name);
  Status status = row->set(recipe, value);
  // A bare word is a string that lost its quotes to the shell.
  if (!status.ok()) {
    Status quoted = row->set(recipe, as_toml(std::string(value)));
    if (quoted.ok()) return {};
    if (!parse_value(value).ok())
      status = std::move(quoted);  // says what kind of value is expected
    return std::move(status).error().with_context(fmt::format("recipe key '{}'", name));
  }
  return {};
}

Status read_recipe(const std::string& path, Recipe& recipe) {
  if (!std::filesystem::is_regular_file(path)) return io_error("{}: no such recipe file", path);
  FEWBIT_ASSIGN(toml::table table, parse_toml(path, [&] { return toml::parse_file(path); }));
  Recipe read = recipe;
  read.calibration_data.clear();
  read.evaluation_data.clear();
  FEWBIT_TRY(read_table(table, "", path, read));
  std::filesystem::path base = std::filesystem::path(path).parent_path();
  resolve(read.calibration_data, base);
  resolve(read.evaluation_data, base);
  if (read.calibration_data.empty()) read.calibration_data = recipe.calibration_data;
  if (read.evaluation_data.empty()) read.evaluation_data = recipe.evaluation_data;
  recipe = std::move(read);
  return {};
}

Status parse_recipe(std::string_view text, const std::string& name, Recipe& recipe) {
  FEWBIT_ASSIGN(toml::table table, parse_toml(name, [&] { return toml::parse(text); }));
  return read_table(table, "", name, recipe);
}

std::string to_toml(const Recipe& recipe) {
  std::string out;
  std::string section;
  for (const RecipeKey& row : kKeys) {
    size_t dot = row.key.find('.');
    std::string own(dot == std::string_view::npos ? "" : row.key.substr(0, dot));
    if (own != section) {
      section = own;
      out += fmt::format("\n[{}]\n", section);
    }
    std::string_view name = dot == std::string_view::npos ? row.key : row.key.substr(dot + 1);
    out += fmt::format("{} = {}\n", name, row.get(recipe));
  }
  return out;
}

Result<QuantScheme> scheme_of(const Recipe& recipe) {
  FEWBIT_ASSIGN(QuantScheme scheme, parse_scheme(recipe.scheme));
  FEWBIT_TRY(check_numbers(recipe));
  FEWBIT_TRY(one_of("weights.range", recipe.weight_range, {"max", "mse"}));
  FEWBIT_TRY(one_of("passes.equalize", recipe.equalize, {"auto", "on", "off"}));
  FEWBIT_TRY(one_of("passes.bias_correction", recipe.bias_correction,
                    {"auto", "none", "analytic", "empirical"}));
  FEWBIT_TRY(one_of("target", recipe.target, {"ort-cpu"}));
  FEWBIT_TRY(one_of("export.products", recipe.export_products, {"qdq", "nbits"}));
  if (find_observer(recipe.observer) == nullptr) {
    std::vector<std::string_view> names;
    for (const ObserverRow& row : observer_table()) names.push_back(row.name);
    return misuse("recipe key 'calibration.observer': '{}' is none of {}{}", recipe.observer,
                  join(names, ", "), did_you_mean(names, recipe.observer));
  }
  bool wide = bits_of(scheme.activation_type) == 16;
  if (recipe.activation_type == "int8" || recipe.activation_type == "int16") {
    scheme.activation_type = wide ? DType::kInt16 : DType::kInt8;
  } else {
    FEWBIT_TRY(
        one_of("activations.type", recipe.activation_type, {"uint8", "int8", "uint16", "int16"}));
  }
  scheme.activation_symmetric = recipe.activation_symmetric;
  scheme.weight_range = recipe.weight_range;
  scheme.observer = recipe.observer;
  scheme.observer_options = {recipe.percentile, recipe.moving_average};
  scheme.float_layers = {recipe.float_layers.begin(), recipe.float_layers.end()};
  return scheme;
}

}  // namespace fewbit
