#pragma once
// How one element of each type is read and written by cast: a part of convert.cpp.
//
// Elements are read into a carrier that holds each of their values exactly (float, double, int64_t
// or uint64_t) and written from any carrier. So 24 types need 24 readers and 4 x 24 writers instead
// of 24 x 24 loops.

#include <cmath>
#include <cstdint>
#include <limits>
#include <type_traits>

#include "numerics/bfloat16.h"
#include "numerics/convert.h"
#include "numerics/float4.h"
#include "numerics/float8.h"
#include "numerics/half.h"
#include "numerics/packed_int.h"
#include "numerics/small_float.h"

namespace fewbit::internal {

/// x toward zero as T, the lowest T where it does not fit: what x86's conversions give.
template <typename T>
T truncate_or_lowest(double x) {
  constexpr double kEnd = -static_cast<double>(std::numeric_limits<T>::min());
  const double whole = std::trunc(x);
  return whole >= -kEnd && whole < kEnd ? static_cast<T>(whole) : std::numeric_limits<T>::min();
}

/// A carrier's value as a plain integer type.
template <typename T, typename Carrier>
T to_integer(Carrier x) {
  if constexpr (std::is_integral_v<Carrier>) {
    return static_cast<T>(x);
  } else if constexpr (std::is_same_v<T, uint64_t>) {
    const auto wide = static_cast<double>(x);
    if (wide >= 0x1p63 && wide < 0x1p64) return static_cast<uint64_t>(wide);
    return static_cast<uint64_t>(truncate_or_lowest<int64_t>(wide));
  } else if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, uint32_t>) {
    return static_cast<T>(truncate_or_lowest<int64_t>(x));
  } else {
    return static_cast<T>(truncate_or_lowest<int32_t>(x));
  }
}

template <typename T, typename CarrierType>
struct PlainCodec {
  using Carrier = CarrierType;
  static Carrier read(const uint8_t* data, size_t i) {
    return static_cast<Carrier>(reinterpret_cast<const T*>(data)[i]);
  }
  template <typename From>
  static void write(uint8_t* data, size_t i, From x, const CastOptions&) {
    if constexpr (std::is_floating_point_v<T>) {
      reinterpret_cast<T*>(data)[i] = static_cast<T>(x);
    } else {
      reinterpret_cast<T*>(data)[i] = to_integer<T>(x);
    }
  }
};

struct BoolCodec {
  using Carrier = int64_t;
  static Carrier read(const uint8_t* data, size_t i) { return data[i] != 0 ? 1 : 0; }
  template <typename From>
  static void write(uint8_t* data, size_t i, From x, const CastOptions&) {
    data[i] = x != 0 ? 1 : 0;
  }
};

/// Half, Bfloat16 and the float8 types.
template <typename T>
struct SmallFloatCodec {
  using Carrier = float;
  static Carrier read(const uint8_t* data, size_t i) {
    return reinterpret_cast<const T*>(data)[i].to_float();
  }
  template <typename From>
  static void write(uint8_t* data, size_t i, From x, const CastOptions& options) {
    T& out = reinterpret_cast<T*>(data)[i];
    const float nearly = round_to_odd(x);
    if constexpr (std::is_same_v<T, Float8E8M0>) {
      out = T::from_float(nearly, options.saturate, options.power_rounding);
    } else if constexpr (sizeof(T) == 1) {
      out = T::from_float(nearly, options.saturate);
    } else {
      out = T::from_float(nearly);
    }
  }
};

struct Float4Codec {
  using Carrier = float;
  static Carrier read(const uint8_t* data, size_t i) {
    return Float4E2M1{packed_code<4>(data, i)}.to_float();
  }
  template <typename From>
  static void write(uint8_t* data, size_t i, From x, const CastOptions&) {
    set_packed_code<4>(data, i, Float4E2M1::from_float(round_to_odd(x)).bits);
  }
};

template <int Bits, bool IsSigned>
struct PackedCodec {
  using Carrier = int64_t;
  static Carrier read(const uint8_t* data, size_t i) {
    const uint8_t code = packed_code<Bits>(data, i);
    return IsSigned ? sign_extend<Bits>(code) : code;
  }
  template <typename From>
  static void write(uint8_t* data, size_t i, From x, const CastOptions&) {
    set_packed_code<Bits>(data, i, to_integer<uint8_t>(x));
  }
};

// convert_string.cpp; shapes and types as for cast_into.
Status numbers_to_strings(const Tensor& in, Tensor& out);
Status strings_to_numbers(const Tensor& in, Tensor& out, const CastOptions& options);

}  // namespace fewbit::internal
