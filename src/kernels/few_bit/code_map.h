#pragma once
// What kernels make of a format's codes and levels: integers wherever that is possible.

#include <array>
#include <cstdint>
#include <optional>

#include "formats/code_form.h"
#include "kernels/few_bit/few_bit.h"

namespace fewbit::few_bit {

struct CodeMap {
  int bits = 0;  ///< of the codes that are packed
  int64_t group_elems = 0;
  int32_t zero = 0;                   ///< offset = -zero * scale, unless
  bool offsets = false;               ///< offsets are their own, and come on top of -zero * scale
  float scale = 1;                    ///< what scales are multiplied by
  std::array<uint8_t, 256> recode{};  ///< packed code of each code
  bool table = false;                 ///< Layout::byte_levels, float_levels: see panels.h
  std::array<uint8_t, 16> byte_levels{};
  std::array<float, 16> float_levels{};
};

/// Nothing for a format that these kernels do not take.
std::optional<CodeMap> code_map(const Format& format, int64_t cols, FewBitActivations activations);

}  // namespace fewbit::few_bit
