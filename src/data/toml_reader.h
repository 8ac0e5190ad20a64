#pragma once
// Reading a TOML file so that every mistake is one clear message with its line: wrong types, wrong
// values, keys that nobody asked for.

#include <toml++/toml.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fewbit {

/// Parses `text`; `path` is for messages: "PATH:LINE: what is wrong". `kind` is that of the errors.
Result<toml::table> parse_toml(std::string_view text, const std::string& path,
                               ErrorKind kind = ErrorKind::kBadInput);

/// A table being read. Each getter names a key that may stand here and gives its value, or nothing
/// if it does not stand there. The first mistake is kept, and finish() reports it, or else the
/// first key that no getter named. So reading code needs one check, at its end.
class TomlReader {
 public:
  /// `where` is the table's name in messages, "" for the file itself. `table` must outlive the
  /// reader.
  TomlReader(const toml::table& table, std::string path, std::string where = {},
             ErrorKind kind = ErrorKind::kBadInput);

  bool has(std::string_view key) const { return table_->contains(key); }
  std::optional<std::string> text(std::string_view key);
  std::optional<int64_t> integer(std::string_view key, int64_t lowest, int64_t highest);
  std::optional<double> number(std::string_view key);
  std::optional<bool> boolean(std::string_view key);
  /// One number or an array of numbers.
  std::optional<std::vector<double>> numbers(std::string_view key);
  /// One integer or an array of integers, each in the range.
  std::optional<std::vector<int64_t>> integers(std::string_view key, int64_t lowest,
                                               int64_t highest);
  /// A text that must be one of `choices`; gives its index.
  std::optional<size_t> choice(std::string_view key, const std::vector<std::string_view>& choices);
  /// A table within: its reader refers to this one's file.
  std::optional<TomlReader> table(std::string_view key);
  /// [[key]]: an array of tables.
  std::vector<TomlReader> tables(std::string_view key);

  /// Records a mistake at `key` (or at the table, if the key is not there), unless one is recorded.
  void fail(std::string_view key, std::string message);
  bool failed() const { return error_.has_value(); }
  /// The first mistake, or the first unknown key with the nearest known one.
  Status finish();
  /// "PATH:LINE" of the key, or of the table.
  std::string place(std::string_view key) const;

 private:
  const toml::node* find(std::string_view key);
  /// Records that the key has another type than expected.
  void mistyped(std::string_view key, const toml::node& node, std::string_view expected);

  const toml::table* table_;
  std::string path_;
  std::string where_;
  ErrorKind kind_;
  std::vector<std::string> known_;
  std::optional<Error> error_;
};

}  // namespace fewbit
