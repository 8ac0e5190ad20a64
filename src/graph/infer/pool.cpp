// Pools, global pools, unpooling, local response normalisation.

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"
#include "graph/infer/window.h"

namespace fewbit::infer {

namespace {

// `channels_last`: [N, spatial..., C] instead of [N, C, spatial...].
Result<std::optional<Shape>> pool_shape(const InferContext& c) {
  FEWBIT_TRY(c.check_min_rank(0, 3));
  FEWBIT_ASSIGN(Window window, read_window(c, std::nullopt));
  FEWBIT_TRY(c.check_rank(0, static_cast<int64_t>(window.axes()) + 2));
  const Shape* x = c.shape(0);
  if (x == nullptr) return std::optional(unknown_shape(window.axes() + 2));
  size_t first = c.node().get_int("channels_last", 0) != 0 ? 1 : 2;
  Shape out = *x;
  for (size_t i = 0; i < window.axes(); ++i) {
    FEWBIT_ASSIGN(out[i + first], window_output(window, i, (*x)[i + first]));
  }
  return std::optional(std::move(out));
}

Status pool(InferContext& c) {
  FEWBIT_ASSIGN(std::optional<Shape> out, pool_shape(c));
  c.set(0, c.elem(0), out);
  c.set(1, DType::kInt64, std::move(out));
  return {};
}

Status global_pool(InferContext& c) {
  FEWBIT_TRY(c.check_min_rank(0, 2));
  std::optional<Shape> out = shape_of(c, 0);
  size_t skipped = c.node().get_int("channels_last", 0) != 0 ? 1 : 0;
  for (size_t i = 2 - skipped; out && i + skipped < out->size(); ++i) (*out)[i] = Dim::of(1);
  c.set(0, c.elem(0), std::move(out));
  return {};
}

Status max_unpool(InferContext& c) {
  FEWBIT_TRY(c.check_min_rank(0, 3));
  FEWBIT_TRY(c.check_elem(1, types(DType::kInt64)));
  FEWBIT_ASSIGN(Window window, read_window(c, std::nullopt));
  size_t n = window.axes();
  FEWBIT_TRY(c.check_rank(0, static_cast<int64_t>(n) + 2));
  const Shape* x = c.shape(0);
  Shape out(n + 2);
  if (c.has(2)) {
    const PartialValue* v = c.value(2);
    bool fits = v != nullptr && v->elements.size() == out.size();
    for (size_t i = 0; fits && i < out.size(); ++i) out[i] = v->elements[i].to_dim();
  } else if (x != nullptr) {
    out[0] = (*x)[0];
    out[1] = (*x)[1];
    for (size_t i = 0; i < n; ++i) {
      FEWBIT_ASSIGN(out[i + 2], transposed_output(window, i, (*x)[i + 2], 0));
    }
  }
  c.set(0, c.elem(0), std::move(out));
  return {};
}

Status lrn(InferContext& c) {
  FEWBIT_TRY(c.check_min_rank(0, 2));
  return same_as_float_input(c);
}

constexpr SchemaRow kRows[] = {
    {"", "AveragePool", 1, 1, 1, 1, 1, pool},
    {"", "GlobalAveragePool", 1, 1, 1, 1, 1, global_pool},
    {"", "GlobalLpPool", 1, 1, 1, 1, 1, global_pool},
    {"", "GlobalMaxPool", 1, 1, 1, 1, 1, global_pool},
    {"", "LRN", 1, 1, 1, 1, 1, lrn},
    {"", "LpPool", 1, 1, 1, 1, 1, pool},
    {"", "MaxPool", 1, 1, 1, 1, 1, pool},
    {"", "MaxPool", 8, 1, 1, 1, 2, pool},
    {"", "MaxUnpool", 9, 2, 3, 1, 1, max_unpool},
    // X, x_scale, x_zero_point?, y_scale, y_zero_point?
    {"com.microsoft", "QLinearAveragePool", 1, 4, 5, 1, 1, pool, false, 0b100},
    {"com.microsoft", "QLinearGlobalAveragePool", 1, 5, 5, 1, 1, global_pool, false, 0b10100},
};

}  // namespace

std::span<const SchemaRow> pool_rows() {
  return kRows;
}

}  // namespace fewbit::infer
