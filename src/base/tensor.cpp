#include "base/tensor.h"

#include <fmt/format.h>

#include <cstdlib>
#include <cstring>
#include <new>

namespace fewbit {

int64_t elements_of(std::span<const int64_t> dims) {
  int64_t n = 1;
  bool empty = false;  // one zero makes the product zero, whatever the others would overflow to
  for (int64_t d : dims) {
    FEWBIT_CHECK(d >= 0, to_string(dims));
    empty |= d == 0;
  }
  if (empty) return 0;
  for (int64_t d : dims) {
    FEWBIT_CHECK(!__builtin_mul_overflow(n, d, &n), to_string(dims));
  }
  return n;
}

Result<int64_t> checked_elements(std::span<const int64_t> dims, DType type) {
  int64_t n = 1;
  int64_t bits = 0;
  bool empty = false;
  for (int64_t d : dims) {
    if (d < 0) return bad_input("negative dimension in shape {}", to_string(dims));
    empty |= d == 0;
  }
  // Zeros are left out: strides and partial products of an accepted shape never overflow either.
  for (int64_t d : dims) {
    if (d != 0 && __builtin_mul_overflow(n, d, &n)) {
      return bad_input("shape {} overflows", to_string(dims));
    }
  }
  if (__builtin_mul_overflow(n, static_cast<int64_t>(bits_of(type)), &bits)) {
    return bad_input("shape {} of {} is too large", to_string(dims), name_of(type));
  }
  return empty ? 0 : n;
}

std::string to_string(std::span<const int64_t> dims) {
  return fmt::format("[{}]", fmt::join(dims, ", "));
}

Tensor::Tensor(const Tensor& other) = default;
Tensor::Tensor(Tensor&& other) noexcept = default;
Tensor& Tensor::operator=(const Tensor& other) = default;
Tensor& Tensor::operator=(Tensor&& other) noexcept = default;
Tensor::~Tensor() = default;

Tensor Tensor::uninitialized(DType type, Dims dims) {
  Tensor t;
  t.type_ = type;
  t.elements_ = elements_of(dims);
  t.dims_ = std::move(dims);
  if (type == DType::kString) {
    t.strings_ = std::make_shared<std::vector<std::string>>(static_cast<size_t>(t.elements_));
    return t;
  }
  size_t bytes = static_cast<size_t>(bytes_of(type, t.elements_));
  bytes = (bytes + kTensorAlignment - 1) / kTensorAlignment * kTensorAlignment;
  if (bytes == 0) bytes = kTensorAlignment;
  void* p = std::aligned_alloc(kTensorAlignment, bytes);
  if (p == nullptr) throw std::bad_alloc();
  t.data_ = static_cast<std::byte*>(p);
  t.owner_ = std::shared_ptr<void>(p, [](void* q) { std::free(q); });
  return t;
}

Tensor Tensor::zeros(DType type, Dims dims) {
  Tensor t = uninitialized(type, std::move(dims));
  if (t.data_ != nullptr) std::memset(t.data_, 0, static_cast<size_t>(t.bytes()));
  return t;
}

Tensor Tensor::view(DType type, Dims dims, void* data, std::shared_ptr<void> owner) {
  Tensor t;
  t.type_ = type;
  t.elements_ = elements_of(dims);
  t.dims_ = std::move(dims);
  t.data_ = static_cast<std::byte*>(data);
  t.owner_ = std::move(owner);
  return t;
}

Tensor Tensor::strings(Dims dims, std::vector<std::string> values) {
  Tensor t = uninitialized(DType::kString, std::move(dims));
  FEWBIT_CHECK(static_cast<size_t>(t.elements_) == values.size(), t.elements_, values.size());
  *t.strings_ = std::move(values);
  return t;
}

Tensor Tensor::reshaped(Dims dims) const {
  Tensor t = *this;
  FEWBIT_CHECK(elements_of(dims) == elements_, to_string(dims), to_string(dims_));
  t.dims_ = std::move(dims);
  return t;
}

Tensor Tensor::clone() const {
  if (!defined()) return {};
  Tensor t = uninitialized(type_, dims_);
  if (type_ == DType::kString) {
    *t.strings_ = *strings_;
  } else if (bytes() > 0) {
    std::memcpy(t.data_, data_, static_cast<size_t>(bytes()));
  }
  return t;
}

bool Tensor::identical(const Tensor& other) const {
  if (type_ != other.type_ || dims_ != other.dims_) return false;
  if (type_ == DType::kString) return *strings_ == *other.strings_;
  return bytes() == 0 || std::memcmp(data_, other.data_, static_cast<size_t>(bytes())) == 0;
}

}  // namespace fewbit
