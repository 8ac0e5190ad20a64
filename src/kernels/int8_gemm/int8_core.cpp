#include "kernels/int8_gemm/int8_core.h"

#include <omp.h>
#include <unistd.h>

#include <algorithm>

#include "kernels/int8_gemm/code_panels.h"

namespace fewbit::int8 {
namespace {

// Below this many multiply-adds per thread (a few microseconds) starting threads costs more than it
// saves.
constexpr int64_t kMinMacsPerThread = int64_t{1} << 20;

// Bytes of A worked on at once: small enough for the first-level cache. Where B leaves the second
// level, every pass over it is expensive, and A takes half of that level (its size, if the system
// does not say: 1 MiB) while slices of B pass through the first.
constexpr int64_t kSmallBlockBytes = 24 * 1024;
constexpr int64_t kLargeB = 512 * 1024;

int64_t large_block_bytes() {
  static const int64_t bytes = [] {
    const long size = sysconf(_SC_LEVEL2_CACHE_SIZE);
    return std::clamp<int64_t>(size > 0 ? size : 1 << 20, 1 << 18, 1 << 21) / 2;
  }();
  return bytes;
}

// A slice of B, two panels wide, that stays in the first-level cache while the rows of a block pass
// by: 16 to 24 KiB. Blocks of few rows gain nothing from it.
constexpr int64_t kSliceOfK = 512;
constexpr int64_t kMinRowsToSlice = 64;

struct Range {
  int64_t begin;
  int64_t end;
  int64_t size() const { return end - begin; }
};

Range part_of(int64_t total, int64_t parts, int64_t index) {
  return {total * index / parts, total * (index + 1) / parts};
}

// Columns whose unpacking weighs as much as one unit of choose_split's cost does: the 1.4 cycles of
// a line of 64 weights against the sums of 64 rows (a Sapphire Rapids, AMX).
constexpr double kUnpackedColumns = 2;

struct Split {
  int64_t row_parts = 1;
  int64_t panel_parts = 1;
};

// Lines narrower than half a tile are taken two at a time.
bool pairs_lines(const Product& p) {
  return p.rows.width <= p.row->max_rows / 2;
}

// What threads divide: pairs of lines, lines, or the pixels of the only line.
int64_t row_units(const Product& p) {
  if (p.rows.lines == 1) return p.rows.width;
  return pairs_lines(p) ? (p.rows.lines + 1) / 2 : p.rows.lines;
}

// Cuts rows and panels into parts so that the busiest thread does least: its multiply-adds, plus
// the bytes of A and B that it touches at their weight in cycles.
Split choose_split(const Product& p, int threads) {
  const int64_t panels = p.b->groups * p.b->panels;
  const int64_t rows = p.rows.lines * p.rows.width;
  const int64_t units = row_units(p);
  const int64_t macs = rows * panels * kPanelCols * p.b->k_padded;
  const int64_t useful = std::clamp<int64_t>(macs / kMinMacsPerThread, 1, threads);
  Split best;
  double best_cost = 0;
  for (int64_t row_parts = 1; row_parts <= useful; ++row_parts) {
    const Split split = {std::min(row_parts, units), std::min(useful / row_parts, panels)};
    const double part_rows = static_cast<double>((units + split.row_parts - 1) / split.row_parts) /
                             static_cast<double>(units) * static_cast<double>(rows);
    const double part_cols =
        static_cast<double>((panels + split.panel_parts - 1) / split.panel_parts * kPanelCols);
    const double cost = part_rows * part_cols / 64 + part_rows / 8 +
                        part_cols / (p.b->bits < 8 ? kUnpackedColumns : 16);
    if (row_parts == 1 || cost < best_cost) {
      best = split;
      best_cost = cost;
    }
  }
  return best;
}

// Memory of one thread, kept from call to call.
struct Scratch {
  Tensor band;
  std::vector<int32_t> row_sum;
  Tensor partial;  // sums of a block, where k is cut
  Tensor panels;   // of codes, unpacked

