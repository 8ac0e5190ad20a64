#pragma once
// Weights as panels of bits, and the loop over tiles (internal).

#include <algorithm>
#include <optional>
#include <span>
#include <vector>

#include "base/result.h"
#include "kernels/binary/bit_core.h"

namespace fewbit::binary {

/// The fastest row that runs here and is no later than `isa`, or than selected_isa().
Result<const Row*> find_row(std::optional<Isa> isa);

/// [panel][word][8]; rows that fill up the last panel are 0.
struct BitPanels {
  int64_t rows = 0, words = 0;
  std::vector<uint64_t> data;
  void assign(int64_t row_count, int64_t word_count);
  uint64_t& at(int64_t row, int64_t word) {
    return data[static_cast<size_t>((row / kLanes * words + word) * kLanes + row % kLanes)];
  }
};

/// `count` rows of activations, `stride` words apart, as runs of words.
struct BitRows {
  const uint64_t* first = nullptr;
  int64_t stride = 0;
  int64_t count = 0;
  std::span<const int64_t> run_offset;
  int64_t run_words = 0;
};

/// Calls done(row, n, counts, how many) with popcounts of up to 16 successive rows n of weights.
template <class Done>
void for_each_tile(void (*tile)(const BitTile&), const BitRows& a, const BitPanels& w,
                   const Done& done) {
  constexpr int64_t kTileCols = kMaxPanels * kLanes;
  int32_t counts[kMaxRows][kTileCols];
  BitTile t;
  t.runs = static_cast<int>(a.run_offset.size());
  t.run_offset = a.run_offset.data();
  t.run_words = a.run_words;
  t.panel_words = w.words * kLanes;
  t.counts = counts;
  for (int64_t n = 0; n < w.rows; n += kTileCols) {
    const int64_t cols = std::min(kTileCols, w.rows - n);
    t.w = w.data.data() + n / kLanes * t.panel_words;
    t.panels = static_cast<int>((cols + kLanes - 1) / kLanes);
    for (int64_t row = 0; row < a.count; row += kMaxRows) {
      t.rows = static_cast<int>(std::min<int64_t>(kMaxRows, a.count - row));
      for (int r = 0; r < t.rows; ++r) t.a[r] = a.first + (row + r) * a.stride;
      tile(t);
      for (int r = 0; r < t.rows; ++r) done(row + r, n, counts[r], cols);
    }
  }
}

}  // namespace fewbit::binary
