#include "formats/level_grid.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace fewbit {
namespace {

float float_level(const LevelGrid& grid, int code) {
  const int exponent = code >> grid.mantissa_bits;
  const int mantissa = code & ((1 << grid.mantissa_bits) - 1);
  const int implicit = exponent > 0 ? 1 << grid.mantissa_bits : 0;
  const int power = std::max(exponent, 1) - grid.bias - grid.mantissa_bits;
  return std::ldexp(static_cast<float>(implicit + mantissa), power);
}

// What a code without sign stands for. Past the largest level: infinity and NaN, as in IEEE 754
// (e5m2) or NaN alone (e4m3, whose last exponent has levels too).
float float_value(const LevelGrid& grid, int code) {
  const float level = float_level(grid, code);
  if (level <= grid.max) return level;
  const bool infinite = (code & ((1 << grid.mantissa_bits) - 1)) == 0;
  return infinite ? std::numeric_limits<float>::infinity()
                  : std::numeric_limits<float>::quiet_NaN();
}

}  // namespace

std::array<float, 256> level_values(const LevelGrid& grid) {
  std::array<float, 256> values{};
  const int half = 1 << (grid.bits - 1);
  if (grid.kind == LevelGrid::Kind::kInteger) {
    const int zero = grid.zero_point ? 0 : half;
    for (int c = 0; c < 2 * half; ++c)
      values[static_cast<size_t>(c)] = static_cast<float>(c - zero);
  } else if (grid.kind == LevelGrid::Kind::kFloat) {
    const auto sign = static_cast<size_t>(half);
    for (size_t c = 0; c < sign; ++c) {
      values[c] = float_value(grid, static_cast<int>(c));
      values[c + sign] = -values[c];
    }
  } else {
    for (int i = 0; i < grid.count; ++i) {
      values[grid.codes[static_cast<size_t>(i)]] = grid.levels[static_cast<size_t>(i)];
    }
  }
  return values;
}

Snapped snap_level(const LevelGrid& grid, float x, int zero) {
  const int top = (1 << grid.bits) - 1;
  if (grid.kind == LevelGrid::Kind::kInteger) {
    const auto low = static_cast<float>(grid.zero_point ? -zero : grid.first);
    const float level = std::nearbyintf(std::clamp(x, low, static_cast<float>(top - zero)));
    return {level, static_cast<uint8_t>(static_cast<int>(level) + zero)};
  }
  if (grid.kind == LevelGrid::Kind::kTable) {
    size_t i = 0;
    const auto last = static_cast<size_t>(grid.count - 1);
    while (i < last && x > (grid.levels[i] + grid.levels[i + 1]) * 0.5F) ++i;
    return {grid.levels[i], grid.codes[i]};
  }
  // The codes without sign ascend with their levels: the nearest by bisection, ties to even.
  const float magnitude = std::min(std::fabs(x), grid.max);
  int low = 0;
  int high = top >> 1;
  while (low < high) {
    const int middle = (low + high + 1) / 2;
    (float_level(grid, middle) <= magnitude ? low : high) =
        float_level(grid, middle) <= magnitude ? middle : middle - 1;
  }
  if (float_level(grid, low) < grid.max) {
    const float below = magnitude - float_level(grid, low);
    const float above = float_level(grid, low + 1) - magnitude;
    if (above < below || (above == below && low % 2 == 1)) ++low;
  }
  const bool negative = std::signbit(x);
  const float level = float_level(grid, low);
  return {negative ? -level : level,
          static_cast<uint8_t>(low | (negative ? 1 << (grid.bits - 1) : 0))};
}

}  // namespace fewbit
