// Operators that make tensors from attributes, shapes or a random source.

#include <cmath>

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"
#include "graph/infer/shape_value.h"

namespace fewbit::infer {

namespace {

template <typename T>
Shape list_shape(const std::vector<T>& list) {
  return {Dim::of(static_cast<int64_t>(list.size()))};
}

// Exactly one of the value attributes is set.
Status constant(InferContext& c) {
  const Node& node = c.node();
  if (const auto* v = node.get<Tensor>("value")) {
    c.set(0, v->type(), to_shape(v->dims()));
    if (auto value = partial_of(*v)) c.set_value(0, std::move(*value));
  } else if (const auto* sparse = node.get<Tensor>("sparse_value")) {
    c.set(0, sparse->type(), to_shape(sparse->dims()));
  } else if (const auto* i = node.get<int64_t>("value_int")) {
    c.set(0, DType::kInt64, Shape{});
    c.set_value(0, PartialValue::scalar(PartialElement::of(*i)));
  } else if (const auto* f = node.get<float>("value_float")) {
    c.set(0, DType::kFloat32, Shape{});
    c.set_value(0, PartialValue::scalar(PartialElement::of_real(static_cast<double>(*f))));
  } else if (const auto* ints = node.get<std::vector<int64_t>>("value_ints")) {
    c.set(0, DType::kInt64, list_shape(*ints));
    std::vector<PartialElement> elements;
    for (int64_t e : *ints) elements.push_back(PartialElement::of(e));
    c.set_value(0, PartialValue::vector(std::move(elements)));
  } else if (const auto* floats = node.get<std::vector<float>>("value_floats")) {
    c.set(0, DType::kFloat32, list_shape(*floats));
    std::vector<PartialElement> elements;
    for (float e : *floats) elements.push_back(PartialElement::of_real(static_cast<double>(e)));
    c.set_value(0, PartialValue::vector(std::move(elements)));
  } else if (node.get<std::string>("value_string") != nullptr) {
    c.set(0, DType::kString, Shape{});
  } else if (const auto* strings = node.get<std::vector<std::string>>("value_strings")) {
    c.set(0, DType::kString, list_shape(*strings));
  } else if (!node.has("sparse_value")) {
    return bad_input("there is no value attribute of the right type");
  }
  return {};
}

Status constant_of_shape(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, types(DType::kInt64)));
  FEWBIT_ASSIGN(std::optional<Shape> shape, shape_from_input(c, 0));
  const auto* fill = c.node().get<Tensor>("value");
  if (fill != nullptr && fill->elements() != 1) {
    return bad_input("attribute 'value' has {} elements, expected 1", fill->elements());
  }
  c.set(0, fill == nullptr ? DType::kFloat32 : fill->type(), shape);
  auto dims = ValueType::tensor(DType::kInt64, shape).static_dims();
  std::optional<PartialValue> element;
  if (fill != nullptr) element = partial_of(*fill);
  if (dims && element && carried_elements(*dims)) {
    PartialValue out = PartialValue::unknown(*dims);
    for (PartialElement& e : out.elements) e = element->elements.front();
    c.set_value(0, std::move(out));
  }
  return {};
}

std::optional<PartialElement> only_element(const InferContext& c, size_t i) {
  const PartialValue* v = c.value(i);
  if (v == nullptr || v->elements.size() != 1) return std::nullopt;
  return v->elements.front();
}

// ceil((limit - start) / delta), not below 0.
Dim integer_range(int64_t start, int64_t limit, int64_t delta) {
  auto span = delta > 0 ? checked_sub(limit, start) : checked_sub(start, limit);
  if (!span) return {};
  if (*span <= 0) return Dim::of(0);
  // By the negative delta itself: its negation could overflow.
  return Dim::of(delta > 0 ? (*span - 1) / delta + 1 : 1 - (*span - 1) / delta);
}

