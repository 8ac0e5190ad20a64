#include "data/toml_reader.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/text.h"

namespace fewbit {
namespace {

std::string_view type_name(const toml::node& node) {
  switch (node.type()) {
    case toml::node_type::table:
      return "a table";
    case toml::node_type::array:
      return "an array";
    case toml::node_type::string:
      return "a string";
    case toml::node_type::integer:
      return "an integer";
    case toml::node_type::floating_point:
      return "a number";
    case toml::node_type::boolean:
      return "true or false";
    default:
      return "a date or time";
  }
}

/// "1 to 5", or "at least 1" where there is no upper end.
std::string range(int64_t lowest, int64_t highest) {
  if (highest == std::numeric_limits<int64_t>::max()) return fmt::format("at least {}", lowest);
  return fmt::format("{} to {}", lowest, highest);
}

}  // namespace

Result<toml::table> parse_toml(std::string_view text, const std::string& path, ErrorKind kind) {
  try {
    return toml::parse(text, path);
  } catch (const toml::parse_error& error) {
    return Error{kind,
                 fmt::format("{}:{}: {}", path, error.source().begin.line, error.description())};
  }
}

TomlReader::TomlReader(const toml::table& table, std::string path, std::string where,
                       ErrorKind kind)
    : table_(&table), path_(std::move(path)), where_(std::move(where)), kind_(kind) {}

const toml::node* TomlReader::find(std::string_view key) {
  known_.emplace_back(key);
  return table_->get(key);
}

std::string TomlReader::place(std::string_view key) const {
  const toml::node* node = table_->get(key);
  const auto line = (node != nullptr ? node->source() : table_->source()).begin.line;
  return line > 0 ? fmt::format("{}:{}", path_, line) : path_;
}

void TomlReader::fail(std::string_view key, std::string message) {
  if (error_) return;
  error_ = Error{kind_, fmt::format("{}: {}", place(key), message)};
}

void TomlReader::mistyped(std::string_view key, const toml::node& node, std::string_view expected) {
  fail(key, fmt::format("'{}' is {}, expected {}", key, type_name(node), expected));
}

std::optional<std::string> TomlReader::text(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (const auto* value = node->as_string()) return value->get();
  mistyped(key, *node, "a string");
  return std::nullopt;
}

std::optional<int64_t> TomlReader::integer(std::string_view key, int64_t lowest, int64_t highest) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (!node->is_integer()) {
    mistyped(key, *node, "an integer");
    return std::nullopt;
  }
  const int64_t value = node->as_integer()->get();
  if (value >= lowest && value <= highest) return value;
  fail(key, fmt::format("'{}' is {}, expected {}", key, value, range(lowest, highest)));
  return std::nullopt;
}

std::optional<double> TomlReader::number(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  const auto value = node->is_number() ? node->value<double>() : std::nullopt;
  if (value && std::isfinite(*value)) return value;
  mistyped(key, *node, "a finite number");
  return std::nullopt;
}

std::optional<bool> TomlReader::boolean(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (const auto* value = node->as_boolean()) return value->get();
  mistyped(key, *node, "true or false");
  return std::nullopt;
}

std::optional<std::vector<double>> TomlReader::numbers(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  std::vector<double> values;
  const auto add = [&](const toml::node& element) {
    const auto value = element.is_number() ? element.value<double>() : std::nullopt;
    if (!value || !std::isfinite(*value)) return false;
    values.push_back(*value);
    return true;
  };
  const toml::array* array = node->as_array();
  const bool good = array == nullptr ? add(*node) : std::all_of(array->begin(), array->end(), add);
  if (good && !values.empty()) return values;
  fail(key, fmt::format("'{}' must be a finite number or an array of them", key));
  return std::nullopt;
}

std::optional<std::vector<int64_t>> TomlReader::integers(std::string_view key, int64_t lowest,
                                                         int64_t highest) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  std::vector<int64_t> values;
  const auto add = [&](const toml::node& element) {
    if (!element.is_integer()) return false;
    values.push_back(element.as_integer()->get());
    return values.back() >= lowest && values.back() <= highest;
  };
  const toml::array* array = node->as_array();
  const bool good = array == nullptr ? add(*node) : std::all_of(array->begin(), array->end(), add);
  if (good && !values.empty()) return values;
  fail(key, fmt::format("'{}' must be an integer ({}), or an array of them", key,
                        range(lowest, highest)));
  return std::nullopt;
}

std::optional<size_t> TomlReader::choice(std::string_view key,
                                         const std::vector<std::string_view>& choices) {
  const std::optional<std::string> value = text(key);
  if (!value) return std::nullopt;
  const auto found = std::find(choices.begin(), choices.end(), *value);
  if (found != choices.end()) return static_cast<size_t>(found - choices.begin());
  fail(key, fmt::format("'{}' is \"{}\", expected one of {}{}", key, *value, join(choices, ", "),
                        did_you_mean(choices, *value)));
  return std::nullopt;
}

std::optional<TomlReader> TomlReader::table(std::string_view key) {
  const toml::node* node = find(key);
  if (node == nullptr) return std::nullopt;
  if (const toml::table* inner = node->as_table()) {
    return TomlReader(*inner, path_, std::string(key), kind_);
  }
  mistyped(key, *node, "a table");
  return std::nullopt;
}

std::vector<TomlReader> TomlReader::tables(std::string_view key) {
  const toml::node* node = find(key);
  std::vector<TomlReader> readers;
  if (node == nullptr) return readers;
  const toml::array* array = node->as_array();
  if (array == nullptr || array->empty() || !array->is_homogeneous<toml::table>()) {
    fail(key, fmt::format("'{}' must be tables, each begun by [[{}]]", key, key));
    return readers;
  }
  for (const toml::node& element : *array) {
    readers.emplace_back(*element.as_table(), path_, std::string(key), kind_);
  }
  return readers;
}

Status TomlReader::finish() {
  if (error_) return *error_;
  for (const auto& [key, node] : *table_) {
    const std::string_view name = key.str();
    if (std::find(known_.begin(), known_.end(), name) != known_.end()) continue;
    const auto line = node.source().begin.line;
    const std::string within = where_.empty() ? "" : fmt::format(" in [{}]", where_);
    std::string hint = did_you_mean(known_, name);
    if (hint.empty()) hint = fmt::format("; known are {}", join(known_, ", "));
    return Error{kind_,
                 fmt::format("{}:{}: unknown key '{}'{}{}", path_, line, name, within, hint)};
  }
  return {};
}

}  // namespace fewbit