  uint8_t* band_of(int64_t bytes) {
    if (!band.defined() || band.elements() < bytes) {
      band = Tensor::zeros(DType::kUint8, {bytes});
    }
    return band.data<uint8_t>();
  }
  int32_t* partial_of(int64_t rows) {
    if (!partial.defined() || partial.elements() < rows * kTileCols) {
      partial = Tensor::uninitialized(DType::kInt32, {rows, kTileCols});
    }
    return partial.data<int32_t>();
  }
};

Scratch& thread_scratch() {
  static thread_local Scratch scratch;
  return scratch;
}

int32_t sum_bytes(const uint8_t* a, int64_t count, bool is_signed) {
  int32_t sum = 0;
  if (is_signed) {
    for (int64_t i = 0; i < count; ++i) sum += static_cast<int8_t>(a[i]);
  } else {
    for (int64_t i = 0; i < count; ++i) sum += a[i];
  }
  return sum;
}

/// A block of output pixels: lines of one image, and a range of their pixels.
struct Block {
  Range lines;
  Range pixels;
  Band band;
};

// Where A takes no more than this, codes are unpacked in slices of k that stay in the first-level
// cache while all of A passes.
constexpr int64_t kSlicedA = 64 * 1024;

// Whether a thread unpacks all its panels, where they are codes, and keeps them in the second-level
// cache.
bool keeps_panels(const Product& p, Range lines, Range pixels, Range panels) {
  const int64_t a_bytes = p.rows.copy ? p.rows.band_bytes(lines.size(), pixels.size())
                                      : lines.size() * pixels.size() * p.b->k_padded;
  const bool fits = panels.size() * p.b->panel_bytes() <= kLargeB;
  return fits && (a_bytes > kSlicedA || p.row->k_multiple % kChunkK != 0);
}

// One thread's share: lines x pixels x panels.
class Worker {
 public:
  Worker(const Product& product, Range lines, Range pixels, Range panels)
      : p_(product),
        b_(*product.b),
        lines_(lines),
        pixels_(pixels),
        panels_(panels),
        scratch_(thread_scratch()),
        keeps_(keeps_panels(product, lines, pixels, panels)),
        reader_(b_, *p_.row, panels.begin, panels.end, keeps_, scratch_.panels) {}

  void run() {
    const Range size = block_size();
    if (p_.row->begin != nullptr) p_.row->begin();
    for (int64_t line = lines_.begin; line < lines_.end;) {
      const int64_t image_end = (line / p_.rows.lines_per_image + 1) * p_.rows.lines_per_image;
      const int64_t line_end = std::min({line + size.begin, lines_.end, image_end});
      for (int64_t x = pixels_.begin; x < pixels_.end; x += size.end) {
        // Cut where pixels can no longer be read in place.
        const int64_t end = std::min(x + size.end, pixels_.end);
        const int64_t cut = std::clamp(p_.rows.in_place_pixels, x, end);
        if (cut > x) run_groups({{line, line_end}, {x, cut}, {}});
        if (cut < end) run_groups({{line, line_end}, {cut, end}, {}});
      }
      line = line_end;
    }
    if (p_.row->end != nullptr) p_.row->end();
  }

 private:
  // Lines (begin) and pixels (end) of a block.
  Range block_size() const {
    const bool large = panels_.size() * b_.panel_bytes() > kLargeB || (b_.bits < 8 && !keeps_);
    const int64_t budget = large ? large_block_bytes() : kSmallBlockBytes;
    const auto bytes = [&](int64_t lines, int64_t pixels) {
      return p_.rows.copy ? p_.rows.band_bytes(lines, pixels) : lines * pixels * b_.k_padded;
    };
    const int64_t tile = p_.row->max_rows;
    int64_t pixels = pixels_.size();
    if (bytes(1, pixels) > 2 * budget) {
      const int64_t cuts = (bytes(1, pixels) + budget - 1) / budget;
      pixels = std::min(pixels, ((pixels + cuts - 1) / cuts + tile - 1) / tile * tile);
    }
    int64_t lines = pairs_lines(p_) ? 2 : 1;
    while (lines < lines_.size() && bytes(lines * 2, pixels) <= budget) lines *= 2;
    return {lines, pixels};
  }

