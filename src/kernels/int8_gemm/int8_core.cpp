#include "kernels/int8_gemm/int8_core.h"

#include <omp.h>

#include <algorithm>
#include <cstring>

namespace fewbit::int8 {
namespace {

// Below this many multiply-adds per thread (a few microseconds) starting threads costs more than it
// saves.
constexpr int64_t kMinMacsPerThread = int64_t{1} << 20;

// Rows gathered or streamed at once: small enough for the first-level cache, unless B itself leaves
// the second level and every pass over it is expensive.
constexpr int64_t kSmallBlockBytes = 16 * 1024;
constexpr int64_t kLargeBlockBytes = 192 * 1024;
constexpr int64_t kLargeB = 512 * 1024;

struct Range {
  int64_t begin;
  int64_t end;
};

Range part_of(int64_t total, int64_t parts, int64_t index) {
  return {total * index / parts, total * (index + 1) / parts};
}

struct Split {
  int64_t row_parts = 1;
  int64_t panel_parts = 1;
};

// Cuts rows and panels into parts so that the busiest thread does least: its multiply-adds, plus the
// bytes of A and B that it touches at their weight in cycles.
Split choose_split(const Product& p, int threads) {
  const int64_t panels = p.b->groups * p.b->panels;
  const int64_t macs = p.m * panels * kPanelCols * p.b->k_padded;
  const int64_t useful = std::clamp<int64_t>(macs / kMinMacsPerThread, 1, threads);
  Split best;
  double best_cost = 0;
  for (int64_t row_parts = 1; row_parts <= useful; ++row_parts) {
    const Split split = {std::min(row_parts, p.m), std::min(useful / row_parts, panels)};
    const double rows = static_cast<double>((p.m + split.row_parts - 1) / split.row_parts);
    const double cols =
        static_cast<double>((panels + split.panel_parts - 1) / split.panel_parts * kPanelCols);
    const double k = static_cast<double>(p.b->k_padded);
    const double a_weight = p.rows.gather ? 0.25 : 1.0 / 16;
    const double cost = k * (rows * cols / 64 + rows * a_weight + cols / 16);
    if (row_parts == 1 || cost < best_cost) {
      best = split;
      best_cost = cost;
    }
  }
  return best;
}

// Memory of one thread, kept from call to call.
struct Scratch {
  Tensor panel;
  std::vector<int32_t> row_sum;

  uint8_t* panel_of(int64_t bytes) {
    if (!panel.defined() || panel.elements() < bytes) {
      panel = Tensor::uninitialized(DType::kUint8, {bytes});
    }
    return panel.data<uint8_t>();
  }
};

Scratch& thread_scratch() {
  static thread_local Scratch scratch;
  return scratch;
}

int32_t sum_row(const uint8_t* a, int64_t k, bool is_signed) {
  int32_t sum = 0;
  if (is_signed) {
    for (int64_t i = 0; i < k; ++i) sum += static_cast<int8_t>(a[i]);
  } else {
    for (int64_t i = 0; i < k; ++i) sum += a[i];
  }
  return sum;
}

// One thread's share: rows x panels.
class Worker {
 public:
  Worker(const Product& product, Range rows, Range panels)
      : p_(product), rows_(rows), panels_(panels), scratch_(thread_scratch()) {}

  void run() {
    const PackedB& b = *p_.b;
    const int64_t b_bytes = (panels_.end - panels_.begin) * b.panel_bytes();
    const int64_t budget = b_bytes > kLargeB ? kLargeBlockBytes : kSmallBlockBytes;
    const int64_t tile_rows = p_.row->max_rows;
    const int64_t block =
        std::max<int64_t>(1, budget / (b.k_padded * tile_rows)) * tile_rows;
    if (p_.row->begin != nullptr) p_.row->begin();
    for (int64_t row = rows_.begin; row < rows_.end; row += block) {
      const int64_t count = std::min(block, rows_.end - row);
      for (int64_t g = panels_.begin / b.panels; g * b.panels < panels_.end; ++g) {
        const Range in_group = {std::max(panels_.begin - g * b.panels, int64_t{0}),
                                std::min(panels_.end - g * b.panels, b.panels)};
        run_block(g, row, count, in_group);
      }
    }
    if (p_.row->end != nullptr) p_.row->end();
  }

