#include "kernels/few_bit/block_product.h"

#include <algorithm>
#include <vector>

#include "base/huge_buffer.h"
#include "kernels/few_bit/activations.h"

namespace fewbit::few_bit {
namespace {

constexpr int64_t kBlockRows = 16;
constexpr int64_t kTile = kTileRows * kTileBytes;
constexpr int64_t kChunksPerTile = 2;  // of k
// Sums of this many rows and panels (512 KiB), bytes of expanded weights (256 KiB) and activations
// (512 KiB) share a second-level cache; activations come from the third, once for these panels.
constexpr int64_t kRowTilesTogether = 32;
constexpr int64_t kPanelsTogether = 16;

// What one thread works in.
struct Workspace {
  static constexpr int64_t kLineBytes = kPanelsTogether * kTilesPerBlock * kTile;
  static constexpr int64_t kTotalBytes =
      kRowTilesTogether * kTileRows * kPanelsTogether * kPanelRows * int64_t{sizeof(float)};
  static constexpr int64_t kScaleBytes = kPanelsTogether * kPanelRows * int64_t{sizeof(float)};
  // On one huge page.
  Tensor memory = huge_bytes(std::max(kLineBytes + kTotalBytes + kScaleBytes, int64_t{2} << 20));

  uint8_t* lines() { return memory.data<uint8_t>(); }
  float* total() { return reinterpret_cast<float*>(lines() + kLineBytes); }
  float* scale() { return reinterpret_cast<float*>(lines() + kLineBytes + kTotalBytes); }
};

class BlockProduct {
 public:
  BlockProduct(const Row& row, const Panels& panels, const std::vector<float>& bias,
               const FewBitCall& call, const ActivationTiles& tiles)
      : row_(row), panels_(panels), bias_(bias), call_(call), tiles_(tiles) {}

  // Panels [p, p + count), rows of tiles [tile, tile + row_tiles).
  void run(int64_t p, int64_t count, int64_t tile, int64_t row_tiles, Workspace& work) const {
    BlockJob job;
    job.row_tiles = row_tiles;
    job.lines = work.lines();
    job.panels = (count + 1) / 2 * 2;
    job.scale = work.scale();
    job.total = work.total();
    job.total_stride = job.panels * kPanelRows;
    const int64_t n = p * kPanelRows;
    const int64_t m = tile * kTileRows;
    job.unit = panels_.row_unit.data() + n;
    job.bias = bias_.data() + n;
    job.row_scale = tiles_.scales() + m;
    job.rows = std::min(row_tiles * kTileRows, call_.m - m);
    job.whole_panels = std::min(count, (panels_.n - n) / kPanelRows);
    job.y = call_.y + m * call_.y_stride + n;
    job.y_stride = call_.y_stride;
    for (int64_t b = 0; b < tiles_.blocks(); ++b) {
      job.k_tiles = tiles_.tiles_in(b);
      expand(p, count, b * kTilesPerBlock, job.k_tiles, work);
      job.tile_stride = tiles_.tile_stride(b);
      job.tiles = tiles_.tiles(b, tile);
      job.next_tiles = tiles_.tiles((b + 1) % tiles_.blocks(), tile);
      job.start = tiles_.start(b) + tile * kTileRows;
      job.last = b + 1 == tiles_.blocks();
      row_.block(job);
      job.first = false;
    }
    // What remains: the last panel, where it sticks out of y, and one that shares tiles with it.
    const int64_t done = job.whole_panels / 2 * 2 * kPanelRows;
    const int64_t columns = std::min(count * kPanelRows, panels_.n - n);
    for (int64_t r = 0; r < job.rows && done < columns; ++r) {
      row_.finish({.total = job.total + r * job.total_stride + done,
                   .unit = job.unit + done,
                   .bias = job.bias + done,
                   .scale = job.row_scale[r],
                   .count = columns - done,
                   .y = job.y + r * job.y_stride + done});
    }
  }

 private:
  void expand(int64_t p, int64_t count, int64_t k_tile, int64_t k_tiles, Workspace& work) const {
    for (int64_t i = 0; i < count; ++i) {
      ExpandJob job;
      job.layout = &panels_.layout;
      job.panel = panels_.panel(p + i);
      job.next = panels_.panel(i + 1 < count ? p + i + 1 : p) +
                 (i + 1 < count ? k_tile : k_tile + kTilesPerBlock) * kChunksPerTile *
                     panels_.layout.panel_bytes / (panels_.layout.width() / kChunk);
      job.chunk = k_tile * kChunksPerTile;
      // What is beyond the last chunk meets activations of 0.
      job.chunks = std::min(k_tiles * kChunksPerTile, panels_.layout.width() / kChunk - job.chunk);
      job.zero = row_.byte_zero;
      job.lines = work.lines() + i * k_tiles * kTile;
      const int64_t block = k_tile / kTilesPerBlock;
      job.scale = panels_.block_scale.data() + ((p + i) * panels_.blocks() + block) * kPanelRows;
      std::copy_n(job.scale, kPanelRows, work.scale() + i * kPanelRows);
      row_.expand(job);
    }
  }

  const Row& row_;
  const Panels& panels_;
  const std::vector<float>& bias_;
  const FewBitCall& call_;
  const ActivationTiles& tiles_;
};

}  // namespace

bool takes_blocks(const Layout& layout, int64_t m) {
  return m >= kBlockRows && (layout.bits <= 4 || layout.expands_exactly());
}

void run_blocks(const Row& row, const Panels& panels, const std::vector<float>& bias,
                const FewBitCall& call, int threads) {
  // Kept by the threads that multiply: memory fresh from the system costs as much as a product.
  static thread_local ActivationTiles kept_tiles;
  ActivationTiles& tiles = kept_tiles;
  tiles.reset(row, panels, call.m);
  // Each thread should have several turns.
  int64_t together = kPanelsTogether;
  while (together > 2 && panels.count() < 4 * threads * together) together /= 2;
  const BlockProduct product(row, panels, bias, call, tiles);
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static)
    for (int64_t m = 0; m < call.m; ++m) tiles.set(m, call.x + m * call.x_stride);
    static thread_local Workspace work;
#pragma omp for schedule(dynamic)
    for (int64_t p = 0; p < panels.count(); p += together) {
      const int64_t count = std::min(together, panels.count() - p);
      for (int64_t tile = 0; tile < tiles.row_tiles(); tile += kRowTilesTogether) {
        product.run(p, count, tile, std::min(kRowTilesTogether, tiles.row_tiles() - tile), work);
      }
    }
  }
}

}  // namespace fewbit::few_bit
