#pragma once
// Weights in few bits inside a graph: the node ai.fewbit.Decode.
//
//   inputs      the parts of the matrix, as parts_of (formats/format.h) lists them: constants
//   format      text: "int4/g32"
//   rows, cols  of the matrix
//   dims        of the output, a float32 tensor of rows * cols elements. Row-major, unless
//   transposed  is 1: then the matrix holds the output with its last two dimensions exchanged, as
//               MatMul's [K, N] with groups along K is [N, K]

#include <algorithm>
#include <span>

#include "base/result.h"
#include "formats/format.h"
#include "graph/graph.h"

namespace fewbit {

inline bool is_decode(const Node& node) {
  return node.is("Decode", "ai.fewbit");
}

/// The key under which a MatMul or Gemm says in its metadata that its activations may be rounded to
/// int8, with one scale per row of the activations, when it runs: then kernels multiply the codes.
inline constexpr std::string_view kInt8Activations = "ai.fewbit.int8_activations";

/// MatMul, or Gemm without alpha, beta or transA, whose second input is the transpose of a packed
/// matrix (`transposed`) or that matrix as it is.
bool is_plain_product(const Node& node, bool transposed);

/// The node is a product that is marked so and whose weights a kernel can read as codes: affine
/// (formats/affine.h) or looked up (kernels/pattern_codes, kernels/vector_codes), a matrix that
/// lies as the product wants it, with nothing else in the way (alpha, beta, transA; a bias that is
/// no constant row).
bool reads_codes(const Graph& graph, const Node& node);

/// The matrix of a Decode node. Errors (kBadInput) name the node: unknown format, parts that do not
/// fit.
Result<PackedMatrix> packed_matrix(const Node& node, std::span<const Tensor> parts);

/// The same of a node whose parts are constants of `graph`.
Result<PackedMatrix> packed_matrix(const Graph& graph, const Node& node);

/// A Decode node for `matrix`; inputs and outputs are the caller's to add.
Node decode_node(const PackedMatrix& matrix, const Dims& dims, bool transposed);

/// `matrix` decoded to `out`, a float32 tensor of as many elements.
void decode_tensor(const PackedMatrix& matrix, bool transposed, Tensor& out);

/// Exchanges the last two dimensions: in [batch, rows, cols] -> out [batch, cols, rows].
template <typename T>
void transpose_matrices(const T* in, int64_t batch, int64_t rows, int64_t cols, T* out) {
  constexpr int64_t kBlock = 32;  // both sides stay in the cache
  for (int64_t b = 0; b < batch; ++b, in += rows * cols, out += rows * cols) {
    for (int64_t r0 = 0; r0 < rows; r0 += kBlock) {
      for (int64_t c0 = 0; c0 < cols; c0 += kBlock) {
        for (int64_t r = r0; r < std::min(r0 + kBlock, rows); ++r) {
          for (int64_t c = c0; c < std::min(c0 + kBlock, cols); ++c) {
            out[c * rows + r] = in[r * cols + c];
          }
        }
      }
    }
  }
}

}  // namespace fewbit
