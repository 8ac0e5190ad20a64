#include "kernels/few_bit/few_bit.h"

#include <omp.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/check.h"
#include "base/huge_buffer.h"
#include "base/tensor.h"
#include "formats/affine.h"
#include "kernels/few_bit/few_bit_core.h"
#include "numerics/half.h"

namespace fewbit {
namespace few_bit {
namespace {

constexpr const Row* kRows[] = {
    &kScalarRow,
#if defined(__x86_64__)
    &kAvx2Row,
    &kAvxVnniRow,
    &kAvx512VnniRow,
#endif
};

// AMX has no kernel of its own yet: beside it there is always AVX512-VNNI.
Result<const Row*> find_row(std::optional<Isa> isa) {
  if (!isa) {
    FEWBIT_ASSIGN(isa, selected_isa());
  } else if (!isa_runs_here(*isa)) {
    return unsupported("instruction set {} is not available on this processor", name_of(*isa));
  }
  const Isa wanted = std::min(*isa, Isa::kAvx512Vnni);
  for (const Row* row : kRows) {
    if (row->isa == wanted) return row;
  }
  return unsupported("few-bit products have no kernel for {}", name_of(*isa));
}

}  // namespace

std::span<const Row* const> all_rows() {
  return kRows;
}

}  // namespace few_bit

Result<Isa> few_bit_isa() {
  FEWBIT_ASSIGN(const few_bit::Row* row, few_bit::find_row(std::nullopt));
  return row->isa;
}

using few_bit::Layout;

struct FewBitGemm::Impl {
  const few_bit::Row* row = nullptr;
  Layout layout;
  int64_t n = 0;
  int64_t k = 0;
  int32_t zero = 0;  // of all groups, where offset = -zero * scale
  int64_t group_elems = 0;
  Tensor panels;  // uint8
  std::vector<float> bias;

  int64_t panel_count() const { return (n + few_bit::kPanelRows - 1) / few_bit::kPanelRows; }
  int64_t padded_k() const { return (k + few_bit::kChunk - 1) / few_bit::kChunk * few_bit::kChunk; }
};

namespace {

// Measured on a Sapphire Rapids: four streams read 10 to 40 % more than one.
constexpr int64_t kPrefetchBytes = 2048;
constexpr int kStreams = 4;

using few_bit::kChunk;
using few_bit::kMaxRows;
using few_bit::kPanelRows;

// Sixteen rows, unpacked: codes [16][k rounded up], scales and offsets [16][groups].
struct PanelSource {
  std::vector<uint8_t> codes;
  std::vector<float> scales, offsets;
};

bool all_are_halves(const std::vector<float>& scales) {
  return std::all_of(scales.begin(), scales.end(),
                     [](float s) { return Half::from_float(s).to_float() == s; });
}

class Packer {
 public:
  Packer(const PackedMatrix& matrix, const AffineForm& form, FewBitGemm::Impl& impl)
      : matrix_(matrix), form_(form), impl_(impl), source_groups_(groups()) {}

  void run() {
    Layout& layout = impl_.layout;
    layout.bits = form_.bits;
    // Groups of an odd multiple of 16 are taken as groups of 16 that repeat their scale.
    const bool whole_chunks = form_.group_elems % kChunk == 0 || form_.group_elems >= matrix_.cols;
    // Longer groups are taken in parts, so that 255 * 127 * elements stays within int32.
    constexpr int64_t kLongestGroup = 32768;
    const int64_t rounded = (form_.group_elems + kChunk - 1) / kChunk * kChunk;
    impl_.group_elems = whole_chunks ? std::min(rounded, kLongestGroup) : 16;
    layout.chunks_per_group = whole_chunks ? group_chunks() : 0;
    layout.groups = (matrix_.cols + impl_.group_elems - 1) / impl_.group_elems;
    layout.offsets = !form_.zero;
    impl_.zero = form_.zero.value_or(0);
    PanelSource first = unpack(0);
    layout.half_scales = scales_are_halves();
    layout.panel_bytes = bytes_of_panel();
    impl_.panels = huge_bytes(impl_.panel_count() * layout.panel_bytes);
#pragma omp parallel for schedule(dynamic)
    for (int64_t p = 0; p < impl_.panel_count(); ++p) {
      write(p == 0 ? first : unpack(p), impl_.panels.data<uint8_t>() + p * layout.panel_bytes);
    }
  }

