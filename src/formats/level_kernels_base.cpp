// level_kernels_impl.h for any x86-64 processor (SSE2).

#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <limits>
#include <utility>

#include "formats/level_kernels.h"

namespace fewbit::formats {
namespace {

// One instruction takes any 16 of 16 floats.
constexpr bool kPermutes = false;

#include "formats/level_kernels_impl.h"
}  // namespace

LevelKernels level_kernels_base() {
  const bool runs_here = true;
  return kernels("base", runs_here);
}

}  // namespace fewbit::formats
