#pragma once
// What every operator file needs: errors that name the node, checked axes, small integer inputs,
// and outputs whose size comes from data.

#include <fmt/core.h>

#include <cstdint>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "runtime/op.h"

namespace fewbit::ops {

namespace internal {
Error make_node_error(const Node& node, fmt::string_view format, fmt::format_args args);
}  // namespace internal

/// A bad_input error that starts with the node's label.
template <typename... Args>
Error node_error(const Node& node, fmt::format_string<Args...> format, Args&&... args) {
  return internal::make_node_error(node, format, fmt::make_format_args(args...));
}

/// "Gemm node 'fc': element type string is not supported"
Error type_error(const Node& node, DType type);

/// An axis in [-rank, rank) as one in [0, rank); otherwise an error.
Result<int64_t> normalize_axis(const Node& node, int64_t axis, int64_t rank);

/// The same for several axes, kept in order; one named twice is an error.
Result<std::vector<int64_t>> normalize_axes(const Node& node, std::vector<int64_t> axes,
                                            int64_t rank);

/// The elements of an int32 or int64 tensor; `what` names it in the error.
Result<std::vector<int64_t>> read_ints(const Node& node, const Tensor& tensor,
                                       std::string_view what);

/// The first element of any numeric tensor that holds exactly one, as an integer or a double.
Result<int64_t> read_int(const Node& node, const Tensor& tensor, std::string_view what);
Result<double> read_number(const Node& node, const Tensor& tensor, std::string_view what);

/// Axes from input `input` where `since_input` <= opset, else from the attribute "axes"; nullopt if
/// neither is given. Not normalised.
Result<std::optional<std::vector<int64_t>>> axes_argument(OpContext& ctx, size_t input,
                                                          int since_input);

/// Allocates output i after checking that the dimensions are neither negative nor beyond memory.
/// For outputs whose size comes from the values of inputs or attributes.
Result<Tensor*> make_output(OpContext& ctx, size_t i, DType type, const Dims& dims);

/// The same for a tensor that is no output yet.
Result<Tensor> make_tensor(const Node& node, DType type, const Dims& dims);

/// Row-major strides in elements.
Dims strides_of(const Dims& dims);

/// Product of dims[begin, end).
int64_t product(const Dims& dims, int64_t begin, int64_t end);

/// Elements as T*, also for T = std::string.
template <typename T>
const T* elements(const Tensor& tensor) {
  if constexpr (std::is_same_v<T, std::string>) {
    return tensor.strings().data();
  } else {
    return tensor.data<T>();
  }
}
template <typename T>
T* elements(Tensor& tensor) {
  if constexpr (std::is_same_v<T, std::string>) {
    return tensor.strings().data();
  } else {
    return tensor.data<T>();
  }
}

}  // namespace fewbit::ops
