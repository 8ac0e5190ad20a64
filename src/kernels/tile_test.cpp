#include "kernels/tile.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"
#include "kernels/isa.h"

namespace fewbit {
namespace {

constexpr int kRows = 7, kCols = 11;  // of sums: less than a tile has
constexpr int kDepthBytes = 36;       // of a row of A: nine rows of B

struct Operands {
  std::vector<uint8_t> a, b, c;
};

void configure(auto tile) {
  TileConfig config;
  config.set(0, kRows, 4 * kCols);
  config.set(1, kRows, kDepthBytes);
  config.set(2, kDepthBytes / 4, 4 * kCols);
  decltype(tile)::configure(config);
}

template <class T, class Dot>
std::vector<uint8_t> run(const Operands& operands, Dot dot) {
  configure(T{});
  T::template load<0>(operands.c.data(), 4 * kCols);
  T::template load<1>(operands.a.data(), kDepthBytes);
  T::template load<2>(operands.b.data(), 4 * kCols);
  dot();
  std::vector<uint8_t> out(operands.c.size());
  T::template store<0>(out.data(), 4 * kCols);
  T::release();
  return out;
}

Operands random_bytes() {
  Operands operands{.a = std::vector<uint8_t>(kRows * kDepthBytes),
                    .b = std::vector<uint8_t>(kDepthBytes * kCols),
                    .c = std::vector<uint8_t>(4 * kRows * kCols)};
  Random random(3);
  for (auto* bytes : {&operands.a, &operands.b, &operands.c}) {
    for (uint8_t& byte : *bytes) byte = static_cast<uint8_t>(random.next());
  }
  return operands;
}

int value_of(uint8_t byte, bool is_signed) {
  return is_signed ? static_cast<int8_t>(byte) : byte;
}

std::vector<uint8_t> expected_bytes(const Operands& o, bool signed_a, bool signed_b) {
  std::vector<uint8_t> out = o.c;
  for (int m = 0; m < kRows; ++m) {
    for (int n = 0; n < kCols; ++n) {
      uint32_t sum;
      std::memcpy(&sum, &out[static_cast<size_t>(4 * (m * kCols + n))], 4);
      for (int k = 0; k < kDepthBytes; ++k) {
        sum += static_cast<uint32_t>(
            value_of(o.a[static_cast<size_t>(m * kDepthBytes + k)], signed_a) *
            value_of(o.b[static_cast<size_t>(k / 4 * 4 * kCols + 4 * n + k % 4)], signed_b));
      }
      std::memcpy(&out[static_cast<size_t>(4 * (m * kCols + n))], &sum, 4);
    }
  }
  return out;
}

template <class T>
void check_bytes() {
  const Operands o = random_bytes();
  EXPECT_EQ((run<T>(o, T::template dot<0, 1, 2, true>)), expected_bytes(o, true, true));
  EXPECT_EQ((run<T>(o, T::template dot<0, 1, 2, false>)), expected_bytes(o, false, true));
  EXPECT_EQ((run<T>(o, T::template dot<0, 1, 2, true, false>)), expected_bytes(o, true, false));
  EXPECT_EQ((run<T>(o, T::template dot<0, 1, 2, false, false>)), expected_bytes(o, false, false));
}

TEST(Tile, EmulatedBytes) {
  check_bytes<EmulatedTile>();
}

uint16_t bfloat16(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, 4);
  return static_cast<uint16_t>(bits >> 16);
}

// Integers in bfloat16: every order of summation gives the same.
TEST(Tile, EmulatedBfloat16OfIntegersIsExact) {
  constexpr int kDepth = kDepthBytes / 2;
  Operands o = random_bytes();
  Random random(4);
  std::vector<float> expected(kRows * kCols), a(kRows * kDepth), b(kDepth * kCols);
  for (float& x : a) x = static_cast<float>(random.next() % 31) - 15;
  for (float& x : b) x = static_cast<float>(random.next() % 31) - 15;
  for (float& x : expected) x = static_cast<float>(random.next() % 1000);
  std::memcpy(o.c.data(), expected.data(), o.c.size());
  for (int k = 0; k < kDepth; ++k) {
    for (int m = 0; m < kRows; ++m) {
      const uint16_t code = bfloat16(a[static_cast<size_t>(m * kDepth + k)]);
      std::memcpy(&o.a[static_cast<size_t>(m * kDepthBytes + 2 * k)], &code, 2);
    }
    for (int n = 0; n < kCols; ++n) {
      const uint16_t code = bfloat16(b[static_cast<size_t>(k * kCols + n)]);
      std::memcpy(&o.b[static_cast<size_t>(k / 2 * 4 * kCols + 4 * n + k % 2 * 2)], &code, 2);
      for (int m = 0; m < kRows; ++m) {
        expected[static_cast<size_t>(m * kCols + n)] +=
            a[static_cast<size_t>(m * kDepth + k)] * b[static_cast<size_t>(k * kCols + n)];
      }
    }
  }
  std::vector<float> sums(expected.size());
  const std::vector<uint8_t> out = run<EmulatedTile>(o, EmulatedTile::dot_bf16<0, 1, 2>);
  std::memcpy(sums.data(), out.data(), out.size());
  EXPECT_EQ(sums, expected);
}

#if defined(__x86_64__)

TEST(Tile, NativeBytes) {
  if (!isa_runs_here(Isa::kAmx)) GTEST_SKIP() << "no AMX here";
  check_bytes<NativeTile>();
}

// Operands from 2^-70 to 2^70: products overflow, are denormal and are neither, and rounding
// differs between orders of summation.
TEST(Tile, NativeBfloat16IsTheEmulatedBitForBit) {
  if (!isa_runs_here(Isa::kAmx)) GTEST_SKIP() << "no AMX here";
  Random random(5);
  for (int round = 0; round < 200; ++round) {
    Operands o = random_bytes();
    const int spread = round < 100 ? 4 : 140;
    for (auto* bytes : {&o.a, &o.b}) {
      for (size_t i = 0; i + 1 < bytes->size(); i += 2) {
        const int exponent = static_cast<int>(random.next() % static_cast<uint64_t>(spread));
        const float x =
            std::ldexp(static_cast<float>(random.next() % 512) - 256, exponent - spread / 2 - 8);
        const uint16_t code = bfloat16(x);
        std::memcpy(&(*bytes)[i], &code, 2);
      }
    }
    for (size_t i = 0; i + 3 < o.c.size(); i += 4) {
      const float x = std::ldexp(static_cast<float>(random.next() % 65536) / 65536, spread - 140);
      std::memcpy(&o.c[i], &x, 4);
    }
    ASSERT_EQ((run<NativeTile>(o, NativeTile::dot_bf16<0, 1, 2>)),
              (run<EmulatedTile>(o, EmulatedTile::dot_bf16<0, 1, 2>)))
        << "round " << round;
  }
}

#endif

}  // namespace
}  // namespace fewbit
