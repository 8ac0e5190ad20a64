// The blocks of GGUF files as rows of the format table. The one part, "blocks", is
// uint8 [rows, blocks of a row * bytes of a block]: a row as it stands in the file, except that
// rows of any length are allowed; the last block is padded with zeros of no importance.

#include <algorithm>
#include <array>
#include <cmath>
#include <vector>

#include "formats/format_table.h"
#include "formats/gguf/block_codec.h"
#include "formats/isa_rows.h"

namespace fewbit::formats {
namespace gguf {

std::span<const BlockCodecSet> block_codec_sets() {
  static const std::array<BlockCodecSet, 2> kSets = {{
      {"base", true, block_codecs_base()},
#if defined(__x86_64__)
      {"avx2", __builtin_cpu_supports("avx2") != 0, block_codecs_avx2()},
#else
      {"avx2", false, {}},
#endif
  }};
  return kSets;
}

}  // namespace gguf

namespace {

using gguf::BlockCodec;

constexpr int kFirstId = 100;  // of the rows; ggml's number of the type is added

// FormatRow::detail is the codec of the base set; the others have theirs at the same place.
const BlockCodec& codec_of(const FormatRow& row) {
  static const std::span<const BlockCodec> fastest =
      last_that_runs(gguf::block_codec_sets()).codecs;
  const auto* base = static_cast<const BlockCodec*>(row.detail);
  return fastest[static_cast<size_t>(base - gguf::block_codecs_base().data())];
}

}  // namespace

const gguf::BlockCodec* gguf::block_codec_of(const Format& format) {
  const bool is_block =
      format.row != nullptr && format.row->files == kGgufFile && format.row->id >= kFirstId;
  return is_block ? &codec_of(*format.row) : nullptr;
}

namespace {

int64_t blocks_of(const BlockCodec& codec, int64_t cols) {
  return (cols + codec.elems - 1) / codec.elems;
}

void block_parts(const Format& format, int64_t rows, int64_t cols, std::vector<PartSpec>& out) {
  const BlockCodec& codec = codec_of(*format.row);
  out.push_back({"blocks", DType::kUint8, {rows, blocks_of(codec, cols) * codec.block_bytes}});
}

// Some columns of one row, zeros past its end: what BlockCodec::encode takes.
struct Batch {
  std::vector<float> x;
  std::vector<float> w;
  std::vector<uint8_t> blocks;
};

// The importances of a block are divided by the largest of them, so that sums of tiny ones do not
// underflow.
void read_batch(const BlockCodec& codec, const EncodeInput& in, int64_t row, int64_t col,
                Batch& batch) {
  const auto size = static_cast<int64_t>(batch.x.size());
  const int64_t count = std::min(size, in.cols - col);
  const float* x = in.values.data() + row * in.cols + col;
  std::copy(x, x + count, batch.x.begin());
  std::fill(batch.x.begin() + count, batch.x.end(), 0.0F);
  std::fill(batch.w.begin() + count, batch.w.end(), 0.0F);
  if (in.importance.empty()) {
    std::fill(batch.w.begin(), batch.w.begin() + count, 1.0F);
    return;
  }
  const bool per_weight = in.importance.size() == in.values.size();
  const float* w = in.importance.data() + (per_weight ? row * in.cols : 0) + col;
  for (int64_t at = 0; at < count; at += codec.elems) {
    const int64_t end = std::min<int64_t>(at + codec.elems, count);
    const float largest = *std::max_element(w + at, w + end);
    const float divisor = largest > 0 ? largest : 1.0F;
    std::transform(w + at, w + end, batch.w.begin() + at, [&](float v) { return v / divisor; });
  }
}

// Names the largest of `count` weights from `first` of a batch that begins at a row and column.
Error too_large(const BlockCodec& codec, const Batch& batch, size_t first, size_t count,
                int64_t row, int64_t col) {
  const auto begin = batch.x.begin() + static_cast<ptrdiff_t>(first);
  const auto largest =
      std::max_element(begin, begin + static_cast<ptrdiff_t>(count),
                       [](float a, float b) { return std::fabs(a) < std::fabs(b); });
  return bad_input(
      "the weight {} in row {}, column {} is too large for {}, whose scales are 16-bit floats",
      *largest, row, col + (largest - batch.x.begin()), codec.name);
}

Status encode_batch(const BlockCodec& codec, Batch& batch, bool search, int64_t row, int64_t col) {
  bool in_range = true;
  for (const float v : batch.x) in_range &= std::fabs(v) <= codec.largest;
  if (!in_range) return too_large(codec, batch, 0, batch.x.size(), row, col);
  codec.encode(batch.x.data(), batch.w.data(), search, batch.blocks.data());
  const auto elems = static_cast<size_t>(codec.elems);
  const auto bytes = static_cast<size_t>(codec.block_bytes);
  for (size_t block = 0; block * bytes < batch.blocks.size(); ++block) {
    if (codec.is_finite(batch.blocks.data() + block * bytes)) continue;
    return too_large(codec, batch, block * elems, elems, row, col);
  }
  return {};
}

Status encode_rows(const EncodeInput& in, const EncodeOptions& options, int64_t row_begin,
                   int64_t row_end, PackedMatrix& out) {
  const BlockCodec& codec = codec_of(*out.format.row);
  const int64_t batch_elems = static_cast<int64_t>(codec.elems) * codec.together;
  Batch batch;
  batch.x.resize(static_cast<size_t>(batch_elems));
  batch.w.resize(static_cast<size_t>(batch_elems));
  batch.blocks.resize(static_cast<size_t>(codec.block_bytes) * static_cast<size_t>(codec.together));
  const int64_t row_bytes = blocks_of(codec, in.cols) * codec.block_bytes;
  for (int64_t row = row_begin; row < row_end; ++row) {
    uint8_t* to = out.parts[0].data<uint8_t>() + row * row_bytes;
    for (int64_t col = 0; col < in.cols; col += batch_elems) {
      read_batch(codec, in, row, col, batch);
      FEWBIT_TRY(encode_batch(codec, batch, options.search, row, col));
      const int64_t bytes =
          blocks_of(codec, std::min(batch_elems, in.cols - col)) * codec.block_bytes;
      to = std::copy(batch.blocks.begin(), batch.blocks.begin() + bytes, to);
    }
  }
  return {};
}

void decode_block_rows(const PackedMatrix& matrix, int64_t row_begin, int64_t row_end, float* out) {
  const BlockCodec& codec = codec_of(*matrix.format.row);
  const int64_t row_bytes = blocks_of(codec, matrix.cols) * codec.block_bytes;
  std::vector<float> whole(static_cast<size_t>(codec.elems));
  for (int64_t row = row_begin; row < row_end; ++row) {
    const uint8_t* from = matrix.parts[0].data<uint8_t>() + row * row_bytes;
    for (int64_t col = 0; col < matrix.cols; col += codec.elems, from += codec.block_bytes) {
      const int64_t count = std::min<int64_t>(codec.elems, matrix.cols - col);
      if (count == codec.elems) {
        codec.decode(from, out);
      } else {
        codec.decode(from, whole.data());
        std::copy(whole.begin(), whole.begin() + count, out);
      }
      out += count;
    }
  }
}

FormatRow row_of(const BlockCodec& codec) {
  FormatRow r;
  r.id = static_cast<uint16_t>(kFirstId + codec.type);
  r.name = codec.name;
  r.summary = codec.summary;
  r.source = "ggml-org/llama.cpp, ggml/src/ggml-common.h";
  r.default_group = codec.elems;
  r.files = kGgufFile;
  r.parts = block_parts;
  r.encode = encode_rows;
  r.decode = decode_block_rows;
  r.detail = &codec;
  return r;
}

}  // namespace

std::span<const FormatRow> gguf_rows() {
  static const std::vector<FormatRow> rows = [] {
    std::vector<FormatRow> all;
    for (const BlockCodec& codec : gguf::block_codecs_base()) all.push_back(row_of(codec));
    return all;
  }();
  return rows;
}

}  // namespace fewbit::formats
