// Convolutions, also of integers, transposed and deformable ones.

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"
#include "graph/infer/window.h"

namespace fewbit::infer {

namespace {

// Where a convolution finds its operands.
struct ConvInputs {
  size_t x = 0;
  size_t w = 1;
  size_t bias = 2;
  bool has_bias = true;
};

Result<int64_t> group_of(const InferContext& c) {
  int64_t group = c.node().get_int("group", 1);
  if (group < 1) return bad_input("attribute 'group' is {}, expected a positive number", group);
  return group;
}

std::optional<std::vector<Dim>> kernel_of(const Shape* weights) {
  if (weights == nullptr) return std::nullopt;
  return std::vector<Dim>(weights->begin() + 2, weights->end());
}

// Rank of x and w, at least one spatial axis; -1 if neither is known.
Result<int64_t> conv_rank(const InferContext& c, const ConvInputs& in) {
  FEWBIT_TRY(c.check_min_rank(in.x, 3));
  FEWBIT_TRY(c.check_min_rank(in.w, 3));
  if (c.rank(in.x) >= 0) FEWBIT_TRY(c.check_rank(in.w, c.rank(in.x)));
  return std::max(c.rank(in.x), c.rank(in.w));
}

// w is [M, C / group, kernel...].
Status check_channels(const InferContext& c, const ConvInputs& in, int64_t group) {
  const Shape* w = c.shape(in.w);
  if (w == nullptr) return {};
  Dim channels = mul((*w)[1], Dim::of(group));
  FEWBIT_TRY(c.check_dim(in.x, 1, channels));
  if ((*w)[0].known() && (*w)[0].value % group != 0) {
    return c.fail(in.w, "dimension 0 to be a multiple of group = {}", group);
  }
  if (!in.has_bias) return {};
  FEWBIT_TRY(c.check_rank(in.bias, 1));
  return c.check_dim(in.bias, 0, (*w)[0]);
}

Result<std::optional<Shape>> conv_shape(const InferContext& c, const ConvInputs& in) {
  FEWBIT_ASSIGN(int64_t rank, conv_rank(c, in));
  FEWBIT_ASSIGN(int64_t group, group_of(c));
  if (rank < 0) return std::optional<Shape>{};
  FEWBIT_TRY(check_channels(c, in, group));
  const Shape* x = c.shape(in.x);
  const Shape* w = c.shape(in.w);
  Shape out(static_cast<size_t>(rank));
  if (x != nullptr) out[0] = (*x)[0];
  if (w != nullptr) out[1] = (*w)[0];
  if (w == nullptr && !c.node().has("kernel_shape")) return std::optional(std::move(out));
  FEWBIT_ASSIGN(Window window, read_window(c, kernel_of(w)));
  if (window.axes() + 2 != out.size()) return c.fail(in.x, "{} spatial axes", window.axes());
  for (size_t i = 0; x != nullptr && i < window.axes(); ++i) {
    FEWBIT_ASSIGN(out[i + 2], window_output(window, i, (*x)[i + 2]));
  }
  return std::optional(std::move(out));
}

Status conv(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kFloats));
  FEWBIT_TRY(c.check_same_elem(0, 1));
  FEWBIT_TRY(c.check_same_elem(0, 2));
  FEWBIT_ASSIGN(std::optional<Shape> out, conv_shape(c, {}));
  c.set(0, first_elem(c, {0, 1}), std::move(out));
  return {};
}

constexpr TypeSet kBytes = types(DType::kInt8, DType::kUint8);

Status conv_integer(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kBytes));
  FEWBIT_TRY(c.check_elem(1, kBytes));
  FEWBIT_TRY(c.check_same_elem(0, 2));
  FEWBIT_TRY(c.check_same_elem(1, 3));
  FEWBIT_ASSIGN(std::optional<Shape> out, conv_shape(c, {0, 1, 0, false}));
  c.set(0, DType::kInt32, std::move(out));
  return {};
}

// x, x_scale, x_zero_point, w, w_scale, w_zero_point, y_scale, y_zero_point, B
Status qlinear_conv(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kBytes));
  FEWBIT_TRY(c.check_elem(3, kBytes));
  FEWBIT_TRY(c.check_same_elem(0, 2));
  FEWBIT_TRY(c.check_same_elem(3, 5));
  FEWBIT_TRY(c.check_elem(8, types(DType::kInt32)));
  FEWBIT_ASSIGN(std::optional<Shape> out, conv_shape(c, {0, 3, 8}));
  c.set(0, c.elem(7), std::move(out));
  return {};
}

