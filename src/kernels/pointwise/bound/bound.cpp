#include "kernels/pointwise/bound/bound.h"

#include <algorithm>
#include <vector>

#include "base/check.h"
#include "kernels/pointwise/vec/parallel.h"
#include "kernels/pointwise/vec/simd.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace fewbit::pointwise {
namespace {

// dst[i] = min(src[i], bound[i]) as T.
template <typename T>
void bound_scalar(const uint8_t* src, const uint8_t* bound, uint8_t* dst, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    dst[i] = static_cast<uint8_t>(std::min(static_cast<T>(src[i]), static_cast<T>(bound[i])));
  }
}

#if defined(__x86_64__)
#pragma GCC push_options
#pragma GCC target("avx2")
template <typename T>
void bound_avx2(const uint8_t* src, const uint8_t* bound, uint8_t* dst, int64_t n) {
  int64_t i = 0;
  for (; i + 32 <= n; i += 32) {
    const __m256i x = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(src + i));
    const __m256i b = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bound + i));
    const __m256i y = static_cast<T>(-1) < 0 ? _mm256_min_epi8(x, b) : _mm256_min_epu8(x, b);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(dst + i), y);
  }
  bound_scalar<T>(src + i, bound + i, dst + i, n - i);
}
#pragma GCC pop_options
#endif

using BoundFunction = void (*)(const uint8_t*, const uint8_t*, uint8_t*, int64_t);

template <typename T>
BoundFunction best_bound() {
#if defined(__x86_64__)
  if (simd() != Simd::kScalar) return bound_avx2<T>;  // memory is the limit, not the width
#endif
  return bound_scalar<T>;
}

// Rows of a few channels would leave most of a register empty: the bounds are repeated to this size
// at least, and a run covers several pixels.
constexpr int64_t kRunBytes = 1024;

}  // namespace

void bound_channels(DType type, const void* src, const void* bound, void* dst, int64_t pixels,
                    int64_t channels) {
  FEWBIT_CHECK(type == DType::kUint8 || type == DType::kInt8, name_of(type));
  if (channels <= 0) return;
  const BoundFunction run = type == DType::kInt8 ? best_bound<int8_t>() : best_bound<uint8_t>();
  const auto* limits = static_cast<const uint8_t*>(bound);
  const int64_t repeats =
      std::clamp<int64_t>(kRunBytes / channels, 1, std::max<int64_t>(pixels, 1));
  std::vector<uint8_t> repeated;
  for (int64_t r = 0; r < repeats; ++r) repeated.insert(repeated.end(), limits, limits + channels);
  const int64_t bytes = repeats * channels;
  parallel_ranges(pixels * channels, 4 * kGrainElems, bytes, [&](int64_t begin, int64_t end) {
    for (int64_t at = begin; at < end; at += bytes) {
      run(static_cast<const uint8_t*>(src) + at, repeated.data(), static_cast<uint8_t*>(dst) + at,
          std::min(bytes, end - at));
    }
  });
}

}  // namespace fewbit::pointwise
