// Slice: which elements each axis keeps, as far as starts, ends and steps are known.

#include <algorithm>

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"
#include "graph/infer/shape_value.h"

namespace fewbit::infer {

namespace {

// Exporters write "to the end" as one of these.
bool is_huge(int64_t v) {
  return v >= INT32_MAX;
}

SliceAxis known_slice(int64_t size, int64_t start, int64_t end, int64_t step) {
  if (start < 0) start += size;
  if (end < 0) end += size;
  if (step > 0) {
    start = std::clamp<int64_t>(start, 0, size);
    end = std::clamp<int64_t>(end, 0, size);
    return {start, step, end > start ? (end - start - 1) / step + 1 : 0};
  }
  start = std::clamp<int64_t>(start, 0, std::max<int64_t>(size - 1, 0));
  end = std::clamp<int64_t>(end, -1, std::max<int64_t>(size - 1, -1));
  // Divided by the negative step: its negation could overflow.
  return {start, step, start > end && size > 0 ? 1 - (start - end - 1) / step : 0};
}

struct SliceInputs {
  std::vector<PartialElement> starts, ends, steps;
  std::vector<int64_t> axes;
};

std::optional<std::vector<PartialElement>> list_of(const InferContext& c, size_t i,
                                                   std::string_view attribute) {
  if (c.opset() < 10) {
    const auto* list = c.node().get<std::vector<int64_t>>(attribute);
    if (list == nullptr) return std::nullopt;
    std::vector<PartialElement> out;
    for (int64_t v : *list) out.push_back(PartialElement::of(v));
    return out;
  }
  auto value = value_or_unknown(c, i);
  if (!value || value->dims.size() != 1) return std::nullopt;
  return value->elements;
}

// nullopt: which axes are sliced is not known.
Result<std::optional<SliceInputs>> read_inputs(const InferContext& c, int64_t rank) {
  std::optional<SliceInputs> none;
  auto starts = list_of(c, 1, "starts");
  auto ends = list_of(c, 2, "ends");
  if (c.opset() < 10 && (!starts || !ends)) {
    return bad_input("attributes 'starts' and 'ends' must be lists of integers");
  }
  if (!starts || !ends) return none;
  SliceInputs in{*starts, *ends, {}, {}};
  Axes axes = axes_of(c, 3, 10);
  if (axes.given && !axes.values) return none;
  if (axes.given) {
    FEWBIT_ASSIGN(in.axes, c.normalize_axes(*axes.values, rank));
  } else {
    for (size_t i = 0; i < in.starts.size(); ++i) in.axes.push_back(static_cast<int64_t>(i));
  }
  in.steps.assign(in.axes.size(), PartialElement::of(1));
  if (c.opset() >= 10 && c.has(4)) {
    auto steps = list_of(c, 4, "");
    if (!steps) {
      in.steps.assign(in.axes.size(), PartialElement{});
    } else {
      in.steps = *steps;
    }
  }
  bool equal_counts = in.starts.size() == in.axes.size() && in.ends.size() == in.axes.size() &&
                      in.steps.size() == in.axes.size();
  if (!equal_counts || in.axes.size() > static_cast<size_t>(rank)) {
    return bad_input(
        "starts, ends, axes and steps have {}, {}, {} and {} elements for an input of "
        "rank {}",
        in.starts.size(), in.ends.size(), in.axes.size(), in.steps.size(), rank);
  }
  return std::optional(std::move(in));
}

// The size of one sliced axis; `axis` is set where start, step and count are numbers.
Dim slice_dim(const Dim& size, const PartialElement& start, const PartialElement& end,
              const PartialElement& step, std::optional<SliceAxis>& axis) {
  bool numbers = start.is_int() && end.is_int() && step.is_int();
  if (size.known() && numbers) {
    axis = known_slice(size.value, start.integer, end.integer, step.integer);
    return Dim::of(axis->count);
  }
  axis.reset();
  if (size.known() && size.value == 0) return size;
  bool forward = step == PartialElement::of(1) && start == PartialElement::of(0);
  bool to_end = (end.is_int() && is_huge(end.integer)) ||
                (end.kind == PartialElement::Kind::kSymbol && end.symbol == size.symbol);
  bool backward = step == PartialElement::of(-1) && start == PartialElement::of(-1) &&
                  end.is_int() && end.integer < -INT32_MAX;
  return (forward && to_end) || backward ? size : Dim{};
}

Status slice(InferContext& c) {
  for (size_t i = 1; i < c.input_count(); ++i) FEWBIT_TRY(c.check_elem(i, kIndices));
  const Shape* s = c.shape(0);
  if (s == nullptr) {
    c.set(0, c.elem(0), std::nullopt);
    return {};
  }
  FEWBIT_ASSIGN(std::optional<SliceInputs> in, read_inputs(c, c.rank(0)));
  if (!in) {
    c.set(0, c.elem(0), unknown_shape(s->size()));
    return {};
  }
  Shape out = *s;
  const PartialValue* v = c.value(0);
  std::vector<SliceAxis> kept;
  for (size_t k = 0; v != nullptr && k < out.size(); ++k) kept.push_back({0, 1, v->dims[k]});
  for (size_t i = 0; i < in->axes.size(); ++i) {
    auto k = static_cast<size_t>(in->axes[i]);
    if (in->steps[i] == PartialElement::of(0)) return bad_input("the step of axis {} is 0", k);
    std::optional<SliceAxis> axis;
    Dim size = v != nullptr ? Dim::of(v->dims[k]) : (*s)[k];
    out[k] = slice_dim(size, in->starts[i], in->ends[i], in->steps[i], axis);
    if (v != nullptr && axis) kept[k] = *axis;
    if (!axis) v = nullptr;
  }
  c.set(0, c.elem(0), std::move(out));
  if (v != nullptr) c.set_value(0, sliced(*v, kept));
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "Slice", 1, 1, 1, 1, 1, slice},
    {"", "Slice", 10, 3, 5, 1, 1, slice},
};

}  // namespace

std::span<const SchemaRow> slice_rows() {
  return kRows;
}

}  // namespace fewbit::infer
