#pragma once
// The inner loops of encoders that choose among tables and vectors. Sixteen candidates or sixteen
// vectors stand side by side, one in each lane of a register: nothing is summed across lanes, so
// that every instruction set gives the same bits. One row per instruction set; all are the same
// code (search_kernels_impl.h), compiled anew.

#include <array>
#include <cstdint>
#include <limits>
#include <span>
#include <string_view>

namespace fewbit::formats {

inline constexpr int64_t kSearchLanes = 16;

/// A scalar quantizer: `count` ascending levels and the middles between neighbours.
struct LevelTable {
  int count = 0;
  std::array<float, 16> levels{};
  std::array<float, 15> middles{};
};

/// What a group of elements becomes with each of 16 scales, l being the level nearest to x / scale:
/// the best scale for these levels is dot / norm, and it lowers the squared error by dot^2 / norm.
struct ScaleTrials {
  alignas(64) std::array<float, kSearchLanes> inverse_scale;  ///< in
  alignas(64) std::array<float, kSearchLanes> dot;            ///< out: sum w x l
  alignas(64) std::array<float, kSearchLanes> norm;           ///< out: sum w l^2
};

/// The best few candidates of each of 16 vectors, best first.
inline constexpr int64_t kBeam = 8;
struct Beam {
  alignas(64) std::array<std::array<float, kSearchLanes>, kBeam> score;
  alignas(64) std::array<std::array<int32_t, kSearchLanes>, kBeam> id;

  void clear() {
    for (auto& lanes : score) lanes.fill(std::numeric_limits<float>::infinity());
    for (auto& lanes : id) lanes.fill(0);
  }
};

/// What 16 vectors are compared with: entry e has the score
///   base + entries[e][0] + sum over j of vectors[j] * entries[e][1 + j]
struct EntryScan {
  const float* vectors = nullptr;  ///< [width][16], aligned to 64 bytes
  const float* base = nullptr;     ///< [16], aligned to 64 bytes
  const float* entries = nullptr;  ///< [count][1 + width]
  int64_t width = 0;               ///< 2, 4, 8 or 16
  int64_t count = 0;
  int32_t first_id = 0;  ///< of entry 0; the others follow
};

struct SearchKernels {
  std::string_view name;
  bool runs_here;
  /// x, w [n].
  void (*try_scales)(const LevelTable& table, const float* x, const float* w, int64_t n,
                     ScaleTrials& trials);
  /// Puts entries into the first `length` places (1 or kBeam) of the beam where their scores are
  /// lower. The first place goes to the first of equal ones.
  void (*scan)(const EntryScan& scan, int64_t length, Beam& beam);
};

/// Slowest first; the last that runs here is used.
std::span<const SearchKernels> search_kernel_table();
const SearchKernels& search_kernels();

// Defined by search_kernels_{base,avx2,avx512}.cpp.
SearchKernels search_kernels_base();
SearchKernels search_kernels_avx2();
SearchKernels search_kernels_avx512();

}  // namespace fewbit::formats
