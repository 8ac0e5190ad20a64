#include "kernels/pointwise/move/move.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include "kernels/pointwise/move/transpose_2d.h"
#include "kernels/pointwise/vec/parallel.h"

namespace fewbit::pointwise {

namespace {

const std::byte* at(const void* p, int64_t bytes) {
  return static_cast<const std::byte*>(p) + bytes;
}
std::byte* at(void* p, int64_t bytes) {
  return static_cast<std::byte*>(p) + bytes;
}

/// One loop of a strided copy, in elements.
struct Loop {
  int64_t extent, src, dst;
};

constexpr int kMaxLoops = 12;

/// Drops loops of extent 1 and merges neighbours that walk evenly in both; outermost first.
std::vector<Loop> merged(const std::vector<Loop>& loops) {
  std::vector<Loop> out;
  for (const Loop& l : loops) {
    if (l.extent == 1) continue;
    if (!out.empty() && out.back().src == l.extent * l.src && out.back().dst == l.extent * l.dst)
      out.back() = {out.back().extent * l.extent, l.src, l.dst};
    else
      out.push_back(l);
  }
  return out;
}

/// body(src offset, dst offset) for every index of loops[0 .. count), shared between threads.
template <typename Body>
void for_each_index(const std::vector<Loop>& loops, int64_t work_elems, Body&& body) {
  int64_t total = 1;
  for (const Loop& l : loops) total *= l.extent;
  parallel_rows(total, work_elems, [&](int64_t begin, int64_t end) {
    int64_t index[kMaxLoops] = {};
    int64_t src = 0, dst = 0, rest = begin;
    const int last = static_cast<int>(loops.size()) - 1;
    for (int d = last; d >= 0; --d) {
      index[d] = rest % loops[d].extent;
      rest /= loops[d].extent;
      src += index[d] * loops[d].src;
      dst += index[d] * loops[d].dst;
    }
    for (int64_t i = begin; i < end; ++i) {
      body(src, dst);
      for (int d = last; d >= 0; --d) {
        src += loops[d].src;
        dst += loops[d].dst;
        if (++index[d] < loops[d].extent) break;
        src -= loops[d].extent * loops[d].src;
        dst -= loops[d].extent * loops[d].dst;
        index[d] = 0;
      }
    }
  });
}

template <typename T>
void copy_strided(const void* src, int64_t src_stride, void* dst, int64_t dst_stride, int64_t n) {
  const T* s = static_cast<const T*>(src);
  T* d = static_cast<T*>(dst);
  for (int64_t i = 0; i < n; ++i) d[i * dst_stride] = s[i * src_stride];
}

using StridedCopy = void (*)(const void*, int64_t, void*, int64_t, int64_t);

StridedCopy strided_copy_for(int64_t elem_bytes) {
  switch (elem_bytes) {
    case 1:
      return copy_strided<uint8_t>;
    case 2:
      return copy_strided<uint16_t>;
    case 4:
      return copy_strided<uint32_t>;
    default:
      return copy_strided<uint64_t>;
  }
}

/// The copy of any nest of loops. The innermost is a memcpy where both sides are dense; otherwise,
/// where some loop is dense in src and another in dst, those two are a blocked transposition.
Status copy_loops(const void* src, void* dst, int64_t elem_bytes, std::vector<Loop> loops) {
  const Transpose2d transpose_2d = transpose_2d_for(elem_bytes);
  if (transpose_2d == nullptr) return unsupported("elements of {} bytes", elem_bytes);
  loops = merged(loops);
  if (loops.size() > kMaxLoops) return unsupported("{} strided dimensions", loops.size());
  if (loops.empty()) loops.push_back({1, 1, 1});
  for (const Loop& l : loops)
    if (l.extent == 0) return {};
  auto dense_in = [&](int64_t Loop::*stride) {
    return std::ranges::find_if(loops, [&](const Loop& l) { return l.*stride == 1; });
  };
  const auto in_src = dense_in(&Loop::src), in_dst = dense_in(&Loop::dst);
  if (in_src != loops.end() && in_src == in_dst) {
    const Loop inner = *in_src;
    loops.erase(in_src);
    if (loops.empty()) {
      parallel_elems(inner.extent, [&](int64_t begin, int64_t end) {
        std::memcpy(at(dst, begin * elem_bytes), at(src, begin * elem_bytes),
                    static_cast<size_t>((end - begin) * elem_bytes));
      });
      return {};
    }
    for_each_index(loops, inner.extent, [&](int64_t s, int64_t d) {
      std::memcpy(at(dst, d * elem_bytes), at(src, s * elem_bytes),
                  static_cast<size_t>(inner.extent * elem_bytes));
    });
    return {};
  }
  if (in_src != loops.end() && in_dst != loops.end()) {
    // The tall side is cut into slabs so that one big matrix is shared between threads too.
    constexpr int64_t kSlab = 64;
    const Loop cols = *in_src, rows = *in_dst;  // src: rows x cols, dense along cols
    loops.erase(std::max(in_src, in_dst));
    loops.erase(std::min(in_src, in_dst));
    const int64_t slabs = (rows.extent + kSlab - 1) / kSlab;
    int64_t total = slabs;
    for (const Loop& l : loops) total *= l.extent;
    parallel_rows(total, kSlab * cols.extent, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) {
        const int64_t first = i % slabs * kSlab;
        int64_t rest = i / slabs, s = first * rows.src, d = first;
        for (size_t k = loops.size(); k-- > 0; rest /= loops[k].extent) {
          s += rest % loops[k].extent * loops[k].src;
          d += rest % loops[k].extent * loops[k].dst;
        }
        transpose_2d(at(src, s * elem_bytes), rows.src, at(dst, d * elem_bytes), cols.dst,
                     std::min(kSlab, rows.extent - first), cols.extent);
      }
    });
    return {};
  }
  const Loop inner = loops.back();
  loops.pop_back();
  const StridedCopy copy = strided_copy_for(elem_bytes);
  for_each_index(loops, inner.extent, [&](int64_t s, int64_t d) {
    copy(at(src, s * elem_bytes), inner.src, at(dst, d * elem_bytes), inner.dst, inner.extent);
  });
  return {};
}

}  // namespace

