// Fixed tables of levels that are denser near zero.
//
//   nf4    16 quantiles of the normal distribution between -1 and 1, 0 among them; code = index
//   log3, log4   powers of two: s kk(k), w = scale * (-1)^s 2^(k - top), k = 0 is zero,
//                top = 3 (log3) or 7 (log4): a product with such a weight is a shift
//   apot4  sums of two powers of two: s aa b, w = scale * (-1)^s (A[aa] + B[b]),
//          A = 0, 1, 1/4, 1/16, B = 0, 1/2: a product is two shifts and a sum
//
//   |w - w'| <= scale * half the distance of the neighbouring levels, where nothing is clipped.
//
// Sources: T. Dettmers et al., QLoRA: Efficient Finetuning of Quantized LLMs, 2023 (nf4, its
// published constants); D. Miyashita et al., Convolutional Neural Networks using Logarithmic Data
// Representation, 2016; Y. Li et al., Additive Powers-of-Two Quantization, 2020, eq. 5 (k = 2).

#include <algorithm>
#include <array>

#include "formats/format_table.h"
#include "formats/leveled.h"

namespace fewbit::formats {
namespace {

constexpr std::array<float, 16> kNormalQuantiles = {-1.0F,
                                                    -0.6961928009986877F,
                                                    -0.5250730514526367F,
                                                    -0.39491748809814453F,
                                                    -0.28444138169288635F,
                                                    -0.18477343022823334F,
                                                    -0.09105003625154495F,
                                                    0.0F,
                                                    0.07958029955625534F,
                                                    0.16093020141124725F,
                                                    0.24611230194568634F,
                                                    0.33791524171829224F,
                                                    0.44070982933044434F,
                                                    0.5626170039176941F,
                                                    0.7229568362236023F,
                                                    1.0F};

// Levels of a code s m...m, given the magnitudes of m = 0 (zero), 1, 2, ... in any order.
template <size_t N>
constexpr LevelGrid signed_grid(int bits, const std::array<float, N>& magnitudes) {
  LevelGrid g;
  g.kind = LevelGrid::Kind::kTable;
  g.candidates = 11;
  g.bits = bits;
  g.count = 2 * static_cast<int>(N) - 1;
  std::array<uint8_t, N> order{};
  for (size_t i = 0; i < N; ++i) order[i] = static_cast<uint8_t>(i);
  std::sort(order.begin(), order.end(),
            [&](uint8_t a, uint8_t b) { return magnitudes[a] < magnitudes[b]; });
  for (size_t i = 0; i < N; ++i) {
    const size_t above = N - 1 + i;
    const size_t below = N - 1 - i;
    g.levels[below] = -magnitudes[order[i]];
    g.codes[below] = static_cast<uint8_t>(order[i] | 1U << (bits - 1));
    g.levels[above] = magnitudes[order[i]];
    g.codes[above] = order[i];
  }
  return g;
}

template <size_t N>
constexpr std::array<float, N> powers_of_two() {
  std::array<float, N> magnitudes{};
  float power = 1;
  for (size_t k = N - 1; k > 0; --k, power *= 0.5F) magnitudes[k] = power;
  return magnitudes;
}

// Code aa b: 2 aa + b.
constexpr std::array<float, 8> sums_of_two_powers() {
  constexpr std::array<float, 4> kA = {0, 1, 0.25F, 0.0625F};
  std::array<float, 8> magnitudes{};
  for (size_t i = 0; i < 8; ++i) magnitudes[i] = kA[i / 2] + (i % 2 != 0 ? 0.5F : 0.0F);
  return magnitudes;
}

constexpr Leveled kNf4 = {table_grid(4, kNormalQuantiles)};
constexpr Leveled kLog4 = {signed_grid(4, powers_of_two<8>())};
constexpr Leveled kLog3 = {signed_grid(3, powers_of_two<4>())};
constexpr Leveled kApot4 = {signed_grid(4, sums_of_two_powers())};

constexpr FormatRow row(uint16_t id, std::string_view name, std::string_view summary,
                        std::string_view source, const Leveled* leveled) {
  FormatRow r = leveled_row(id, name, leveled);
  r.summary = summary;
  r.source = source;
  return r;
}

constexpr std::array<FormatRow, 4> kRows = {
    row(50, "nf4", "16 quantiles of the normal distribution",
        "T. Dettmers et al., 2023 (arXiv:2305.14314)", &kNf4),
    row(51, "log4", "powers of two, 4 bits", "D. Miyashita et al., 2016 (arXiv:1603.01025)",
        &kLog4),
    row(52, "log3", "powers of two, 3 bits", "D. Miyashita et al., 2016 (arXiv:1603.01025)",
        &kLog3),
    row(53, "apot4", "sums of two powers of two, 4 bits", "Y. Li et al., 2020 (arXiv:1909.13144)",
        &kApot4),
};

}  // namespace

std::span<const FormatRow> nonuniform_rows() {
  return kRows;
}

}  // namespace fewbit::formats
