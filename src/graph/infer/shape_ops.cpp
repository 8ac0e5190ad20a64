// Operators that only change the shape: Reshape, Flatten, Squeeze, Unsqueeze, Transpose, Expand,
// Tile, and those that ask for it: Shape, Size.

#include <algorithm>

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"
#include "graph/infer/shape_value.h"

namespace fewbit::infer {

namespace {

void set_reshaped(InferContext& c, std::optional<Shape> shape) {
  if (const PartialValue* v = c.value(0)) {
    if (auto out = reshaped(*v, shape)) c.set_value(0, std::move(*out));
  }
  c.set(0, c.elem(0), std::move(shape));
}

// Unknown dimensions get private names, so that one that Reshape copies (0) cancels with itself.
constexpr char kPrivate = '\1';

Shape with_private_names(const Shape& shape) {
  Shape out = shape;
  for (size_t i = 0; i < out.size(); ++i) {
    if (!out[i].known() && out[i].symbol.empty()) out[i].symbol = fmt::format("{}{}", kPrivate, i);
  }
  return out;
}

void drop_private_name(Dim& d) {
  if (!d.symbol.empty() && d.symbol.front() == kPrivate) d.symbol.clear();
}

// One element of Reshape's second input. `open` is set if the element leaves the dimension to be
// computed from the others.
Result<Dim> reshape_dim(const InferContext& c, const PartialElement& e, size_t i,
                        const std::optional<Shape>& data, bool& open) {
  open = !e.is_int() && e.kind != PartialElement::Kind::kSymbol;
  if (!e.is_int()) return e.to_dim();
  if (e.integer == -1) {
    open = true;
    return Dim{};
  }
  if (e.integer < -1) {
    return bad_input("{} holds {}, expected -1 or dimensions", c.input_label(1), e.integer);
  }
  if (e.integer > 0 || c.node().get_int("allowzero", 0) != 0) return Dim::of(e.integer);
  if (!data) return Dim{};
  if (i >= data->size()) {
    return bad_input("{} copies dimension {}, but {} has only {}", c.input_label(1), i,
                     c.input_label(0), data->size());
  }
  return (*data)[i];
}

// The dimension left open is what the number of elements leaves for it.
Status close_shape(const InferContext& c, const Shape& data, const std::vector<size_t>& open,
                   Shape& out) {
  Product total = product_of(data);
  Product rest;
  for (size_t i = 0; i < out.size(); ++i) {
    if (std::find(open.begin(), open.end(), i) == open.end()) rest.multiply(out[i]);
  }
  bool numbers = total.known && rest.known && total.symbols.empty() && rest.symbols.empty();
  bool fits = !numbers || (open.empty()       ? total.number == rest.number
                           : rest.number == 0 ? total.number == 0
                                              : total.number % rest.number == 0);
  if (!fits) {
    return bad_input("{} is {} ({} elements), which cannot take the shape {}", c.input_label(0),
                     c.type(0).to_string(), total.number,
                     ValueType::tensor(c.elem(0), out).to_string());
  }
  if (open.size() == 1) out[open.front()] = divide(total, rest);
  return {};
}

Status reshape(InferContext& c) {
  FEWBIT_TRY(c.check_elem(1, types(DType::kInt64)));
  const PartialValue* target = c.value(1);
  if (target == nullptr) {
    FEWBIT_ASSIGN(std::optional<Shape> counted, shape_from_input(c, 1));
    c.set(0, c.elem(0), std::move(counted));
    return {};
  }
  if (target->dims.size() > 1) return c.fail(1, "a list of dimensions");
  std::optional<Shape> data;
  if (c.has_shape(0)) data = with_private_names(*c.shape(0));
  Shape out;
  std::vector<size_t> open;
  int minus_ones = 0;
  for (size_t i = 0; i < target->elements.size(); ++i) {
    bool is_open = false;
    FEWBIT_ASSIGN(Dim d, reshape_dim(c, target->elements[i], i, data, is_open));
    if (is_open) open.push_back(i);
    minus_ones += target->elements[i] == PartialElement::of(-1) ? 1 : 0;
    out.push_back(std::move(d));
  }
  if (minus_ones > 1) return bad_input("{} holds -1 twice", c.input_label(1));
  if (data) FEWBIT_TRY(close_shape(c, *data, open, out));
  for (Dim& d : out) drop_private_name(d);
  set_reshaped(c, std::move(out));
  return {};
}

Status flatten(InferContext& c) {
  const Shape* s = c.shape(0);
  Shape out(2);
  if (s != nullptr) {
    auto rank = static_cast<int64_t>(s->size());
    int64_t axis = c.node().get_int("axis", 1);
    if (axis < -rank || axis > rank) {
      return bad_input("axis is {}, expected a number in [{}, {}]", axis, -rank, rank);
    }
    auto split = static_cast<size_t>(axis < 0 ? axis + rank : axis);
    out = {as_dim(product_of(std::span(*s).first(split))),
           as_dim(product_of(std::span(*s).subspan(split)))};
  }
  set_reshaped(c, std::move(out));
  return {};
}

Status squeeze(InferContext& c) {
  const Shape* s = c.shape(0);
  Axes axes = axes_of(c, 1, 13);
  std::optional<Shape> out;
  if (s != nullptr && !axes.given) {
    bool all_known = std::all_of(s->begin(), s->end(), [](const Dim& d) { return d.known(); });
    if (all_known) {
      out = Shape{};
      std::copy_if(s->begin(), s->end(), std::back_inserter(*out),
                   [](const Dim& d) { return d.value != 1; });
    }
  } else if (s != nullptr && axes.values) {
    FEWBIT_ASSIGN(auto which, c.normalize_axes(*axes.values, c.rank(0)));
    for (int64_t axis : which) FEWBIT_TRY(c.check_dim(0, static_cast<size_t>(axis), Dim::of(1)));
    out = reduce_shape(*s, which, false);
  } else if (s != nullptr && axes.count && *axes.count <= c.rank(0)) {
    out = unknown_shape(s->size() - static_cast<size_t>(*axes.count));
  }
  set_reshaped(c, std::move(out));
  return {};
}

Status unsqueeze(InferContext& c) {
  const Shape* s = c.shape(0);
  Axes axes = axes_of(c, 1, 13);
  std::optional<Shape> out;
  if (s != nullptr && axes.count && *axes.count <= kMaxPartialElements) {
    out = unknown_shape(s->size() + static_cast<size_t>(*axes.count));
  }
  if (out && axes.values) {
    FEWBIT_ASSIGN(auto which, c.normalize_axes(*axes.values, static_cast<int64_t>(out->size())));
    for (int64_t axis : which) {
      Dim& d = (*out)[static_cast<size_t>(axis)];
      if (d.known()) return bad_input("axis {} is named twice", axis);
      d = Dim::of(1);
    }
    size_t next = 0;
    for (Dim& d : *out) {
      if (!d.known()) d = (*s)[next++];
    }
  }
  set_reshaped(c, std::move(out));
  return {};
}

Result<std::vector<int64_t>> permutation(const InferContext& c, size_t rank) {
  std::vector<int64_t> perm;
  for (size_t i = rank; i > 0; --i) perm.push_back(static_cast<int64_t>(i) - 1);
  if (!c.node().has("perm")) return perm;
  FEWBIT_ASSIGN(std::vector<int64_t> given, c.required_ints("perm"));
  FEWBIT_ASSIGN(given, c.normalize_axes(std::move(given), static_cast<int64_t>(rank)));
  std::vector<int64_t> sorted = given;
  std::sort(sorted.rbegin(), sorted.rend());
  if (sorted != perm) {
    return bad_input("perm is {}, expected an order of the {} axes of {}", to_string(given), rank,
                     c.input_label(0));
  }
  return given;
}

Status transpose(InferContext& c) {
  const Shape* s = c.shape(0);
  if (s == nullptr) {
    const auto* perm = c.node().get<std::vector<int64_t>>("perm");
    c.set(0, c.elem(0),
          perm == nullptr ? std::nullopt : std::optional(unknown_shape(perm->size())));
    return {};
  }
  FEWBIT_ASSIGN(std::vector<int64_t> perm, permutation(c, s->size()));
  Shape out;
  for (int64_t axis : perm) out.push_back((*s)[static_cast<size_t>(axis)]);
  c.set(0, c.elem(0), std::move(out));
  if (const PartialValue* v = c.value(0)) c.set_value(0, transposed(*v, perm));
  return {};
}

// `start` and `end` of Shape are clamped, not checked.
size_t clamp_axis(int64_t axis, size_t rank) {
  auto r = static_cast<int64_t>(rank);
  if (axis < -r) return 0;
  return static_cast<size_t>(std::clamp<int64_t>(axis < 0 ? axis + r : axis, 0, r));
}

Status shape(InferContext& c) {
  const Shape* s = c.shape(0);
  if (s == nullptr) {
    c.set(0, DType::kInt64, Shape(1));
    return {};
  }
  size_t start = clamp_axis(c.node().get_int("start", 0), s->size());
  size_t end = clamp_axis(c.node().get_int("end", static_cast<int64_t>(s->size())), s->size());
  std::vector<PartialElement> elements;
  for (size_t i = start; i < end; ++i) elements.push_back(PartialElement::of_dim((*s)[i]));
  c.set(0, DType::kInt64, Shape{Dim::of(static_cast<int64_t>(elements.size()))});
  c.set_value(0, PartialValue::vector(std::move(elements)));
  return {};
}

Status size(InferContext& c) {
  c.set(0, DType::kInt64, Shape{});
  if (const Shape* s = c.shape(0)) {
    c.set_value(0, PartialValue::scalar(PartialElement::of_dim(as_dim(product_of(*s)))));
  }
  return {};
}

Status expand(InferContext& c) {
  FEWBIT_ASSIGN(std::optional<Shape> target, shape_from_input(c, 1));
  std::optional<Shape> out;
  if (c.has_shape(0) && target) {
    out = broadcast(*c.shape(0), *target);
    if (!out) {
      return bad_input("{} is {}, which cannot be broadcast to the shape {}", c.input_label(0),
                       c.type(0).to_string(), ValueType::tensor(c.elem(0), *target).to_string());
    }
  }
  const PartialValue* v = c.value(0);
  auto dims = ValueType::tensor(DType::kInt64, out).static_dims();
  if (v != nullptr && dims && carried_elements(*dims)) {
    PartialValue repeated{*dims, {}};
    for_each_index(*dims, [&](int64_t, const std::vector<int64_t>& at) {
      auto offset = static_cast<size_t>(broadcast_offset(v->dims, at));
      repeated.elements.push_back(v->elements[offset]);
    });
    c.set_value(0, std::move(repeated));
  }
  c.set(0, c.elem(0), std::move(out));
  return {};
}

Status tile(InferContext& c) {
  FEWBIT_ASSIGN(std::optional<Shape> repeats, shape_from_input(c, 1));
  const Shape* s = c.shape(0);
  if (s == nullptr) {
    c.set(0, c.elem(0), repeats ? std::optional(unknown_shape(repeats->size())) : std::nullopt);
    return {};
  }
  Shape out(s->size());
  if (repeats) {
    if (repeats->size() != s->size()) {
      return c.fail(1, "{} repeats, one for each axis of {}", s->size(), c.input_label(0));
    }
    for (size_t i = 0; i < out.size(); ++i) out[i] = mul((*s)[i], (*repeats)[i]);
  }
  c.set(0, c.elem(0), std::move(out));
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "Expand", 8, 2, 2, 1, 1, expand},
    {"", "Flatten", 1, 1, 1, 1, 1, flatten},
    {"", "Reshape", 5, 2, 2, 1, 1, reshape},
    {"", "Shape", 1, 1, 1, 1, 1, shape},
    {"", "Size", 1, 1, 1, 1, 1, size},
    {"", "Squeeze", 1, 1, 1, 1, 1, squeeze},
    {"", "Squeeze", 13, 1, 2, 1, 1, squeeze},
    {"", "Tile", 6, 2, 2, 1, 1, tile},
    {"", "Transpose", 1, 1, 1, 1, 1, transpose},
    {"", "Unsqueeze", 1, 1, 1, 1, 1, unsqueeze},
    {"", "Unsqueeze", 13, 2, 2, 1, 1, unsqueeze},
};

}  // namespace

std::span<const SchemaRow> shape_rows() {
  return kRows;
}

}  // namespace fewbit::infer
