#include "graph/infer/common.h"

#include <algorithm>

namespace fewbit::infer {

Status same_as_input(InferContext& c) {
  c.set_type(0, c.type(0));
  if (const PartialValue* v = c.value(0); v != nullptr && c.node().is("Identity")) {
    c.set_value(0, *v);
  }
  return {};
}

Status same_as_float_input(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kFloats));
  c.set_type(0, c.type(0));
  return {};
}

Result<std::optional<Shape>> broadcast_inputs(const InferContext& c,
                                              const std::vector<size_t>& which) {
  std::optional<Shape> out = Shape{};
  std::string seen;
  bool all_known = true;
  for (size_t i : which) {
    if (!c.has(i)) continue;
    const Shape* s = c.shape(i);
    if (s == nullptr) {
      all_known = false;
      continue;
    }
    auto next = broadcast(*out, *s);
    if (!next) {
      return bad_input("the shapes cannot be broadcast together: {}{} is {}", seen,
                       c.input_label(i), c.type(i).to_string());
    }
    out = std::move(next);
    seen += fmt::format("{} is {}, ", c.input_label(i), c.type(i).to_string());
  }
  if (!all_known) return std::optional<Shape>{};
  return out;
}

Status check_broadcasts_to(const InferContext& c, size_t i, const Shape& target) {
  const Shape* s = c.shape(i);
  if (s == nullptr) return {};
  bool fits = s->size() <= target.size();
  size_t offset = fits ? target.size() - s->size() : 0;
  for (size_t k = 0; fits && k < s->size(); ++k) {
    const Dim& d = (*s)[k];
    fits = !(d.known() && d.value != 1 && certainly_differ(d, target[offset + k]));
  }
  if (fits) return {};
  return c.fail(i, "a shape that broadcasts to {}",
                ValueType::tensor(c.elem(i), target).to_string());
}

DType first_elem(const InferContext& c, const std::vector<size_t>& which) {
  for (size_t i : which) {
    if (c.elem(i) != DType::kUndefined) return c.elem(i);
  }
  return DType::kUndefined;
}

Shape reduce_shape(const Shape& shape, const std::vector<int64_t>& axes, bool keepdims) {
  Shape out;
  for (size_t i = 0; i < shape.size(); ++i) {
    bool reduced = std::find(axes.begin(), axes.end(), static_cast<int64_t>(i)) != axes.end();
    if (!reduced) {
      out.push_back(shape[i]);
    } else if (keepdims) {
      out.push_back(Dim::of(1));
    }
  }
  return out;
}

Status check_one_element(const InferContext& c, size_t i) {
  const Shape* s = c.shape(i);
  if (s == nullptr) return {};
  bool fits = true;
  for (const Dim& d : *s) fits = fits && !(d.known() && d.value != 1);
  if (fits) return {};
  return c.fail(i, "one element");
}

}  // namespace fewbit::infer
