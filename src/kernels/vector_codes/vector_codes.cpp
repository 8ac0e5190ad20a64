#include "kernels/vector_codes/vector_codes.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/check.h"
#include "base/huge_buffer.h"
#include "base/tensor.h"
#include "formats/vector_codes.h"
#include "kernels/quantize_rows.h"
#include "kernels/vector_codes/vector_core.h"

namespace fewbit {
namespace vector_codes {
namespace {

constexpr const Row* kRows[] = {
    &kScalarRow,
#if defined(__x86_64__)
    &kAvx2Row,
    &kAvx512VbmiRow,
#endif
};

// The last row that `isa` has: AVX-VNNI has no kernel of its own beside AVX2's, nor AMX beside
// AVX-512's, and AVX-512 none without VBMI.
Result<const Row*> find_row(std::optional<Isa> isa) {
  if (!isa) {
    FEWBIT_ASSIGN(isa, selected_isa());
  } else if (!isa_runs_here(*isa)) {
    return unsupported("instruction set {} is not available on this processor", name_of(*isa));
  }
  const Row* best = nullptr;
  for (const Row* row : kRows) {
    if (row->isa <= *isa && (!row->needs_vbmi || has_avx512_vbmi())) best = row;
  }
  FEWBIT_CHECK(best != nullptr);
  return best;
}

}  // namespace

std::span<const Row* const> all_rows() {
  return kRows;
}

}  // namespace vector_codes

using vector_codes::kLineBytes;
using vector_codes::kPanelRows;
using vector_codes::kUnitVectors;
using vector_codes::Layout;

struct VectorGemm::Impl {
  const vector_codes::Row* row = nullptr;
  Layout layout;
  int64_t n = 0;
  int64_t k = 0;
  Tensor panels;                // uint8
  std::vector<uint8_t> tables;  // in the row's order
  std::vector<float> bias;
};

namespace {

// Measured on a Sapphire Rapids; see docs/kernels-vector-codes.md.
constexpr int64_t kPrefetchBytes = 2048;

// Longer groups are taken in parts, so that 3 * 127 * 127 * elements stays within int32.
constexpr int64_t kLongestGroup = 32768;

// Gathers of 4 bytes begin at entries of 2.
constexpr size_t kTableSlack = 4;

// Writes the code of lane `lane`, vector `i` of unit u to a chunk of zeros at p.
void put_code(const Layout& layout, uint8_t* p, int64_t u, int64_t lane, int64_t i, uint8_t code) {
  const int64_t byte = 4 * lane + i;
  if (!layout.small) {
    p[byte] = code;
    return;
  }
  uint8_t& low = p[u / 2 * kLineBytes + byte];
  uint8_t& top = p[2 * kLineBytes + byte];
  low = static_cast<uint8_t>(low | (code & 0x0f) << 4 * (u % 2));
  top = static_cast<uint8_t>(top | code >> 4 << 2 * u);
}

class Packer {
 public:
  Packer(const PackedMatrix& matrix, VectorGemm::Impl& impl)
      : matrix_(matrix), form_(*vector_form(matrix.format, matrix.cols)), impl_(impl) {}

  void run() {
    Layout& layout = impl_.layout;
    layout.dim = form_.dim;
    layout.books = form_.books;
    layout.small = form_.bits == 6;
    layout.group_elems = std::min({form_.group_elems, matrix_.cols, kLongestGroup});
    layout.groups = (matrix_.cols + layout.group_elems - 1) / layout.group_elems;
    layout.chunks = (layout.group_elems + layout.chunk_elems() - 1) / layout.chunk_elems();
    layout.panel_bytes = layout.groups * layout.group_bytes();
    fill_tables();
    const int64_t panels = (matrix_.rows + kPanelRows - 1) / kPanelRows;
    impl_.panels = huge_bytes(panels * layout.panel_bytes);
#pragma omp parallel for schedule(dynamic)
    for (int64_t r = 0; r < matrix_.rows; ++r) write_row(r);
  }

