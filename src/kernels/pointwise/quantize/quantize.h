#pragma once
// Quantizing floats to 8- and 16-bit integers and back. All formulas are ONNX's, evaluated as ONNX
// Runtime does, so results are the same bits on every instruction set:
//
//   quantize      q = clamp(rne(clamp(x / scale, lo - zero, hi - zero)) + zero, lo, hi)
//   dequantize    x = float(q - zero) * scale
//
// rne rounds to nearest, ties to even; lo and hi are the type's limits; NaN quantizes to lo.
// Types: kUint8, kInt8, kUint16, kInt16; dequantize also kInt32 (zero must be 0). scale > 0 and
// finite (the caller has checked), zero within the type. Work is split over OpenMP threads.
// Spans must not overlap, unless source and destination are the same and of one size.

#include <cstdint>

#include "base/dtype.h"

namespace fewbit::pointwise {

/// True for the integer types that these functions take.
bool can_quantize_to(DType type);

/// n elements, one scale.
void quantize(const float* src, void* dst, DType type, int64_t n, float scale, int32_t zero);
void dequantize(const void* src, DType type, float* dst, int64_t n, float scale, int32_t zero);

/// [outer, channels, inner] with one scale and zero per channel.
void quantize_axis(const float* src, void* dst, DType type, int64_t outer, int64_t channels,
                   int64_t inner, const float* scale, const int32_t* zero);
void dequantize_axis(const void* src, DType type, float* dst, int64_t outer, int64_t channels,
                     int64_t inner, const float* scale, const int32_t* zero);

/// [n, channels, pixels] -> [n, pixels, stride] with stride >= channels: quantize and move the
/// channels last in one pass (a network's entry); the channels beyond are filled with `zero`.
void quantize_to_channels_last(const float* src, void* dst, DType type, int64_t n, int64_t channels,
                               int64_t pixels, int64_t stride, float scale, int32_t zero);

struct DynamicParams {
  float scale;
  uint8_t zero;
};

/// DynamicQuantizeLinear's parameters for uint8: with [lo, hi] the range of x widened to hold 0,
///   scale = (hi - lo) / 255,  zero = clamp(rne(0 - lo / scale), 0, 255);
/// an all-zero (or empty) x gives scale 1, zero 0.
DynamicParams dynamic_params(const float* src, int64_t n);

/// Both steps on each row of [rows, cols] on its own; scales and zeros receive one per row.
void dynamic_quantize_rows(const float* src, uint8_t* dst, int64_t rows, int64_t cols,
                           float* scales, uint8_t* zeros);

/// Symmetric per row, int8: scale = max|x| / 127 (1 if that is 0), q = clamp(rne(x / scale), -127,
/// 127).
void dynamic_quantize_rows_symmetric(const float* src, int8_t* dst, int64_t rows, int64_t cols,
                                     float* scales);

/// Least and largest of n > 0 floats; NaN are skipped (all NaN: +inf, -inf).
void min_max(const float* src, int64_t n, float* least, float* largest);

}  // namespace fewbit::pointwise