 private:
  int64_t groups() const {
    return (matrix_.cols + form_.group_elems - 1) / form_.group_elems;
  }
  // The last group of a row may have fewer chunks: it is filled up, so that all are alike.
  int64_t group_chunks() const {
    return std::min(impl_.group_elems, impl_.padded_k()) / kChunk;
  }
  int64_t bytes_of_panel() const {
    const Layout& l = impl_.layout;
    const int64_t steps = l.chunks_per_group == 0 ? (l.groups + 1) / 2 : l.groups;
    return steps * l.step_bytes();
  }

  bool scales_are_halves() const {
    std::vector<uint8_t> codes(static_cast<size_t>(matrix_.cols));
    std::vector<float> scales(static_cast<size_t>(source_groups_)), offsets(scales.size());
    for (int64_t row = 0; row < matrix_.rows; ++row) {
      affine_row(matrix_, row, codes.data(), scales.data(), offsets.data());
      if (!all_are_halves(scales)) return false;
    }
    return true;
  }

  PanelSource unpack(int64_t panel) const {
    const Layout& l = impl_.layout;
    PanelSource s;
    const int64_t width = padded_width();
    s.codes.assign(static_cast<size_t>(kPanelRows * width), 0);
    s.scales.assign(static_cast<size_t>(kPanelRows * l.groups), 0);
    s.offsets = s.scales;
    std::vector<float> scales(static_cast<size_t>(source_groups_)), offsets(scales.size());
    for (int64_t r = 0; r < std::min(kPanelRows, matrix_.rows - panel * kPanelRows); ++r) {
      affine_row(matrix_, panel * kPanelRows + r, s.codes.data() + r * width, scales.data(),
                 offsets.data());
      for (int64_t g = 0; g < l.groups; ++g) {
        const auto from = static_cast<size_t>(
            std::min(g * impl_.group_elems / form_.group_elems, source_groups_ - 1));
        s.scales[static_cast<size_t>(r * l.groups + g)] = scales[from];
        s.offsets[static_cast<size_t>(r * l.groups + g)] = offsets[from];
      }
    }
    return s;
  }

  int64_t padded_width() const {
    const Layout& l = impl_.layout;
    return l.chunks_per_group == 0 ? impl_.padded_k() : l.groups * l.chunks_per_group * kChunk;
  }

  void write(const PanelSource& s, uint8_t* out) const {
    const Layout& l = impl_.layout;
    const int64_t width = padded_width();
    int64_t k = 0;
    for (int64_t g = 0; g < l.groups;) {
      const int64_t chunks = std::max<int64_t>(l.chunks_per_group, 1);
      for (int64_t c = 0; c < chunks; ++c, k += kChunk) {
        write_chunk(s.codes.data() + k, width, out);
        out += l.chunk_bytes();
      }
      const int64_t vectors = l.chunks_per_group == 0 ? 2 : 1;
      for (int64_t v = 0; v < vectors; ++v, ++g) out = write_scales(s, g, out);
    }
  }

  // 16 rows of 32 codes, `stride` apart.
  void write_chunk(const uint8_t* codes, int64_t stride, uint8_t* out) const {
    int shift = 0;
    for (const int width : {8, 4, 2, 1}) {
      if (impl_.layout.bits - shift < width) continue;
      const int per_line = 8 / width;  // lines of 4 k that share the plane's line
      const int mask = (1 << width) - 1;
      for (int64_t r = 0; r < kPanelRows; ++r) {
        const uint8_t* row = codes + r * stride;
        for (int64_t line = 0; line < kChunk / 4; ++line) {
          uint8_t* four = out + line / per_line * 64 + 4 * r;
          const int at = static_cast<int>(line) % per_line * width;
          for (int i = 0; i < 4; ++i) {
            four[i] = static_cast<uint8_t>(four[i] | (row[line * 4 + i] >> shift & mask) << at);
          }
        }
      }
      out += kPanelRows * kChunk * width / 8;
      shift += width;
    }
  }

