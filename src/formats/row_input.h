#pragma once
// What an encoder reads of one row, and the checks that formats with scales of a chosen type share.

#include <cmath>
#include <cstdint>
#include <limits>
#include <span>

#include "base/result.h"
#include "formats/format.h"

namespace fewbit::formats {

/// One row of an EncodeInput.
struct RowInput {
  std::span<const float> values;      ///< [cols]
  std::span<const float> importance;  ///< [cols], or empty: all alike

  double weight(size_t i) const { return importance.empty() ? 1.0 : importance[i]; }

  /// Columns [begin, end).
  RowInput part(int64_t begin, int64_t end) const {
    const auto from = static_cast<size_t>(begin);
    const auto count = static_cast<size_t>(end - begin);
    return {values.subspan(from, count),
            importance.empty() ? importance : importance.subspan(from, count)};
  }
};

inline RowInput row_input(const EncodeInput& in, int64_t row) {
  const auto cols = static_cast<size_t>(in.cols);
  const auto from = static_cast<size_t>(row) * cols;
  const bool by_element = in.importance.size() > cols;
  return {in.values.subspan(from, cols),
          by_element ? in.importance.subspan(from, cols) : in.importance};
}

/// Largest finite value of a float scale type.
inline double largest_of(ScaleType type) {
  return type == ScaleType::kFloat16    ? 65504.0
         : type == ScaleType::kBfloat16 ? 0x1.fep127
                                        : std::numeric_limits<float>::max();
}

/// An error (kBadInput) if `value`, a scale or level of the group of `row` that begins at `column`,
/// lies past what format.scale holds.
inline Status check_holds(const Format& format, double value, int64_t row, int64_t column) {
  if (std::fabs(value) <= largest_of(format.scale)) [[likely]]
    return {};
  const bool wider = format.scale != ScaleType::kFloat32;
  return bad_input("row {}, from column {}: {} needs {:g}, and {} holds at most {:g}{}", row,
                   column, format.name(), value, name_of(format.scale), largest_of(format.scale),
                   wider ? "; the scale :f32 holds all weights" : "");
}

}  // namespace fewbit::formats