  void run_groups(Block block) {
    for (int64_t g = panels_.begin / b_.panels; g * b_.panels < panels_.end; ++g) {
      const Range in_group = {std::max(panels_.begin - g * b_.panels, int64_t{0}),
                              std::min(panels_.end - g * b_.panels, b_.panels)};
      const RowSource& rows = p_.rows;
      if (rows.copy && block.pixels.end > rows.in_place_pixels) {
        const int64_t bytes = rows.band_bytes(block.lines.size(), block.pixels.size());
        block.band = rows.copy(g, block.lines.begin, block.lines.size(), block.pixels.begin,
                               block.pixels.size(), scratch_.band_of(bytes + kBandSlack));
      } else {
        block.band = rows.in_place;
        block.band.a += g * rows.group_offset + block.pixels.begin * rows.in_place.pixel_stride +
                        block.lines.begin / rows.lines_per_image * rows.image_stride +
                        block.lines.begin % rows.lines_per_image * rows.in_place.line_stride;
      }
      if (b_.col_zero.defined()) sum_rows(block);
      const int64_t step = p_.row->max_panels;
      for (int64_t panel = in_group.begin; panel < in_group.end; panel += step) {
        run_panels(g, block, panel, static_cast<int>(std::min(step, in_group.end - panel)));
      }
    }
  }

  // Sums over k of every row of the block, which zero points of B multiply.
  void sum_rows(const Block& block) {
    const int64_t width = block.pixels.size();
    scratch_.row_sum.assign(static_cast<size_t>(block.lines.size() * width), 0);
    const int64_t run = b_.k / b_.runs;
    for (int64_t i = 0; i < block.lines.size() * width; ++i) {
      int32_t& sum = scratch_.row_sum[static_cast<size_t>(i)];
      if (block.band.tiled) {
        const uint8_t* a = block.band.a +
                           i / kMaxTileRows * kMaxTileRows * block.band.pixel_stride +
                           i % kMaxTileRows * 64;
        for (int64_t k = 0; k < run; k += 64, a += 64 * kMaxTileRows) {
          sum += sum_bytes(a, std::min<int64_t>(64, run - k), p_.a_signed);
        }
        continue;
      }
      const uint8_t* a =
          block.band.a + i / width * block.band.line_stride + i % width * block.band.pixel_stride;
      for (int64_t offset : p_.rows.run_offset) sum += sum_bytes(a + offset, run, p_.a_signed);
    }
  }

  // The block times one or two panels, in tiles within a line, or of two whole lines that take part
  // in the same runs.
  void run_panels(int64_t group, const Block& block, int64_t panel, int width) {
    const int64_t packed_panel = group * b_.panels + panel;
    TileArgs t = {};
    t.a_stride = block.band.tiled ? 64 : block.band.pixel_stride;
    t.a_step = block.band.tiled ? 64 * kMaxTileRows : 64;
    t.a_signed = p_.a_signed;
    t.panels = width;
    FinishArgs f = {};
    f.stage = p_.stage;
    f.column = packed_panel * kPanelCols;
    f.cols = static_cast<int>(std::min<int64_t>(width * kPanelCols, b_.n - panel * kPanelCols));
    f.out_stride = p_.out_stride;
    f.residual_stride = p_.residual_stride;
    f.col_sum = b_.col_sum.data<int32_t>();
    f.col_zero = b_.col_zero.defined() ? b_.col_zero.data<int32_t>() : nullptr;
    const int64_t channel = group * b_.n + panel * kPanelCols;
    const int64_t slices = slice_count(block);
    for (int64_t i = 0; i < slices; ++i) {
      const Slice slice = slice_of(slices, i);
      reader_.set(packed_panel, width, slice.position(b_.run_bytes), slice.end(b_.run_bytes));
      t.panel_bytes = reader_.panel_bytes();
      run_slice(block, packed_panel, channel, slice, t, f);
    }
  }

  /// A part of B's k: whole runs, or positions of one run.
  struct Slice {
    Range runs;
    Range k;
    int64_t position(int64_t run_bytes) const { return runs.begin * run_bytes + k.begin; }
    int64_t end(int64_t run_bytes) const { return (runs.end - 1) * run_bytes + k.end; }
  };

