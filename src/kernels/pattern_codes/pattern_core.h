#pragma once
// Between the packing (pattern_codes.cpp) and the inner loops (panel_kernel.h, panel_256.h,
// rows_*.cpp): internal.

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/isa.h"
#include "kernels/panel_product.h"

namespace fewbit::pattern_codes {

inline constexpr int64_t kPanelRows = PanelProduct::kPanelRows;
inline constexpr int64_t kLineBytes = 64;  ///< a dword for each row of a panel
inline constexpr int64_t kCodesPerDword = 6;
inline constexpr int64_t kBlockCodes = 32;
inline constexpr int64_t kBlockDwords = 5;
inline constexpr int64_t kBlockBytes = kBlockDwords * kLineBytes;

/// The four bytes that a code stands for, t + 1 each; the first is the lowest.
using PatternTable = std::array<std::array<uint8_t, 4>, 32>;

/// How a packed matrix is laid out.
struct Layout {
  PatternTable table{};
  int weights_per_code = 0;  ///< 3 or 4
  int64_t group_elems = 0;
  int64_t groups = 0;  ///< of a row; all are alike, the last one is filled up
  int64_t blocks = 0;  ///< of a group: 32 codes each
  int64_t tail = 0;    ///< codes of a group after its blocks
  bool half_scales = true;
  int64_t panel_bytes = 0;

  int64_t tail_dwords() const { return (tail + kCodesPerDword - 1) / kCodesPerDword; }
  int64_t scale_bytes() const { return kPanelRows * (half_scales ? 2 : 4); }
  int64_t group_bytes() const {
    return blocks * kBlockBytes + tail_dwords() * kLineBytes + scale_bytes();
  }
  /// Elements of a row of q that kernels may read: codes that fill up, and a dword that begins at
  /// the last code.
  int64_t padded_k() const {
    return (groups - 1) * group_elems + (blocks * kBlockCodes + tail) * weights_per_code + 4;
  }
};

/// Quantized activations of a few rows.
struct Activations {
  const int8_t* q = nullptr;  ///< rows q_stride apart, in the order that the row asks for
  int64_t q_stride = 0;
  const int32_t* start = nullptr;  ///< [rows, groups]: -sum of q in the group
  const float* scale = nullptr;    ///< [rows]
};

/// A run of panels for up to PanelProduct::kMaxRows rows of activations.
struct PanelJob {
  const Layout* layout = nullptr;
  const uint8_t* panels = nullptr;  ///< the first; the others follow panel_bytes apart
  int64_t panel_count = 0;
  Activations x;
  int rows = 0;                ///< of x: 1 .. PanelProduct::kMaxRows
  int64_t prefetch_bytes = 0;  ///< how far ahead lines are asked for
  float* y = nullptr;          ///< [rows, 16 * panel_count], rows y_stride apart
  int64_t y_stride = 0;
};

struct Row {
  Isa isa;
  std::string_view label;
  void (*run)(const PanelJob& job);
  /// Bytes of a row of q in this row's order, and the function that writes it; null: as it is.
  int64_t (*arranged_bytes)(const Layout& layout);
  void (*arrange)(const Layout& layout, const int8_t* q, int8_t* out);
};

/// One per instruction set.
std::span<const Row* const> all_rows();

extern const Row kScalarRow;
#if defined(__x86_64__)
extern const Row kAvx2Row;
extern const Row kAvxVnniRow;
extern const Row kAvx512VnniRow;
#endif

}  // namespace fewbit::pattern_codes
