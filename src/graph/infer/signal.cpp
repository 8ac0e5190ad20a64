// Fourier transforms and window functions.

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"

namespace fewbit::infer {

namespace {

Dim half_spectrum(const Dim& length) {
  return length.known() ? Dim::of(length.value / 2 + 1) : Dim{};
}

Dim dim_from_input(const InferContext& c, size_t i) {
  const PartialValue* v = c.value(i);
  return v != nullptr && v->elements.size() == 1 ? v->elements.front().to_dim() : Dim{};
}

// The axis is an attribute (default 1) in version 17, an input (default -2) from version 20 on;
// nullopt if it is not known.
std::optional<int64_t> dft_axis(const InferContext& c) {
  if (c.opset() < 20) return c.node().get_int("axis", 1);
  return c.has(2) ? c.int_scalar(2) : std::optional<int64_t>(-2);
}

Status dft(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kFloats));
  FEWBIT_TRY(c.check_min_rank(0, 2));
  FEWBIT_TRY(c.check_elem(1, kIndices));
  bool onesided = c.node().get_int("onesided", 0) != 0;
  bool inverse = c.node().get_int("inverse", 0) != 0;
  std::optional<Shape> out = shape_of(c, 0);
  if (!out) {
    c.set(0, c.elem(0), std::nullopt);
    return {};
  }
  auto given = dft_axis(c);
  if (!given) {
    for (size_t i = 0; i + 1 < out->size(); ++i) (*out)[i] = Dim{};
  } else {
    FEWBIT_ASSIGN(int64_t axis, c.normalize_axis(*given, c.rank(0)));
    Dim& d = (*out)[static_cast<size_t>(axis)];
    if (c.has(1)) {
      d = dim_from_input(c, 1);
    } else if (onesided && inverse) {
      d = d.known() && d.value > 0 ? mul(Dim::of(2), Dim::of(d.value - 1)) : Dim{};
    }
    if (onesided && !inverse) d = half_spectrum(d);
  }
  // Complex, except where a half spectrum is turned back into a real signal.
  out->back() = Dim::of(onesided && inverse ? 1 : 2);
  c.set(0, c.elem(0), std::move(out));
  return {};
}

// signal [B, length, 1 or 2], frame_step, window?, frame_length?
Status stft(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kFloats));
  FEWBIT_TRY(c.check_rank(0, 3));
  FEWBIT_TRY(c.check_rank(2, 1));
  Shape out(4);
  out[3] = Dim::of(2);
  const Shape* signal = c.shape(0);
  Dim length = signal == nullptr ? Dim{} : (*signal)[1];
  Dim frame = length;
  if (c.has(3)) {
    frame = dim_from_input(c, 3);
  } else if (c.has(2)) {
    frame = c.has_shape(2) ? c.shape(2)->front() : Dim{};
  }
  if (signal != nullptr) out[0] = (*signal)[0];
  auto step = c.int_scalar(1);
  if (step && *step < 1) return bad_input("frame_step is {}, expected a positive number", *step);
  if (step && length.known() && frame.known()) {
    if (frame.value > length.value) {
      return c.fail(0, "a signal of at least one frame, {} samples", frame.value);
    }
    out[1] = Dim::of((length.value - frame.value) / *step + 1);
  }
  out[2] = c.node().get_int("onesided", 1) != 0 ? half_spectrum(frame) : frame;
  c.set(0, c.elem(0), std::move(out));
  return {};
}

Status window(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kIndices));
  FEWBIT_TRY(check_one_element(c, 0));
  FEWBIT_ASSIGN(DType elem, c.dtype_attribute("output_datatype", DType::kFloat32));
  c.set(0, elem, Shape{dim_from_input(c, 0)});
  return {};
}

// num_mel_bins, dft_length, sample_rate, lower and upper edge
Status mel_weight_matrix(InferContext& c) {
  FEWBIT_ASSIGN(DType elem, c.dtype_attribute("output_datatype", DType::kFloat32));
  c.set(0, elem, Shape{half_spectrum(dim_from_input(c, 1)), dim_from_input(c, 0)});
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "BlackmanWindow", 17, 1, 1, 1, 1, window},
    {"", "DFT", 17, 1, 2, 1, 1, dft},
    {"", "DFT", 20, 1, 3, 1, 1, dft},
    {"", "HammingWindow", 17, 1, 1, 1, 1, window},
    {"", "HannWindow", 17, 1, 1, 1, 1, window},
    {"", "MelWeightMatrix", 17, 5, 5, 1, 1, mel_weight_matrix},
    {"", "STFT", 17, 2, 4, 1, 1, stft},
};

}  // namespace

std::span<const SchemaRow> signal_rows() {
  return kRows;
}

}  // namespace fewbit::infer
