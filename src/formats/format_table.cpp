#include "formats/format_table.h"

#include <vector>

#include "formats/format.h"

namespace fewbit {
namespace {

// In the order of the documentation.
std::vector<const FormatRow*> all_rows() {
  std::vector<const FormatRow*> rows;
  for (const std::span<const FormatRow> family :
       {formats::half_rows(), formats::integer_rows(), formats::float_rows(),
        formats::nonuniform_rows(), formats::ternary_rows(), formats::sherry_rows(),
        formats::codebook_rows(), formats::dual_rows(), formats::vector_rows(),
        formats::gguf_rows()}) {
    for (const FormatRow& row : family) rows.push_back(&row);
  }
  return rows;
}

}  // namespace

std::span<const FormatRow* const> format_table() {
  static const std::vector<const FormatRow*> rows = all_rows();
  return rows;
}

}  // namespace fewbit
