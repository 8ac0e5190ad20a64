// DFT and STFT.

#include <algorithm>
#include <optional>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/fourier.h"
#include "runtime/ops/tables.h"
#include "runtime/ops/window.h"

namespace fewbit::ops {
namespace {

using Complex = std::complex<double>;

// More would be neither a signal nor done in a lifetime.
constexpr int64_t kMaxLength = int64_t{1} << 30;

// Input [outer, in_length, inner, parts], output [outer, out_length, inner, out_parts].
struct DftProblem {
  int64_t outer, inner, in_length, parts;
  int64_t length;  ///< of the transform
  int64_t out_length, out_parts;
  bool inverse, onesided;
  Dims out_dims;
};

Result<int64_t> dft_axis(const OpContext& ctx) {
  const int64_t rank = ctx.in(0).rank();
  int64_t axis = ctx.node().get_int("axis", 1);
  if (ctx.opset() >= 20) {
    axis = -2;
    if (ctx.has(2)) {
      FEWBIT_ASSIGN(axis, read_int(ctx.node(), ctx.in(2), "the axis"));
    }
  }
  FEWBIT_ASSIGN(axis, normalize_axis(ctx.node(), axis, rank));
  if (axis == rank - 1) return node_error(ctx.node(), "the last axis holds the complex parts");
  return axis;
}

Result<DftProblem> read_dft(const OpContext& ctx) {
  const Dims& dims = ctx.in(0).dims();
  if (dims.size() < 2 || (dims.back() != 1 && dims.back() != 2)) {
    return node_error(ctx.node(), "the input must end in 1 or 2 parts, has shape {}",
                      to_string(dims));
  }
  FEWBIT_ASSIGN(const int64_t axis, dft_axis(ctx));
  DftProblem p{};
  p.outer = product(dims, 0, axis);
  p.in_length = dims[static_cast<size_t>(axis)];
  p.inner = product(dims, axis + 1, ctx.in(0).rank() - 1);
  p.parts = dims.back();
  p.inverse = ctx.node().get_int("inverse", 0) != 0;
  p.onesided = ctx.node().get_int("onesided", 0) != 0;
  p.length = p.inverse && p.onesided ? 2 * (p.in_length - 1) : p.in_length;
  if (ctx.has(1)) {
    FEWBIT_ASSIGN(p.length, read_int(ctx.node(), ctx.in(1), "dft_length"));
  }
  if (p.length < 1 || p.length > kMaxLength) {
    return node_error(ctx.node(), "a transform of length {} makes no sense", p.length);
  }
  const bool real = p.inverse && p.onesided;
  p.out_length = p.onesided && !p.inverse ? p.length / 2 + 1 : p.length;
  p.out_parts = real ? 1 : 2;
  p.out_dims = dims;
  p.out_dims[static_cast<size_t>(axis)] = p.out_length;
  p.out_dims.back() = p.out_parts;
  return p;
}

// Line `i` of the input, cut or filled with zeros to the length of the transform. One-sided spectra
// get their other half: conjugates, mirrored.
template <typename T>
void read_line(const DftProblem& p, const T* x, int64_t i, std::vector<Complex>& line) {
  std::fill(line.begin(), line.end(), Complex(0));
  const int64_t start = i / p.inner * p.in_length * p.inner + i % p.inner;
  const int64_t bins = p.inverse && p.onesided ? p.length / 2 + 1 : p.length;
  for (int64_t j = 0; j < std::min(bins, p.in_length); ++j) {
    const T* at = x + (start + j * p.inner) * p.parts;
    line[static_cast<size_t>(j)] = {static_cast<double>(at[0]),
                                    p.parts == 2 ? static_cast<double>(at[1]) : 0.0};
  }
  for (int64_t j = bins; j < p.length; ++j) {
    line[static_cast<size_t>(j)] = std::conj(line[static_cast<size_t>(p.length - j)]);
  }
}

Status dft(OpContext& ctx) {
  FEWBIT_ASSIGN(const DftProblem p, read_dft(ctx));
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, x.type(), p.out_dims));
  if (y->elements() == 0) return {};
  const Fourier fourier(p.length, p.inverse);
  const double scale = p.inverse ? 1.0 / static_cast<double>(p.length) : 1.0;
  return dispatch(ctx.node(), x.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    std::vector<Complex> line(static_cast<size_t>(p.length)), spectrum(line);
    for (int64_t i = 0; i < p.outer * p.inner; ++i) {
      read_line(p, x.data<T>(), i, line);
      fourier.run(line.data(), spectrum.data());
      const int64_t start = i / p.inner * p.out_length * p.inner + i % p.inner;
      for (int64_t k = 0; k < p.out_length; ++k) {
        T* at = y->data<T>() + (start + k * p.inner) * p.out_parts;
        const Complex v = spectrum[static_cast<size_t>(k)] * scale;
        at[0] = static_cast<T>(v.real());
        if (p.out_parts == 2) at[1] = static_cast<T>(v.imag());
      }
    }
    return {};
  });
}

