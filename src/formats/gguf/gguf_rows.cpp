#include "formats/gguf/gguf_rows.h"

#include <vector>

#include "formats/format_table.h"

namespace fewbit::formats {

std::span<const FormatRow> gguf_rows() {
  static const std::vector<FormatRow> rows = [] {
    std::vector<FormatRow> all;
    for (const std::span<const FormatRow> family :
         {gguf::simple_rows(), gguf::affine_rows(), gguf::scaled_rows(), gguf::level_rows(),
          gguf::ternary_rows()}) {
      all.insert(all.end(), family.begin(), family.end());
    }
    return all;
  }();
  return rows;
}

}  // namespace fewbit::formats
