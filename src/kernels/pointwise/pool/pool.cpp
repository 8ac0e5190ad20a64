#include "kernels/pointwise/pool/pool.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/check.h"
#include "kernels/pointwise/vec/parallel.h"
#include "kernels/pointwise/vec/simd.h"

namespace fewbit::pointwise {

namespace {

/// The constants of an 8-bit average over a fixed number of positions.
struct AverageArgs {
  int32_t zero_sum;
  float scale, lo, hi;
  int32_t out_zero;
};

struct PoolTable {
  using MaxPixel = void (*)(const std::byte* src, const int64_t* taps, int count, void* dst,
                            int64_t channels);
  using QuantizedPixel = void (*)(const std::byte* src, const int64_t* taps, int count,
                                  const AverageArgs&, void* dst, int64_t channels);
  using GlobalQuantized = void (*)(const void* src, void* dst, int64_t pixels, int64_t channels,
                                   int64_t begin, int64_t end, const AverageArgs&);
  MaxPixel max_float, max_u8, max_s8;
  void (*average)(const std::byte* src, const int64_t* taps, int count, float divisor, float* dst,
                  int64_t channels);
  QuantizedPixel average_u8, average_s8;
  void (*global)(const float* src, float* dst, int64_t pixels, int64_t channels, int64_t begin,
                 int64_t end);
  GlobalQuantized global_u8, global_s8;
};

}  // namespace
}  // namespace fewbit::pointwise

#define FEWBIT_LOOPS "kernels/pointwise/pool/pool_loops.h"
#include "kernels/pointwise/vec/variants.h"

