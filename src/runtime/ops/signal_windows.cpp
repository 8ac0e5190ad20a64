// HannWindow, HammingWindow, BlackmanWindow and MelWeightMatrix: tensors made from a few numbers.

#include <cmath>
#include <numbers>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

// Stores values computed as double in the node's output_datatype (float32 by default).
Status store_as_asked(OpContext& ctx, const Tensor& values) {
  const int64_t type = ctx.node().get_int("output_datatype", static_cast<int64_t>(DType::kFloat32));
  if (type <= 0 || type >= kDTypeCount || !can_cast(static_cast<DType>(type))) {
    return node_error(ctx.node(), "output_datatype {} is no number type", type);
  }
  FEWBIT_ASSIGN(Tensor stored, cast(values, static_cast<DType>(type)));
  ctx.set_out(0, std::move(stored));
  return {};
}

// a0 - a1 cos(2 pi n / N) + a2 cos(4 pi n / N); N is the size, one less for a symmetric window.
Status cosine_window(OpContext& ctx, double a0, double a1, double a2) {
  FEWBIT_ASSIGN(const int64_t size, read_int(ctx.node(), ctx.in(0), "the size"));
  FEWBIT_ASSIGN(Tensor values, make_tensor(ctx.node(), DType::kFloat64, {size}));
  const bool periodic = ctx.node().get_int("periodic", 1) != 0;
  const auto period = static_cast<double>(std::max<int64_t>(1, periodic ? size : size - 1));
  for (int64_t n = 0; n < size; ++n) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(n) / period;
    values.data<double>()[n] = a0 - a1 * std::cos(angle) + a2 * std::cos(2 * angle);
  }
  return store_as_asked(ctx, values);
}

Status hann_window(OpContext& ctx) {
  return cosine_window(ctx, 0.5, 0.5, 0);
}
Status hamming_window(OpContext& ctx) {
  return cosine_window(ctx, 25.0 / 46, 21.0 / 46, 0);
}
Status blackman_window(OpContext& ctx) {
  return cosine_window(ctx, 0.42, 0.5, 0.08);
}

double mel_of(double hertz) {
  return 2595 * std::log10(1 + hertz / 700);
}
double hertz_of(double mel) {
  return 700 * (std::pow(10.0, mel / 2595) - 1);
}

struct MelProblem {
  int64_t bands, dft_length, sample_rate;
  double low, high;  ///< hertz
};

Result<MelProblem> read_mel(const OpContext& ctx) {
  const Node& node = ctx.node();
  MelProblem p{};
  FEWBIT_ASSIGN(p.bands, read_int(node, ctx.in(0), "num_mel_bins"));
  FEWBIT_ASSIGN(p.dft_length, read_int(node, ctx.in(1), "dft_length"));
  FEWBIT_ASSIGN(p.sample_rate, read_int(node, ctx.in(2), "sample_rate"));
  FEWBIT_ASSIGN(p.low, read_number(node, ctx.in(3), "lower_edge_hertz"));
  FEWBIT_ASSIGN(p.high, read_number(node, ctx.in(4), "upper_edge_hertz"));
  constexpr int64_t kMost = int64_t{1} << 30;
  if (p.bands < 1 || p.dft_length < 1 || p.sample_rate < 1 || p.bands > kMost ||
      p.dft_length > kMost || !(p.low >= 0 && p.low <= p.high && std::isfinite(p.high))) {
    return node_error(node, "{} bands from {} to {} Hz of a DFT of {} make no sense", p.bands,
                      p.low, p.high, p.dft_length);
  }
  return p;
}

// Triangles whose corners are evenly spaced on the mel scale, rounded down to spectrum bins.
Status mel_weight_matrix(OpContext& ctx) {
  FEWBIT_ASSIGN(const MelProblem p, read_mel(ctx));
  const int64_t bins = p.dft_length / 2 + 1;
  FEWBIT_ASSIGN(Tensor values, make_tensor(ctx.node(), DType::kFloat64, {bins, p.bands}));
  double* out = values.data<double>();
  std::fill_n(out, values.elements(), 0.0);
  const double step = (mel_of(p.high) - mel_of(p.low)) / static_cast<double>(p.bands + 2);
  const auto corner = [&](int64_t i) {
    const double hertz = hertz_of(mel_of(p.low) + static_cast<double>(i) * step);
    const double bin = std::floor(static_cast<double>(p.dft_length + 1) * hertz /
                                  static_cast<double>(p.sample_rate));
    return static_cast<int64_t>(std::min(bin, static_cast<double>(bins)));
  };
  if (corner(p.bands + 1) >= bins) {
    return node_error(ctx.node(), "the upper edge {} Hz is above half the sample rate", p.high);
  }
  for (int64_t i = 0; i < p.bands; ++i) {
    const int64_t low = corner(i), center = corner(i + 1), high = corner(i + 2);
    if (low == center) out[center * p.bands + i] = 1;
    for (int64_t j = low; j <= center && center > low; ++j) {
      out[j * p.bands + i] = static_cast<double>(j - low) / static_cast<double>(center - low);
    }
    for (int64_t j = center; j < high; ++j) {
      out[j * p.bands + i] = static_cast<double>(high - j) / static_cast<double>(high - center);
    }
  }
  return store_as_asked(ctx, values);
}

constexpr OpRow kRows[] = {
    {"", "HannWindow", 17, hann_window},
    {"", "HammingWindow", 17, hamming_window},
    {"", "BlackmanWindow", 17, blackman_window},
    {"", "MelWeightMatrix", 17, mel_weight_matrix},
};

}  // namespace

std::span<const OpRow> signal_windows_table() {
  return kRows;
}

}  // namespace fewbit::ops
