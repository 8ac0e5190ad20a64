#include "graph/infer/evaluate.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "graph/infer/dims.h"

namespace fewbit::infer {

namespace {

using Element = PartialElement;

bool is_symbol(const Element& e) {
  return e.kind == Element::Kind::kSymbol;
}
bool is_number(const Element& e, int64_t v) {
  return (e.is_int() && e.integer == v) || (e.is_real() && e.real == static_cast<double>(v));
}
Element from(std::optional<int64_t> v) {
  return v ? Element::of(*v) : Element{};
}

Element add_elements(const Element& a, const Element& b) {
  if (a.is_int() && b.is_int()) return from(checked_add(a.integer, b.integer));
  if (a.is_real() && b.is_real()) return Element::of_real(a.real + b.real);
  if (is_number(a, 0)) return b;
  return is_number(b, 0) ? a : Element{};
}

Element sub_elements(const Element& a, const Element& b) {
  if (a.is_int() && b.is_int()) return from(checked_sub(a.integer, b.integer));
  if (a.is_real() && b.is_real()) return Element::of_real(a.real - b.real);
  return is_number(b, 0) ? a : Element{};
}

Element mul_elements(const Element& a, const Element& b) {
  if (a.is_int() && b.is_int()) return from(checked_mul(a.integer, b.integer));
  if (a.is_real() && b.is_real()) return Element::of_real(a.real * b.real);
  if (is_number(a, 1)) return b;
  return is_number(b, 1) ? a : Element{};
}

Element div_elements(const Element& a, const Element& b) {
  if (a.is_int() && b.is_int()) {
    // Integer division truncates; dividing INT64_MIN by -1 overflows.
    if (b.integer == 0 || b.integer == -1) {
      return b.integer == 0 ? Element{} : from(checked_sub(0, a.integer));
    }
    return Element::of(a.integer / b.integer);
  }
  if (a.is_real() && b.is_real() && b.real != 0) return Element::of_real(a.real / b.real);
  return is_number(b, 1) ? a : Element{};
}

// The sign of the divisor, as in Python (fmod = 0); Mod with fmod = 1 is not carried.
Element mod_elements(const Element& a, const Element& b) {
  if (!a.is_int() || !b.is_int()) return {};
  auto quotient = floor_div(a.integer, b.integer);
  if (!quotient) return {};
  return Element::of(a.integer - *quotient * b.integer);
}

Element min_elements(const Element& a, const Element& b) {
  if (a.is_int() && b.is_int()) return Element::of(std::min(a.integer, b.integer));
  if (a.is_real() && b.is_real()) return Element::of_real(std::min(a.real, b.real));
  return a == b && is_symbol(a) ? a : Element{};
}

Element max_elements(const Element& a, const Element& b) {
  if (a.is_int() && b.is_int()) return Element::of(std::max(a.integer, b.integer));
  if (a.is_real() && b.is_real()) return Element::of_real(std::max(a.real, b.real));
  return a == b && is_symbol(a) ? a : Element{};
}

// -1, 0, 1 for a < b, a == b, a > b; nullopt if not known. A symbol is not negative.
std::optional<int> compare(const Element& a, const Element& b) {
  if (a.is_int() && b.is_int()) return (a.integer > b.integer) - (a.integer < b.integer);
  if (a.is_real() && b.is_real() && !std::isnan(a.real) && !std::isnan(b.real)) {
    return (a.real > b.real) - (a.real < b.real);
  }
  if (is_symbol(a) && a == b) return 0;
  if (is_symbol(a) && ((b.is_int() && b.integer < 0) || (b.is_real() && b.real < 0))) return 1;
  if (is_symbol(b) && ((a.is_int() && a.integer < 0) || (a.is_real() && a.real < 0))) return -1;
  return std::nullopt;
}

template <typename Test>
Element compare_elements(const Element& a, const Element& b, Test test) {
  auto order = compare(a, b);
  return order ? Element::of(test(*order) ? 1 : 0) : Element{};
}

Element equal_elements(const Element& a, const Element& b) {
  return compare_elements(a, b, [](int order) { return order == 0; });
}
Element less_elements(const Element& a, const Element& b) {
  return compare_elements(a, b, [](int order) { return order < 0; });
}
Element less_equal_elements(const Element& a, const Element& b) {
  return compare_elements(a, b, [](int order) { return order <= 0; });
}
Element greater_elements(const Element& a, const Element& b) {
  return less_elements(b, a);
}
Element greater_equal_elements(const Element& a, const Element& b) {
  return less_equal_elements(b, a);
}

Element and_elements(const Element& a, const Element& b) {
  if (is_number(a, 0) || is_number(b, 0)) return Element::of(0);
  return a.is_int() && b.is_int() ? Element::of(1) : Element{};
}

Element or_elements(const Element& a, const Element& b) {
  if ((a.is_int() && a.integer != 0) || (b.is_int() && b.integer != 0)) return Element::of(1);
  return a.is_int() && b.is_int() ? Element::of(0) : Element{};
}

Element not_element(const Element& e) {
  return e.is_int() ? Element::of(e.integer == 0) : Element{};
}
Element abs_element(const Element& e) {
  if (e.is_int()) return e.integer >= 0 ? e : from(checked_sub(0, e.integer));
  return e.is_real() ? Element::of_real(std::abs(e.real)) : e;
}
Element neg_element(const Element& e) {
  if (e.is_int()) return from(checked_sub(0, e.integer));
  return e.is_real() ? Element::of_real(-e.real) : Element{};
}
Element floor_element(const Element& e) {
  return e.is_real() ? Element::of_real(std::floor(e.real)) : e;
}
Element ceil_element(const Element& e) {
  return e.is_real() ? Element::of_real(std::ceil(e.real)) : e;
}
Element sqrt_element(const Element& e) {
  return e.is_real() && e.real >= 0 ? Element::of_real(std::sqrt(e.real)) : Element{};
}
Element relu_element(const Element& e) {
  if (e.is_int()) return Element::of(std::max<int64_t>(0, e.integer));
  return e.is_real() ? Element::of_real(std::max(0.0, e.real)) : e;
}

struct IntegerRange {
  int64_t low, high;
};

std::optional<IntegerRange> range_of(DType type) {
  if (type == DType::kBool) return IntegerRange{0, 1};
  if (!is_integer(type) || bits_of(type) < 8) return std::nullopt;
  int bits = bits_of(type);
  if (type == DType::kUint64) return IntegerRange{0, INT64_MAX};
  if (bits == 64) return IntegerRange{INT64_MIN, INT64_MAX};
  if (is_signed_integer(type))
    return IntegerRange{-(int64_t{1} << (bits - 1)), (int64_t{1} << (bits - 1)) - 1};
  return IntegerRange{0, (int64_t{1} << bits) - 1};
}

}  // namespace

UnaryEvaluator unary_evaluator(std::string_view op_type) {
  static constexpr std::pair<std::string_view, UnaryEvaluator> kTable[] = {
      {"Not", not_element},     {"Abs", abs_element},   {"Neg", neg_element},
      {"Floor", floor_element}, {"Ceil", ceil_element}, {"Sqrt", sqrt_element},
      {"Relu", relu_element},
  };
  for (const auto& [name, f] : kTable) {
    if (name == op_type) return f;
  }
  return nullptr;
}

BinaryEvaluator binary_evaluator(std::string_view op_type) {
  static constexpr std::pair<std::string_view, BinaryEvaluator> kTable[] = {
      {"Add", add_elements},
      {"Sum", add_elements},
      {"Sub", sub_elements},
      {"Mul", mul_elements},
      {"Div", div_elements},
      {"Mod", mod_elements},
      {"Min", min_elements},
      {"Max", max_elements},
      {"Equal", equal_elements},
      {"Less", less_elements},
      {"LessOrEqual", less_equal_elements},
      {"Greater", greater_elements},
      {"GreaterOrEqual", greater_equal_elements},
      {"And", and_elements},
      {"Or", or_elements},
  };
  for (const auto& [name, f] : kTable) {
    if (name == op_type) return f;
  }
  return nullptr;
}

PartialElement fit(PartialElement e, DType type) {
  if (e.is_int()) {
    auto range = range_of(type);
    if (!range || e.integer < range->low || e.integer > range->high) return {};
  } else if (e.is_real()) {
    if (type == DType::kFloat32) {
      e.real = static_cast<double>(static_cast<float>(e.real));
    } else if (type != DType::kFloat64) {
      return {};
    }
  }
  return e;
}

PartialElement convert(const PartialElement& e, DType to) {
  if (e.kind == PartialElement::Kind::kUnknown || is_symbol(e)) {
    bool keeps = is_symbol(e) && to != DType::kBool && bits_of(to) >= 32;
    return keeps ? e : PartialElement{};
  }
  if (to == DType::kBool) return Element::of(is_number(e, 0) ? 0 : 1);
  if (is_float(to)) {
    return fit(Element::of_real(e.is_int() ? static_cast<double>(e.integer) : e.real), to);
  }
  if (e.is_int()) return fit(e, to);
  // 2^62 is far above any dimension and exact in double.
  if (!(std::abs(e.real) < 4.6e18)) return {};
  return fit(Element::of(static_cast<int64_t>(e.real)), to);
}

namespace {

std::optional<Dims> broadcast_dims(const Dims& a, const Dims& b) {
  auto shape = broadcast(to_shape(a), to_shape(b));
  if (!shape) return std::nullopt;
  Dims dims;
  for (const Dim& d : *shape) dims.push_back(d.value);
  if (!carried_elements(dims)) return std::nullopt;
  return dims;
}

const Element& at_broadcast(const PartialValue& v, const std::vector<int64_t>& at) {
  return v.elements[static_cast<size_t>(broadcast_offset(v.dims, at))];
}

}  // namespace

std::optional<PartialValue> evaluate(BinaryEvaluator f, const PartialValue& a,
                                     const PartialValue& b, DType result) {
  auto dims = broadcast_dims(a.dims, b.dims);
  if (!dims) return std::nullopt;
  PartialValue out;
  out.dims = *dims;
  for_each_index(*dims, [&](int64_t, const std::vector<int64_t>& at) {
    out.elements.push_back(fit(f(at_broadcast(a, at), at_broadcast(b, at)), result));
  });
  return out;
}

std::optional<PartialValue> evaluate_where(const PartialValue& condition, const PartialValue& x,
                                           const PartialValue& y) {
  auto dims = broadcast_dims(x.dims, y.dims);
  if (dims) dims = broadcast_dims(*dims, condition.dims);
  if (!dims) return std::nullopt;
  PartialValue out;
  out.dims = *dims;
  for_each_index(*dims, [&](int64_t, const std::vector<int64_t>& at) {
    const Element& test = at_broadcast(condition, at);
    const Element& yes = at_broadcast(x, at);
    const Element& no = at_broadcast(y, at);
    if (test.is_int()) {
      out.elements.push_back(test.integer != 0 ? yes : no);
    } else {
      out.elements.push_back(yes == no ? yes : Element{});
    }
  });
  return out;
}

}  // namespace fewbit::infer
