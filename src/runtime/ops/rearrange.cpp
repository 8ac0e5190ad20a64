// Operators that copy elements to other places by a fixed pattern of strides: Transpose, Expand,
// Tile, DepthToSpace, SpaceToDepth, Concat, Split, ReverseSequence.

#include <algorithm>
#include <numeric>

#include "runtime/ops/broadcast.h"
#include "runtime/ops/dispatch.h"
#include "runtime/ops/rearrange.h"
#include "runtime/ops/strided.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

// Output 0 of shape out_dims = the input's elements at the offsets of walk(dims, strides).
Status copy_strided(OpContext& ctx, const Dims& out_dims, const Dims& dims, const Dims& strides) {
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, x.type(), out_dims));
  return dispatch_storage(ctx.node(), x.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    read_strided(elements<T>(x), dims, strides, elements<T>(*out));
    return {};
  });
}

// The input, seen with dimensions `split`, its axes in the order `perm`, as shape out_dims.
Status copy_permuted(OpContext& ctx, const Dims& split, const std::vector<int64_t>& perm,
                     const Dims& out_dims) {
  const Dims own = strides_of(split);
  Dims dims, strides;
  for (int64_t p : perm) {
    dims.push_back(split[static_cast<size_t>(p)]);
    strides.push_back(own[static_cast<size_t>(p)]);
  }
  return copy_strided(ctx, out_dims, dims, strides);
}

Status transpose(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  std::vector<int64_t> perm(x.dims().size());
  std::iota(perm.rbegin(), perm.rend(), int64_t{0});
  if (node.has("perm")) {
    FEWBIT_ASSIGN(perm, normalize_axes(node, node.get_ints("perm"), x.rank()));
    if (static_cast<int64_t>(perm.size()) != x.rank()) {
      return node_error(node, "perm has {} entries for rank {}", perm.size(), x.rank());
    }
  }
  Dims dims;
  for (int64_t p : perm) dims.push_back(x.dim(p));
  return copy_permuted(ctx, x.dims(), perm, dims);
}

Status expand(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(Dims target, read_ints(ctx.node(), ctx.in(1), "shape"));
  for (int64_t d : target) {
    if (d < 0) return node_error(ctx.node(), "shape {} is negative", to_string(target));
  }
  FEWBIT_ASSIGN(Dims dims, broadcast_dims(ctx.node(), {x.dims(), target}));
  const Dims own = strides_of(x.dims());
  Dims strides(dims.size(), 0);
  const size_t skip = dims.size() - x.dims().size();
  for (size_t i = 0; i < own.size(); ++i) {
    if (x.dims()[i] != 1) strides[skip + i] = own[i];
  }
  return copy_strided(ctx, dims, dims, strides);
}

Status tile(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  FEWBIT_ASSIGN(std::vector<int64_t> repeats, read_ints(ctx.node(), ctx.in(1), "repeats"));
  if (static_cast<int64_t>(repeats.size()) != x.rank()) {
    return node_error(ctx.node(), "{} repeats for rank {}", repeats.size(), x.rank());
  }
  const Dims own = strides_of(x.dims());
  Dims out_dims, dims, strides;
  for (size_t i = 0; i < repeats.size(); ++i) {
    int64_t extent = 0;
    if (repeats[i] < 0 || __builtin_mul_overflow(repeats[i], x.dims()[i], &extent)) {
      return node_error(ctx.node(), "repeats {} are negative or too large", to_string(repeats));
    }
    out_dims.push_back(extent);
    dims.insert(dims.end(), {repeats[i], x.dims()[i]});
    strides.insert(strides.end(), {0, own[i]});
  }
  return copy_strided(ctx, out_dims, dims, strides);
}

Result<int64_t> block_size(OpContext& ctx) {
  const int64_t block = ctx.node().get_int("blocksize", 0);
  if (ctx.in(0).rank() != 4) {
    return node_error(ctx.node(), "needs shape [N, C, H, W], has {}", to_string(ctx.in(0).dims()));
  }
  // Held so that no product of a dimension and blocks below overflows, also where another is 0.
  const Dims& dims = ctx.in(0).dims();
  if (block <= 0 || block > (int64_t{1} << 15) ||
      *std::max_element(dims.begin(), dims.end()) > (int64_t{1} << 31)) {
    return node_error(ctx.node(), "blocksize {} for shape {} is out of range", block,
                      to_string(dims));
  }
  return block;
}