  uint8_t* write_scales(const PanelSource& s, int64_t g, uint8_t* out) const {
    const Layout& l = impl_.layout;
    for (int64_t r = 0; r < kPanelRows && g < l.groups; ++r) {
      const auto at = static_cast<size_t>(r * l.groups + g);
      const Half half = Half::from_float(s.scales[at]);
      if (l.half_scales) std::memcpy(out + 2 * r, &half, 2);
      if (!l.half_scales) std::memcpy(out + 4 * r, &s.scales[at], 4);
      if (l.offsets) std::memcpy(out + l.scale_bytes() + 4 * r, &s.offsets[at], 4);
    }
    return out + l.scale_bytes() + (l.offsets ? kPanelRows * 4 : 0);
  }

  const PackedMatrix& matrix_;
  const AffineForm& form_;
  FewBitGemm::Impl& impl_;
  int64_t source_groups_;
};

// All rows of x as int8, with what the kernels need of their sums.
struct QuantizedRows {
  std::vector<int8_t> q;
  std::vector<int32_t> start;
  std::vector<float> group_sum, scale;
};

void quantize_row(const float* x, const FewBitGemm::Impl& impl, int64_t m, int64_t width,
                  QuantizedRows& out) {
  // Magnitudes compare as their bits do; infinity and NaN have the largest.
  uint32_t largest_bits = 0;
  for (int64_t k = 0; k < impl.k; ++k) {
    largest_bits = std::max(largest_bits, std::bit_cast<uint32_t>(x[k]) & 0x7fffffffU);
  }
  const bool finite = largest_bits < 0x7f800000U;
  const float scale = finite ? std::bit_cast<float>(largest_bits) / 127.0F : 0.0F;
  const bool usable = scale >= std::numeric_limits<float>::min();
  const float inverse = usable ? 1.0F / scale : 0.0F;
  int8_t* q = out.q.data() + m * width;
  if (usable) {
    constexpr float kRounder =
        12582912.0F;  // 1.5 * 2^23: its sum with a small number is an integer
    for (int64_t k = 0; k < impl.k; ++k) {
      q[k] = static_cast<int8_t>(static_cast<int32_t>((x[k] * inverse + kRounder) - kRounder));
    }
  }
  out.scale[static_cast<size_t>(m)] =
      finite ? (usable ? scale : 0.0F) : std::numeric_limits<float>::quiet_NaN();
  const int64_t groups = impl.layout.groups;
  for (int64_t g = 0; g < groups; ++g) {
    int32_t sum = 0;
    const int64_t end = std::min((g + 1) * impl.group_elems, impl.k);
    for (int64_t k = g * impl.group_elems; k < end; ++k) sum += q[k];
    out.start[static_cast<size_t>(m * groups + g)] = -impl.zero * sum;
    out.group_sum[static_cast<size_t>(m * groups + g)] = static_cast<float>(sum);
  }
}

}  // namespace

Result<FewBitGemm> FewBitGemm::prepare(const PackedMatrix& matrix, std::span<const float> bias,
                                       std::optional<Isa> isa) {
  const std::optional<AffineForm> form = affine_form(matrix.format, matrix.cols);
  if (!form) {
    return unsupported("few-bit products take integers under a scale, not {}",
                       matrix.format.name());
  }
  FEWBIT_CHECK(bias.empty() || bias.size() == static_cast<size_t>(matrix.rows), bias.size(),
               matrix.rows);
  auto impl = std::make_shared<Impl>();
  FEWBIT_ASSIGN(impl->row, few_bit::find_row(isa));
  impl->n = matrix.rows;
  impl->k = matrix.cols;
  impl->bias.assign(bias.begin(), bias.end());
  Packer(matrix, *form, *impl).run();
  return FewBitGemm(std::move(impl));
}

void FewBitGemm::run(const FewBitCall& call, int threads) const {
  const Impl& impl = *impl_;
  // Waking a thread takes microseconds, in which another multiplies this much.
  constexpr int64_t kMacsPerThread = int64_t{1} << 18;
  threads = static_cast<int>(
      std::clamp<int64_t>(call.m * impl.n * impl.k / kMacsPerThread, 1, std::max(threads, 1)));
  const Layout& layout = impl.layout;
  const int64_t x_stride = call.x_stride > 0 ? call.x_stride : impl.k;
  const int64_t y_stride = call.y_stride > 0 ? call.y_stride : impl.n;
  const int64_t width = layout.chunks_per_group == 0
                            ? impl.padded_k()
                            : layout.groups * layout.chunks_per_group * kChunk;
  QuantizedRows rows;
  rows.q.assign(static_cast<size_t>(call.m * width), 0);
  rows.start.resize(static_cast<size_t>(call.m * layout.groups));
  rows.group_sum.resize(rows.start.size());
  rows.scale.resize(static_cast<size_t>(call.m));
  // Panels that stay in the second-level cache while all rows of x pass.
  constexpr int64_t kBlockBytes = int64_t{256} << 10;
  const int64_t block = call.m <= kMaxRows ? std::max<int64_t>(impl.panel_count() / threads, 1)
                                           : std::max<int64_t>(kBlockBytes / layout.panel_bytes, 1);
  const int64_t whole = impl.n / kPanelRows;  // panels without rows that fill up
#pragma omp parallel num_threads(threads)
  {
#pragma omp for schedule(static)
    for (int64_t m = 0; m < call.m; ++m) {
      quantize_row(call.x + m * x_stride, impl, m, width, rows);
    }
#pragma omp for schedule(static)
    for (int64_t p = 0; p < impl.panel_count(); p += block) {
      for (int64_t m = 0; m < call.m; m += kMaxRows) {
        few_bit::PanelJob job;
        job.layout = &layout;
        job.rows = static_cast<int>(std::min<int64_t>(kMaxRows, call.m - m));
        job.x = {rows.q.data() + m * width, width, rows.start.data() + m * layout.groups,
                 rows.group_sum.data() + m * layout.groups, rows.scale.data() + m};
        job.prefetch_bytes = kPrefetchBytes;
        job.streams = kStreams;
        job.panels = impl.panels.data<uint8_t>() + p * layout.panel_bytes;
        job.panel_count = std::clamp<int64_t>(whole - p, 0, block);
        job.y = call.y + m * y_stride + p * kPanelRows;
        job.y_stride = y_stride;
        impl.row->run(job);
        if (p + block <= whole || whole == impl.panel_count()) continue;
        // The last panel sticks out of y.
        std::array<float, kMaxRows * kPanelRows> last;
        job.panels = impl.panels.data<uint8_t>() + whole * layout.panel_bytes;
        job.panel_count = 1;
        job.y = last.data();
        job.y_stride = kPanelRows;
        impl.row->run(job);
        for (int64_t i = 0; i < job.rows; ++i) {
          std::copy_n(last.data() + i * kPanelRows, impl.n - whole * kPanelRows,
                      call.y + (m + i) * y_stride + whole * kPanelRows);
        }
      }
    }
    if (!impl.bias.empty()) {
#pragma omp for schedule(static)
      for (int64_t m = 0; m < call.m; ++m) {
        for (int64_t n = 0; n < impl.n; ++n) {
          call.y[m * y_stride + n] += impl.bias[static_cast<size_t>(n)];
        }
      }
    }
  }
}

FewBitGemm FewBitGemm::duplicate() const {
  auto impl = std::make_shared<Impl>(*impl_);
  impl->panels = huge_bytes(impl_->panels.bytes());
  std::memcpy(impl->panels.raw(), impl_->panels.raw(), static_cast<size_t>(impl_->panels.bytes()));
  return FewBitGemm(std::move(impl));
}

int64_t FewBitGemm::rows() const {
  return impl_->n;
}
int64_t FewBitGemm::depth() const {
  return impl_->k;
}
int64_t FewBitGemm::packed_bytes() const {
  return impl_->panels.bytes();
}
Isa FewBitGemm::isa() const {
  return impl_->row->isa;
}

}  // namespace fewbit
