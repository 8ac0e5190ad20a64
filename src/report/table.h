#pragma once
// Tables for a terminal: columns as wide as their content, numbers right-aligned.

#include <string>
#include <vector>

namespace fewbit {

class Table {
 public:
  /// Column titles; a title that starts with '>' makes the column right-aligned (the '>' is not
  /// shown).
  explicit Table(std::vector<std::string> titles);
  void row(std::vector<std::string> cells);
  /// Lines ending in '\n', each at most `columns` wide: the widest left-aligned column gives way.
  std::string print(int columns) const;

 private:
  std::vector<std::string> titles_;
  std::vector<bool> right_;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace fewbit
