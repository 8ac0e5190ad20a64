#include <algorithm>
#include <cstring>

#include "kernels/int8_gemm/int8_core.h"

#if defined(__x86_64__)
#include <emmintrin.h>
#endif

namespace fewbit::int8 {
namespace {

// Where the k-th element of a run layout goes: runs are padded to run_bytes.
struct RunLayout {
  int64_t run;        // elements of a run
  int64_t run_bytes;  // bytes it takes

  bool has_gaps() const { return run != run_bytes; }
  int64_t position(int64_t k) const { return k / run * run_bytes + k % run; }
};

uint8_t* byte_of(uint8_t* panel, int64_t position) {
  return panel + (position & ~int64_t{3}) * kPanelCols + (position & 3);
}

// Sixteen columns whose k elements are consecutive: four bytes at a time.
void pack_consecutive_k(const uint8_t* src, int64_t col_stride, int64_t cols, int64_t k,
                        uint8_t* dst) {
  for (int64_t c = 0; c < cols; ++c) {
    const uint8_t* from = src + c * col_stride;
    uint8_t* to = dst + c * 4;
    int64_t i = 0;
    for (; i + 4 <= k; i += 4) std::memcpy(to + i * kPanelCols, from + i, 4);
    for (; i < k; ++i) *byte_of(to, i) = from[i];
  }
}

// Sixteen consecutive columns of four successive k: a 4x16 byte transpose.
void pack_four_k(const uint8_t* src, int64_t k_stride, uint8_t* dst) {
#if defined(__x86_64__)
  const auto load = [&](int64_t i) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(src + i * k_stride));
  };
  const __m128i k0 = load(0), k1 = load(1), k2 = load(2), k3 = load(3);
  const __m128i lo01 = _mm_unpacklo_epi8(k0, k1), hi01 = _mm_unpackhi_epi8(k0, k1);
  const __m128i lo23 = _mm_unpacklo_epi8(k2, k3), hi23 = _mm_unpackhi_epi8(k2, k3);
  auto* to = reinterpret_cast<__m128i*>(dst);
  _mm_storeu_si128(to + 0, _mm_unpacklo_epi16(lo01, lo23));
  _mm_storeu_si128(to + 1, _mm_unpackhi_epi16(lo01, lo23));
  _mm_storeu_si128(to + 2, _mm_unpacklo_epi16(hi01, hi23));
  _mm_storeu_si128(to + 3, _mm_unpackhi_epi16(hi01, hi23));
#else
  for (int c = 0; c < kPanelCols; ++c) {
    for (int i = 0; i < 4; ++i) dst[c * 4 + i] = src[i * k_stride + c];
  }
#endif
}

void pack_panel(const PackSource& s, const RunLayout& layout, const uint8_t* src, int64_t cols,
                uint8_t* dst) {
  const bool plain = s.k_order.empty() && (s.runs == 1 || !layout.has_gaps());
  if (plain && s.k_stride == 1) {
    pack_consecutive_k(src, s.col_stride, cols, s.k, dst);
    return;
  }
  int64_t k = 0;
  if (plain && s.col_stride == 1 && cols == kPanelCols) {
    for (; k + 4 <= s.k; k += 4) {
      pack_four_k(src + k * s.k_stride, s.k_stride, dst + k * kPanelCols);
    }
  }
  for (; k < s.k; ++k) {
    const int64_t at = (s.k_order.empty() ? k : s.k_order[static_cast<size_t>(k)]) * s.k_stride;
    uint8_t* to = byte_of(dst, layout.position(k));
    for (int64_t c = 0; c < cols; ++c) to[c * 4] = src[c * s.col_stride + at];
  }
}

// uint8 to int8: xor 0x80 on the bytes that hold elements; padding stays 0.
void shift_panel(uint8_t* dst, const RunLayout& layout, int64_t cols, int64_t k) {
  for (int64_t i = 0; i < k; ++i) {
    uint8_t* line = byte_of(dst, layout.position(i));
    for (int64_t c = 0; c < cols; ++c) line[c * 4] ^= 0x80;
  }
}

void sum_columns(const uint8_t* panel, int64_t k_padded, int32_t* sums) {
  std::fill(sums, sums + kPanelCols, 0);
  for (int64_t i = 0; i < k_padded; i += 4) {
    const auto* line = reinterpret_cast<const int8_t*>(panel + i * kPanelCols);
    for (int c = 0; c < kPanelCols; ++c) {
      sums[c] += line[c * 4] + line[c * 4 + 1] + line[c * 4 + 2] + line[c * 4 + 3];
    }
  }
}

Tensor sized(Tensor&& old, DType type, int64_t elements) {
  if (old.defined() && old.elements() >= elements) return std::move(old);
  return Tensor::uninitialized(type, {elements});
}

int64_t round_up(int64_t value, int64_t multiple) {
  return (value + multiple - 1) / multiple * multiple;
}

}  // namespace

std::vector<int64_t> PackedB::channel_of() const {
  std::vector<int64_t> out(static_cast<size_t>(columns()), -1);
  const int64_t padded = panels * kPanelCols;
  for (int64_t g = 0; g < groups; ++g) {
    for (int64_t c = 0; c < n; ++c) out[static_cast<size_t>(g * padded + c)] = g * n + c;
  }
  return out;
}

