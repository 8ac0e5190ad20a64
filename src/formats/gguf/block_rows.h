#pragma once
// From the codec of one block to a row of the format table. A codec is a struct with
//
//   Block                 the POD that is stored
//   kElems                weights in a block
//   kTogether             blocks that reference() and search() take: x, w [kTogether * kElems]
//   kLargest              no weight of a larger magnitude can be held
//   reference(x, blocks)  what ggml's reference quantizer gives, bit for bit
//   search(x, w, blocks)  least squared error weighted with w, from 0 to 1
//   decode(block, out)    out [kElems]: the floats that ggml gives, bit for bit
//
// A row of weights is padded with zeros of no importance to whole blocks.

#include <algorithm>
#include <cmath>
#include <cstring>

#include "formats/format.h"
#include "numerics/half.h"

namespace fewbit::formats::gguf {

inline bool is_finite(Half h) {
  return (h.bits & 0x7c00) != 0x7c00;
}

/// All scales of a block are finite.
template <typename Block>
bool has_finite_scales(const Block& block) {
  bool finite = is_finite(block.d);
  if constexpr (requires { block.m; }) finite = finite && is_finite(block.m);
  if constexpr (requires { block.dmin; }) finite = finite && is_finite(block.dmin);
  return finite;
}

/// sum w (x - decoded)^2 in one fixed order.
template <typename Codec>
double weighted_error(const typename Codec::Block& block, const float* x, const float* w) {
  float decoded[Codec::kElems];
  Codec::decode(block, decoded);
  double sums[4] = {};
  for (int i = 0; i < Codec::kElems; i += 4) {
    for (int k = 0; k < 4; ++k) {
      const double error = static_cast<double>(x[i + k]) - static_cast<double>(decoded[i + k]);
      sums[k] += static_cast<double>(w[i + k]) * error * error;
    }
  }
  return (sums[0] + sums[1]) + (sums[2] + sums[3]);
}

template <typename Codec>
struct BlockRows {
  using Block = typename Codec::Block;
  static constexpr int64_t kElems = Codec::kElems;
  static constexpr int64_t kBatch = Codec::kElems * Codec::kTogether;

  static void parts(const Format&, int64_t rows, int64_t cols, std::vector<PartSpec>& out) {
    out.push_back({"blocks", DType::kUint8, {rows, row_bytes(cols)}});
  }

  static int64_t row_bytes(int64_t cols) {
    return (cols + kElems - 1) / kElems * static_cast<int64_t>(sizeof(Block));
  }

  static Status encode(const EncodeInput& in, const EncodeOptions& options, int64_t row_begin,
                       int64_t row_end, PackedMatrix& out) {
    for (int64_t row = row_begin; row < row_end; ++row) {
      uint8_t* to = out.parts[0].data<uint8_t>() + row * row_bytes(in.cols);
      for (int64_t col = 0; col < in.cols; col += kBatch) {
        Batch batch;
        read(in, row, col, batch);
        FEWBIT_TRY(encode_batch(batch, options.search, row, col, out.format, to));
        to += batch.blocks * static_cast<int64_t>(sizeof(Block));
      }
    }
    return {};
  }

  static void decode(const PackedMatrix& matrix, int64_t row_begin, int64_t row_end, float* out) {
    for (int64_t row = row_begin; row < row_end; ++row) {
      const uint8_t* from = matrix.parts[0].data<uint8_t>() + row * row_bytes(matrix.cols);
      for (int64_t col = 0; col < matrix.cols; col += kElems, from += sizeof(Block)) {
        Block block;
        std::memcpy(&block, from, sizeof(Block));
        const int64_t count = std::min(kElems, matrix.cols - col);
        if (count == kElems) {
          Codec::decode(block, out);
        } else {
          float whole[kElems];
          Codec::decode(block, whole);
          std::copy(whole, whole + count, out);
        }
        out += count;
      }
    }
  }

 private:
  struct Batch {
    alignas(16) float x[kBatch];
    alignas(16) float w[kBatch];
    int64_t blocks;
  };

  // Columns [col, col + kBatch) of a row; zeros past its end. The importances are divided by the
  // largest of them, so that sums of tiny ones do not underflow.
  static void read(const EncodeInput& in, int64_t row, int64_t col, Batch& batch) {
    const int64_t count = std::min(kBatch, in.cols - col);
    batch.blocks = (count + kElems - 1) / kElems;
    std::fill(batch.x, batch.x + kBatch, 0.0F);
    std::fill(batch.w, batch.w + kBatch, 0.0F);
    const float* x = in.values.data() + row * in.cols + col;
    std::copy(x, x + count, batch.x);
    if (in.importance.empty()) {
      std::fill(batch.w, batch.w + count, 1.0F);
      return;
    }
    const bool per_weight = in.importance.size() == in.values.size();
    const float* w = in.importance.data() + (per_weight ? row * in.cols : 0) + col;
    const float largest = *std::max_element(w, w + count);
    if (largest > 0) std::transform(w, w + count, batch.w, [&](float v) { return v / largest; });
  }

  static Status encode_batch(const Batch& batch, bool search, int64_t row, int64_t col,
                             const Format& format, uint8_t* to) {
    for (int64_t i = 0; i < kBatch; ++i) {
      if (std::fabs(batch.x[i]) > Codec::kLargest) [[unlikely]]
        return too_large(batch.x[i], row, col + i, format);
    }
    Block references[Codec::kTogether] = {};
    Block found[Codec::kTogether] = {};
    Codec::reference(batch.x, references);
    if (search) Codec::search(batch.x, batch.w, found);
    for (int64_t b = 0; b < batch.blocks; ++b, to += sizeof(Block)) {
      const float* x = batch.x + b * kElems;
      Block block = references[b];
      if (search && improves(found[b], block, x, batch.w + b * kElems)) block = found[b];
      if (!has_finite_scales(block)) [[unlikely]] {
        const auto at = std::max_element(
            x, x + kElems, [](float p, float q) { return std::fabs(p) < std::fabs(q); });
        return too_large(*at, row, col + (at - batch.x), format);
      }
      std::memcpy(to, &block, sizeof(Block));
    }
    return {};
  }

  static bool improves(const Block& found, const Block& reference, const float* x, const float* w) {
    if (!has_finite_scales(found)) return false;
    if (!has_finite_scales(reference)) return true;
    if (std::memcmp(&found, &reference, sizeof(Block)) == 0) return false;
    return weighted_error<Codec>(found, x, w) < weighted_error<Codec>(reference, x, w);
  }

  static Error too_large(float value, int64_t row, int64_t col, const Format& format) {
    return bad_input(
        "the weight {} in row {}, column {} is too large for {}, whose scales are 16-bit"
        " floats",
        value, row, col, format.name());
  }
};

template <typename Codec>
constexpr FormatRow block_row(uint16_t gguf_type, std::string_view name, std::string_view summary) {
  FormatRow r;
  r.id = static_cast<uint16_t>(100 + gguf_type);
  r.name = name;
  r.summary = summary;
  r.source = "ggml-org/llama.cpp, ggml/src/ggml-common.h";
  r.default_group = Codec::kElems;
  r.files = kGgufFile;
  r.parts = BlockRows<Codec>::parts;
  r.encode = BlockRows<Codec>::encode;
  r.decode = BlockRows<Codec>::decode;
  return r;
}

}  // namespace fewbit::formats::gguf