 private:
  void fill_tables() const {
    const Layout& layout = impl_.layout;
    const int64_t count = layout.books * layout.entries() * layout.dim;
    const int8_t* books = vector_books(matrix_);
    impl_.tables.assign(static_cast<size_t>(count) + kTableSlack, 0);
    for (int64_t i = 0; i < count; ++i) {
      const int64_t d = i % layout.dim;
      const int64_t entry = i / layout.dim % layout.entries();
      const int64_t book = i / layout.dim / layout.entries();
      const bool by_vector = impl_.row->order == vector_codes::Order::kByVector;
      const int64_t at = by_vector ? i : (book * layout.dim + d) * layout.entries() + entry;
      impl_.tables[static_cast<size_t>(at)] = static_cast<uint8_t>(books[i] + impl_.row->bias);
    }
  }

  // Lanes of a panel are written by different threads, but bytes are not shared by lanes.
  void write_row(int64_t r) const {
    const Layout& layout = impl_.layout;
    const int64_t lane = r % kPanelRows;
    const int64_t vectors = (matrix_.cols + form_.dim - 1) / form_.dim;
    const int64_t group_vectors = layout.group_elems / form_.dim;
    std::vector<uint8_t> codes(static_cast<size_t>(form_.books * vectors));
    std::vector<float> scales(
        static_cast<size_t>((matrix_.cols + form_.group_elems - 1) / form_.group_elems));
    vector_row(matrix_, r, codes.data(), scales.data());
    uint8_t* out = impl_.panels.data<uint8_t>() + r / kPanelRows * layout.panel_bytes;
    for (int64_t g = 0; g < layout.groups; ++g) {
      const int64_t first = g * group_vectors;
      const int64_t end = g + 1 < layout.groups ? first + group_vectors : vectors;
      for (int64_t b = 0; b < form_.books; ++b) {
        const uint8_t* of_book = codes.data() + b * vectors;
        write_codes({of_book + first, static_cast<size_t>(end - first)}, b, lane, out);
      }
      out += layout.chunks * layout.books * layout.chunk_bytes();
      const float scale = scales[static_cast<size_t>(g * layout.group_elems / form_.group_elems)];
      std::memcpy(out + 4 * lane, &scale, sizeof(scale));
      out += kPanelRows * 4;
    }
  }

  void write_codes(std::span<const uint8_t> codes, int64_t book, int64_t lane, uint8_t* out) const {
    const Layout& layout = impl_.layout;
    for (int64_t v = 0; v < std::ssize(codes); ++v) {
      const int64_t unit = v / kUnitVectors;
      const int64_t chunk = unit / layout.units() * layout.books + book;
      put_code(layout, out + chunk * layout.chunk_bytes(), unit % layout.units(), lane,
               v % kUnitVectors, codes[static_cast<size_t>(v)]);
    }
  }

