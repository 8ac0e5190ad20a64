#include "kernels/few_bit/few_bit.h"

#include <algorithm>

#include "base/check.h"
#include "base/huge_buffer.h"
#include "kernels/few_bit/activations.h"
#include "kernels/few_bit/block_product.h"
#include "kernels/few_bit/few_bit_core.h"
#include "kernels/few_bit/stream_trial.h"

namespace fewbit {
namespace few_bit {
namespace {

constexpr const Row* kRows[] = {
    &kScalarRow, &kAmxEmulatedRow,
#if defined(__x86_64__)
    &kAvx2Row,   &kAvxVnniRow,     &kAvx512VnniRow, &kAmxRow,
#elif defined(__aarch64__)
    &kNeonDotprodRow, &kNeonI8mmRow,
#endif
};

Result<const Row*> find_row(const FewBitOptions& options) {
  Isa wanted = Isa::kAmx;
  if (options.isa) {
    wanted = *options.isa;
  } else if (!options.emulated_tiles) {
    FEWBIT_ASSIGN(wanted, selected_isa());
  }
  if (!options.emulated_tiles && !isa_runs_here(wanted)) {
    return unsupported("instruction set {} is not available on this processor", name_of(wanted));
  }
  for (const Row* row : kRows) {
    if (row->isa == wanted && row->emulated == options.emulated_tiles) return row;
  }
  return unsupported("few-bit products have no kernel for {}", name_of(wanted));
}

}  // namespace

std::span<const Row* const> all_rows() {
  return kRows;
}

}  // namespace few_bit

Result<Isa> few_bit_isa() {
  FEWBIT_ASSIGN(const few_bit::Row* row, few_bit::find_row({}));
  return row->isa;
}

struct FewBitGemm::Impl {
  const few_bit::Row* row = nullptr;
  FewBitActivations activations = FewBitActivations::kInt8;
  few_bit::Panels panels;
  bool has_bias = false;
  std::vector<float> bias;  // filled up to whole panels
};

namespace {

using few_bit::kPanelRows;
using few_bit::Panels;

// How one row of activations walks the weights. What caches hold can be walked in any way.
StreamTuning streams_for(const FewBitGemm::Impl& impl, int64_t m, int threads) {
  constexpr int64_t kFromMemory = int64_t{4} << 20;
  constexpr StreamTuning kUsual = {4, 2048};
  if (m > 1 || impl.panels.bytes.bytes() < kFromMemory) return kUsual;
  return few_bit::streams_of(*impl.row, threads);
}

// Few rows of activations: panel by panel, straight from memory.
void run_rows(const FewBitGemm::Impl& impl, const ProductCall& call, int threads) {
  const Panels& panels = impl.panels;
  // Kept by the calling thread from one product to the next.
  static thread_local few_bit::ActivationRows kept_rows;
  few_bit::ActivationRows& rows = kept_rows;
  rows.reset(*impl.row, panels, impl.activations, call.m);
  const few_bit::Activations x = rows.all();
  const auto multiply =
      impl.activations == FewBitActivations::kInt8 ? impl.row->run : impl.row->run_float;
  const StreamTuning tuning = streams_for(impl, call.m, threads);
  PanelProduct product;
  product.n = panels.n;
  product.k = panels.k;
  product.panel_bytes = panels.layout.panel_bytes;
  if (impl.has_bias) product.bias = std::span(impl.bias).first(static_cast<size_t>(panels.n));
  product.run(
      call, threads, [&](int64_t m) { rows.set(m, call.x + m * call.x_stride); },
      [&](const PanelProduct::Part& part) {
        few_bit::PanelJob job;
        job.layout = &panels.layout;
        job.panels = panels.panel(part.panel);
        job.row_unit = panels.row_unit.data() + part.panel * kPanelRows;
        job.panel_count = part.count;
        job.x = x.from(part.row, panels.layout.groups);
        job.rows = part.rows;
        job.streams = tuning.streams;
        job.prefetch_bytes = tuning.prefetch_bytes;
        job.y = part.y;
        job.y_stride = part.y_stride;
        multiply(job);
      });
}

}  // namespace

Result<FewBitGemm> FewBitGemm::prepare(const PackedMatrix& matrix, std::span<const float> bias,
                                       const FewBitOptions& options) {
  if (!few_bit_takes(matrix.format, options.activations)) {
    const bool bytes = options.activations == FewBitActivations::kInt8;
    return unsupported("few-bit products with {} activations do not take {}",
                       bytes ? "int8" : "float32", matrix.format.name());
  }
  FEWBIT_CHECK(bias.empty() || bias.size() == static_cast<size_t>(matrix.rows), bias.size(),
               matrix.rows);
  auto impl = std::make_shared<Impl>();
  FEWBIT_ASSIGN(impl->row, few_bit::find_row(options));
  impl->activations = options.activations;
  impl->panels = few_bit::pack_panels(matrix, options.activations);
  impl->has_bias = !bias.empty();
  impl->bias.assign(static_cast<size_t>(impl->panels.count() * kPanelRows), 0.0F);
  std::ranges::copy(bias, impl->bias.begin());
  return FewBitGemm(std::move(impl));
}

void FewBitGemm::run(const ProductCall& given, int threads) const {
  const Panels& panels = impl_->panels;
  ProductCall call = given;
  if (call.x_stride == 0) call.x_stride = panels.k;
  if (call.y_stride == 0) call.y_stride = panels.n;
  threads = useful_threads(call.m * panels.n * panels.k, threads);
  if (impl_->activations == FewBitActivations::kInt8 &&
      few_bit::takes_blocks(panels.layout, call.m)) {
    return few_bit::run_blocks(*impl_->row, panels, impl_->bias, call, threads);
  }
  run_rows(*impl_, call, threads);
}

FewBitGemm FewBitGemm::duplicate() const {
  auto impl = std::make_shared<Impl>(*impl_);
  impl->panels.bytes = huge_copy(impl_->panels.bytes);
  return FewBitGemm(std::move(impl));
}

int64_t FewBitGemm::rows() const {
  return impl_->panels.n;
}
int64_t FewBitGemm::depth() const {
  return impl_->panels.k;
}
int64_t FewBitGemm::packed_bytes() const {
  return impl_->panels.bytes.bytes();
}
FewBitActivations FewBitGemm::activations() const {
  return impl_->activations;
}
Isa FewBitGemm::isa() const {
  return impl_->row->isa;
}

}  // namespace fewbit