  // Slices that k is cut into for a block.
  int64_t slice_count(const Block& block) const {
    constexpr int64_t kMost = kSliceOfK * 3 / 2;
    const bool codes = b_.bits < 8 && !keeps_;
    if (!codes && (b_.runs > 1 || block.lines.size() > 1 || block.pixels.size() < kMinRowsToSlice))
      return 1;
    if (codes && p_.row->k_multiple % kChunkK != 0) return 1;
    if (b_.run_bytes > kMost) return b_.runs * ((b_.run_bytes + kMost - 1) / kMost);
    const int64_t runs = kMost / b_.run_bytes;
    return (b_.runs + runs - 1) / runs;
  }

  Slice slice_of(int64_t slices, int64_t index) const {
    if (slices <= b_.runs) return {part_of(b_.runs, slices, index), {0, b_.run_bytes}};
    const int64_t step = p_.row->k_multiple, parts = slices / b_.runs, run = index / parts;
    const Range k = part_of(b_.run_bytes / step, parts, index % parts);
    return {{run, run + 1}, {k.begin * step, k.end * step}};
  }

  // Rows of a full tile. AMX takes a new shape of tile slowly, so that a line is cut into equal
  // ones; other rows keep their fastest height.
  int64_t full_tile(const Block& block) const {
    const int64_t rows = p_.row->max_rows, count = block.pixels.size();
    if (!p_.row->tiled_a || block.band.tiled || count <= rows) return rows;
    const int64_t tiles = (count + rows - 1) / rows;
    return (count + tiles - 1) / tiles;
  }

  // A slice of k times all rows of the block: the sums of all but a line's last slice wait in
  // memory.
  void run_slice(const Block& block, int64_t packed_panel, int64_t channel, const Slice& slice,
                 TileArgs& t, FinishArgs& f) {
    const int64_t count = block.pixels.size();
    const int64_t tile_rows = full_tile(block);
    const int64_t full = count / tile_rows * tile_rows;
    for (int64_t line = 0; line < block.lines.size();) {
      const int64_t alike = lines_alike(block, line);
      Part part;
      if (!set_runs(block.lines.begin + line, packed_panel, slice, t, part)) {
        line += alike;
        continue;
      }
      if (pairs_lines(p_) && alike > 1) {
        t.rows = static_cast<int>(2 * count);
        run_tiles(block, {line, 0, alike / 2, 2}, channel, part, t, f);
        line += alike / 2 * 2;
      } else if (count == tile_rows && count == p_.rows.width) {
        t.rows = static_cast<int>(count);
        run_tiles(block, {line, 0, alike, 1}, channel, part, t, f);
        line += alike;
      } else {
        t.rows = static_cast<int>(tile_rows);
        if (full > 0) run_tiles(block, {line, 0, full / tile_rows, 0}, channel, part, t, f);
        t.rows = static_cast<int>(count - full);
        if (full < count) run_tiles(block, {line, full, 1, 0}, channel, part, t, f);
        ++line;
      }
    }
  }

  const LineRuns& runs_of(int64_t line) const {
    return p_.rows.line_runs[static_cast<size_t>(line % p_.rows.lines_per_image)];
  }

  // So many lines of the block, from `line` on, take part in the same runs.
  int64_t lines_alike(const Block& block, int64_t line) const {
    int64_t count = 1;
    while (line + count < block.lines.size() && same_runs(block.lines.begin + line + count - 1)) {
      ++count;
    }
    return count;
  }

  // True if the line and the next take part in the same runs.
  bool same_runs(int64_t line) const {
    if (p_.rows.line_runs.empty()) return true;
    return runs_of(line).first == runs_of(line + 1).first &&
           runs_of(line).count == runs_of(line + 1).count;
  }

  /// What a slice is of a line's sums.
  struct Part {
    int64_t k = 0;  // where in every run it begins
    bool first = true, last = true;
  };