Status depth_to_space(OpContext& ctx) {
  FEWBIT_ASSIGN(int64_t b, block_size(ctx));
  const Dims& x = ctx.in(0).dims();
  if (x[1] % (b * b) != 0) {
    return node_error(ctx.node(), "{} channels do not divide by {} squared", x[1], b);
  }
  const int64_t c = x[1] / (b * b);
  const Dims out = {x[0], c, x[2] * b, x[3] * b};
  if (ctx.node().get_string("mode", "DCR") == "CRD") {
    return copy_permuted(ctx, {x[0], c, b, b, x[2], x[3]}, {0, 1, 4, 2, 5, 3}, out);
  }
  return copy_permuted(ctx, {x[0], b, b, c, x[2], x[3]}, {0, 3, 4, 1, 5, 2}, out);
}

// Mode DCR (all there was before version 28) puts the block's position before the depth in the
// output channels, CRD after it.
Status space_to_depth(OpContext& ctx) {
  FEWBIT_ASSIGN(int64_t b, block_size(ctx));
  const Dims& x = ctx.in(0).dims();
  if (x[2] % b != 0 || x[3] % b != 0) {
    return node_error(ctx.node(), "shape {} does not divide into blocks of {}", to_string(x), b);
  }
  const Dims split = {x[0], x[1], x[2] / b, b, x[3] / b, b};
  const Dims out = {x[0], x[1] * b * b, x[2] / b, x[3] / b};
  if (ctx.node().get_string("mode", "DCR") == "CRD") {
    return copy_permuted(ctx, split, {0, 1, 3, 5, 2, 4}, out);
  }
  return copy_permuted(ctx, split, {0, 3, 5, 1, 2, 4}, out);
}

Status concat(OpContext& ctx) {
  std::vector<Tensor> parts;
  for (size_t i = 0; i < ctx.input_count(); ++i) parts.push_back(ctx.in(i));
  return concat_into(ctx, parts, ctx.node().get_int("axis", 1));
}

// Lengths from the attribute (before 13), the input, or equal parts; only from 18 on may the last
// equal part be smaller.
Result<std::vector<int64_t>> split_lengths(OpContext& ctx, int64_t extent) {
  const Node& node = ctx.node();
  const auto parts = static_cast<int64_t>(ctx.output_count());
  if (parts == 0) return node_error(node, "has no outputs");
  if (node.opset < 13 && node.has("split")) return node.get_ints("split");
  if (node.opset >= 13 && ctx.has(1)) return read_ints(node, ctx.in(1), "split");
  const int64_t asked = node.get_int("num_outputs", parts);
  if (asked != parts) return node_error(node, "num_outputs {} for {} outputs", asked, parts);
  if (node.opset < 18 && extent % parts != 0) {
    return node_error(node, "{} elements do not divide into {} parts", extent, parts);
  }
  const int64_t chunk = (extent + parts - 1) / parts;
  std::vector<int64_t> lengths;
  for (int64_t i = 0; i < parts; ++i) {
    lengths.push_back(std::clamp<int64_t>(extent - i * chunk, 0, chunk));
  }
  return lengths;
}

Status split(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(int64_t axis, normalize_axis(node, node.get_int("axis", 0), x.rank()));
  FEWBIT_ASSIGN(std::vector<int64_t> lengths, split_lengths(ctx, x.dim(axis)));
  int64_t left = x.dim(axis);
  for (int64_t n : lengths) {
    if (n < 0 || n > left) break;
    left -= n;
  }
  const bool fits = std::all_of(lengths.begin(), lengths.end(), [](int64_t n) { return n >= 0; });
  if (!fits || left != 0 || lengths.size() != ctx.output_count()) {
    return node_error(node, "lengths {} do not split axis {} of shape {} into {} outputs",
                      to_string(lengths), axis, to_string(x.dims()), ctx.output_count());
  }
  const int64_t outer = product(x.dims(), 0, axis);
  const int64_t row = product(x.dims(), axis, x.rank());
  const int64_t inner = product(x.dims(), axis + 1, x.rank());
  return dispatch_storage(node, x.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    int64_t at = 0;
    for (size_t i = 0; i < lengths.size(); ++i) {
      Dims dims = x.dims();
      dims[static_cast<size_t>(axis)] = lengths[i];
      const int64_t chunk = lengths[i] * inner;
      if (ctx.wants(i)) {
        T* out = elements<T>(ctx.out(i, x.type(), dims));
        for (int64_t o = 0; o < outer; ++o) {
          std::copy_n(elements<T>(x) + o * row + at, chunk, out + o * chunk);
        }
      }
      at += chunk;
    }
    return {};
  });
}

