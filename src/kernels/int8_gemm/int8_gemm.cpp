#include "kernels/int8_gemm/int8_gemm.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/int8_gemm/code_panels.h"

namespace fewbit {

using int8::PackedB;
using int8::Product;
using int8::Row;
using int8::StagePlan;

struct Int8Gemm::Impl {
  Int8GemmSpec spec;
  const Row* row = nullptr;
  PackedB b;
  Tensor init;          ///< bias and a_zero
  Tensor init_no_zero;  ///< bias alone, for row_zero
  std::optional<StagePlan> stage;
};

namespace {

Status check_8bit(const char* what, DType type) {
  if (type == DType::kUint8 || type == DType::kInt8) return {};
  return unsupported("8-bit product: {} is {}, expected uint8 or int8", what, name_of(type));
}

double largest_abs(std::span<const int32_t> values) {
  double out = 0;
  for (int32_t v : values) out = std::max(out, std::abs(static_cast<double>(v)));
  return out;
}

int8::PackSource source_of(const Int8GemmSpec& spec, const void* b, int64_t b_stride) {
  const int64_t row = b_stride != 0 ? b_stride : (spec.b_transposed ? spec.k : spec.n);
  int8::PackSource source;
  source.data = static_cast<const uint8_t*>(b);
  source.is_unsigned = spec.b_type == DType::kUint8;
  source.k = spec.k;
  source.n = spec.n;
  source.col_stride = spec.b_transposed ? row : 1;
  source.k_stride = spec.b_transposed ? 1 : row;
  source.zero = spec.b_zero;
  return source;
}

// Rows that lie a multiple of half a page apart fall into one or two sets of the first-level cache
// and push each other out of it.
bool rows_collide(int64_t stride, int64_t rows) {
  constexpr int64_t kHalfPage = 2048, kWays = 8;
  return stride % kHalfPage == 0 && rows > kWays;
}

// Rows of A are used in place where the tile can read them so; otherwise copied, padded and
// shifted.
int8::RowSource rows_of(const Int8GemmSpec& spec, const Row& row, const PackedB& b,
                        const uint8_t* a, int64_t a_stride, int64_t m) {
  int8::RowSource rows;
  using int8::kMaxTileRows;
  rows.width = m;
  rows.run_offset = {0};
  const bool flip = spec.a_type == DType::kInt8 && !row.signed_a;
  const int64_t k = spec.k, k_padded = b.k_padded;
  const uint8_t* end = a + (m - 1) * a_stride + k;
  // Where columns are many, every row is read again and again.
  constexpr int64_t kMinColumnsToTile = 8 * int8::kTileCols;
  if (row.tiled_a && m >= row.max_rows && spec.n >= kMinColumnsToTile) {
    rows.band_bytes = [=](int64_t, int64_t count) {
      return (count + kMaxTileRows - 1) / kMaxTileRows * kMaxTileRows * k_padded;
    };
    rows.copy = [=](int64_t, int64_t, int64_t, int64_t first, int64_t count, uint8_t* band) {
      for (int64_t r = 0; r < count; ++r) {
        uint8_t* to = band + r / kMaxTileRows * kMaxTileRows * k_padded + r % kMaxTileRows * 64;
        const uint8_t* from = a + (first + r) * a_stride;
        int64_t i = 0;
        for (; i + 64 <= k; i += 64, to += 64 * kMaxTileRows) std::memcpy(to, from + i, 64);
        if (i < k) std::memcpy(to, from + i, static_cast<size_t>(k - i));
      }
      return int8::Band{band, k_padded, 0, true};
    };
    return rows;
  }
  if (!flip && spec.k == b.k_padded && !rows_collide(a_stride, m)) {
    rows.in_place = {a, a_stride, 0, false};
    return rows;
  }
  constexpr int64_t kLine = 64;
  const int64_t stride = k_padded + (rows_collide(k_padded, m) ? kLine : 0);
  rows.band_bytes = [=](int64_t, int64_t count) { return count * stride; };
  rows.copy = [=](int64_t, int64_t, int64_t, int64_t first, int64_t count, uint8_t* band) {
    for (int64_t r = 0; r < count; ++r) {
      int8::copy_run(band + r * stride, a + (first + r) * a_stride, k, flip ? 0x80 : 0, end);
    }
    return int8::Band{band, stride, 0, false};
  };
  if (!flip && !rows_collide(a_stride, m)) {
    rows.in_place = {a, a_stride, 0, false};
    rows.in_place_pixels = m - int8::rows_read_past_end(k, k_padded, a_stride);
  }
  return rows;
}

Product product_of(const Int8GemmSpec& spec, const Row& row, const PackedB& b,
                   const Int8GemmCall& call) {
  Product p;
  p.row = &row;
  p.b = &b;
  p.a_signed = spec.a_type == DType::kInt8 && row.signed_a;
  p.rows = rows_of(spec, row, b, static_cast<const uint8_t*>(call.a),
                   call.a_stride != 0 ? call.a_stride : spec.k, call.m);
  p.out = static_cast<uint8_t*>(call.c);
  p.out_stride =
      (call.c_stride != 0 ? call.c_stride : spec.n) * output_element_bytes(spec.output.type);
  p.residual = static_cast<const uint8_t*>(call.residual);
  p.residual_stride = call.residual_stride != 0 ? call.residual_stride : spec.n;
  p.row_scale = call.row_scale;
  return p;
}

// Zero points per row, as the tile sees them.
std::vector<int32_t> row_zeros(const Int8GemmSpec& spec, const Row& row, const int32_t* zeros,
                               int64_t m) {
  std::vector<int32_t> out;
  if (zeros == nullptr) return out;
  out.reserve(static_cast<size_t>(m));
  for (int64_t r = 0; r < m; ++r) out.push_back(int8::tile_zero(spec.a_type, zeros[r], row));
  return out;
}

}  // namespace

Status validate(const Int8GemmSpec& spec) {
  if (spec.k <= 0 || spec.n <= 0 || spec.k > (int64_t{1} << 30) || spec.n > (int64_t{1} << 30)) {
    return bad_input("8-bit product: k = {}, n = {} are not sizes", spec.k, spec.n);
  }
  FEWBIT_TRY(check_8bit("A", spec.a_type));
  FEWBIT_TRY(check_8bit("B", spec.b_type));
  const auto zeros = static_cast<int64_t>(spec.b_zero.size());
  if (zeros > 1 && zeros != spec.n) {
    return bad_input("8-bit product: {} zero points for {} columns of B", zeros, spec.n);
  }
  return validate(spec.output, spec.n);
}

Result<Int8Gemm> Int8Gemm::prepare(const Int8GemmSpec& spec, const void* b,
                                   std::span<const int32_t> bias, std::optional<Isa> isa) {
  FEWBIT_TRY(validate(spec));
  if (!bias.empty() && static_cast<int64_t>(bias.size()) != spec.n) {
    return bad_input("8-bit product: {} biases for {} columns", bias.size(), spec.n);
  }
  auto impl = std::make_shared<Impl>();
  impl->spec = spec;
  FEWBIT_ASSIGN(impl->row, int8::find_row(isa, 1, spec.k));
  int8::pack_b(source_of(spec, b, 0), *impl->row, impl->b);
  impl->init =
      int8::make_init(impl->b, bias, int8::tile_zero(spec.a_type, spec.a_zero, *impl->row));
  impl->init_no_zero = int8::make_init(impl->b, bias, 0);
  const double max_abs = 255.0 * 255.0 * static_cast<double>(spec.k) + largest_abs(bias);
  impl->stage.emplace(spec.output, impl->b.channel_of(), max_abs);
  if (spec.few_bits) int8::compress_panels(impl->b);
  return Int8Gemm(std::move(impl));
}

void Int8Gemm::run(const Int8GemmCall& call, int threads) const {
  if (call.m == 0) return;
  const Impl& impl = *impl_;
  Product p = product_of(impl.spec, *impl.row, impl.b, call);
  const std::vector<int32_t> zeros = row_zeros(impl.spec, *impl.row, call.row_zero, call.m);
  p.stage = &impl.stage->stage();
  p.init = (zeros.empty() ? impl.init : impl.init_no_zero).data<int32_t>();
  p.row_zero = zeros.empty() ? nullptr : zeros.data();
  int8::run_product(p, threads);
}

int64_t Int8Gemm::packed_bytes() const {
  return impl_->b.data.bytes();
}
int Int8Gemm::weight_bits() const {
  return impl_->b.bits;
}
Isa Int8Gemm::isa() const {
  return impl_->row->isa;
}

Status run_int8_gemm_dynamic(const Int8GemmSpec& spec, const Int8GemmCall& call, const void* b,
                             int64_t b_stride, std::span<const Int8GemmBatch> batches, int threads,
                             std::optional<Isa> isa) {
  FEWBIT_TRY(validate(spec));
  const Row* row = nullptr;
  FEWBIT_ASSIGN(row, int8::find_row(isa, 1, spec.k));
  if (call.m == 0 || batches.empty()) return {};
  const std::vector<int32_t> zeros = row_zeros(spec, *row, call.row_zero, call.m);
  const int64_t element = output_element_bytes(spec.output.type);
  const auto count = static_cast<int64_t>(batches.size());
  // Enough matrices: one thread each. Otherwise the threads share each product.
  const int outer = count >= threads && threads > 1 ? threads : 1;
  const int inner = outer > 1 ? 1 : threads;
  const double max_abs = 255.0 * 255.0 * static_cast<double>(spec.k);
#pragma omp parallel for num_threads(outer) schedule(static) if (outer > 1)
  for (int64_t i = 0; i < count; ++i) {
    static thread_local PackedB packed;
    const Int8GemmBatch& at = batches[static_cast<size_t>(i)];
    const auto* b_at = static_cast<const uint8_t*>(b) + at.b;
    int8::pack_b(source_of(spec, b_at, b_stride), *row, packed);
    const int32_t a_zero = zeros.empty() ? int8::tile_zero(spec.a_type, spec.a_zero, *row) : 0;
    const Tensor init = int8::make_init(packed, {}, a_zero);
    const StagePlan stage(spec.output, packed.channel_of(), max_abs);
    Int8GemmCall one = call;
    one.a = static_cast<const uint8_t*>(call.a) + at.a;
    one.c = static_cast<uint8_t*>(call.c) + at.c * element;
    if (call.residual != nullptr) one.residual = static_cast<const uint8_t*>(call.residual) + at.c;
    Product p = product_of(spec, *row, packed, one);
    p.stage = &stage.stage();
    p.init = init.data<int32_t>();
    p.row_zero = zeros.empty() ? nullptr : zeros.data();
    int8::run_product(p, inner);
  }
  return {};
}

}  // namespace fewbit
