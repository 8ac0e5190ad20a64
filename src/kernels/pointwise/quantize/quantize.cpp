#include "kernels/pointwise/quantize/quantize.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/check.h"
#include "kernels/pointwise/vec/parallel.h"
#include "kernels/pointwise/vec/simd.h"

namespace fewbit::pointwise {

namespace {

/// The loops for one integer type.
struct QuantizeRow {
  void (*quantize_span)(const float*, void*, int64_t, float, int32_t);
  void (*quantize_row)(const float*, void*, int64_t, const float*, const int32_t*);
  void (*dequantize_span)(const void*, float*, int64_t, float, int32_t);
  void (*dequantize_row)(const void*, float*, int64_t, const float*, const int32_t*);
  void (*quantize_planes)(const float*, void*, int64_t channels, int64_t pixels, int64_t begin,
                          int64_t end, int64_t stride, float, int32_t);
};

struct QuantizeTable {
  QuantizeRow u8, s8, u16, s16, s32;
  void (*min_max)(const float*, int64_t, float*, float*);

  const QuantizeRow& operator[](DType type) const {
    switch (type) {
      case DType::kUint8:
        return u8;
      case DType::kInt8:
        return s8;
      case DType::kUint16:
        return u16;
      case DType::kInt16:
        return s16;
      default:
        FEWBIT_CHECK(type == DType::kInt32, static_cast<int>(type));
        return s32;
    }
  }
};

}  // namespace
}  // namespace fewbit::pointwise

#define FEWBIT_LOOPS "kernels/pointwise/quantize/quantize_loops.h"
#include "kernels/pointwise/vec/variants.h"

namespace fewbit::pointwise {

namespace {

const QuantizeTable& table() {
  return pick(scalar::kTable, avx2::kTable, avx512::kTable);
}

std::byte* at(void* p, int64_t index, int64_t bytes) {
  return static_cast<std::byte*>(p) + index * bytes;
}
const std::byte* at(const void* p, int64_t index, int64_t bytes) {
  return static_cast<const std::byte*>(p) + index * bytes;
}

DynamicParams params_of_range(float lo, float hi) {
  lo = std::min(lo, 0.0f);
  hi = std::max(hi, 0.0f);
  const float scale = (hi - lo) / 255.0f;
  if (!(scale > 0.0f)) return {1.0f, 0};
  const float zero = std::nearbyintf(std::clamp(0.0f - lo / scale, 0.0f, 255.0f));
  return {scale, static_cast<uint8_t>(zero)};
}

}  // namespace

bool can_quantize_to(DType type) {
  return type == DType::kUint8 || type == DType::kInt8 || type == DType::kUint16 ||
         type == DType::kInt16;
}

void quantize(const float* src, void* dst, DType type, int64_t n, float scale, int32_t zero) {
  const auto run = table()[type].quantize_span;
  const int64_t bytes = bits_of(type) / 8;
  parallel_elems(n, [&](int64_t begin, int64_t end) {
    run(src + begin, at(dst, begin, bytes), end - begin, scale, zero);
  });
}

void dequantize(const void* src, DType type, float* dst, int64_t n, float scale, int32_t zero) {
  const auto run = table()[type].dequantize_span;
  const int64_t bytes = bits_of(type) / 8;
  parallel_elems(n, [&](int64_t begin, int64_t end) {
    run(at(src, begin, bytes), dst + begin, end - begin, scale, zero);
  });
}

void quantize_axis(const float* src, void* dst, DType type, int64_t outer, int64_t channels,
                   int64_t inner, const float* scale, const int32_t* zero) {
  const QuantizeRow& row = table()[type];
  const int64_t bytes = bits_of(type) / 8;
  if (inner == 1) {
    parallel_rows(outer, channels, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o)
        row.quantize_row(src + o * channels, at(dst, o * channels, bytes), channels, scale, zero);
    });
    return;
  }
  parallel_rows(outer * channels, inner, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      row.quantize_span(src + r * inner, at(dst, r * inner, bytes), inner, scale[r % channels],
                        zero[r % channels]);
  });
}

void dequantize_axis(const void* src, DType type, float* dst, int64_t outer, int64_t channels,
                     int64_t inner, const float* scale, const int32_t* zero) {
  const QuantizeRow& row = table()[type];
  const int64_t bytes = bits_of(type) / 8;
  if (inner == 1) {
    parallel_rows(outer, channels, [&](int64_t begin, int64_t end) {
      for (int64_t o = begin; o < end; ++o)
        row.dequantize_row(at(src, o * channels, bytes), dst + o * channels, channels, scale, zero);
    });
    return;
  }
  parallel_rows(outer * channels, inner, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      row.dequantize_span(at(src, r * inner, bytes), dst + r * inner, inner, scale[r % channels],
                          zero[r % channels]);
  });
}

void quantize_to_channels_last(const float* src, void* dst, DType type, int64_t n, int64_t channels,
                               int64_t pixels, int64_t stride, float scale, int32_t zero) {
  const auto run = table()[type].quantize_planes;
  const int64_t bytes = bits_of(type) / 8;
  for (int64_t image = 0; image < n; ++image)
    parallel_ranges(pixels, std::max<int64_t>(1, kGrainElems / channels), 64,
                    [&](int64_t begin, int64_t end) {
                      run(src + image * channels * pixels, at(dst, image * pixels * stride, bytes),
                          channels, pixels, begin, end, stride, scale, zero);
                    });
}

void min_max(const float* src, int64_t n, float* least, float* largest) {
  const auto run = table().min_max;
  float lo = INFINITY, hi = -INFINITY;
  parallel_elems(n, [&](int64_t begin, int64_t end) {
    float a, b;
    run(src + begin, end - begin, &a, &b);
#pragma omp critical(fewbit_min_max)
    {
      lo = std::min(lo, a);
      hi = std::max(hi, b);
    }
  });
  *least = lo;
  *largest = hi;
}

DynamicParams dynamic_params(const float* src, int64_t n) {
  float lo = 0, hi = 0;
  if (n > 0) min_max(src, n, &lo, &hi);
  return params_of_range(lo, hi);
}

void dynamic_quantize_rows(const float* src, uint8_t* dst, int64_t rows, int64_t cols,
                           float* scales, uint8_t* zeros) {
  const QuantizeTable& t = table();
  parallel_rows(rows, cols, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float lo, hi;
      t.min_max(src + r * cols, cols, &lo, &hi);
      const DynamicParams p = params_of_range(lo, hi);
      t.u8.quantize_span(src + r * cols, dst + r * cols, cols, p.scale, p.zero);
      scales[r] = p.scale;
      zeros[r] = p.zero;
    }
  });
}

void dynamic_quantize_rows_symmetric(const float* src, int8_t* dst, int64_t rows, int64_t cols,
                                     float* scales) {
  const QuantizeTable& t = table();
  parallel_rows(rows, cols, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float lo, hi;
      t.min_max(src + r * cols, cols, &lo, &hi);
      const float magnitude = std::max(std::max(-lo, hi), 0.0f);
      // A subnormal scale would lose the ratio's precision: treat the row as zeros.
      const float scale = magnitude / 127.0f;
      scales[r] = scale >= std::numeric_limits<float>::min() ? scale : 1.0f;
      // |x| / scale <= 127 (1 + 2^-23), so rounding never reaches -128.
      t.s8.quantize_span(src + r * cols, dst + r * cols, cols, scales[r], 0);
    }
  });
}

}  // namespace fewbit::pointwise