namespace fewbit::pointwise {

namespace {

const PoolTable& table() {
  return pick(scalar::kTable, avx2::kTable, avx512::kTable);
}

AverageArgs average_args(DType type, int64_t taps, int64_t divisor, QAffine from, QAffine to) {
  const QClamp range = full_range(type);
  return {static_cast<int32_t>(taps) * from.zero,
          from.scale / (to.scale * static_cast<float>(divisor)),
          static_cast<float>(range.lo - to.zero), static_cast<float>(range.hi - to.zero), to.zero};
}

/// Positions of one window along one dimension: [first, last) of the taps lie inside the tensor,
/// and `padded` of them inside the padded tensor.
struct Reach {
  int64_t origin, first, last, padded;
};

Reach reach(const PoolShape& s, int d, int64_t out) {
  Reach r{out * s.stride[d] - s.pad_begin[d], 0, s.kernel[d], 0};
  while (r.first < r.last && r.origin + r.first * s.dilation[d] < 0) ++r.first;
  while (r.last > r.first && r.origin + (r.last - 1) * s.dilation[d] >= s.in[d]) --r.last;
  for (int64_t k = 0; k < s.kernel[d]; ++k)
    if (r.origin + k * s.dilation[d] < s.in[d] + s.pad_end[d]) ++r.padded;
  return r;
}

/// Offsets in bytes of the positions under a window from its origin, which may lie outside.
int list_taps(const PoolShape& s, const Reach& rz, const Reach& ry, const Reach& rx,
              int64_t pixel_bytes, int64_t* taps) {
  int count = 0;
  for (int64_t kz = rz.first; kz < rz.last; ++kz)
    for (int64_t ky = ry.first; ky < ry.last; ++ky)
      for (int64_t kx = rx.first; kx < rx.last; ++kx)
        taps[count++] =
            ((kz * s.dilation[0] * s.in[1] + ky * s.dilation[1]) * s.in[2] + kx * s.dilation[2]) *
            pixel_bytes;
  return count;
}

/// pixel(origin, taps, count, padded count, offset of the output pixel in elements) for every
/// output pixel. The list of taps is made anew only when the reach differs from the pixel before.
template <typename Pixel>
void for_each_pixel(const PoolShape& s, const void* src, int64_t elem_bytes, Pixel&& pixel) {
  const int64_t rows = s.n * s.out[0] * s.out[1];
  const int64_t volume = s.kernel[0] * s.kernel[1] * s.kernel[2];
  const int64_t pixel_bytes = s.channels * elem_bytes;
  const int64_t work = std::max<int64_t>(1, s.out[2] * volume * pixel_bytes / 8);
  parallel_rows(rows, work, [&](int64_t begin, int64_t end) {
    std::vector<int64_t> taps(static_cast<size_t>(volume));
    std::vector<Reach> columns;
    for (int64_t x = 0; x < s.out[2]; ++x) columns.push_back(reach(s, 2, x));
    for (int64_t row = begin; row < end; ++row) {
      const int64_t y = row % s.out[1], z = row / s.out[1] % s.out[0];
      const int64_t image = row / s.out[1] / s.out[0];
      const Reach rz = reach(s, 0, z), ry = reach(s, 1, y);
      const int64_t line = (image * s.in[0] + rz.origin) * s.in[1] + ry.origin;
      int count = 0;
      for (int64_t x = 0; x < s.out[2]; ++x) {
        const Reach& rx = columns[static_cast<size_t>(x)];
        if (x == 0 || rx.first != columns[static_cast<size_t>(x) - 1].first ||
            rx.last != columns[static_cast<size_t>(x) - 1].last)
          count = list_taps(s, rz, ry, rx, pixel_bytes, taps.data());
        // The origin may lie before the tensor; origin plus tap never does, so add as integers.
        const auto origin = reinterpret_cast<uintptr_t>(src) +
                            static_cast<uintptr_t>((line * s.in[2] + rx.origin) * pixel_bytes);
        pixel(reinterpret_cast<const std::byte*>(origin), taps.data(), count,
              rz.padded * ry.padded * rx.padded, (row * s.out[2] + x) * s.channels);
      }
    }
  });
}

}  // namespace

void max_pool(DType type, const PoolShape& shape, const void* src, void* dst) {
  const PoolTable& t = table();
  FEWBIT_CHECK(type == DType::kFloat32 || type == DType::kUint8 || type == DType::kInt8,
               static_cast<int>(type));
  const auto run = type == DType::kFloat32 ? t.max_float
                   : type == DType::kUint8 ? t.max_u8
                                           : t.max_s8;
  const int64_t bytes = bits_of(type) / 8;
  for_each_pixel(shape, src, bytes,
                 [&](const std::byte* origin, const int64_t* taps, int count, int64_t, int64_t at) {
                   std::byte* out = static_cast<std::byte*>(dst) + at * bytes;
                   if (count > 0)
                     run(origin, taps, count, out, shape.channels);
                   else if (type == DType::kFloat32)
                     std::fill_n(reinterpret_cast<float*>(out), shape.channels, -INFINITY);
                   else
                     std::memset(out, type == DType::kInt8 ? 0x80 : 0,
                                 static_cast<size_t>(shape.channels));
                 });
}

void average_pool(const PoolShape& shape, PoolCount count_kind, const float* src, float* dst) {
  const auto run = table().average;
  for_each_pixel(
      shape, src, 4,
      [&](const std::byte* origin, const int64_t* taps, int count, int64_t padded, int64_t at) {
        const int64_t divisor = count_kind == PoolCount::kInclude ? padded : count;
        if (count > 0)
          run(origin, taps, count, static_cast<float>(divisor), dst + at, shape.channels);
        else
          std::fill_n(dst + at, shape.channels, 0.0f);
      });
}

void average_pool_quantized(DType type, const PoolShape& shape, PoolCount count_kind,
                            const void* src, QAffine from, void* dst, QAffine to) {
  const QClamp range = full_range(type);
  const auto run = type == DType::kUint8 ? table().average_u8 : table().average_s8;
  for_each_pixel(
      shape, src, 1,
      [&](const std::byte* origin, const int64_t* taps, int count, int64_t padded, int64_t at) {
        const int64_t divisor = count_kind == PoolCount::kInclude ? padded : count;
        std::byte* out = static_cast<std::byte*>(dst) + at;
        if (count > 0)
          run(origin, taps, count, average_args(type, count, divisor, from, to), out,
              shape.channels);
        else
          std::memset(out, std::clamp(to.zero, range.lo, range.hi),
                      static_cast<size_t>(shape.channels));
      });
}

void global_average(int64_t n, int64_t pixels, int64_t channels, const float* src, float* dst) {
  const auto run = table().global;
  for (int64_t image = 0; image < n; ++image)
    parallel_ranges(channels, std::max<int64_t>(1, kGrainElems / std::max<int64_t>(1, pixels)), 64,
                    [&](int64_t begin, int64_t end) {
                      run(src + image * pixels * channels, dst + image * channels, pixels, channels,
                          begin, end);
                    });
}

void global_average_quantized(DType type, int64_t n, int64_t pixels, int64_t channels,
                              const void* src, QAffine from, void* dst, QAffine to) {
  const auto run = type == DType::kUint8 ? table().global_u8 : table().global_s8;
  const AverageArgs args = average_args(type, pixels, pixels, from, to);
  for (int64_t image = 0; image < n; ++image)
    parallel_ranges(channels, std::max<int64_t>(1, kGrainElems / std::max<int64_t>(1, pixels)), 64,
                    [&](int64_t begin, int64_t end) {
                      run(static_cast<const std::byte*>(src) + image * pixels * channels,
                          static_cast<std::byte*>(dst) + image * channels, pixels, channels, begin,
                          end, args);
                    });
}

}  // namespace fewbit::pointwise