Status reverse_sequence(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  const int64_t batch_axis = node.get_int("batch_axis", 1);
  const int64_t time_axis = node.get_int("time_axis", 0);
  if (x.rank() < 2 || batch_axis + time_axis != 1 || batch_axis * time_axis != 0) {
    return node_error(node, "needs rank >= 2 and the axes 0 and 1; has shape {}, axes {} and {}",
                      to_string(x.dims()), time_axis, batch_axis);
  }
  FEWBIT_ASSIGN(std::vector<int64_t> lengths, read_ints(node, ctx.in(1), "sequence_lens"));
  const int64_t batch = x.dim(batch_axis);
  const int64_t time = x.dim(time_axis);
  if (static_cast<int64_t>(lengths.size()) != batch) {
    return node_error(node, "{} lengths for a batch of {}", lengths.size(), batch);
  }
  for (int64_t n : lengths) {
    if (n < 0 || n > time) return node_error(node, "length {} is not in [0, {}]", n, time);
  }
  const int64_t inner = product(x.dims(), 2, x.rank());
  const int64_t batch_stride = batch_axis == 0 ? time * inner : inner;
  const int64_t time_stride = time_axis == 0 ? batch * inner : inner;
  return dispatch_storage(node, x.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    T* out = elements<T>(ctx.out(0, x.type(), x.dims()));
    for (int64_t b = 0; b < batch; ++b) {
      const int64_t n = lengths[static_cast<size_t>(b)];
      for (int64_t t = 0; t < time; ++t) {
        const int64_t from = t < n ? n - 1 - t : t;
        std::copy_n(elements<T>(x) + b * batch_stride + from * time_stride, inner,
                    out + b * batch_stride + t * time_stride);
      }
    }
    return {};
  });
}

constexpr OpRow kRows[] = {
    {"", "Transpose", 1, unpacked<transpose>},
    {"", "Expand", 8, unpacked<expand>},
    {"", "Tile", 6, unpacked<tile>},
    {"", "DepthToSpace", 1, unpacked<depth_to_space>},
    {"", "SpaceToDepth", 1, unpacked<space_to_depth>},
    {"", "Concat", 4, unpacked<concat>},
    {"", "Split", 2, unpacked<split>},
    {"", "ReverseSequence", 10, unpacked<reverse_sequence>},
};

}  // namespace

Status concat_into(OpContext& ctx, const std::vector<Tensor>& parts, int64_t given_axis) {
  const Node& node = ctx.node();
  if (parts.empty()) return node_error(node, "there is nothing to join");
  const Tensor& first = parts.front();
  FEWBIT_ASSIGN(int64_t axis, normalize_axis(node, given_axis, first.rank()));
  Dims dims = first.dims();
  for (size_t i = 1; i < parts.size(); ++i) {
    const Tensor& x = parts[i];
    Dims expected = first.dims();
    if (x.rank() == first.rank()) expected[static_cast<size_t>(axis)] = x.dim(axis);
    if (x.type() != first.type() || x.dims() != expected) {
      return node_error(node, "part {} of {} {} does not join {} {} along axis {}", i,
                        name_of(x.type()), to_string(x.dims()), name_of(first.type()),
                        to_string(first.dims()), axis);
    }
    int64_t& extent = dims[static_cast<size_t>(axis)];
    if (__builtin_add_overflow(extent, x.dim(axis), &extent)) {
      return node_error(node, "the joined axis is too long");
    }
  }
  FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, first.type(), dims));
  const int64_t outer = product(dims, 0, axis);
  const int64_t row = product(dims, axis, first.rank());
  return dispatch_storage(node, first.type(), [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    int64_t at = 0;
    for (const Tensor& x : parts) {
      const int64_t chunk = product(x.dims(), axis, x.rank());
      for (int64_t o = 0; o < outer; ++o) {
        std::copy_n(elements<T>(x) + o * chunk, chunk, elements<T>(*out) + o * row + at);
      }
      at += chunk;
    }
    return {};
  });
}

std::span<const OpRow> rearrange_table() {
  return kRows;
}

}  // namespace fewbit::ops
