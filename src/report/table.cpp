#include "report/table.h"

#include <algorithm>

#include "base/check.h"

namespace fewbit {
namespace {

// Characters, not bytes: UTF-8 continuation bytes take no column.
size_t width_of(const std::string& text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xC0U) != 0x80U;
  }));
}

// Where character `index` starts: a cut inside of one would leave broken text.
size_t byte_of(const std::string& text, size_t index) {
  size_t at = 0;
  for (; at < text.size(); ++at) {
    bool starts = (static_cast<unsigned char>(text[at]) & 0xC0U) != 0x80U;
    if (starts && index-- == 0) break;
  }
  return at;
}

std::string cut(const std::string& text, size_t width) {
  size_t full = width_of(text);
  if (full <= width) return text;
  if (width <= 2) return text.substr(0, byte_of(text, width));
  // Names differ at their ends: keep both.
  size_t head = (width - 2) / 3;
  size_t tail = width - 2 - head;
  return text.substr(0, byte_of(text, head)) + ".." + text.substr(byte_of(text, full - tail));
}

}  // namespace

Table::Table(std::vector<std::string> titles) : titles_(std::move(titles)) {
  for (std::string& title : titles_) {
    right_.push_back(!title.empty() && title.front() == '>');
    if (right_.back()) title.erase(0, 1);
  }
}

void Table::row(std::vector<std::string> cells) {
  FEWBIT_CHECK(cells.size() == titles_.size(), cells.size(), titles_.size());
  rows_.push_back(std::move(cells));
}

std::string Table::print(int columns) const {
  std::vector<size_t> widths;
  for (const std::string& title : titles_) widths.push_back(width_of(title));
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], width_of(row[i]));
  }
  size_t total = 2 * (widths.size() - 1);
  for (size_t w : widths) total += w;
  while (total > static_cast<size_t>(std::max(columns, 40))) {
    size_t widest = widths.size();
    for (size_t i = 0; i < widths.size(); ++i) {
      if (!right_[i] && (widest == widths.size() || widths[i] > widths[widest])) widest = i;
    }
    if (widest == widths.size() || widths[widest] <= 8) break;
    --widths[widest];
    --total;
  }
  std::string out;
  auto line = [&](const std::vector<std::string>& cells) {
    std::string text;
    for (size_t i = 0; i < cells.size(); ++i) {
      std::string cell = cut(cells[i], widths[i]);
      std::string pad(widths[i] - std::min(widths[i], width_of(cell)), ' ');
      if (i > 0) text += "  ";
      text += right_[i] ? pad + cell : cell + pad;
    }
    text.erase(text.find_last_not_of(' ') + 1);
    out += text + "\n";
  };
  line(titles_);
  std::vector<std::string> rule;
  for (size_t w : widths) rule.emplace_back(w, '-');
  line(rule);
  for (const auto& row : rows_) line(row);
  return out;
}

}  // namespace fewbit
