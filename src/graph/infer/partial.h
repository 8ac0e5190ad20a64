#pragma once
// Partly known small tensors: what is known of the elements of shape-like values.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/tensor.h"
#include "graph/graph.h"

namespace fewbit::infer {

/// Larger tensors are no shapes and are not carried.
inline constexpr int64_t kMaxPartialElements = 1024;

/// One element: an integer (also of bool tensors), a real number, a dimension's symbol, or unknown.
/// A symbol always stands for a dimension, so it is not negative.
struct PartialElement {
  enum class Kind : uint8_t { kUnknown, kInt, kReal, kSymbol };
  Kind kind = Kind::kUnknown;
  int64_t integer = 0;
  double real = 0;
  std::string symbol;

  static PartialElement of(int64_t v) { return {Kind::kInt, v, 0, {}}; }
  static PartialElement of_real(double v) { return {Kind::kReal, 0, v, {}}; }
  static PartialElement of_dim(const Dim& d);
  bool is_int() const { return kind == Kind::kInt; }
  bool is_real() const { return kind == Kind::kReal; }
  /// As a dimension; a negative number is unknown.
  Dim to_dim() const;
  bool operator==(const PartialElement&) const = default;
};

/// A row-major tensor of them.
struct PartialValue {
  Dims dims;
  std::vector<PartialElement> elements;

  static PartialValue unknown(Dims dims);
  static PartialValue vector(std::vector<PartialElement> elements);
  static PartialValue scalar(PartialElement element) { return {{}, {std::move(element)}}; }
  /// All integers, or nullopt.
  std::optional<std::vector<int64_t>> ints() const;
  /// All real numbers or integers, or nullopt.
  std::optional<std::vector<double>> reals() const;
  bool operator==(const PartialValue&) const = default;
};

/// The number of elements if a tensor of these dimensions is small enough to be carried, no
/// dimension above kMaxPartialElements (beside a 0 a huge one would overflow products of the
/// others).
std::optional<int64_t> carried_elements(const Dims& dims);

/// The elements of a small tensor of integers, bool or floats; nullopt for others.
std::optional<PartialValue> partial_of(const Tensor& tensor);

/// Element type of what a PartialValue carries; false for strings, complex and sub-byte types.
bool is_partial_type(DType type);

/// Row-major strides of `dims`, in elements.
std::vector<int64_t> strides_of(const Dims& dims);
/// Calls visit(linear output index, coordinates) for all coordinates below `dims`.
template <typename Visit>
void for_each_index(const Dims& dims, Visit&& visit) {
  for (int64_t d : dims) {
    if (d == 0) return;
  }
  std::vector<int64_t> at(dims.size(), 0);
  for (int64_t linear = 0;; ++linear) {
    visit(linear, at);
    size_t axis = dims.size();
    while (axis > 0 && ++at[axis - 1] == dims[axis - 1]) at[--axis] = 0;
    if (axis == 0) return;
  }
}

/// The part of `value` at the coordinates of a broadcast output (missing leading axes, 1s repeat).
int64_t broadcast_offset(const Dims& dims, const std::vector<int64_t>& at);

}  // namespace fewbit::infer