void pack_b(const PackSource& s, const Row& row, PackedB& out) {
  out.k = s.k;
  out.n = s.n;
  out.groups = s.groups;
  const RunLayout layout = {s.k / s.runs, round_up(s.k / s.runs, row.k_multiple)};
  out.runs = s.runs;
  out.run_bytes = layout.run_bytes;
  out.k_padded = s.runs * layout.run_bytes;
  out.panels = round_up(s.n, kPanelCols) / kPanelCols;
  const bool all_zero = std::all_of(s.zero.begin(), s.zero.end(), [](int32_t z) { return z == 0; });
  const bool has_zero = s.is_unsigned || !all_zero;
  out.data = sized(std::move(out.data), DType::kInt8, out.columns() * out.k_padded);
  out.col_sum = sized(std::move(out.col_sum), DType::kInt32, out.columns());
  out.col_zero = has_zero ? sized(std::move(out.col_zero), DType::kInt32, out.columns()) : Tensor();
  for (int64_t p = 0; p < s.groups * out.panels; ++p) {
    const int64_t channel = p / out.panels * s.n + p % out.panels * kPanelCols;
    const int64_t cols = std::min<int64_t>(kPanelCols, s.n - p % out.panels * kPanelCols);
    uint8_t* dst = out.data.data<uint8_t>() + p * out.panel_bytes();
    if (cols < kPanelCols || layout.has_gaps()) {
      std::memset(dst, 0, static_cast<size_t>(out.panel_bytes()));
    }
    pack_panel(s, layout, s.data + channel * s.col_stride, cols, dst);
    if (s.is_unsigned) shift_panel(dst, layout, cols, s.k);
    int32_t* sums = out.col_sum.data<int32_t>() + p * kPanelCols;
    sum_columns(dst, out.k_padded, sums);
    if (!has_zero) continue;
    int32_t* zeros = out.col_zero.data<int32_t>() + p * kPanelCols;
    std::fill(zeros, zeros + kPanelCols, 0);
    for (int64_t c = 0; c < cols; ++c) {
      const size_t at = s.zero.size() == 1 ? 0 : static_cast<size_t>(channel + c);
      zeros[c] = (s.zero.empty() ? 0 : s.zero[at]) - (s.is_unsigned ? 128 : 0);
      sums[c] -= static_cast<int32_t>(s.k) * zeros[c];
    }
  }
}

Tensor sum_runs(const PackedB& b) {
  Tensor out = Tensor::uninitialized(DType::kInt32, {b.runs, b.columns()});
  for (int64_t run = 0; run < b.runs; ++run) {
    for (int64_t p = 0; p < b.groups * b.panels; ++p) {
      const uint8_t* lines = reinterpret_cast<const uint8_t*>(b.data.data<int8_t>()) +
                             p * b.panel_bytes() + run * b.run_bytes * kPanelCols;
      sum_columns(lines, b.run_bytes, out.data<int32_t>() + run * b.columns() + p * kPanelCols);
    }
  }
  return out;
}

Tensor make_init(const PackedB& b, std::span<const int32_t> bias, int32_t a_zero) {
  Tensor init = Tensor::uninitialized(DType::kInt32, {b.columns()});
  const std::vector<int64_t> channel_of = b.channel_of();
  for (int64_t i = 0; i < b.columns(); ++i) {
    const int64_t channel = channel_of[static_cast<size_t>(i)];
    const int32_t add = channel < 0 || bias.empty() ? 0 : bias[static_cast<size_t>(channel)];
    // Modulo 2^32, as the sums themselves.
    const uint32_t zero_part =
        static_cast<uint32_t>(a_zero) * static_cast<uint32_t>(b.col_sum.data<int32_t>()[i]);
    init.data<int32_t>()[i] = static_cast<int32_t>(static_cast<uint32_t>(add) - zero_part);
  }
  return init;
}

int32_t tile_zero(DType a_type, int32_t a_zero, const Row& row) {
  return a_type == DType::kInt8 && !row.signed_a ? a_zero + 128 : a_zero;
}

void copy_run(uint8_t* dst, const uint8_t* src, int64_t bytes, uint8_t flip,
              const uint8_t* src_end) {
  int64_t i = 0;
#if defined(__x86_64__)
  const __m128i mask = _mm_set1_epi8(static_cast<char>(flip));
  const int64_t readable = src_end - src;
  // Long plain copies are left to the library, which uses the widest registers there are.
  if (flip == 0 && bytes >= 128) {
    std::memcpy(dst, src, static_cast<size_t>(bytes));
    return;
  }
  for (; i < bytes && i + 16 <= readable; i += 16) {
    const __m128i v = _mm_loadu_si128(reinterpret_cast<const __m128i*>(src + i));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(dst + i), _mm_xor_si128(v, mask));
  }
#else
  (void)src_end;
#endif
  for (; i < bytes; ++i) dst[i] = src[i] ^ flip;
}

}  // namespace fewbit::int8
