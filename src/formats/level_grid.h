#pragma once
// LevelGrid: the values that one code can stand for, before the scale. Every format whose weight is
// scale * level(code), element by element, is described by one.
//
//   integer   level = code - zero, code in [0, 2^bits - 1]; zero is 2^(bits-1) (symmetric, full
//             range) or a zero-point per group
//   float     s eeee mmm as numerics/small_float.h describes, largest magnitude `max`
//   table     up to 32 ascending levels; code = index, or as `codes` says
//
// Nearest level; ties: integer and float to the even code, table to the lower level.

#include <array>
#include <cstdint>
#include <span>

namespace fewbit {

struct LevelGrid {
  enum class Kind : uint8_t { kInteger, kFloat, kTable };
  static constexpr size_t kMaxLevels = 32;
  Kind kind = Kind::kInteger;
  int bits = 8;             ///< of a code
  bool zero_point = false;  ///< integer: with a zero-point per group
  int first = 0;            ///< integer, symmetric: lowest level used, -2^(bits-1) or one above
  int mantissa_bits = 0;    ///< float
  int bias = 0;             ///< float
  float max = 0;            ///< float: largest level
  int count = 0;            ///< table
  std::array<float, kMaxLevels> levels{};   ///< table, ascending
  std::array<uint8_t, kMaxLevels> codes{};  ///< table: code of each level
  /// Without search the scale is the mean magnitude, not one from the largest.
  bool plain_mean = false;
  float unit = 1;  ///< value = scale * unit * level
  /// Scales that the search tries: `candidates` of them, from search_low to search_high times the
  /// one that maps the largest magnitude to the outermost level.
  float search_low = 0.5F;
  float search_high = 1.05F;
  int candidates = 16;

  constexpr int symmetric_zero() const { return 1 << (bits - 1); }
  /// Lowest and highest level (integer: with the symmetric zero).
  constexpr float lowest() const {
    return kind == Kind::kInteger ? static_cast<float>(first)
           : kind == Kind::kFloat ? -max
                                  : levels[0];
  }
  constexpr float highest() const {
    return kind == Kind::kInteger ? static_cast<float>((1 << (bits - 1)) - 1)
           : kind == Kind::kFloat ? max
                                  : levels[static_cast<size_t>(count - 1)];
  }
};

/// Integers around 0, all 2^bits codes used. With more bits, less is to be gained by clipping.
constexpr LevelGrid integer_grid(int bits) {
  constexpr std::array<float, 9> kLowest = {0, 0.2F, 0.3F, 0.4F, 0.5F, 0.6F, 0.7F, 0.8F, 0.86F};
  LevelGrid g;
  g.kind = LevelGrid::Kind::kInteger;
  g.bits = bits;
  g.first = -(1 << (bits - 1));
  g.search_low = kLowest[static_cast<size_t>(bits)];
  g.candidates = bits == 8 ? 4 : bits > 4 ? 24 : 14;
  return g;
}
/// Codes 0 .. 2^bits - 1 with a zero-point.
constexpr LevelGrid unsigned_grid(int bits) {
  LevelGrid g = integer_grid(bits);
  g.zero_point = true;
  return g;
}
constexpr LevelGrid float_grid(int exponent_bits, int mantissa_bits, int bias, float max) {
  LevelGrid g;
  g.kind = LevelGrid::Kind::kFloat;
  g.bits = 1 + exponent_bits + mantissa_bits;
  g.mantissa_bits = mantissa_bits;
  g.bias = bias;
  g.max = max;
  // The pattern of levels repeats with each power of two, and clipping gains little.
  g.search_low = 0.65F;
  g.search_high = 1.6F;
  g.candidates = mantissa_bits == 1 ? 20 : 12;
  return g;
}
/// `levels` ascending; code = index.
template <size_t N>
constexpr LevelGrid table_grid(int bits, const std::array<float, N>& levels) {
  static_assert(N <= LevelGrid::kMaxLevels);
  LevelGrid g;
  g.kind = LevelGrid::Kind::kTable;
  g.candidates = 11;
  g.bits = bits;
  g.count = static_cast<int>(N);
  for (size_t i = 0; i < N; ++i) {
    g.levels[i] = levels[i];
    g.codes[i] = static_cast<uint8_t>(i);
  }
  return g;
}

/// level(code) for all 2^bits codes of a symmetric integer, float or table grid; codes that stand
/// for nothing are 0 in a table, infinity or NaN among floats. With a zero-point: code - 0.
std::array<float, 256> level_values(const LevelGrid& grid);

/// The plain statement of snapping, for tests and for single values: the level nearest to x
/// (finite) and its code. `zero` is the integer grid's zero-point (symmetric_zero() without one).
struct Snapped {
  float level;
  uint8_t code;
};
Snapped snap_level(const LevelGrid& grid, float x, int zero);

}  // namespace fewbit
