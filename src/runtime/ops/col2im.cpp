// Col2Im: columns of blocks summed back into an image of any number of dimensions.
//
// input [N, C * prod(block), L] -> output [N, C, image...], where L counts the block positions.

#include <algorithm>

#include "runtime/ops/dispatch.h"
#include "runtime/ops/integer_math.h"
#include "runtime/ops/tables.h"

namespace fewbit::ops {
namespace {

struct Geometry {
  Dims image, block, strides, dilations, pads_begin;
  Dims positions;  ///< of the block along each dimension
};

Result<Geometry> read_geometry(OpContext& ctx) {
  const Node& node = ctx.node();
  Geometry g;
  FEWBIT_ASSIGN(g.image, read_ints(node, ctx.in(1), "image_shape"));
  FEWBIT_ASSIGN(g.block, read_ints(node, ctx.in(2), "block_shape"));
  const size_t n = g.image.size();
  g.strides = node.get_ints("strides", std::vector<int64_t>(n, 1));
  g.dilations = node.get_ints("dilations", std::vector<int64_t>(n, 1));
  const std::vector<int64_t> pads = node.get_ints("pads", std::vector<int64_t>(2 * n, 0));
  if (g.block.size() != n || g.strides.size() != n || g.dilations.size() != n ||
      pads.size() != 2 * n) {
    return node_error(node, "block, strides, dilations and pads do not fit an image of {} dims", n);
  }
  g.pads_begin.assign(pads.begin(), pads.begin() + static_cast<int64_t>(n));
  constexpr int64_t kLimit = int64_t{1} << 31;
  for (size_t i = 0; i < n; ++i) {
    const int64_t smallest = std::min({g.image[i], g.block[i], g.strides[i], g.dilations[i]});
    const int64_t largest =
        std::max({g.image[i], g.block[i], g.strides[i], g.dilations[i], pads[i], pads[n + i]});
    if (smallest < 1 || largest >= kLimit || std::min(pads[i], pads[n + i]) <= -kLimit) {
      return node_error(node, "image, block, strides, dilations or pads are out of range");
    }
    const int64_t reach = g.dilations[i] * (g.block[i] - 1) + 1;
    const int64_t room = g.image[i] + pads[i] + pads[n + i] - reach;
    if (room < 0) return node_error(node, "the block is larger than the image");
    g.positions.push_back(room / g.strides[i] + 1);
  }
  return g;
}

Status col2im(OpContext& ctx) {
  const Tensor& x = ctx.in(0);
  const Node& node = ctx.node();
  FEWBIT_ASSIGN(Geometry g, read_geometry(ctx));
  const Result<int64_t> block_or = checked_elements(g.block, x.type());
  const Result<int64_t> positions_or = checked_elements(g.positions, x.type());
  if (!block_or.ok() || !positions_or.ok()) return node_error(node, "the block is too large");
  const int64_t block = *block_or;
  const int64_t positions = *positions_or;
  if (x.rank() != 3 || x.dim(1) % block != 0 || x.dim(2) != positions) {
    return node_error(node, "an input of shape {} does not hold blocks of {} at {} positions",
                      to_string(x.dims()), block, positions);
  }
  const int64_t planes = x.dim(0) * (x.dim(1) / block);
  Dims dims = {x.dim(0), x.dim(1) / block};
  dims.insert(dims.end(), g.image.begin(), g.image.end());
  const Dims image_strides = strides_of(g.image);
  const int64_t image = product(g.image, 0, static_cast<int64_t>(g.image.size()));
  const Dims block_strides = strides_of(g.block);
  const Dims position_strides = strides_of(g.positions);
  return dispatch(node, x.type(), Numbers{}, [&](auto tag) -> Status {
    using T = typename decltype(tag)::type;
    FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, x.type(), dims));
    T* to = out->template data<T>();
    std::fill_n(to, out->elements(), T{0});
    for (int64_t column = 0; column < block * positions; ++column) {
      const int64_t in_block = column / positions;
      const int64_t position = column % positions;
      int64_t at = 0;
      bool inside = true;
      for (size_t d = 0; d < g.image.size(); ++d) {
        const int64_t i = position / position_strides[d] % g.positions[d] * g.strides[d] +
                          in_block / block_strides[d] % g.block[d] * g.dilations[d] -
                          g.pads_begin[d];
        inside = inside && i >= 0 && i < g.image[d];
        at += i * image_strides[d];
      }
      if (!inside) continue;
      for (int64_t p = 0; p < planes; ++p) {
        T& sum = to[p * image + at];
        const T add = x.data<T>()[p * block * positions + column];
        if constexpr (std::is_floating_point_v<T>) {
          sum += add;
        } else {
          sum = wrap_add(sum, add);
        }
      }
    }
    return {};
  });
}

constexpr OpRow kRows[] = {
    {"", "Col2Im", 18, in_float<col2im>},
};

}  // namespace

std::span<const OpRow> col2im_table() {
  return kRows;
}

}  // namespace fewbit::ops
