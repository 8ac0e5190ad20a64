#include "graph/infer/shape_value.h"

namespace fewbit::infer {

Result<std::optional<Shape>> shape_from_input(const InferContext& c, size_t i) {
  FEWBIT_TRY(c.check_elem(i, kIndices));
  if (c.rank(i) > 1) return c.fail(i, "a list of dimensions");
  const PartialValue* v = c.value(i);
  if (v == nullptr) {
    const Shape* s = c.shape(i);
    bool counted = s != nullptr && s->size() == 1 && s->front().known() &&
                   s->front().value <= kMaxPartialElements;
    if (!counted) return std::optional<Shape>{};
    return std::optional<Shape>(unknown_shape(static_cast<size_t>(s->front().value)));
  }
  Shape shape;
  for (const PartialElement& e : v->elements) {
    if (e.is_int() && e.integer < 0) {
      return bad_input("{} holds {}, expected dimensions that are not negative", c.input_label(i),
                       e.integer);
    }
    shape.push_back(e.to_dim());
  }
  return std::optional<Shape>(std::move(shape));
}

std::optional<PartialValue> value_or_unknown(const InferContext& c, size_t i) {
  if (const PartialValue* v = c.value(i)) return *v;
  auto dims = c.type(i).static_dims();
  if (!dims || !is_partial_type(c.elem(i))) return std::nullopt;
  if (!carried_elements(*dims)) return std::nullopt;
  return PartialValue::unknown(std::move(*dims));
}

Axes axes_of(const InferContext& c, size_t i, int input_since) {
  Axes axes;
  if (c.opset() < input_since) {
    axes.given = c.node().has("axes");
    if (const auto* list = c.node().get<std::vector<int64_t>>("axes")) axes.values = *list;
  } else {
    axes.given = c.has(i);
    axes.values = c.ints(i);
    const Shape* s = c.shape(i);
    if (s != nullptr && s->size() == 1 && s->front().known()) axes.count = s->front().value;
  }
  if (axes.values) axes.count = static_cast<int64_t>(axes.values->size());
  return axes;
}

std::optional<PartialValue> reshaped(const PartialValue& v, const std::optional<Shape>& shape) {
  auto dims = ValueType::tensor(DType::kInt64, shape).static_dims();
  if (!dims) return std::nullopt;
  auto elements = carried_elements(*dims);
  if (!elements || static_cast<size_t>(*elements) != v.elements.size()) return std::nullopt;
  return PartialValue{std::move(*dims), v.elements};
}

PartialValue transposed(const PartialValue& v, const std::vector<int64_t>& perm) {
  PartialValue out;
  std::vector<int64_t> strides = strides_of(v.dims);
  for (int64_t axis : perm) out.dims.push_back(v.dims[static_cast<size_t>(axis)]);
  for_each_index(out.dims, [&](int64_t, const std::vector<int64_t>& at) {
    int64_t offset = 0;
    for (size_t k = 0; k < perm.size(); ++k)
      offset += at[k] * strides[static_cast<size_t>(perm[k])];
    out.elements.push_back(v.elements[static_cast<size_t>(offset)]);
  });
  return out;
}

PartialValue sliced(const PartialValue& v, const std::vector<SliceAxis>& axes) {
  PartialValue out;
  std::vector<int64_t> strides = strides_of(v.dims);
  for (const SliceAxis& axis : axes) out.dims.push_back(axis.count);
  for_each_index(out.dims, [&](int64_t, const std::vector<int64_t>& at) {
    int64_t offset = 0;
    for (size_t k = 0; k < axes.size(); ++k) {
      offset += (axes[k].start + at[k] * axes[k].step) * strides[k];
    }
    out.elements.push_back(v.elements[static_cast<size_t>(offset)]);
  });
  return out;
}

}  // namespace fewbit::infer
