#pragma once
// Moving elements without looking at them: permutations, layout changes, strided boxes (slice, pad,
// concatenate, expand), rows and pixels. Element sizes 1, 2, 4 and 8 bytes. Source and destination
// must not overlap.

#include <cstdint>
#include <span>

#include "base/result.h"
#include "kernels/pointwise/table/lut.h"

namespace fewbit::pointwise {

/// Row-major dims -> row-major with dst dimension i = src dimension perm[i] (ONNX Transpose).
/// perm must be a permutation of the dims' indices. kUnsupported for other element sizes or more
/// than 12 dimensions after merging.
Status transpose(const void* src, void* dst, int64_t elem_bytes, std::span<const int64_t> dims,
                 std::span<const int64_t> perm);

/// [n, channels, pixels] -> [n, pixels, channels], and back.
void to_channels_last(const void* src, void* dst, int64_t elem_bytes, int64_t n, int64_t channels,
                      int64_t pixels);
void to_channels_first(const void* src, void* dst, int64_t elem_bytes, int64_t n, int64_t channels,
                       int64_t pixels);

/// `rows` rows of row_bytes; strides in bytes. One part of a concatenation is such a copy.
void copy_rows(const void* src, int64_t src_stride_bytes, void* dst, int64_t dst_stride_bytes,
               int64_t rows, int64_t row_bytes);

/// The same through a table: the 8-bit part of a concatenation that has another scale.
void map_rows(const void* src, int64_t src_stride_bytes, void* dst, int64_t dst_stride_bytes,
              int64_t rows, int64_t row_bytes, const Lut& lut);

/// A box of `extents` elements between any two strided views (strides in elements, of any sign;
/// 0 in src repeats): slices with steps, pads, expansions. kUnsupported as for transpose.
Status copy_box(const void* src, void* dst, int64_t elem_bytes, std::span<const int64_t> extents,
                std::span<const int64_t> src_strides, std::span<const int64_t> dst_strides);

/// n elements of value *value.
void fill(void* dst, int64_t elem_bytes, int64_t n, const void* value);

/// Nearest-neighbour resizing of channels-last images: dst pixel (y, x) of image i is src pixel
/// (y_index[y], x_index[x]), pixel_bytes each.
void gather_pixels(const void* src, void* dst, int64_t n, int64_t in_h, int64_t in_w, int64_t out_h,
                   int64_t out_w, const int64_t* y_index, const int64_t* x_index,
                   int64_t pixel_bytes);

}  // namespace fewbit::pointwise
