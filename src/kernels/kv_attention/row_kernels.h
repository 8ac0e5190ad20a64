#pragma once
// A row of the table from a policy. Included by rows_*.cpp only.

#include "kernels/kv_attention/few_rows.h"
#include "kernels/kv_attention/many_rows.h"
#include "kernels/kv_attention/tile_rows.h"

namespace fewbit::kv {
namespace {

template <class L>
constexpr VectorRow vector_row(Isa isa, std::string_view label) {
  return {.isa = isa,
          .label = label,
          .encode = encode_plane<L>,
          .decode = decode_plane<L>,
          .few = few_rows<L>,
          .many = many_rows<L>};
}

}  // namespace
}  // namespace fewbit::kv