 private:
  void run_block(int64_t group, int64_t row, int64_t count, Range panels) {
    const PackedB& b = *p_.b;
    const uint8_t* a = nullptr;
    int64_t a_stride = p_.rows.stride;
    if (p_.rows.gather) {
      uint8_t* panel = scratch_.panel_of(count * b.k_padded + kCopySlack);
      p_.rows.gather(group, row, count, panel, b.k_padded);
      a = panel;
      a_stride = b.k_padded;
    } else {
      a = p_.rows.base + group * p_.rows.group_offset + row * a_stride;
    }
    const int32_t* row_sum = nullptr;
    if (b.col_zero.defined()) {
      scratch_.row_sum.resize(static_cast<size_t>(count));
      for (int64_t r = 0; r < count; ++r) {
        scratch_.row_sum[static_cast<size_t>(r)] = sum_row(a + r * a_stride, b.k, p_.a_signed);
      }
      row_sum = scratch_.row_sum.data();
    }
    const int64_t step = p_.row->max_panels;
    for (int64_t panel = panels.begin; panel < panels.end; panel += step) {
      const int64_t width = std::min(step, panels.end - panel);
      run_column(group, row, count, a, a_stride, row_sum, panel, static_cast<int>(width));
    }
  }

  // All rows of a block times one or two panels, in tiles of nearly equal height.
  void run_column(int64_t group, int64_t row, int64_t count, const uint8_t* a, int64_t a_stride,
                  const int32_t* row_sum, int64_t panel, int width) {
    const PackedB& b = *p_.b;
    const int64_t packed_panel = group * b.panels + panel;
    const int64_t element = output_element_bytes(p_.stage->type);
    const int64_t channel = group * b.n + panel * kPanelCols;
    TileArgs t = {.a = nullptr,
                  .a_stride = a_stride,
                  .rows = 0,
                  .a_signed = p_.a_signed,
                  .b = b.data.data<int8_t>() + packed_panel * b.panel_bytes(),
                  .panel_bytes = b.panel_bytes(),
                  .panels = width,
                  .k = b.k_padded,
                  .init = p_.init + packed_panel * kPanelCols};
    FinishArgs f = {};
    f.stage = p_.stage;
    f.column = packed_panel * kPanelCols;
    f.cols = static_cast<int>(std::min<int64_t>(width * kPanelCols, b.n - panel * kPanelCols));
    f.out_stride = p_.out_stride;
    f.residual_stride = p_.residual_stride;
    f.col_sum = b.col_sum.data<int32_t>();
    f.col_zero = b.col_zero.defined() ? b.col_zero.data<int32_t>() : nullptr;
    const int64_t tiles = (count + p_.row->max_rows - 1) / p_.row->max_rows;
    for (int64_t i = 0; i < tiles; ++i) {
      const Range r = part_of(count, tiles, i);
      const int64_t at = row + r.begin;
      t.a = a + r.begin * a_stride;
      t.rows = static_cast<int>(r.end - r.begin);
      f.out = p_.out + at * p_.out_stride + channel * element;
      if (p_.residual != nullptr) f.residual = p_.residual + at * p_.residual_stride + channel;
      if (p_.row_scale != nullptr) f.row_scale = p_.row_scale + at;
      if (p_.row_zero != nullptr) f.row_zero = p_.row_zero + at;
      if (row_sum != nullptr) f.row_sum = row_sum + r.begin;
      p_.row->tile(t, f);
    }
  }

  const Product& p_;
  Range rows_;
  Range panels_;
  Scratch& scratch_;
};

}  // namespace

void run_product(const Product& p, int threads) {
  const int64_t panels = p.b->groups * p.b->panels;
  if (p.m == 0 || panels == 0) return;
  const Split split = choose_split(p, threads);
  const int64_t parts = split.row_parts * split.panel_parts;
  const auto run_part = [&](int64_t i) {
    Worker(p, part_of(p.m, split.row_parts, i / split.panel_parts),
           part_of(panels, split.panel_parts, i % split.panel_parts))
        .run();
  };
  if (parts == 1) {
    run_part(0);
    return;
  }
#pragma omp parallel for num_threads(static_cast<int>(parts)) schedule(static, 1)
  for (int64_t i = 0; i < parts; ++i) run_part(i);
}

}  // namespace fewbit::int8
