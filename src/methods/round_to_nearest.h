#pragma once
// Round to nearest: every weight gets the code nearest to it, under a scale per row (or one for
// all) that is the largest magnitude or searched for least squared error.
//
//   w ~ scale[c] * (q - zero[c])
//
// Inputs: weights [rows, elems] row-major, any real values (NaN and infinities are the caller's to
// refuse). Cost: O(rows * elems), times the number of candidates with the search. Deterministic.
// Rows that are all zero get scale 1 / code_max, never 0.

#include <cstdint>
#include <span>
#include <vector>

namespace fewbit {

struct RoundToNearestOptions {
  int bits = 8;              ///< 2 .. 8
  bool symmetric = true;     ///< zero = 0 and codes -max .. max; else the full asymmetric range
  bool per_row = true;       ///< one scale per row, or one for the whole matrix
  bool search_scale = true;  ///< least squared error instead of the largest magnitude
};

struct IntegerCodes {
  int64_t rows = 0;
  int64_t elems = 0;
  std::vector<int8_t> codes;  ///< [rows, elems]; signed also when asymmetric
  std::vector<float> scale;   ///< [rows] or [1]
  std::vector<int32_t> zero;  ///< as many as scales
  double squared_error = 0;   ///< sum over all weights

  float scale_of(int64_t row) const {
    return scale[scale.size() == 1 ? 0 : static_cast<size_t>(row)];
  }
  int32_t zero_of(int64_t row) const {
    return zero[zero.size() == 1 ? 0 : static_cast<size_t>(row)];
  }
};

IntegerCodes round_to_nearest(std::span<const float> weights, int64_t rows, int64_t elems,
                              const RoundToNearestOptions& options);

}  // namespace fewbit
