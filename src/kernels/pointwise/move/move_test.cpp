#include "kernels/pointwise/move/move.h"

#include <gtest/gtest.h>

#include <cstring>
#include <numeric>
#include <vector>

#include "kernels/pointwise/vec/simd.h"

namespace fewbit::pointwise {
namespace {

using Dims = std::vector<int64_t>;

int64_t count_of(const Dims& dims) {
  return std::accumulate(dims.begin(), dims.end(), int64_t{1}, std::multiplies<>());
}

/// A distinct pattern per element (modulo its size).
std::vector<uint8_t> pattern(int64_t elems, int64_t elem_bytes) {
  std::vector<uint8_t> out(static_cast<size_t>(elems * elem_bytes));
  for (int64_t i = 0; i < elems; ++i) {
    const uint64_t v = static_cast<uint64_t>(i) * 0x9E3779B97F4A7C15u + 7;
    std::memcpy(out.data() + i * elem_bytes, &v, static_cast<size_t>(elem_bytes));
  }
  return out;
}

void check_transpose(const Dims& dims, const Dims& perm, int64_t bytes) {
  const int64_t n = count_of(dims);
  const auto src = pattern(n, bytes);
  std::vector<uint8_t> dst(src.size(), 0);
  ASSERT_TRUE(transpose(src.data(), dst.data(), bytes, dims, perm).ok());
  const size_t rank = dims.size();
  Dims strides(rank, 1);
  for (size_t i = rank; i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  for (int64_t o = 0; o < n; ++o) {
    int64_t rest = o, from = 0;
    for (size_t i = rank; i-- > 0;) {
      from += rest % dims[perm[i]] * strides[perm[i]];
      rest /= dims[perm[i]];
    }
    ASSERT_EQ(0, std::memcmp(&dst[o * bytes], &src[from * bytes], bytes)) << o;
  }
}

TEST(Move, TransposesOfEverySize) {
  for (int64_t bytes : {1, 2, 4, 8}) {
    check_transpose({37, 70}, {1, 0}, bytes);
    check_transpose({64, 128}, {1, 0}, bytes);
    check_transpose({3, 5, 7}, {0, 2, 1}, bytes);
    check_transpose({3, 5, 7}, {2, 1, 0}, bytes);
    check_transpose({2, 19, 4, 33}, {0, 2, 1, 3}, bytes);
    check_transpose({2, 19, 4, 33}, {3, 1, 0, 2}, bytes);
    check_transpose({2, 19, 4, 33}, {1, 0, 3, 2}, bytes);
    check_transpose({1, 6, 1, 8}, {2, 3, 0, 1}, bytes);
    check_transpose({5}, {0}, bytes);
    check_transpose({}, {}, bytes);
    check_transpose({0, 4}, {1, 0}, bytes);
  }
  check_transpose({300, 500}, {1, 0}, 4);  // enough for several threads
  EXPECT_FALSE(transpose(nullptr, nullptr, 3, Dims{2}, Dims{0}).ok());
}

TEST(Move, LayoutsThereAndBack) {
  for (Simd level : {Simd::kScalar, Simd::kAvx512}) {
    if (!simd_runs_here(level)) continue;
    const SimdScope scope(level);
    for (int64_t bytes : {1, 2, 4})
      for (int64_t channels : {1, 3, 16, 21}) {
        const int64_t n = 2, pixels = 149;
        const auto src = pattern(n * channels * pixels, bytes);
        std::vector<uint8_t> last(src.size()), back(src.size());
        to_channels_last(src.data(), last.data(), bytes, n, channels, pixels);
        for (int64_t i = 0; i < n; ++i)
          for (int64_t c = 0; c < channels; ++c)
            for (int64_t p = 0; p < pixels; ++p)
              ASSERT_EQ(0, std::memcmp(&last[((i * pixels + p) * channels + c) * bytes],
                                       &src[((i * channels + c) * pixels + p) * bytes], bytes));
        to_channels_first(last.data(), back.data(), bytes, n, channels, pixels);
        ASSERT_EQ(src, back);
      }
  }
}

TEST(Move, BoxesWithStepsAndRepeats) {
  // Every second row backwards, columns 1, 4, 7 of a [6, 10].
  std::vector<int32_t> src(60), dst(9, -1);
  std::iota(src.begin(), src.end(), 0);
  ASSERT_TRUE(copy_box(src.data() + 51, dst.data(), 4, Dims{3, 3}, Dims{-20, 3}, Dims{3, 1}).ok());
  EXPECT_EQ(dst, (std::vector<int32_t>{51, 54, 57, 31, 34, 37, 11, 14, 17}));
  // Expansion of a row.
  std::vector<int32_t> wide(12);
  ASSERT_TRUE(copy_box(src.data(), wide.data(), 4, Dims{4, 3}, Dims{0, 1}, Dims{3, 1}).ok());
  EXPECT_EQ(wide, (std::vector<int32_t>{0, 1, 2, 0, 1, 2, 0, 1, 2, 0, 1, 2}));
  // Into the middle of a padded tensor.
  std::vector<uint8_t> padded(25, 9), small = {1, 2, 3, 4};
  ASSERT_TRUE(
      copy_box(small.data(), padded.data() + 6, 1, Dims{2, 2}, Dims{2, 1}, Dims{5, 1}).ok());
  EXPECT_EQ(padded[6] + padded[7] * 10 + padded[11] * 100 + padded[12] * 1000, 4321);
  EXPECT_EQ(padded[8], 9);
}

TEST(Move, RowsTablesFillAndPixels) {
  const std::vector<uint8_t> a = {1, 2, 3, 4, 5, 6};
  std::vector<uint8_t> out(10, 0);
  Lut lut;
  for (int i = 0; i < 256; ++i) lut[i] = static_cast<uint8_t>(255 - i);
  copy_rows(a.data(), 3, out.data(), 5, 2, 3);
  map_rows(a.data(), 3, out.data() + 3, 5, 2, 2, lut);
  EXPECT_EQ(out, (std::vector<uint8_t>{1, 2, 3, 254, 253, 4, 5, 6, 251, 250}));
  std::vector<uint16_t> filled(5, 0);
  const uint16_t value = 777;
  fill(filled.data(), 2, 4, &value);
  EXPECT_EQ(filled, (std::vector<uint16_t>{777, 777, 777, 777, 0}));
  const int64_t y_index[] = {0, 0, 1}, x_index[] = {2, 0};
  std::vector<uint8_t> image(6);
  gather_pixels(a.data(), image.data(), 1, 2, 3, 3, 2, y_index, x_index, 1);
  EXPECT_EQ(image, (std::vector<uint8_t>{3, 1, 3, 1, 6, 4}));
}

}  // namespace
}  // namespace fewbit::pointwise
