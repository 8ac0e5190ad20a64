#include "numerics/packed_int.h"

#include <type_traits>

namespace fewbit {
namespace {

template <int Bits, typename T>
void unpack(const uint8_t* packed, std::span<T> values) {
  constexpr size_t kPerByte = 8 / Bits;
  const auto value_of = [](uint8_t code) {
    if constexpr (std::is_signed_v<T>) {
      return sign_extend<Bits>(code);
    } else {
      return code;
    }
  };
  // Whole bytes in a loop of its own: it has no division left, and becomes vectors.
  const size_t whole = values.size() / kPerByte;
  for (size_t byte = 0; byte < whole; ++byte) {
    for (size_t k = 0; k < kPerByte; ++k) {
      values[byte * kPerByte + k] =
          value_of(static_cast<uint8_t>(packed[byte] >> (k * Bits) & ((1 << Bits) - 1)));
    }
  }
  for (size_t i = whole * kPerByte; i < values.size(); ++i) {
    values[i] = value_of(packed_code<Bits>(packed, i));
  }
}

template <int Bits, typename T>
void pack(std::span<const T> values, uint8_t* packed) {
  constexpr size_t kPerByte = 8 / Bits;
  constexpr int kMask = (1 << Bits) - 1;
  const size_t whole = values.size() / kPerByte;
  for (size_t byte = 0; byte < whole; ++byte) {
    int all = 0;
    for (size_t k = 0; k < kPerByte; ++k) {
      all |= (values[byte * kPerByte + k] & kMask) << (k * Bits);
    }
    packed[byte] = static_cast<uint8_t>(all);
  }
  if (whole * kPerByte == values.size()) return;
  packed[whole] = 0;
  for (size_t i = whole * kPerByte; i < values.size(); ++i) {
    set_packed_code<Bits>(packed, i, static_cast<uint8_t>(values[i]));
  }
}

}  // namespace

void unpack_int4(const uint8_t* packed, std::span<int8_t> values) {
  unpack<4>(packed, values);
}
void unpack_uint4(const uint8_t* packed, std::span<uint8_t> values) {
  unpack<4>(packed, values);
}
void unpack_int2(const uint8_t* packed, std::span<int8_t> values) {
  unpack<2>(packed, values);
}
void unpack_uint2(const uint8_t* packed, std::span<uint8_t> values) {
  unpack<2>(packed, values);
}
void pack_int4(std::span<const int8_t> values, uint8_t* packed) {
  pack<4>(values, packed);
}
void pack_uint4(std::span<const uint8_t> values, uint8_t* packed) {
  pack<4>(values, packed);
}
void pack_int2(std::span<const int8_t> values, uint8_t* packed) {
  pack<2>(values, packed);
}
void pack_uint2(std::span<const uint8_t> values, uint8_t* packed) {
  pack<2>(values, packed);
}

}  // namespace fewbit
