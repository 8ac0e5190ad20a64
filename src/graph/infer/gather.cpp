// Operators that pick elements: Gather and its kin, TopK, OneHot, and those whose result size
// depends on the data (NonZero, Compress, Unique).

#include <algorithm>

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"
#include "graph/infer/shape_value.h"

namespace fewbit::infer {

namespace {

std::optional<PartialValue> gather_values(const InferContext& c, size_t axis) {
  const PartialValue* data = c.value(0);
  auto indices = c.ints(1);
  if (data == nullptr || !indices) return std::nullopt;
  const Dims& picked = c.value(1)->dims;
  PartialValue out;
  out.dims.assign(data->dims.begin(), data->dims.begin() + static_cast<int64_t>(axis));
  out.dims.insert(out.dims.end(), picked.begin(), picked.end());
  out.dims.insert(out.dims.end(), data->dims.begin() + static_cast<int64_t>(axis) + 1,
                  data->dims.end());
  if (!carried_elements(out.dims)) return std::nullopt;
  int64_t size = data->dims[axis];
  int64_t outer = 1;
  int64_t inner = 1;
  for (size_t k = 0; k < axis; ++k) outer *= data->dims[k];
  for (size_t k = axis + 1; k < data->dims.size(); ++k) inner *= data->dims[k];
  for (int64_t row = 0; row < outer; ++row) {
    for (int64_t index : *indices) {
      if (index < 0) index += size;
      if (index < 0 || index >= size) return std::nullopt;
      auto from = data->elements.begin() + (row * size + index) * inner;
      out.elements.insert(out.elements.end(), from, from + inner);
    }
  }
  return out;
}

// A constant index outside the data is an error that can be told before running.
Status check_indices(const InferContext& c, const Dim& size) {
  auto indices = c.ints(1);
  if (!indices || !size.known()) return {};
  for (int64_t index : *indices) {
    if (index < -size.value || index >= size.value) {
      return bad_input("{} holds {}, expected indices in [{}, {}]", c.input_label(1), index,
                       -size.value, size.value - 1);
    }
  }
  return {};
}

Status gather(InferContext& c) {
  FEWBIT_TRY(c.check_elem(1, kIndices));
  FEWBIT_TRY(c.check_min_rank(0, 1));
  const Shape* data = c.shape(0);
  const Shape* indices = c.shape(1);
  if (data == nullptr || indices == nullptr) {
    c.set(0, c.elem(0), std::nullopt);
    return {};
  }
  FEWBIT_ASSIGN(int64_t normalized, c.normalize_axis(c.node().get_int("axis", 0), c.rank(0)));
  auto axis = static_cast<size_t>(normalized);
  FEWBIT_TRY(check_indices(c, (*data)[axis]));
  Shape out(data->begin(), data->begin() + normalized);
  out.insert(out.end(), indices->begin(), indices->end());
  out.insert(out.end(), data->begin() + normalized + 1, data->end());
  c.set(0, c.elem(0), std::move(out));
  if (auto value = gather_values(c, axis)) c.set_value(0, std::move(*value));
  return {};
}

Status gather_elements(InferContext& c) {
  FEWBIT_TRY(c.check_elem(1, kIndices));
  if (c.rank(0) >= 0) {
    FEWBIT_TRY(c.check_rank(1, c.rank(0)));
    FEWBIT_TRY(c.normalize_axis(c.node().get_int("axis", 0), c.rank(0)));
  }
  std::optional<Shape> out = shape_of(c, 1);
  if (!out && c.rank(0) >= 0) out = unknown_shape(static_cast<size_t>(c.rank(0)));
  c.set(0, c.elem(0), std::move(out));
  return {};
}

Status gather_nd(InferContext& c) {
  FEWBIT_TRY(c.check_elem(1, types(DType::kInt64)));
  FEWBIT_TRY(c.check_min_rank(0, 1));
  FEWBIT_TRY(c.check_min_rank(1, 1));
  const Shape* data = c.shape(0);
  const Shape* indices = c.shape(1);
  c.set(0, c.elem(0), std::nullopt);
  if (data == nullptr || indices == nullptr || !indices->back().known()) return {};
  int64_t batch = c.node().get_int("batch_dims", 0);
  int64_t most = std::min(c.rank(0), c.rank(1)) - 1;
  if (batch < 0 || batch > most) {
    return bad_input("batch_dims is {}, expected a number in [0, {}]", batch, most);
  }
  int64_t width = indices->back().value;
  if (width < 1 || width > c.rank(0) - batch) {
    return c.fail(1, "a last dimension from 1 to rank({}) - batch_dims = {}", c.input_label(0),
                  c.rank(0) - batch);
  }
  Shape out(indices->begin(), indices->end() - 1);
  for (size_t k = 0; k < static_cast<size_t>(batch); ++k) {
    FEWBIT_TRY(c.check_dim(1, k, (*data)[k]));
    out[k] = more_precise(out[k], (*data)[k]);
  }
  out.insert(out.end(), data->begin() + batch + width, data->end());
  c.set(0, c.elem(0), std::move(out));
  return {};
}

Status one_hot(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kNumbers));
  FEWBIT_TRY(check_one_element(c, 1));
  FEWBIT_TRY(c.check_rank(2, 1));
  FEWBIT_TRY(c.check_dim(2, 0, Dim::of(2)));
  if (!c.has_shape(0)) {
    c.set(0, c.elem(2), std::nullopt);
    return {};
  }
  Shape out = *c.shape(0);
  FEWBIT_ASSIGN(int64_t axis, c.normalize_axis(c.node().get_int("axis", -1), c.rank(0) + 1));
  Dim depth;
  const PartialValue* v = c.value(1);
  if (v != nullptr && v->elements.size() == 1) {
    const PartialElement& e = v->elements.front();
    depth = e.is_real() && e.real >= 0 && e.real < 9e18 ? Dim::of(static_cast<int64_t>(e.real))
                                                        : e.to_dim();
  }
  out.insert(out.begin() + axis, depth);
  c.set(0, c.elem(2), std::move(out));
  return {};
}

