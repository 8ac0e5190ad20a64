#include "kernels/pointwise/rows/rows.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "kernels/pointwise/vec/parallel.h"
#include "kernels/pointwise/vec/simd.h"

namespace fewbit::pointwise {
namespace {

struct RowsTable {
  void (*softmax)(const float*, float*, int64_t n);
  void (*log_softmax)(const float*, float*, int64_t n);
  void (*softmax_columns)(const float*, float*, int64_t cols, int64_t inner, int64_t begin,
                          int64_t end, bool logarithm);
  float (*sum)(const float*, int64_t n);
  float (*squares)(const float*, int64_t n, float mean);
  void (*normalize)(const float*, float*, int64_t n, float mean, float inverse, const float* scale,
                    const float* bias);
};

}  // namespace
}  // namespace fewbit::pointwise

#define FEWBIT_LOOPS "kernels/pointwise/rows/rows_loops.h"
#include "kernels/pointwise/vec/variants.h"

namespace fewbit::pointwise {

namespace {

const RowsTable& table() {
  return pick(scalar::kTable, avx2::kTable, avx512::kTable);
}

/// An exp costs about as much as eight streamed elements.
constexpr int64_t kExpWork = 8;

template <typename T>
void softmax_codes(const T* src, T* dst, int64_t cols, const float* e, QAffine to) {
  int top = std::numeric_limits<T>::min();
  for (int64_t i = 0; i < cols; ++i) top = std::max<int>(top, src[i]);
  float sum = 0;
  for (int64_t i = 0; i < cols; ++i) sum += e[top - src[i]];
  const float lo = static_cast<float>(std::numeric_limits<T>::min() - to.zero);
  const float hi = static_cast<float>(std::numeric_limits<T>::max() - to.zero);
  // A row of one code has few distinct results, but rows are short: no table.
  for (int64_t i = 0; i < cols; ++i) {
    const float y = std::min(std::max(e[top - src[i]] / sum / to.scale, lo), hi);
    dst[i] = static_cast<T>(static_cast<int32_t>(std::nearbyintf(y)) + to.zero);
  }
}

}  // namespace

void softmax(const float* src, float* dst, int64_t rows, int64_t cols) {
  const auto run = table().softmax;
  parallel_rows(rows, cols * kExpWork, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) run(src + r * cols, dst + r * cols, cols);
  });
}

void log_softmax(const float* src, float* dst, int64_t rows, int64_t cols) {
  const auto run = table().log_softmax;
  parallel_rows(rows, cols * kExpWork, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) run(src + r * cols, dst + r * cols, cols);
  });
}

void softmax_strided(const float* src, float* dst, int64_t outer, int64_t cols, int64_t inner,
                     bool logarithm) {
  if (inner == 1)
    return logarithm ? log_softmax(src, dst, outer, cols) : softmax(src, dst, outer, cols);
  const auto run = table().softmax_columns;
  constexpr int64_t kLanes = 64;  // lanes of one piece of work
  const int64_t pieces = (inner + kLanes - 1) / kLanes;
  parallel_rows(
      outer * pieces, cols * std::min(inner, kLanes) * kExpWork, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t o = i / pieces * cols * inner, first = i % pieces * kLanes;
          run(src + o, dst + o, cols, inner, first, std::min(inner, first + kLanes), logarithm);
        }
      });
}

void layer_norm(const float* src, float* dst, int64_t rows, int64_t cols, const float* scale,
                const float* bias, float epsilon, float* mean_out, float* inverse_out) {
  const RowsTable& t = table();
  parallel_rows(rows, 2 * cols, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* x = src + r * cols;
      const float mean = t.sum(x, cols) / static_cast<float>(cols);
      const float variance = t.squares(x, cols, mean) / static_cast<float>(cols);
      const float inverse = 1.0f / std::sqrt(variance + epsilon);
      if (mean_out != nullptr) mean_out[r] = mean;
      if (inverse_out != nullptr) inverse_out[r] = inverse;
      t.normalize(x, dst + r * cols, cols, mean, inverse, scale, bias);
    }
  });
}

void rms_norm(const float* src, float* dst, int64_t rows, int64_t cols, const float* scale,
              float epsilon) {
  const RowsTable& t = table();
  parallel_rows(rows, 2 * cols, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* x = src + r * cols;
      const float square = t.squares(x, cols, 0.0f) / static_cast<float>(cols);
      t.normalize(x, dst + r * cols, cols, 0.0f, 1.0f / std::sqrt(square + epsilon), scale,
                  nullptr);
    }
  });
}

void softmax_quantized(DType type, const void* src, QAffine from, void* dst, QAffine to,
                       int64_t rows, int64_t cols) {
  FEWBIT_CHECK(type == DType::kUint8 || type == DType::kInt8, static_cast<int>(type));
  float e[256];
  for (int k = 0; k < 256; ++k)
    e[k] = static_cast<float>(std::exp(-static_cast<double>(k) * static_cast<double>(from.scale)));
  parallel_rows(rows, cols * kExpWork, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      if (type == DType::kUint8)
        softmax_codes(static_cast<const uint8_t*>(src) + r * cols,
                      static_cast<uint8_t*>(dst) + r * cols, cols, e, to);
      else
        softmax_codes(static_cast<const int8_t*>(src) + r * cols,
                      static_cast<int8_t*>(dst) + r * cols, cols, e, to);
    }
  });
}

}  // namespace fewbit::pointwise
