#pragma once
// Arithmetic on dimensions that may be unknown or symbolic. Overflow gives an unknown dimension: a
// size that does not fit in 63 bits cannot exist at run time, and the executor's own check names
// it.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "graph/graph.h"

namespace fewbit::infer {

/// a + b, a - b, a * b; nullopt on overflow.
std::optional<int64_t> checked_add(int64_t a, int64_t b);
std::optional<int64_t> checked_sub(int64_t a, int64_t b);
std::optional<int64_t> checked_mul(int64_t a, int64_t b);
/// Rounded towards minus infinity; nullopt if b == 0 or on overflow.
std::optional<int64_t> floor_div(int64_t a, int64_t b);

Dim dim_or_unknown(std::optional<int64_t> value);
/// Keeps a symbol where the other operand is neutral (n + 0, n * 1); n * 0 is 0.
Dim add(const Dim& a, const Dim& b);
Dim mul(const Dim& a, const Dim& b);
/// Exact quotient; unknown if it is not exact.
Dim div_exact(const Dim& a, const Dim& b);

/// True if both are numbers and differ.
bool certainly_differ(const Dim& a, const Dim& b);
/// True if both are the same number or the same symbol.
bool certainly_equal(const Dim& a, const Dim& b);
/// The more precise of two descriptions of one dimension: number, then symbol (of `a` first).
Dim more_precise(const Dim& a, const Dim& b);

/// Products with the symbols kept apart, so that equal symbols cancel: [n, 3, 4] -> [n, -1] is
/// [n, 12] for any n.
struct Product {
  int64_t number = 1;                ///< product of the numbers
  std::vector<std::string> symbols;  ///< sorted
  bool known = true;                 ///< false: an unknown factor, or overflow
  void multiply(const Dim& d);
};
/// total / part as one dimension; unknown if a symbol of `part` is not in `total`, or two are left.
Dim divide(const Product& total, const Product& part);
Product product_of(std::span<const Dim> dims);
/// The product as one dimension (unknown if it is a number times a symbol).
Dim as_dim(const Product& product);

/// Numpy broadcasting of one pair of dimensions; nullopt if they certainly cannot be broadcast.
std::optional<Dim> broadcast_dim(const Dim& a, const Dim& b);
/// Numpy broadcasting of two shapes; nullopt if they certainly cannot be broadcast.
std::optional<Shape> broadcast(const Shape& a, const Shape& b);

Shape to_shape(std::span<const int64_t> dims);
/// `rank` dimensions of which nothing is known.
inline Shape unknown_shape(size_t rank) {
  return Shape(rank);
}

}  // namespace fewbit::infer