Status top_k(InferContext& c) {
  FEWBIT_TRY(c.check_min_rank(0, 1));
  Dim count;
  if (c.opset() < 10) {
    FEWBIT_ASSIGN(int64_t k, c.required_int("k"));
    count = dim_or_unknown(k);
  } else {
    FEWBIT_TRY(c.check_elem(1, types(DType::kInt64)));
    FEWBIT_TRY(check_one_element(c, 1));
    const PartialValue* v = c.value(1);
    if (v != nullptr && v->elements.size() == 1) count = v->elements.front().to_dim();
  }
  std::optional<Shape> out = shape_of(c, 0);
  if (out) {
    FEWBIT_ASSIGN(int64_t axis, c.normalize_axis(c.node().get_int("axis", -1), c.rank(0)));
    Dim& d = (*out)[static_cast<size_t>(axis)];
    if (d.known() && count.known() && count.value > d.value) {
      return c.fail(0, "at least k = {} elements along axis {}", count.value, axis);
    }
    d = count;
  }
  c.set(0, c.elem(0), out);
  c.set(1, DType::kInt64, std::move(out));
  return {};
}

// One column of coordinates for each element that is not 0. Old exports write Range as the indices
// of a list of ones, so those of a list are carried.
Status non_zero(InferContext& c) {
  Shape out(2);
  if (c.rank(0) >= 0) out[0] = Dim::of(c.rank(0));
  if (auto elements = c.ints(0); elements && c.rank(0) == 1) {
    PartialValue indices{{1, 0}, {}};
    for (size_t i = 0; i < elements->size(); ++i) {
      if ((*elements)[i] != 0)
        indices.elements.push_back(PartialElement::of(static_cast<int64_t>(i)));
    }
    indices.dims[1] = static_cast<int64_t>(indices.elements.size());
    out[1] = Dim::of(indices.dims[1]);
    c.set_value(0, std::move(indices));
  }
  c.set(0, DType::kInt64, std::move(out));
  return {};
}

Status compress(InferContext& c) {
  FEWBIT_TRY(c.check_elem(1, kBools));
  FEWBIT_TRY(c.check_rank(1, 1));
  Dim kept;
  if (auto flags = c.ints(1)) {
    int64_t count = 0;
    for (int64_t flag : *flags) count += flag != 0 ? 1 : 0;
    kept = Dim::of(count);
  }
  if (!c.node().has("axis")) {
    c.set(0, c.elem(0), Shape{kept});
    return {};
  }
  std::optional<Shape> out = shape_of(c, 0);
  if (out) {
    FEWBIT_ASSIGN(int64_t axis, c.normalize_axis(c.node().get_int("axis", 0), c.rank(0)));
    (*out)[static_cast<size_t>(axis)] = kept;
  }
  c.set(0, c.elem(0), std::move(out));
  return {};
}

Status unique(InferContext& c) {
  std::optional<Shape> out = Shape(1);
  Dim along = c.has_shape(0) ? as_dim(product_of(*c.shape(0))) : Dim{};
  if (c.node().has("axis")) {
    out = shape_of(c, 0);
    along = Dim{};
    if (out) {
      FEWBIT_ASSIGN(int64_t axis, c.normalize_axis(c.node().get_int("axis", 0), c.rank(0)));
      along = (*out)[static_cast<size_t>(axis)];
      (*out)[static_cast<size_t>(axis)] = Dim{};
    }
  }
  c.set(0, c.elem(0), std::move(out));
  c.set(1, DType::kInt64, Shape(1));
  c.set(2, DType::kInt64, Shape{along});
  c.set(3, DType::kInt64, Shape(1));
  return {};
}

// X [N, C] and indices Y: [N, number of indices].
Status feature_extractor(InferContext& c) {
  FEWBIT_TRY(c.check_elem(1, types(DType::kInt64)));
  std::optional<Shape> out = shape_of(c, 0);
  if (out && c.has_shape(1)) {
    FEWBIT_TRY(c.check_min_rank(0, 1));
    if (out->size() == 1) out->insert(out->begin(), Dim::of(1));
    out->back() = as_dim(product_of(*c.shape(1)));
  } else {
    out.reset();
  }
  c.set(0, c.elem(0), std::move(out));
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "Compress", 9, 2, 2, 1, 1, compress},
    {"", "Gather", 1, 2, 2, 1, 1, gather},
    {"", "GatherElements", 11, 2, 2, 1, 1, gather_elements},
    {"", "GatherND", 11, 2, 2, 1, 1, gather_nd},
    {"", "NonZero", 9, 1, 1, 1, 1, non_zero},
    {"", "OneHot", 9, 3, 3, 1, 1, one_hot},
    {"", "TopK", 1, 1, 1, 2, 2, top_k},
    {"", "TopK", 10, 2, 2, 2, 2, top_k},
    {"", "Unique", 11, 1, 1, 1, 4, unique},
    {"ai.onnx.ml", "ArrayFeatureExtractor", 1, 2, 2, 1, 1, feature_extractor},
};

}  // namespace

std::span<const SchemaRow> gather_rows() {
  return kRows;
}

}  // namespace fewbit::infer