// X, W, offset, B, mask
Status deform_conv(InferContext& c) {
  FEWBIT_TRY(c.check_same_elem(0, 1));
  FEWBIT_ASSIGN(std::optional<Shape> out, conv_shape(c, {0, 1, 3}));
  c.set(0, first_elem(c, {0, 1}), std::move(out));
  return {};
}

// The attribute output_shape holds the spatial sizes; some exporters write all of them.
Result<bool> given_output_shape(const InferContext& c, Shape& out) {
  if (!c.node().has("output_shape")) return false;
  FEWBIT_ASSIGN(std::vector<int64_t> sizes, c.required_ints("output_shape"));
  if (sizes.empty()) return false;
  size_t spatial = out.size() - 2;
  if (sizes.size() != spatial && sizes.size() != out.size()) {
    return bad_input("output_shape is {}, expected {} sizes", to_string(sizes), spatial);
  }
  for (size_t i = 0; i < spatial; ++i) {
    out[out.size() - 1 - i] = dim_or_unknown(sizes[sizes.size() - 1 - i]);
  }
  return true;
}

// w is [C, M / group, kernel...].
Status conv_transpose(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kFloats));
  FEWBIT_TRY(c.check_same_elem(0, 1));
  FEWBIT_TRY(c.check_same_elem(0, 2));
  DType elem = first_elem(c, {0, 1});
  FEWBIT_ASSIGN(int64_t rank, conv_rank(c, {}));
  FEWBIT_ASSIGN(int64_t group, group_of(c));
  const Shape* x = c.shape(0);
  const Shape* w = c.shape(1);
  if (rank < 0) {
    c.set(0, elem, std::nullopt);
    return {};
  }
  Shape out(static_cast<size_t>(rank));
  if (x != nullptr) out[0] = (*x)[0];
  if (w != nullptr) {
    out[1] = mul((*w)[1], Dim::of(group));
    FEWBIT_TRY(c.check_dim(0, 1, (*w)[0]));
    FEWBIT_TRY(c.check_rank(2, 1));
    FEWBIT_TRY(c.check_dim(2, 0, out[1]));
  }
  FEWBIT_ASSIGN(bool given, given_output_shape(c, out));
  if (!given && (w != nullptr || c.node().has("kernel_shape"))) {
    FEWBIT_ASSIGN(Window window, read_window(c, kernel_of(w)));
    size_t n = window.axes();
    if (n + 2 != out.size()) return c.fail(0, "{} spatial axes", n);
    std::vector<int64_t> extra = c.node().get_ints("output_padding");
    if (extra.empty()) extra.assign(n, 0);
    if (extra.size() != n) {
      return bad_input("output_padding is {}, expected {} numbers", to_string(extra), n);
    }
    for (size_t i = 0; x != nullptr && i < n; ++i) {
      FEWBIT_ASSIGN(out[i + 2], transposed_output(window, i, (*x)[i + 2], extra[i]));
    }
  }
  c.set(0, elem, std::move(out));
  return {};
}

// input [N, C, L], weight [C, 1, k], bias [C], past_state [N, C, k - 1]
Status causal_conv(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kFloats));
  for (size_t i = 1; i < 4; ++i) FEWBIT_TRY(c.check_same_elem(0, i));
  for (size_t i : {0, 1, 3}) FEWBIT_TRY(c.check_rank(i, 3));
  const Shape* x = c.shape(0);
  const Shape* w = c.shape(1);
  Shape state(3);
  if (x != nullptr) {
    state[0] = (*x)[0];
    state[1] = (*x)[1];
    FEWBIT_TRY(c.check_dim(1, 0, (*x)[1]));
  }
  if (w != nullptr && (*w)[2].known()) state[2] = dim_or_unknown((*w)[2].value - 1);
  std::optional<Shape> out = Shape(3);
  if (x != nullptr) out = *x;
  c.set(0, c.elem(0), std::move(out));
  c.set(1, c.elem(0), std::move(state));
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "CausalConvWithState", 27, 2, 4, 2, 2, causal_conv},
    {"", "Conv", 1, 2, 3, 1, 1, conv},
    {"", "ConvInteger", 10, 2, 4, 1, 1, conv_integer},
    {"", "ConvTranspose", 1, 2, 3, 1, 1, conv_transpose},
    {"", "DeformConv", 19, 3, 5, 1, 1, deform_conv},
    {"", "QLinearConv", 10, 8, 9, 1, 1, qlinear_conv},
    {"com.microsoft", "FusedConv", 1, 2, 4, 1, 1, conv},
};

}  // namespace

std::span<const SchemaRow> conv_rows() {
  return kRows;
}

}  // namespace fewbit::infer