  const PackedMatrix& matrix_;
  const VectorForm form_;
  VectorGemm::Impl& impl_;
};

// All rows of x as the kernels take them.
struct QuantizedRows {
  std::vector<int8_t> q;
  std::vector<int32_t> start;
  std::vector<float> scale;
};

// A group in the order Order::kByWeight.
template <int Dim>
void by_weight(int64_t units, const int8_t* in, int8_t* out) {
  for (int64_t u = 0; u < units; ++u, in += kUnitVectors * Dim, out += kUnitVectors * Dim) {
    for (int d = 0; d < Dim; ++d) {
      for (int v = 0; v < kUnitVectors; ++v) out[d * kUnitVectors + v] = in[v * Dim + d];
    }
  }
}

void by_weight(const Layout& layout, const int8_t* in, int8_t* out) {
  const int64_t units = layout.chunks * layout.units();
  if (layout.dim == 2) return by_weight<2>(units, in, out);
  if (layout.dim == 4) return by_weight<4>(units, in, out);
  by_weight<8>(units, in, out);
}

void quantize(const float* x, const VectorGemm::Impl& impl, int64_t m, QuantizedRows& out) {
  const Layout& layout = impl.layout;
  std::vector<int8_t> q(static_cast<size_t>(impl.k));
  out.scale[static_cast<size_t>(m)] = quantize_row(x, impl.k, q.data());
  int32_t* start = out.start.data() + m * layout.groups;
  sum_groups(q.data(), impl.k, layout.group_elems, start);
  int8_t* arranged = out.q.data() + m * layout.groups * layout.padded_group();
  const bool by_vector = impl.row->order == vector_codes::Order::kByVector;
  for (int64_t g = 0; g < layout.groups; ++g, arranged += layout.padded_group()) {
    start[g] *= -impl.row->bias * static_cast<int32_t>(layout.books);
    const int64_t begin = g * layout.group_elems;
    const int64_t count = std::min(layout.group_elems, impl.k - begin);
    if (by_vector) {
      std::copy_n(q.begin() + begin, count, arranged);
      continue;
    }
    std::vector<int8_t> padded(static_cast<size_t>(layout.padded_group()), 0);
    std::copy_n(q.begin() + begin, count, padded.begin());
    by_weight(layout, padded.data(), arranged);
  }
}

}  // namespace

bool has_vector_codes(const Format& format, int64_t cols) {
  return vector_form(format, cols).has_value();
}

Result<Isa> vector_codes_isa() {
  FEWBIT_ASSIGN(const vector_codes::Row* row, vector_codes::find_row(std::nullopt));
  return row->isa;
}

Result<VectorGemm> VectorGemm::prepare(const PackedMatrix& matrix, std::span<const float> bias,
                                       std::optional<Isa> isa) {
  if (!has_vector_codes(matrix.format, matrix.cols)) {
    return unsupported("products of vector codes take vector-quantized weights, not {}",
                       matrix.format.name());
  }
  FEWBIT_CHECK(bias.empty() || bias.size() == static_cast<size_t>(matrix.rows), bias.size(),
               matrix.rows);
  auto impl = std::make_shared<Impl>();
  FEWBIT_ASSIGN(impl->row, vector_codes::find_row(isa));
  impl->n = matrix.rows;
  impl->k = matrix.cols;
  impl->bias.assign(bias.begin(), bias.end());
  Packer(matrix, *impl).run();
  return VectorGemm(std::move(impl));
}

void VectorGemm::run(const ProductCall& call, int threads) const {
  const Impl& impl = *impl_;
  const Layout& layout = impl.layout;
  const int64_t width = layout.groups * layout.padded_group();
  const int64_t x_stride = call.x_stride > 0 ? call.x_stride : impl.k;
  QuantizedRows rows;
  rows.q.assign(static_cast<size_t>(call.m * width), 0);
  rows.start.resize(static_cast<size_t>(call.m * layout.groups));
  rows.scale.resize(static_cast<size_t>(call.m));
  const PanelProduct product = {impl.n, impl.k, layout.panel_bytes, impl.bias};
  product.run(
      call, threads, [&](int64_t m) { quantize(call.x + m * x_stride, impl, m, rows); },
      [&](const PanelProduct::Part& part) {
        vector_codes::PanelJob job;
        job.layout = &layout;
        job.tables = impl.tables.data();
        job.panels = impl.panels.data<uint8_t>() + part.panel * layout.panel_bytes;
        job.panel_count = part.count;
        job.x = {rows.q.data() + part.row * width, width,
                 rows.start.data() + part.row * layout.groups, rows.scale.data() + part.row};
        job.rows = part.rows;
        job.prefetch_bytes = kPrefetchBytes;
        job.y = part.y;
        job.y_stride = part.y_stride;
        impl.row->run(job);
      });
}

VectorGemm VectorGemm::duplicate() const {
  auto impl = std::make_shared<Impl>(*impl_);
  impl->panels = huge_copy(impl_->panels);
  return VectorGemm(std::move(impl));
}

int64_t VectorGemm::rows() const {
  return impl_->n;
}
int64_t VectorGemm::depth() const {
  return impl_->k;
}
int64_t VectorGemm::packed_bytes() const {
  return impl_->panels.bytes();
}
Isa VectorGemm::isa() const {
  return impl_->row->isa;
}

}  // namespace fewbit
