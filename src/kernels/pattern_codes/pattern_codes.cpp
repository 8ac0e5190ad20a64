#include "kernels/pattern_codes/pattern_codes.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/huge_buffer.h"
#include "base/tensor.h"
#include "formats/affine.h"
#include "formats/sherry.h"
#include "kernels/pattern_codes/pattern_core.h"
#include "kernels/quantize_rows.h"
#include "numerics/half.h"

namespace fewbit {
namespace pattern_codes {
namespace {

constexpr const Row* kRows[] = {
    &kScalarRow,
#if defined(__x86_64__)
    &kAvx2Row,
    &kAvxVnniRow,
    &kAvx512VnniRow,
#endif
};

// The last row that `isa` has: AMX has no kernel of its own beside AVX512-VNNI, nor has NEON.
Result<const Row*> find_row(std::optional<Isa> isa) {
  if (!isa) {
    FEWBIT_ASSIGN(isa, selected_isa());
  } else if (!isa_runs_here(*isa)) {
    return unsupported("instruction set {} is not available on this processor", name_of(*isa));
  }
  const Row* best = nullptr;
  for (const Row* row : kRows) {
    if (row->isa <= *isa) best = row;
  }
  return best;
}

// Weights -1, 0, 1 under a scale, each with a code of its own, 0, 1, 2.
bool is_ternary(const std::optional<AffineForm>& form) {
  return form && form->bits == 2 && form->zero == 1;
}

}  // namespace

std::span<const Row* const> all_rows() {
  return kRows;
}

}  // namespace pattern_codes

using pattern_codes::kBlockCodes;
using pattern_codes::kBlockDwords;
using pattern_codes::kCodesPerDword;
using pattern_codes::kLineBytes;
using pattern_codes::kPanelRows;
using pattern_codes::Layout;

struct PatternGemm::Impl {
  const pattern_codes::Row* row = nullptr;
  Layout layout;
  int64_t n = 0;
  int64_t k = 0;
  Tensor panels;  // uint8
  std::vector<float> bias;

  int64_t panel_count() const { return (n + kPanelRows - 1) / kPanelRows; }
};

namespace {

// Measured on a Sapphire Rapids; see docs/kernels-pattern-codes.md.
constexpr int64_t kPrefetchBytes = 2048;

// Sums of 2 * 127 * k have to stay within int32.
constexpr int64_t kLongestRow = int64_t{1} << 23;

// One row of a matrix as codes of 5 bits, those of a group from group * codes_per_group on.
struct CodeRow {
  std::vector<uint8_t> codes;
  std::vector<float> scales;
};

// Reads rows of either kind of format.
class CodeSource {
 public:
  explicit CodeSource(const PackedMatrix& matrix) : matrix_(matrix) {
    if (formats::is_sherry(matrix.format)) {
      weights_per_code = formats::kSherryQuad;
      const int64_t size = matrix.format.group_elems;
      group_elems = size > 0 ? std::min(size, matrix.cols) : matrix.cols;
      for (size_t c = 0; c < table.size(); ++c) {
        for (size_t i = 0; i < 4; ++i) {
          table[c][i] = static_cast<uint8_t>(formats::sherry_patterns()[c][i] + 1);
        }
      }
    } else {
      weights_per_code = 3;
      group_elems = std::min(affine_form(matrix.format, matrix.cols)->group_elems, matrix.cols);
      for (uint8_t c = 0; c < 27; ++c) {
        table[c] = {static_cast<uint8_t>(c % 3), static_cast<uint8_t>(c / 3 % 3),
                    static_cast<uint8_t>(c / 9), 0};
      }
    }
    groups = (matrix.cols + group_elems - 1) / group_elems;
    codes_per_group = (group_elems + weights_per_code - 1) / weights_per_code;
  }

  /// False: a code stands for none of -1, 0, 1.
  bool read(int64_t row, CodeRow& out) const {
    out.codes.assign(static_cast<size_t>(groups * codes_per_group), 0);
    out.scales.resize(static_cast<size_t>(groups));
    if (weights_per_code == 3) return read_ternary(row, out);
    // A group is whole codes, but for the last one of a row.
    std::vector<uint8_t> codes(static_cast<size_t>((matrix_.cols + 3) / 4));
    formats::sherry_row(matrix_, row, codes.data(), out.scales.data());
    std::copy(codes.begin(), codes.end(), out.codes.begin());
    return true;
  }

  int weights_per_code = 0;
  int64_t group_elems = 0;
  int64_t groups = 0;
  int64_t codes_per_group = 0;
  pattern_codes::PatternTable table{};

