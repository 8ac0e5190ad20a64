#include "kernels/int8_gemm/code_panels.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/check.h"

namespace fewbit::int8 {
namespace {

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
                         bool keep_all, Tensor& memory)
    : b_(b), row_(row), begin_(begin), keep_all_(keep_all), memory_(memory), done_(begin) {
  panel_bytes_ = b.panel_bytes();
  if (b.bits == 8) return;
  panel_bytes_ = chunks_of(b) * kChunkLines * kLineBytes;
  const int64_t bytes = (keep_all ? end - begin : kMaxTilePanels) * panel_bytes_;
  if (!memory.defined() || memory.elements() < bytes) {
    memory = Tensor::uninitialized(DType::kInt8, {bytes});
  }
}

void PanelReader::set(int64_t panel, int64_t count, int64_t k_begin, int64_t k_end) {
  if (b_.bits == 8) {
    first_ = std::as_const(b_.data).data<int8_t>() + panel * panel_bytes_;
    return;
  }
  if (keep_all_) {
    auto* to = memory_.data<int8_t>() + (panel - begin_) * panel_bytes_;
    first_ = to;
    if (panel < done_) return;
    unpack(panel, count, 0, chunks_of(b_), to);
    done_ = panel + count;
    return;
  }
  if (panel == panel_ && k_begin == first_k_ && k_end == end_k_) return;
  panel_ = panel;
  first_k_ = k_begin;
  end_k_ = k_end;
  const int64_t chunks = (k_end - k_begin + kChunkK - 1) / kChunkK;
  panel_bytes_ = chunks * kChunkLines * kLineBytes;
  first_ = memory_.data<int8_t>();
  unpack(panel, count, k_begin / kChunkK, chunks, memory_.data<int8_t>());
}

// To panels panel_bytes_ apart.
void PanelReader::unpack(int64_t panel, int64_t count, int64_t chunk, int64_t chunks,
                         int8_t* to) const {
  for (int64_t i = 0; i < count; ++i) {
    row_.unpack(b_.bits,
                std::as_const(b_.data).data<uint8_t>() + (panel + i) * code_bytes(b_) +
                    chunk * b_.bits * kLineBytes,
                std::as_const(b_.code_zero).data<uint8_t>() + (panel + i) * kLineBytes, chunks,
                to + i * panel_bytes_);
  }
}

}  // namespace fewbit::int8
