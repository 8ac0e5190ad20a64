#include "graph/infer/dims.h"

#include <algorithm>
#include <limits>

namespace fewbit::infer {

std::optional<int64_t> checked_add(int64_t a, int64_t b) {
  int64_t out = 0;
  if (__builtin_add_overflow(a, b, &out)) return std::nullopt;
  return out;
}

std::optional<int64_t> checked_sub(int64_t a, int64_t b) {
  int64_t out = 0;
  if (__builtin_sub_overflow(a, b, &out)) return std::nullopt;
  return out;
}

std::optional<int64_t> checked_mul(int64_t a, int64_t b) {
  int64_t out = 0;
  if (__builtin_mul_overflow(a, b, &out)) return std::nullopt;
  return out;
}

std::optional<int64_t> floor_div(int64_t a, int64_t b) {
  if (b == 0 || (b == -1 && a == std::numeric_limits<int64_t>::min())) return std::nullopt;
  int64_t quotient = a / b;
  return a % b != 0 && (a < 0) != (b < 0) ? quotient - 1 : quotient;
}

Dim dim_or_unknown(std::optional<int64_t> value) {
  return value && *value >= 0 ? Dim::of(*value) : Dim{};
}

Dim add(const Dim& a, const Dim& b) {
  if (a.known() && b.known()) return dim_or_unknown(checked_add(a.value, b.value));
  if (a.known() && a.value == 0) return b;
  if (b.known() && b.value == 0) return a;
  return {};
}

Dim mul(const Dim& a, const Dim& b) {
  if (a.known() && b.known()) return dim_or_unknown(checked_mul(a.value, b.value));
  if (a.known() && a.value == 1) return b;
  if (b.known() && b.value == 1) return a;
  if ((a.known() && a.value == 0) || (b.known() && b.value == 0)) return Dim::of(0);
  return {};
}

Dim div_exact(const Dim& a, const Dim& b) {
  if (b.known() && b.value == 1) return a;
  if (!a.known() || !b.known() || b.value == 0 || a.value % b.value != 0) return {};
  return Dim::of(a.value / b.value);
}

bool certainly_differ(const Dim& a, const Dim& b) {
  return a.known() && b.known() && a.value != b.value;
}

bool certainly_equal(const Dim& a, const Dim& b) {
  if (a.known() || b.known()) return a.value == b.value;
  return !a.symbol.empty() && a.symbol == b.symbol;
}

Dim more_precise(const Dim& a, const Dim& b) {
  if (a.known()) return a;
  if (b.known()) return b;
  return a.symbol.empty() ? b : a;
}

void Product::multiply(const Dim& d) {
  if (d.known()) {
    auto next = checked_mul(number, d.value);
    if (!next) known = false;
    number = next.value_or(0);
  } else if (!d.symbol.empty()) {
    symbols.insert(std::upper_bound(symbols.begin(), symbols.end(), d.symbol), d.symbol);
  } else {
    known = false;
  }
}

Product product_of(std::span<const Dim> dims) {
  Product product;
  for (const Dim& d : dims) product.multiply(d);
  return product;
}

Dim as_dim(const Product& product) {
  return divide(product, Product{});
}

Dim divide(const Product& total, const Product& part) {
  if (!total.known || !part.known || part.number == 0) return {};
  std::vector<std::string> left;
  std::vector<std::string> missing;
  std::set_difference(total.symbols.begin(), total.symbols.end(), part.symbols.begin(),
                      part.symbols.end(), std::back_inserter(left));
  std::set_difference(part.symbols.begin(), part.symbols.end(), total.symbols.begin(),
                      total.symbols.end(), std::back_inserter(missing));
  if (!missing.empty() || total.number % part.number != 0) return {};
  int64_t quotient = total.number / part.number;
  if (left.empty() || quotient == 0) return Dim::of(quotient);
  return left.size() == 1 && quotient == 1 ? Dim::named(left.front()) : Dim{};
}

std::optional<Dim> broadcast_dim(const Dim& a, const Dim& b) {
  if (a.known() && b.known()) {
    if (a.value == b.value || b.value == 1) return a;
    if (a.value == 1) return b;
    return std::nullopt;
  }
  // In a valid program the other one is 1 or the same number.
  if (a.known() && a.value != 1) return a;
  if (b.known() && b.value != 1) return b;
  if (a.known()) return b;
  if (b.known()) return a;
  return a == b && !a.symbol.empty() ? a : Dim{};
}

std::optional<Shape> broadcast(const Shape& a, const Shape& b) {
  const Shape& longer = a.size() >= b.size() ? a : b;
  const Shape& shorter = a.size() >= b.size() ? b : a;
  Shape out = longer;
  size_t offset = longer.size() - shorter.size();
  for (size_t i = 0; i < shorter.size(); ++i) {
    auto d = broadcast_dim(longer[offset + i], shorter[i]);
    if (!d) return std::nullopt;
    out[offset + i] = *d;
  }
  return out;
}

Shape to_shape(std::span<const int64_t> dims) {
  Shape shape;
  for (int64_t d : dims) shape.push_back(Dim::of(d));
  return shape;
}

}  // namespace fewbit::infer