 private:
  bool read_ternary(int64_t row, CodeRow& out) const {
    constexpr std::array<int, 3> kPlace = {1, 3, 9};
    std::vector<uint8_t> digits(static_cast<size_t>(matrix_.cols));
    std::vector<float> offsets(out.scales.size());
    affine_row(matrix_, row, digits.data(), out.scales.data(), offsets.data());
    for (int64_t k = 0; k < matrix_.cols; ++k) {
      const int digit = digits[static_cast<size_t>(k)];
      if (digit > 2) return false;
      const int64_t in_group = k % group_elems;
      uint8_t& code =
          out.codes[static_cast<size_t>(k / group_elems * codes_per_group + in_group / 3)];
      code = static_cast<uint8_t>(code + digit * kPlace[static_cast<size_t>(in_group % 3)]);
    }
    return true;
  }

  const PackedMatrix& matrix_;
};

class Packer {
 public:
  Packer(const PackedMatrix& matrix, PatternGemm::Impl& impl)
      : matrix_(matrix), source_(matrix), impl_(impl) {}

  Status run() {
    Layout& layout = impl_.layout;
    layout.table = source_.table;
    layout.weights_per_code = source_.weights_per_code;
    layout.group_elems = source_.group_elems;
    layout.groups = source_.groups;
    // 31 codes take as many dwords as a block.
    layout.blocks = (source_.codes_per_group + 1) / kBlockCodes;
    layout.tail = std::max<int64_t>(source_.codes_per_group - layout.blocks * kBlockCodes, 0);
    FEWBIT_TRY(check_rows());
    layout.panel_bytes = layout.groups * layout.group_bytes();
    impl_.panels = huge_bytes(impl_.panel_count() * layout.panel_bytes);
#pragma omp parallel for schedule(dynamic)
    for (int64_t p = 0; p < impl_.panel_count(); ++p) write_panel(p);
    return {};
  }

 private:
  // All codes have patterns; and whether all scales are float16.
  Status check_rows() {
    CodeRow row;
    for (int64_t r = 0; r < matrix_.rows; ++r) {
      if (!source_.read(r, row)) {
        return unsupported(
            "row {} of a matrix in {} has a code above 2, which no pattern stands for", r,
            matrix_.format.name());
      }
      for (const float s : row.scales) {
        if (Half::from_float(s).to_float() != s) impl_.layout.half_scales = false;
      }
    }
    return {};
  }

  void write_panel(int64_t p) const {
    const Layout& layout = impl_.layout;
    CodeRow row;
    for (int64_t lane = 0; lane < std::min(kPanelRows, matrix_.rows - p * kPanelRows); ++lane) {
      source_.read(p * kPanelRows + lane, row);
      uint8_t* out = impl_.panels.data<uint8_t>() + p * layout.panel_bytes;
      for (int64_t g = 0; g < layout.groups; ++g) {
        out = write_group(row, g, lane, out);
      }
    }
  }

  uint8_t* write_group(const CodeRow& row, int64_t g, int64_t lane, uint8_t* out) const {
    const Layout& layout = impl_.layout;
    const uint8_t* codes = row.codes.data() + g * source_.codes_per_group;
    int64_t left = source_.codes_per_group;
    for (int64_t b = 0; b < layout.blocks; ++b) {
      write_block(codes, std::min(left, kBlockCodes), lane, out);
      codes += kBlockCodes;
      left -= kBlockCodes;
      out += kBlockDwords * kLineBytes;
    }
    for (; left > 0; left -= kCodesPerDword) {
      put(out, lane, six_codes(codes, std::min(left, kCodesPerDword)));
      codes += kCodesPerDword;
      out += kLineBytes;
    }
    const float scale = row.scales[static_cast<size_t>(g)];
    const Half half = Half::from_float(scale);
    if (layout.half_scales) std::memcpy(out + 2 * lane, &half, 2);
    if (!layout.half_scales) std::memcpy(out + 4 * lane, &scale, 4);
    return out + layout.scale_bytes();
  }

  static void put(uint8_t* line, int64_t lane, uint32_t dword) {
    std::memcpy(line + 4 * lane, &dword, sizeof(dword));
  }

  static uint32_t six_codes(const uint8_t* codes, int64_t count) {
    uint32_t dword = 0;
    for (int64_t i = 0; i < count; ++i) dword |= uint32_t{codes[i]} << 5 * i;
    return dword;
  }

  static void write_block(const uint8_t* codes, int64_t count, int64_t lane, uint8_t* out) {
    std::array<uint8_t, kBlockCodes> all{};
    std::copy_n(codes, count, all.begin());
    // The ten bits of the last two codes, two to a dword.
    const uint32_t rests = all[30] | uint32_t{all[31]} << 5;
    for (int64_t d = 0; d < kBlockDwords; ++d) {
      put(out + d * kLineBytes, lane,
          six_codes(all.data() + d * kCodesPerDword, kCodesPerDword) | (rests >> 2 * d & 3) << 30);
    }
  }