Status transpose(const void* src, void* dst, int64_t elem_bytes, std::span<const int64_t> dims,
                 std::span<const int64_t> perm) {
  const size_t rank = dims.size();
  std::vector<int64_t> strides(rank, 1);
  for (size_t i = rank; i-- > 1;) strides[i - 1] = strides[i] * dims[i];
  std::vector<Loop> loops(rank);
  int64_t dst_stride = 1;
  for (size_t i = rank; i-- > 0;) {
    const size_t from = static_cast<size_t>(perm[i]);
    loops[i] = {dims[from], strides[from], dst_stride};
    dst_stride *= dims[from];
  }
  return copy_loops(src, dst, elem_bytes, std::move(loops));
}

void to_channels_last(const void* src, void* dst, int64_t elem_bytes, int64_t n, int64_t channels,
                      int64_t pixels) {
  if (channels == 3 && elem_bytes == 4) {
    for (int64_t i = 0; i < n; ++i) {
      const float* planes = static_cast<const float*>(src) + i * 3 * pixels;
      float* out = static_cast<float*>(dst) + i * 3 * pixels;
      parallel_ranges(pixels, kGrainElems / 3, 64, [&](int64_t begin, int64_t end) {
        interleave3(planes + begin, pixels, out + 3 * begin, end - begin);
      });
    }
    return;
  }
  const Status status = copy_loops(
      src, dst, elem_bytes,
      {{n, channels * pixels, channels * pixels}, {pixels, 1, channels}, {channels, pixels, 1}});
  FEWBIT_CHECK(status.ok(), elem_bytes);
}

void to_channels_first(const void* src, void* dst, int64_t elem_bytes, int64_t n, int64_t channels,
                       int64_t pixels) {
  const Status status = copy_loops(
      src, dst, elem_bytes,
      {{n, channels * pixels, channels * pixels}, {channels, 1, pixels}, {pixels, channels, 1}});
  FEWBIT_CHECK(status.ok(), elem_bytes);
}

void copy_rows(const void* src, int64_t src_stride_bytes, void* dst, int64_t dst_stride_bytes,
               int64_t rows, int64_t row_bytes) {
  parallel_rows(rows, std::max<int64_t>(1, row_bytes / 4), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      std::memcpy(at(dst, r * dst_stride_bytes), at(src, r * src_stride_bytes),
                  static_cast<size_t>(row_bytes));
  });
}

void map_rows(const void* src, int64_t src_stride_bytes, void* dst, int64_t dst_stride_bytes,
              int64_t rows, int64_t row_bytes, const Lut& lut) {
  parallel_rows(rows, std::max<int64_t>(1, row_bytes / 4), [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r)
      map_bytes(at(src, r * src_stride_bytes), at(dst, r * dst_stride_bytes), row_bytes, lut);
  });
}

Status copy_box(const void* src, void* dst, int64_t elem_bytes, std::span<const int64_t> extents,
                std::span<const int64_t> src_strides, std::span<const int64_t> dst_strides) {
  std::vector<Loop> loops(extents.size());
  for (size_t i = 0; i < loops.size(); ++i) loops[i] = {extents[i], src_strides[i], dst_strides[i]};
  return copy_loops(src, dst, elem_bytes, std::move(loops));
}

void fill(void* dst, int64_t elem_bytes, int64_t n, const void* value) {
  const StridedCopy copy = strided_copy_for(elem_bytes);
  parallel_elems(n, [&](int64_t begin, int64_t end) {
    copy(value, 0, at(dst, begin * elem_bytes), 1, end - begin);
  });
}

void gather_pixels(const void* src, void* dst, int64_t n, int64_t in_h, int64_t in_w, int64_t out_h,
                   int64_t out_w, const int64_t* y_index, const int64_t* x_index,
                   int64_t pixel_bytes) {
  parallel_rows(n * out_h, std::max<int64_t>(1, out_w * pixel_bytes / 4),
                [&](int64_t begin, int64_t end) {
                  for (int64_t row = begin; row < end; ++row) {
                    const int64_t image = row / out_h;
                    const std::byte* line =
                        at(src, (image * in_h + y_index[row % out_h]) * in_w * pixel_bytes);
                    std::byte* out = at(dst, row * out_w * pixel_bytes);
                    for (int64_t x = 0; x < out_w; ++x)
                      std::memcpy(out + x * pixel_bytes, line + x_index[x] * pixel_bytes,
                                  static_cast<size_t>(pixel_bytes));
                  }
                });
}

}  // namespace fewbit::pointwise