Dim real_range(double start, double limit, double delta, DType elem) {
  double span = limit - start;
  if (elem == DType::kFloat32) span = static_cast<double>(static_cast<float>(span));
  double count = std::ceil(span / delta);
  if (!(count < 9e18)) return {};
  return Dim::of(count > 0 ? static_cast<int64_t>(count) : 0);
}

Status range(InferContext& c) {
  for (size_t i = 0; i < 3; ++i) {
    FEWBIT_TRY(c.check_elem(i, kNumbers));
    FEWBIT_TRY(c.check_same_elem(0, i));
    FEWBIT_TRY(check_one_element(c, i));
  }
  DType elem = first_elem(c, {0, 1, 2});
  auto start = only_element(c, 0);
  auto limit = only_element(c, 1);
  auto delta = only_element(c, 2);
  Dim count;
  if (delta && (*delta == PartialElement::of(0) || *delta == PartialElement::of_real(0))) {
    return c.fail(2, "a delta that is not 0");
  }
  if (start && limit && delta) {
    if (start->is_int() && limit->is_int() && delta->is_int()) {
      count = integer_range(start->integer, limit->integer, delta->integer);
      if (count.known() && count.value <= kMaxPartialElements) {
        std::vector<PartialElement> elements;
        for (int64_t i = 0; i < count.value; ++i) {
          elements.push_back(PartialElement::of(start->integer + i * delta->integer));
        }
        c.set_value(0, PartialValue::vector(std::move(elements)));
      }
    } else if (start->is_real() && limit->is_real() && delta->is_real()) {
      count = real_range(start->real, limit->real, delta->real, elem);
    } else if (*start == PartialElement::of(0) && *delta == PartialElement::of(1)) {
      count = limit->to_dim();
    }
  }
  c.set(0, elem, Shape{count});
  return {};
}

// Like input 0, with an element type of its own if `dtype` names one.
Status like_input(InferContext& c) {
  FEWBIT_ASSIGN(DType elem, c.dtype_attribute("dtype", c.elem(0)));
  c.set(0, elem, shape_of(c, 0));
  return {};
}

Status eye_like(InferContext& c) {
  FEWBIT_TRY(c.check_rank(0, 2));
  return like_input(c);
}

Status random(InferContext& c) {
  FEWBIT_ASSIGN(DType elem, c.dtype_attribute("dtype", DType::kFloat32));
  FEWBIT_ASSIGN(std::vector<int64_t> dims, c.required_ints("shape"));
  FEWBIT_TRY(checked_elements(dims, elem));
  c.set(0, elem, to_shape(dims));
  return {};
}

Status multinomial(InferContext& c) {
  FEWBIT_TRY(c.check_rank(0, 2));
  FEWBIT_ASSIGN(DType elem, c.dtype_attribute("dtype", DType::kInt32));
  Dim batch = c.has_shape(0) ? c.shape(0)->front() : Dim{};
  c.set(0, elem, Shape{batch, dim_or_unknown(c.node().get_int("sample_size", 1))});
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "Bernoulli", 15, 1, 1, 1, 1, like_input},
    {"", "Constant", 1, 0, 0, 1, 1, constant},
    {"", "ConstantOfShape", 9, 1, 1, 1, 1, constant_of_shape},
    {"", "EyeLike", 9, 1, 1, 1, 1, eye_like},
    {"", "Multinomial", 7, 1, 1, 1, 1, multinomial},
    {"", "RandomNormal", 1, 0, 0, 1, 1, random},
    {"", "RandomNormalLike", 1, 1, 1, 1, 1, like_input},
    {"", "RandomUniform", 1, 0, 0, 1, 1, random},
    {"", "RandomUniformLike", 1, 1, 1, 1, 1, like_input},
    {"", "Range", 11, 3, 3, 1, 1, range},
};

}  // namespace

std::span<const SchemaRow> constant_rows() {
  return kRows;
}

}  // namespace fewbit::infer
