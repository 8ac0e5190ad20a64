#pragma once
// Tensor: an element type, dimensions and row-major bytes, shared by reference count. A tensor may
// own its memory, view a mapped file, or view a part of somebody's arena.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/check.h"
#include "base/dtype.h"
#include "base/result.h"

namespace fewbit {

using Dims = std::vector<int64_t>;

/// Product of the dimensions (1 for a scalar). Overflow is a broken invariant: dimensions that come
/// from a file go through checked_elements first.
int64_t elements_of(std::span<const int64_t> dims);

/// Product of the dimensions, or an error if one is negative, or the product of those that are not
/// 0 (so also every stride of an empty tensor) overflows in elements or bits.
Result<int64_t> checked_elements(std::span<const int64_t> dims, DType type);

/// "[1, 3, 224, 224]"
std::string to_string(std::span<const int64_t> dims);

/// Storage is aligned to this many bytes.
inline constexpr size_t kTensorAlignment = 64;

class Tensor {
 public:
  Tensor() = default;
  // In tensor.cpp: nearly every file copies, moves or destroys tensors.
  Tensor(const Tensor& other);
  Tensor(Tensor&& other) noexcept;
  Tensor& operator=(const Tensor& other);
  Tensor& operator=(Tensor&& other) noexcept;
  ~Tensor();

  /// Owned, zero-filled (strings: empty).
  static Tensor zeros(DType type, Dims dims);
  /// Owned, contents undefined.
  static Tensor uninitialized(DType type, Dims dims);
  /// A view of `data`, kept alive by `owner` (may be null when the caller guarantees lifetime).
  static Tensor view(DType type, Dims dims, void* data, std::shared_ptr<void> owner);
  static Tensor strings(Dims dims, std::vector<std::string> values);

  /// Owned copy of `values`; the number of values must match `dims`.
  template <typename T>
  static Tensor from(Dims dims, std::span<const T> values);
  template <typename T>
  static Tensor from(Dims dims, const std::vector<T>& values) {
    return from<T>(std::move(dims), std::span<const T>(values));
  }
  template <typename T>
  static Tensor scalar(T value) {
    return from<T>({}, std::span<const T>(&value, 1));
  }

  bool defined() const { return type_ != DType::kUndefined; }
  DType type() const { return type_; }
  const Dims& dims() const { return dims_; }
  int64_t rank() const { return static_cast<int64_t>(dims_.size()); }
  int64_t dim(int64_t axis) const { return dims_[static_cast<size_t>(axis)]; }
  int64_t elements() const { return elements_; }
  /// Bytes of the packed elements; 0 for strings.
  int64_t bytes() const { return bytes_of(type_, elements_); }

  const std::byte* raw() const { return data_; }
  std::byte* raw() { return data_; }

  /// Typed access; T must be the C++ type of the element (see CppType below), bytes for packed
  /// ones.
  template <typename T>
  const T* data() const {
    return reinterpret_cast<const T*>(data_);
  }
  template <typename T>
  T* data() {
    return reinterpret_cast<T*>(data_);
  }
  template <typename T>
  std::span<const T> span() const {
    return {data<T>(), static_cast<size_t>(elements_)};
  }
  template <typename T>
  std::span<T> span() {
    return {data<T>(), static_cast<size_t>(elements_)};
  }

  std::span<const std::string> strings() const { return *strings_; }
  std::span<std::string> strings() { return *strings_; }

  /// The same bytes under other dimensions with the same number of elements.
  Tensor reshaped(Dims dims) const;
  /// An owned deep copy.
  Tensor clone() const;
  /// True if type, dims and bytes are equal (bit comparison: NaN equals itself).
  bool identical(const Tensor& other) const;

 private:
  DType type_ = DType::kUndefined;
  Dims dims_;
  int64_t elements_ = 0;
  std::byte* data_ = nullptr;
  std::shared_ptr<void> owner_;
  std::shared_ptr<std::vector<std::string>> strings_;
};

/// The DType of a plain C++ element type (bool is kBool; float16 and friends: numerics/).
template <typename T>
struct DTypeOf;
// clang-format off
template <> struct DTypeOf<float> { static constexpr DType value = DType::kFloat32; };
template <> struct DTypeOf<double> { static constexpr DType value = DType::kFloat64; };
template <> struct DTypeOf<uint8_t> { static constexpr DType value = DType::kUint8; };
template <> struct DTypeOf<int8_t> { static constexpr DType value = DType::kInt8; };
template <> struct DTypeOf<uint16_t> { static constexpr DType value = DType::kUint16; };
template <> struct DTypeOf<int16_t> { static constexpr DType value = DType::kInt16; };
template <> struct DTypeOf<uint32_t> { static constexpr DType value = DType::kUint32; };
template <> struct DTypeOf<int32_t> { static constexpr DType value = DType::kInt32; };
template <> struct DTypeOf<uint64_t> { static constexpr DType value = DType::kUint64; };
template <> struct DTypeOf<int64_t> { static constexpr DType value = DType::kInt64; };
template <> struct DTypeOf<bool> { static constexpr DType value = DType::kBool; };
// clang-format on

template <typename T>
Tensor Tensor::from(Dims dims, std::span<const T> values) {
  Tensor t = uninitialized(DTypeOf<T>::value, std::move(dims));
  FEWBIT_CHECK(static_cast<size_t>(t.elements()) == values.size(), t.elements(), values.size());
  std::copy(values.begin(), values.end(), t.data<T>());
  return t;
}

}  // namespace fewbit
