#include "kernels/int8_gemm/code_panels.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"

namespace fewbit::int8 {
namespace {

// Panels of a thread that take no more than this are unpacked once: half of a small second-level
// cache (int8_core.cpp cuts the rows of A so that they fit beside them).
constexpr int64_t kKeepBytes = int64_t{512} << 10;

int64_t chunks_of(const PackedB& b) {
  return (b.k_padded + kChunkK - 1) / kChunkK;
}

int64_t code_bytes(const PackedB& b) {
  return chunks_of(b) * b.bits * kLineBytes;
}

struct Extent {
  int lo = 0, hi = 0;
};

// Smallest and largest value of each column of a panel. 0 counts where zeros fill up its runs.
std::array<Extent, kPanelCols> extents(const int8_t* panel, int64_t lines, bool with_zero) {
  std::array<Extent, kPanelCols> out;
  if (!with_zero) out.fill({127, -128});
  for (int64_t i = 0; i < lines * kLineBytes; ++i) {
    Extent& e = out[static_cast<size_t>(i % kLineBytes / 4)];
    e.lo = std::min<int>(e.lo, panel[i]);
    e.hi = std::max<int>(e.hi, panel[i]);
  }
  return out;
}

bool all_plus_minus_one(const int8_t* values, int64_t count) {
  return std::all_of(values, values + count, [](int8_t v) { return v == 1 || v == -1; });
}

int bits_for(int span) {
  int bits = 2;
  while ((1 << bits) <= span) ++bits;
  return bits;
}

// Eight lines of values to the planes of one chunk.
void write_chunk(const int8_t* values, const uint8_t* zero, int bits, uint8_t* out) {
  int low = 0;
  for (const int width : {4, 2, 1}) {
    if ((bits & width) == 0) continue;
    const int per_line = 8 / width;
    for (int64_t line = 0; line < kChunkLines; ++line) {
      uint8_t* to = out + line / per_line * kLineBytes;
      const int at = static_cast<int>(line) % per_line * width;
      for (int64_t i = 0; i < kLineBytes; ++i) {
        const auto above = static_cast<uint8_t>(values[line * kLineBytes + i] + zero[i]);
        const int code = bits == 1 ? above / 2 : above;
        to[i] = static_cast<uint8_t>(to[i] | (code >> low & ((1 << width) - 1)) << at);
      }
    }
    out += width * kLineBytes;
    low += width;
  }
}

}  // namespace

void compress_panels(PackedB& b) {
  const int64_t panels = b.groups * b.panels, lines = b.k_padded / 4;
  const bool padded = b.run_bytes * b.runs != b.k;
  const auto* values = std::as_const(b.data).data<int8_t>();
  // Columns that do not exist are 0, so that with them nothing is all -1 or +1; their sums are
  // never looked at.
  const bool binary =
      !padded && b.n % kPanelCols == 0 && all_plus_minus_one(values, panels * b.panel_bytes());
  Tensor zeros = Tensor::zeros(DType::kUint8, {panels, kLineBytes});
  int span = 0;
  for (int64_t p = 0; p < panels; ++p) {
    const auto extent = extents(values + p * b.panel_bytes(), lines, padded);
    for (int64_t i = 0; i < kLineBytes; ++i) {
      const Extent& e = extent[static_cast<size_t>(i / 4)];
      span = std::max(span, e.hi - e.lo);
      zeros.data<uint8_t>()[p * kLineBytes + i] = static_cast<uint8_t>(binary ? 1 : -e.lo);
    }
  }
  const int bits = binary ? 1 : bits_for(span);
  if (bits >= 8) return;
  b.bits = bits;
  Tensor codes = Tensor::zeros(DType::kUint8, {panels * code_bytes(b)});
  for (int64_t p = 0; p < panels; ++p) {
    const uint8_t* zero = std::as_const(zeros).data<uint8_t>() + p * kLineBytes;
    for (int64_t c = 0; c < chunks_of(b); ++c) {
      // The last chunk may reach past the panel: what it holds there is never multiplied.
      std::array<int8_t, kChunkLines * kLineBytes> chunk;
      for (size_t i = 0; i < chunk.size(); ++i) {
        chunk[i] = static_cast<int8_t>(binary ? 1 : -zero[i % kLineBytes]);
      }
      const int64_t from = c * kChunkLines;
      std::memcpy(chunk.data(), values + p * b.panel_bytes() + from * kLineBytes,
                  static_cast<size_t>(std::min(kChunkLines, lines - from) * kLineBytes));
      write_chunk(chunk.data(), zero, bits,
                  codes.data<uint8_t>() + p * code_bytes(b) + c * bits * kLineBytes);
    }
  }
  b.data = std::move(codes);
  b.code_zero = std::move(zeros);
}

PanelReader::PanelReader(const PackedB& b, const Row& row, int64_t begin, int64_t end,
                         Tensor& memory)
    : b_(b), row_(row), begin_(begin), end_(end), panel_bytes_(b.panel_bytes()), done_(begin) {
  if (b.bits == 8) return;
  panel_bytes_ = chunks_of(b) * kChunkLines * kLineBytes;
  keeps_all_ = (end - begin) * panel_bytes_ <= kKeepBytes;
  const int64_t panels = keeps_all_ ? end - begin : 2 * kMaxTilePanels;
  if (!memory.defined() || memory.elements() < panels * panel_bytes_) {
    memory = Tensor::uninitialized(DType::kInt8, {panels * panel_bytes_});
  }
  memory_ = memory.data<int8_t>();
}

const int8_t* PanelReader::get(int64_t panel) {
  if (b_.bits == 8) return std::as_const(b_.data).data<int8_t>() + panel * panel_bytes_;
  if (keeps_all_ && panel < done_) return memory_ + (panel - begin_) * panel_bytes_;
  if (panel == now_) return now_place_;
  if (panel != job_begin_) start(panel);
  row_.unpack(job_, job_.chunks);
  now_ = panel;
  now_place_ = job_place_;
  done_ = job_end_;
  if (done_ < end_) start(done_);
  return now_place_;
}

// A job for the tile that begins with `panel`: two panels at most, of one group.
void PanelReader::start(int64_t panel) {
  const int64_t in_group = b_.panels - panel % b_.panels;
  const int64_t count = std::min({int64_t{row_.max_panels}, in_group, end_ - panel});
  const int64_t other = now_place_ == memory_ ? kMaxTilePanels : 0;
  job_begin_ = panel;
  job_end_ = panel + count;
  job_place_ = memory_ + (keeps_all_ ? panel - begin_ : other) * panel_bytes_;
  job_.bits = b_.bits;
  job_.codes = std::as_const(b_.data).data<uint8_t>() + panel * code_bytes(b_);
  job_.zero = std::as_const(b_.code_zero).data<uint8_t>() + panel * kLineBytes;
  job_.panel = job_place_;
  job_.chunks_per_panel = chunks_of(b_);
  job_.chunk_of_panel = 0;
  job_.chunks = count * job_.chunks_per_panel;
}

}  // namespace fewbit::int8
