#include "numerics/convert.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "numerics/element_codec.h"

namespace fewbit {
namespace {

using namespace internal;  // NOLINT(google-build-using-namespace): the codecs of this file

// Elements per pass through a carrier: small enough for the first-level cache, and a whole number
// of bytes of every packed type.
constexpr int64_t kChunkElements = 1024;
// Below this many elements, starting threads costs more than it saves.
constexpr int64_t kParallelElements = 1 << 16;

enum class Carrier : uint8_t { kNone, kFloat, kDouble, kInt64, kUint64 };

union CarrierBuffer {
  std::array<float, kChunkElements> float_values;
  std::array<double, kChunkElements> double_values;
  std::array<int64_t, kChunkElements> int64_values;
  std::array<uint64_t, kChunkElements> uint64_values;
};

struct Row {
  Carrier carrier = Carrier::kNone;
  void (*read)(const uint8_t* data, size_t count, CarrierBuffer& out) = nullptr;
  void (*write)(uint8_t* data, size_t count, const CarrierBuffer& in, Carrier carrier,
                const CastOptions& options) = nullptr;
};

template <typename C>
auto* values_of(CarrierBuffer& buffer) {
  if constexpr (std::is_same_v<C, float>) return buffer.float_values.data();
  if constexpr (std::is_same_v<C, double>) return buffer.double_values.data();
  if constexpr (std::is_same_v<C, int64_t>) return buffer.int64_values.data();
  if constexpr (std::is_same_v<C, uint64_t>) return buffer.uint64_values.data();
}

template <typename C>
constexpr Carrier carrier_of() {
  if (std::is_same_v<C, float>) return Carrier::kFloat;
  if (std::is_same_v<C, double>) return Carrier::kDouble;
  return std::is_same_v<C, int64_t> ? Carrier::kInt64 : Carrier::kUint64;
}

template <typename Codec>
void read_chunk(const uint8_t* data, size_t count, CarrierBuffer& out) {
  auto* values = values_of<typename Codec::Carrier>(out);
  for (size_t i = 0; i < count; ++i) values[i] = Codec::read(data, i);
}

template <typename Codec, typename From>
void write_from(uint8_t* data, std::span<const From> values, const CastOptions& options) {
  for (size_t i = 0; i < values.size(); ++i) Codec::write(data, i, values[i], options);
}

template <typename Codec>
void write_chunk(uint8_t* data, size_t count, const CarrierBuffer& in, Carrier carrier,
                 const CastOptions& options) {
  switch (carrier) {
    case Carrier::kFloat:
      return write_from<Codec>(data, std::span(in.float_values).first(count), options);
    case Carrier::kDouble:
      return write_from<Codec>(data, std::span(in.double_values).first(count), options);
    case Carrier::kInt64:
      return write_from<Codec>(data, std::span(in.int64_values).first(count), options);
    case Carrier::kUint64:
      return write_from<Codec>(data, std::span(in.uint64_values).first(count), options);
    case Carrier::kNone:
      break;
  }
}

template <typename Codec>
constexpr Row row_of() {
  return {carrier_of<typename Codec::Carrier>(), read_chunk<Codec>, write_chunk<Codec>};
}

constexpr auto kRows = [] {
  std::array<Row, kDTypeCount> rows{};
  const auto set = [&rows](DType type, Row row) { rows[static_cast<size_t>(type)] = row; };
  set(DType::kFloat32, row_of<PlainCodec<float, float>>());
  set(DType::kFloat64, row_of<PlainCodec<double, double>>());
  set(DType::kFloat16, row_of<SmallFloatCodec<Half>>());
  set(DType::kBfloat16, row_of<SmallFloatCodec<Bfloat16>>());
  set(DType::kFloat8E4M3FN, row_of<SmallFloatCodec<Float8E4M3FN>>());
  set(DType::kFloat8E4M3FNUZ, row_of<SmallFloatCodec<Float8E4M3FNUZ>>());
  set(DType::kFloat8E5M2, row_of<SmallFloatCodec<Float8E5M2>>());
  set(DType::kFloat8E5M2FNUZ, row_of<SmallFloatCodec<Float8E5M2FNUZ>>());
  set(DType::kFloat8E8M0, row_of<SmallFloatCodec<Float8E8M0>>());
  set(DType::kFloat4E2M1, row_of<Float4Codec>());
  set(DType::kBool, row_of<BoolCodec>());
  set(DType::kInt8, row_of<PlainCodec<int8_t, int64_t>>());
  set(DType::kInt16, row_of<PlainCodec<int16_t, int64_t>>());
  set(DType::kInt32, row_of<PlainCodec<int32_t, int64_t>>());
  set(DType::kInt64, row_of<PlainCodec<int64_t, int64_t>>());
  set(DType::kUint8, row_of<PlainCodec<uint8_t, int64_t>>());
  set(DType::kUint16, row_of<PlainCodec<uint16_t, int64_t>>());
  set(DType::kUint32, row_of<PlainCodec<uint32_t, int64_t>>());
  set(DType::kUint64, row_of<PlainCodec<uint64_t, uint64_t>>());
  set(DType::kUint4, row_of<PackedCodec<4, false>>());
  set(DType::kInt4, row_of<PackedCodec<4, true>>());
  set(DType::kUint2, row_of<PackedCodec<2, false>>());
  set(DType::kInt2, row_of<PackedCodec<2, true>>());
  return rows;
}();

const Row& row(DType type) {
  const auto index = static_cast<size_t>(type);
  return kRows[index < kRows.size() ? index : 0];
}

const uint8_t* bytes_at(const Tensor& t, int64_t element) {
  return t.data<uint8_t>() + bytes_of(t.type(), element);
}
uint8_t* bytes_at(Tensor& t, int64_t element) {
  return t.data<uint8_t>() + bytes_of(t.type(), element);
}

void cast_numbers(const Tensor& in, Tensor& out, const CastOptions& options) {
  const Row& from = row(in.type());
  const Row& to = row(out.type());
  const int64_t elements = in.elements();
  // A packed element is written into its byte, so the bits above the last one must be zero before.
  if (bits_of(out.type()) < 8) std::memset(out.raw(), 0, static_cast<size_t>(out.bytes()));
#pragma omp parallel if (elements >= kParallelElements)
  {
    CarrierBuffer buffer;
#pragma omp for schedule(static)
    for (int64_t begin = 0; begin < elements; begin += kChunkElements) {
      const auto count = static_cast<size_t>(std::min(kChunkElements, elements - begin));
      from.read(bytes_at(in, begin), count, buffer);
      to.write(bytes_at(out, begin), count, buffer, from.carrier, options);
    }
  }
}

/// The pairs that models convert most, in one pass; false if this is none of them.
bool cast_fast(const Tensor& in, Tensor& out) {
  const auto bulk = [&](auto from, auto to, auto convert) {
    using From = decltype(from);
    using To = decltype(to);
    if (in.type() != DTypeOf<From>::value || out.type() != DTypeOf<To>::value) return false;
    const int64_t elements = in.elements();
#pragma omp parallel for schedule(static) if (elements >= kParallelElements)
    for (int64_t begin = 0; begin < elements; begin += kParallelElements / 4) {
      const auto at = static_cast<size_t>(begin);
      const auto count = static_cast<size_t>(std::min(kParallelElements / 4, elements - begin));
      convert(in.span<From>().subspan(at, count), out.span<To>().subspan(at, count));
    }
    return true;
  };
  return bulk(float{}, Half{}, [](auto a, auto b) { to_half(a, b); }) ||
         bulk(Half{}, float{}, [](auto a, auto b) { to_float(a, b); }) ||
         bulk(float{}, Bfloat16{}, [](auto a, auto b) { to_bfloat16(a, b); }) ||
         bulk(Bfloat16{}, float{}, [](auto a, auto b) { to_float(a, b); });
}

}  // namespace

bool can_cast(DType type) {
  return type == DType::kString || row(type).carrier != Carrier::kNone;
}

Status cast_into(const Tensor& in, Tensor& out, const CastOptions& options) {
  FEWBIT_CHECK(in.elements() == out.elements(), in.elements(), out.elements());
  for (const DType type : {in.type(), out.type()}) {
    if (!can_cast(type)) {
      return unsupported("cannot convert from {} to {}", name_of(in.type()), name_of(out.type()));
    }
  }
  if (in.elements() == 0) return {};
  if (in.type() == out.type()) {
    if (in.type() == DType::kString) {
      std::copy(in.strings().begin(), in.strings().end(), out.strings().begin());
    } else {
      std::memcpy(out.raw(), in.raw(), static_cast<size_t>(in.bytes()));
    }
    return {};
  }
  if (in.type() == DType::kString) return strings_to_numbers(in, out, options);
  if (out.type() == DType::kString) return numbers_to_strings(in, out);
  if (!cast_fast(in, out)) cast_numbers(in, out, options);
  return {};
}

Result<Tensor> cast(const Tensor& in, DType to, const CastOptions& options) {
  if (!can_cast(in.type()) || !can_cast(to)) {
    return unsupported("cannot convert from {} to {}", name_of(in.type()), name_of(to));
  }
  if (in.type() == to) return in;
  Tensor out = Tensor::uninitialized(to, in.dims());
  FEWBIT_TRY(cast_into(in, out, options));
  return out;
}

}  // namespace fewbit
