#include "kernels/few_bit/code_map.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <span>

namespace fewbit::few_bit {
namespace {

constexpr float kLargestByte = 127;
constexpr int kTableBits = 4;

float largest_of(std::span<const float> levels) {
  float largest = 0;
  for (const float level : levels) largest = std::max(largest, std::fabs(level));
  return largest;
}

// Mean square by which levels differ from integers once they are multiplied by `factor`, in units
// of the levels.
double rounding_error(std::span<const float> levels, float factor) {
  double sum = 0;
  for (const float level : levels) {
    const double error = std::nearbyint(level * factor) - static_cast<double>(level) * factor;
    sum += error * error;
  }
  return sum / (static_cast<double>(factor) * factor);
}

// The factor that makes integers of at most 127 of all levels: a power of two.
std::optional<float> exact_factor(std::span<const float> levels) {
  for (int exponent = -7; exponent <= 7; ++exponent) {
    const float factor = std::ldexp(1.0F, exponent);
    if (largest_of(levels) * factor > kLargestByte) break;
    if (rounding_error(levels, factor) == 0) return factor;
  }
  return std::nullopt;
}
// The same for a table of bytes: as large as bytes can be, for the precision of what they are
// multiplied by.
std::optional<float> exact_table_factor(std::span<const float> levels) {
  std::optional<float> factor = exact_factor(levels);
  if (factor) *factor *= std::floor(kLargestByte / (largest_of(levels) * *factor));
  return factor;
}

// The factor under which rounding to int8 costs least.
float best_factor(std::span<const float> levels) {
  const float largest = largest_of(levels);
  float best = kLargestByte / largest;
  double least = rounding_error(levels, best);
  for (float top = kLargestByte - 0.25F; top > kLargestByte * 0.75F; top -= 0.25F) {
    const double error = rounding_error(levels, top / largest);
    if (error < least) {
      least = error;
      best = top / largest;
    }
  }
  return best;
}

void map_levels(std::span<const float> levels, float factor, CodeMap& map) {
  int lowest = 0, highest = 0;
  for (const float level : levels) {
    lowest = std::min(lowest, static_cast<int>(std::nearbyint(level * factor)));
    highest = std::max(highest, static_cast<int>(std::nearbyint(level * factor)));
  }
  map.zero = -lowest;
  map.scale = 1 / factor;
  map.table = map.bits <= kTableBits;
  for (size_t code = 0; code < levels.size(); ++code) {
    const auto integer = static_cast<int>(std::nearbyint(levels[code] * factor));
    if (map.table) {
      map.byte_levels[code] = static_cast<uint8_t>(integer - lowest);
    } else {
      map.recode[code] = static_cast<uint8_t>(integer - lowest);
    }
  }
  if (!map.table) map.bits = std::bit_width(static_cast<unsigned>(highest - lowest));
}

}  // namespace

std::optional<CodeMap> code_map(const Format& format, int64_t cols, FewBitActivations activations) {
  const std::optional<CodeForm> form = code_form(format, cols);
  if (!form) return std::nullopt;
  CodeMap map;
  map.bits = form->bits;
  map.group_elems = form->group_elems;
  map.zero = form->zero.value_or(0);
  map.offsets = !form->zero;
  for (size_t code = 0; code < map.recode.size(); ++code) {
    map.recode[code] = static_cast<uint8_t>(code);
  }
  const bool few = form->bits <= kTableBits;
  const bool floats = activations == FewBitActivations::kFloat32;
  if (!form->levels.empty() && !(few && floats)) {
    if (!std::isfinite(largest_of(form->levels))) return std::nullopt;
    const std::optional<float> factor =
        few ? exact_table_factor(form->levels) : exact_factor(form->levels);
    if (!factor && !few) return std::nullopt;
    map_levels(form->levels, factor ? *factor : best_factor(form->levels), map);
  }
  if (floats && few) {
    const auto mask = (size_t{1} << form->bits) - 1;
    for (size_t i = 0; i < map.float_levels.size(); ++i) {
      map.float_levels[i] = form->levels.empty()
                                ? static_cast<float>(static_cast<int>(i & mask) - map.zero)
                                : form->levels[i & mask];
    }
  }
  // Float kernels take bytes as signed ones.
  constexpr int kMiddleOfBytes = 128;
  if (floats && map.offsets && map.bits == 8) map.zero = kMiddleOfBytes;
  return map;
}

}  // namespace fewbit::few_bit

namespace fewbit {

bool few_bit_takes(const Format& format, FewBitActivations activations) {
  // The group's length does not matter here, nor does that of a row.
  return few_bit::code_map(format, 256, activations).has_value();
}

}  // namespace fewbit
