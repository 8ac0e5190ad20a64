#include "graph/infer/partial.h"

#include "numerics/bfloat16.h"
#include "numerics/half.h"

namespace fewbit::infer {

PartialElement PartialElement::of_dim(const Dim& d) {
  if (d.known()) return of(d.value);
  if (d.symbol.empty()) return {};
  return {Kind::kSymbol, 0, 0, d.symbol};
}

Dim PartialElement::to_dim() const {
  if (kind == Kind::kInt && integer >= 0) return Dim::of(integer);
  return kind == Kind::kSymbol ? Dim::named(symbol) : Dim{};
}

PartialValue PartialValue::unknown(Dims dims) {
  auto count = static_cast<size_t>(elements_of(dims));
  return {std::move(dims), std::vector<PartialElement>(count)};
}

PartialValue PartialValue::vector(std::vector<PartialElement> elements) {
  return {{static_cast<int64_t>(elements.size())}, std::move(elements)};
}

std::optional<std::vector<int64_t>> PartialValue::ints() const {
  std::vector<int64_t> out;
  for (const PartialElement& e : elements) {
    if (!e.is_int()) return std::nullopt;
    out.push_back(e.integer);
  }
  return out;
}

std::optional<std::vector<double>> PartialValue::reals() const {
  std::vector<double> out;
  for (const PartialElement& e : elements) {
    if (!e.is_int() && !e.is_real()) return std::nullopt;
    out.push_back(e.is_int() ? static_cast<double>(e.integer) : e.real);
  }
  return out;
}

namespace {

template <typename T>
void copy_ints(const Tensor& tensor, PartialValue& out) {
  for (T v : tensor.span<T>()) out.elements.push_back(PartialElement::of(static_cast<int64_t>(v)));
}

template <typename T>
void copy_reals(const Tensor& tensor, PartialValue& out) {
  for (T v : tensor.span<T>()) out.elements.push_back(PartialElement::of_real(v));
}

void copy_uint64(const Tensor& tensor, PartialValue& out) {
  for (uint64_t v : tensor.span<uint64_t>()) {
    out.elements.push_back(v <= INT64_MAX ? PartialElement::of(static_cast<int64_t>(v))
                                          : PartialElement{});
  }
}

void copy_halves(const Tensor& tensor, PartialValue& out) {
  for (uint16_t v : tensor.span<uint16_t>()) {
    out.elements.push_back(PartialElement::of_real(
        tensor.type() == DType::kFloat16 ? static_cast<double>(Half{v}.to_float())
                                         : static_cast<double>(Bfloat16{v}.to_float())));
  }
}

using Copy = void (*)(const Tensor&, PartialValue&);

Copy copy_for(DType type) {
  switch (type) {
    case DType::kInt64:
      return copy_ints<int64_t>;
    case DType::kInt32:
      return copy_ints<int32_t>;
    case DType::kInt16:
      return copy_ints<int16_t>;
    case DType::kInt8:
      return copy_ints<int8_t>;
    case DType::kUint32:
      return copy_ints<uint32_t>;
    case DType::kUint16:
      return copy_ints<uint16_t>;
    case DType::kUint8:
    case DType::kBool:
      return copy_ints<uint8_t>;
    case DType::kUint64:
      return copy_uint64;
    case DType::kFloat32:
      return copy_reals<float>;
    case DType::kFloat64:
      return copy_reals<double>;
    case DType::kFloat16:
    case DType::kBfloat16:
      return copy_halves;
    default:
      return nullptr;
  }
}

}  // namespace

bool is_partial_type(DType type) {
  return copy_for(type) != nullptr;
}

std::optional<int64_t> carried_elements(const Dims& dims) {
  int64_t count = 1;
  for (int64_t d : dims) {
    if (d < 0 || d > kMaxPartialElements) return std::nullopt;
    count *= d;
    if (count > kMaxPartialElements) return std::nullopt;
  }
  return count;
}

std::optional<PartialValue> partial_of(const Tensor& tensor) {
  Copy copy = copy_for(tensor.type());
  if (copy == nullptr || !carried_elements(tensor.dims())) return std::nullopt;
  PartialValue out;
  out.dims = tensor.dims();
  copy(tensor, out);
  return out;
}

std::vector<int64_t> strides_of(const Dims& dims) {
  std::vector<int64_t> strides(dims.size(), 1);
  for (size_t i = dims.size(); i > 1; --i) strides[i - 2] = strides[i - 1] * dims[i - 1];
  return strides;
}

int64_t broadcast_offset(const Dims& dims, const std::vector<int64_t>& at) {
  int64_t offset = 0;
  size_t skipped = at.size() - dims.size();
  for (size_t i = 0; i < dims.size(); ++i) {
    offset = offset * dims[i] + (dims[i] == 1 ? 0 : at[skipped + i]);
  }
  return offset;
}

}  // namespace fewbit::infer