  const PackedMatrix& matrix_;
  CodeSource source_;
  PatternGemm::Impl& impl_;
};

// All rows of x as int8, with what the kernels need of their sums.
struct QuantizedRows {
  int64_t width = 0;  // of a row as the kernel takes it
  std::vector<int8_t> q;
  std::vector<int32_t> start;
  std::vector<float> scale;
};

void quantize(const float* x, const PatternGemm::Impl& impl, int64_t m, QuantizedRows& out) {
  const Layout& layout = impl.layout;
  int8_t* row = out.q.data() + m * out.width;
  std::vector<int8_t> plain;
  if (impl.row->arrange != nullptr) plain.assign(static_cast<size_t>(layout.padded_k()), 0);
  int8_t* q = impl.row->arrange != nullptr ? plain.data() : row;
  out.scale[static_cast<size_t>(m)] = quantize_row(x, impl.k, q);
  int32_t* start = out.start.data() + m * layout.groups;
  sum_groups(q, impl.k, layout.group_elems, start);
  for (int64_t g = 0; g < layout.groups; ++g) start[g] = -start[g];
  if (impl.row->arrange != nullptr) impl.row->arrange(layout, q, row);
}

}  // namespace

bool has_pattern_codes(const Format& format, int64_t cols) {
  return formats::is_sherry(format) || pattern_codes::is_ternary(affine_form(format, cols));
}

bool prefers_pattern_codes(const Format& format, int64_t cols, int64_t m) {
  constexpr int64_t kManyRows = 16;
  if (!has_pattern_codes(format, cols)) return false;
  const Result<Isa> isa = pattern_codes_isa();
  return m < kManyRows && isa.ok() && *isa == Isa::kAvx512Vnni;
}

Result<Isa> pattern_codes_isa() {
  FEWBIT_ASSIGN(const pattern_codes::Row* row, pattern_codes::find_row(std::nullopt));
  return row->isa;
}

Result<PatternGemm> PatternGemm::prepare(const PackedMatrix& matrix, std::span<const float> bias,
                                         std::optional<Isa> isa) {
  if (!has_pattern_codes(matrix.format, matrix.cols)) {
    return unsupported("products of pattern codes take ternary formats and sherry1.25, not {}",
                       matrix.format.name());
  }
  if (matrix.cols > kLongestRow) {
    return unsupported("products of pattern codes take rows of up to {} weights, not {}",
                       kLongestRow, matrix.cols);
  }
  FEWBIT_CHECK(bias.empty() || bias.size() == static_cast<size_t>(matrix.rows), bias.size(),
               matrix.rows);
  auto impl = std::make_shared<Impl>();
  FEWBIT_ASSIGN(impl->row, pattern_codes::find_row(isa));
  impl->n = matrix.rows;
  impl->k = matrix.cols;
  impl->bias.assign(bias.begin(), bias.end());
  FEWBIT_TRY(Packer(matrix, *impl).run());
  return PatternGemm(std::move(impl));
}

void PatternGemm::run(const ProductCall& call, int threads) const {
  const Impl& impl = *impl_;
  const Layout& layout = impl.layout;
  const int64_t x_stride = call.x_stride > 0 ? call.x_stride : impl.k;
  QuantizedRows rows;
  rows.width = impl.row->arrange != nullptr ? impl.row->arranged_bytes(layout) : layout.padded_k();
  rows.q.assign(static_cast<size_t>(call.m * rows.width), 0);
  rows.start.resize(static_cast<size_t>(call.m * layout.groups));
  rows.scale.resize(static_cast<size_t>(call.m));
  const PanelProduct product = {impl.n, impl.k, layout.panel_bytes, impl.bias};
  product.run(
      call, threads, [&](int64_t m) { quantize(call.x + m * x_stride, impl, m, rows); },
      [&](const PanelProduct::Part& part) {
        pattern_codes::PanelJob job;
        job.layout = &layout;
        job.panels = impl.panels.data<uint8_t>() + part.panel * layout.panel_bytes;
        job.panel_count = part.count;
        job.x = {rows.q.data() + part.row * rows.width, rows.width,
                 rows.start.data() + part.row * layout.groups, rows.scale.data() + part.row};
        job.rows = part.rows;
        job.prefetch_bytes = kPrefetchBytes;
        job.y = part.y;
        job.y_stride = part.y_stride;
        impl.row->run(job);
      });
}

PatternGemm PatternGemm::duplicate() const {
  auto impl = std::make_shared<Impl>(*impl_);
  impl->panels = huge_copy(impl_->panels);
  return PatternGemm(std::move(impl));
}

int64_t PatternGemm::rows() const {
  return impl_->n;
}
int64_t PatternGemm::depth() const {
  return impl_->k;
}
int64_t PatternGemm::packed_bytes() const {
  return impl_->panels.bytes();
}
Isa PatternGemm::isa() const {
  return impl_->row->isa;
}

}  // namespace fewbit