  // False if the line takes no part in the slice.
  bool set_runs(int64_t line, int64_t packed_panel, const Slice& slice, TileArgs& t, Part& part) {
    LineRuns runs = {0, b_.runs, p_.init};
    if (!p_.rows.line_runs.empty()) runs = runs_of(line);
    const int64_t end = runs.first + runs.count;
    const int64_t from = std::max(runs.first, slice.runs.begin), to = std::min(end, slice.runs.end);
    // A line of nothing but padding is finished with the first slice.
    const bool empty = runs.count == 0 && slice.runs.begin == 0 && slice.k.begin == 0;
    if (from >= to && !empty) return false;
    t.runs = empty ? 0 : static_cast<int>(to - from);
    t.run_offset = p_.rows.run_offset.data() + from;
    t.run_bytes = slice.k.size();
    t.start = runs.init + packed_panel * kPanelCols;
    t.b = reader_.at(from * b_.run_bytes + slice.k.begin);
    part.k = slice.k.begin;
    part.first = empty || (from == runs.first && slice.k.begin == 0);
    part.last = empty || (to == end && slice.k.end == b_.run_bytes);
    return true;
  }

  /// `count` tiles of t.rows from pixel x of a line of the block on: one after the other in that
  /// line (lines_each = 0), or each of them one or two whole lines.
  struct Tiles {
    int64_t line, x, count, lines_each;
  };

  void run_tiles(const Block& block, const Tiles& tiles, int64_t channel, const Part& part,
                 TileArgs& t, FinishArgs& f) {
    const auto [line, x, count, lines_each] = tiles;
    const Band& band = block.band;
    t.tiles = static_cast<int>(count);
    t.a[0] = band.a + line * band.line_stride + x * band.pixel_stride + part.k / 64 * t.a_step +
             part.k % 64;
    t.a[1] = t.a[0] + (lines_each == 2 ? band.line_stride : (t.rows + 1) / 2 * t.a_stride);
    t.a_next = lines_each == 0 ? t.rows * band.pixel_stride : lines_each * band.line_stride;
    const int64_t row = (block.lines.begin + line) * p_.rows.width + block.pixels.begin + x;
    f.out = p_.out + row * p_.out_stride + channel * output_element_bytes(p_.stage->type);
    if (p_.residual != nullptr) f.residual = p_.residual + row * p_.residual_stride + channel;
    if (p_.row_scale != nullptr) f.row_scale = p_.row_scale + row;
    if (p_.row_zero != nullptr) f.row_zero = p_.row_zero + row;
    if (b_.col_zero.defined()) {
      f.row_sum = scratch_.row_sum.data() + line * block.pixels.size() + x;
    }
    t.start_stride = 0;
    t.partial = nullptr;
    t.fetch = 0;
    if (!part.first || !part.last) {
      int32_t* partial = scratch_.partial_of(block.lines.size() * block.pixels.size()) +
                         (line * block.pixels.size() + x) * kTileCols;
      if (!part.first) {
        t.start = partial;
        t.start_stride = kTileCols;
      }
      if (!part.last) t.partial = partial;
      // The same panels' next slice, or the first of the next two panels.
      if (b_.bits == 8) t.fetch = t.run_bytes * kPanelCols + (part.last ? b_.panel_bytes() : 0);
    }
    p_.row->tile(t, f);
  }

  const Product& p_;
  const PackedB& b_;
  Range lines_;
  Range pixels_;
  Range panels_;
  Scratch& scratch_;
  bool keeps_;
  PanelReader reader_;
};

void run_part(const Product& p, const Split& split, int64_t index) {
  const Range panels =
      part_of(p.b->groups * p.b->panels, split.panel_parts, index % split.panel_parts);
  const Range units = part_of(row_units(p), split.row_parts, index / split.panel_parts);
  if (p.rows.lines == 1) {
    Worker(p, {0, 1}, units, panels).run();
    return;
  }
  const int64_t step = pairs_lines(p) ? 2 : 1;
  const Range lines = {units.begin * step, std::min(units.end * step, p.rows.lines)};
  Worker(p, lines, {0, p.rows.width}, panels).run();
}

}  // namespace

void run_product(const Product& p, int threads) {
  if (p.rows.lines == 0 || p.rows.width == 0 || p.b->panels == 0) return;
  const Split split = choose_split(p, threads);
  const int64_t parts = split.row_parts * split.panel_parts;
  if (parts == 1) {
    run_part(p, split, 0);
    return;
  }
#pragma omp parallel for num_threads(static_cast <int>(parts)) schedule(static, 1)
  for (int64_t i = 0; i < parts; ++i) run_part(p, split, i);
}

}  // namespace fewbit::int8
