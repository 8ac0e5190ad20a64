#pragma once
// Between the products of single bits (binary.h) and their inner loops (rows_*.cpp): internal.
//
// Weights are packed in panels: eight rows of weights are the eight 64-bit lanes of a 512-bit
// register, [panel][word][8]. A row of activations is made of runs of words, one run per kernel
// line of a convolution; its words are broadcast.

#include <cstdint>
#include <span>
#include <string_view>

#include "kernels/isa.h"

namespace fewbit::binary {

inline constexpr int kLanes = 8;
inline constexpr int kMaxRows = 4;
inline constexpr int kMaxPanels = 2;

/// counts[r][8 p + lane] = sum over words of popcount(a[r] op w[p][lane]); op: exclusive or, and.
struct BitTile {
  const uint64_t* a[kMaxRows];
  int rows = 0;  ///< 1 .. kMaxRows
  int runs = 0;
  const int64_t* run_offset = nullptr;  ///< [runs], words
  int64_t run_words = 0;
  const uint64_t* w = nullptr;
  int64_t panel_words = 0;  ///< from one panel to the next
  int panels = 0;           ///< 1 .. kMaxPanels
  int32_t (*counts)[kMaxPanels * kLanes] = nullptr;
};

struct Row {
  Isa isa;
  std::string_view label;
  bool (*runs_here)();
  void (*differences)(const BitTile& tile);  ///< exclusive or
  void (*common)(const BitTile& tile);       ///< and
};

/// Ascending; the last one that runs here is taken.
std::span<const Row* const> all_rows();

extern const Row kScalarRow;
#if defined(__x86_64__)
extern const Row kAvx2Row;
extern const Row kAvx512Row;
#endif

}  // namespace fewbit::binary