// signal [batch, length, parts] -> [batch, frames, bins, 2].
struct StftProblem {
  int64_t batch, length, parts, frame_step, frame_length, frames, bins;
};

Result<StftProblem> read_stft(const OpContext& ctx) {
  const Node& node = ctx.node();
  const Tensor& x = ctx.in(0);
  // A real signal may come without its last dimension of 1.
  if (x.rank() < 2 || x.rank() > 3 || (x.rank() == 3 && x.dim(2) != 1 && x.dim(2) != 2)) {
    return node_error(node, "a signal of shape {} is not [batch, length, 1 or 2]",
                      to_string(x.dims()));
  }
  StftProblem p{x.dim(0), x.dim(1), x.rank() == 3 ? x.dim(2) : 1, 0, x.dim(1), 0, 0};
  FEWBIT_ASSIGN(p.frame_step, read_int(node, ctx.in(1), "frame_step"));
  if (ctx.has(2)) {
    if (ctx.in(2).rank() != 1) return node_error(node, "the window must have rank 1");
    FEWBIT_TRY(need_same_type(ctx, 0, 2));
    p.frame_length = ctx.in(2).dim(0);
  }
  if (ctx.has(3)) {
    FEWBIT_ASSIGN(p.frame_length, read_int(node, ctx.in(3), "frame_length"));
  }
  if (p.frame_step < 1 || p.frame_length < 1 || p.frame_length > p.length ||
      p.frame_length > kMaxLength || (ctx.has(2) && ctx.in(2).dim(0) != p.frame_length)) {
    return node_error(node, "frames of {} every {} do not fit a signal of {} and the window",
                      p.frame_length, p.frame_step, p.length);
  }
  p.frames = 1 + (p.length - p.frame_length) / p.frame_step;
  p.bins = node.get_int("onesided", 1) != 0 ? p.frame_length / 2 + 1 : p.frame_length;
  if (p.parts == 2) p.bins = p.frame_length;
  return p;
}

Status stft(OpContext& ctx) {
  FEWBIT_ASSIGN(const StftProblem p, read_stft(ctx));
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(Tensor * y, make_output(ctx, 0, x.type(), {p.batch, p.frames, p.bins, 2}));
  const Fourier fourier(p.frame_length, /*inverse=*/false);
  return dispatch(ctx.node(), x.type(), Floats{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    const T* window = ctx.has(2) ? ctx.in(2).data<T>() : nullptr;
    std::vector<Complex> frame(static_cast<size_t>(p.frame_length)), spectrum(frame);
    T* out = y->data<T>();
    for (int64_t f = 0; f < p.batch * p.frames; ++f) {
      const int64_t start = f / p.frames * p.length + f % p.frames * p.frame_step;
      for (int64_t j = 0; j < p.frame_length; ++j) {
        const T* at = x.data<T>() + (start + j) * p.parts;
        const Complex v(static_cast<double>(at[0]),
                        p.parts == 2 ? static_cast<double>(at[1]) : 0.0);
        frame[static_cast<size_t>(j)] = window == nullptr ? v : v * static_cast<double>(window[j]);
      }
      fourier.run(frame.data(), spectrum.data());
      for (int64_t k = 0; k < p.bins; ++k) {
        *out++ = static_cast<T>(spectrum[static_cast<size_t>(k)].real());
        *out++ = static_cast<T>(spectrum[static_cast<size_t>(k)].imag());
      }
    }
    return {};
  });
}

constexpr OpRow kRows[] = {
    {"", "DFT", 17, in_float<dft>},
    {"", "STFT", 17, in_float<stft>},
};

}  // namespace

std::span<const OpRow> signal_table() {
  return kRows;
}

}  // namespace fewbit::ops
