#include "runtime/layout.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

namespace fewbit {
namespace {

constexpr Layout kPlain = Layout::kPlain;
constexpr Layout kLast = Layout::kChannelsLast;

template <typename T>
void expect_turned(const Dims& dims, int threads) {
  int64_t count = elements_of(dims);
  std::vector<T> plain(static_cast<size_t>(count));
  for (size_t i = 0; i < plain.size(); ++i) plain[i] = static_cast<T>(i * 2654435761U);
  std::vector<T> turned(plain.size());
  std::vector<T> back(plain.size());
  convert_layout(plain.data(), kPlain, turned.data(), kLast, dims, sizeof(T), threads);
  convert_layout(turned.data(), kLast, back.data(), kPlain, dims, sizeof(T), threads);
  EXPECT_EQ(back, plain);
  int64_t channels = dims[1];
  int64_t pixels = count / (dims[0] * channels);
  for (int64_t n = 0; n < dims[0]; ++n) {
    for (int64_t c = 0; c < channels; ++c) {
      for (int64_t p = 0; p < pixels; ++p) {
        auto from = static_cast<size_t>((n * channels + c) * pixels + p);
        auto to = static_cast<size_t>((n * pixels + p) * channels + c);
        ASSERT_EQ(turned[to], plain[from]) << n << " " << c << " " << p;
      }
    }
  }
}

TEST(Layout, ConvertsEveryElementSizeAndOddExtents) {
  for (const Dims& dims :
       {Dims{1, 3, 5}, Dims{2, 33, 7, 9}, Dims{1, 64, 1, 65}, Dims{2, 2, 2, 2, 3}}) {
    expect_turned<uint8_t>(dims, 1);
    expect_turned<uint16_t>(dims, 1);
    expect_turned<uint32_t>(dims, 1);
    expect_turned<uint64_t>(dims, 1);
  }
  expect_turned<uint32_t>({2, 70, 31, 33}, 4);  // large enough for several threads
}

TEST(Layout, SameBytes) {
  auto same = [](const Dims& dims) { return same_bytes(dims, kPlain, kLast); };
  EXPECT_FALSE(same({1, 2, 3}));
  EXPECT_FALSE(same({4, 2, 1, 3}));
  EXPECT_TRUE(same({4, 1, 3, 3}));
  EXPECT_TRUE(same({4, 7, 1, 1}));
  EXPECT_TRUE(same({4, 7}));
  EXPECT_TRUE(same_bytes(Dims{1, 2, 3}, kLast, kLast));
}

TEST(Layout, CopiesWhereTheBytesAreTheSameAndTakesEmptyTensors) {
  std::vector<float> from = {1, 2, 3, 4, 5, 6};
  std::vector<float> to(6);
  convert_layout(from.data(), kPlain, to.data(), kLast, Dims{2, 3, 1, 1}, 4, 1);
  EXPECT_EQ(to, from);
  convert_layout(nullptr, kPlain, nullptr, kLast, Dims{0, 3, 2, 2}, 4, 1);
}

}  // namespace
}  // namespace fewbit
