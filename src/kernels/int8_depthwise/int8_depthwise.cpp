#include "kernels/int8_depthwise/int8_depthwise.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/int8_depthwise/depthwise_core.h"
#include "kernels/int8_gemm/int8_core.h"
#include "kernels/int8_gemm/int8_reference.h"

namespace fewbit {
namespace {

using int8::DepthwiseRow;
using int8::DepthwiseTile;
using int8::kLaneBytes;

// A strip larger than this leaves the first-level cache; wider outputs are cut into column tiles.
constexpr int64_t kStripBytes = 32 * 1024;
// Below this many multiply-adds per thread, starting threads costs more than it saves.
constexpr int64_t kMinMacsPerThread = int64_t{1} << 18;

/// Channels that are processed together: 16, 32 or 64 of them, tiled to fill a vector.
struct Block {
  int64_t channel;
  int lanes;
  int channels;
};

std::vector<Block> cut_channels(int64_t channels, int max_lanes) {
  std::vector<Block> out;
  for (int64_t at = 0; at < channels;) {
    const int64_t left = channels - at;
    const int wanted = left > 3 * kLaneBytes ? 4 : (left > kLaneBytes ? 2 : 1);
    const int lanes = std::min(wanted, max_lanes);
    const int64_t width = std::min<int64_t>(left, lanes * kLaneBytes);
    out.push_back({at, lanes, static_cast<int>(width)});
    at += width;
  }
  return out;
}

// How the kernel's taps become steps: row groups of four input lines, kernel columns within.
struct Plan {
  int out_rows = 1;       ///< output rows computed together
  int groups = 1;         ///< groups of four interleaved input lines
  int64_t line_step = 1;  ///< input rows between interleaved lines
  int copies = 1;         ///< steps per tap: weights beyond int8 are split into a sum
  int steps = 1;
};

int32_t weight_minus_zero(const Int8ConvSpec& s, const uint8_t* weights, int64_t channel,
                          int64_t tap) {
  const int32_t w = byte_at(weights, channel * s.taps() + tap, s.weight_type);
  if (s.weight_zero.empty()) return w;
  return w - s.weight_zero[s.weight_zero.size() == 1 ? 0 : static_cast<size_t>(channel)];
}

Plan make_plan(const Int8ConvSpec& s, const uint8_t* weights) {
  Plan p;
  const int64_t kh = s.kernel_h;
  // Two output rows can share their interleaved lines if the extra line costs no extra group.
  const bool share = s.stride_h == 1 && s.dilation_h == 1 && (kh + 1 + 3) / 4 == (kh + 3) / 4;
  p.out_rows = share ? 2 : 1;
  p.groups = static_cast<int>((kh + (share ? 1 : 0) + 3) / 4);
  p.line_step = s.dilation_h;
  for (int64_t i = 0; i < s.out_channels * s.taps(); ++i) {
    // Each of `copies` int8 parts carries at most 127 upwards and 128 downwards.
    const int32_t w = weight_minus_zero(s, weights, i / s.taps(), i % s.taps());
    while (w > 127 * p.copies || w < -128 * p.copies) ++p.copies;
  }
  p.steps = p.groups * static_cast<int>(s.kernel_w) * p.copies;
  return p;
}

class DepthwiseConv final : public Int8ConvKernel {
 public:
  DepthwiseConv(const Int8ConvSpec& spec, const void* weights, std::span<const int32_t> bias,
                const DepthwiseRow& row, const int8::Row& finish_row)
      : spec_(spec),
        row_(row),
        finish_row_(finish_row),
        plan_(make_plan(spec, static_cast<const uint8_t*>(weights))),
        blocks_(cut_channels(spec.in_channels, row.lanes)) {
    pack(static_cast<const uint8_t*>(weights), bias);
  }

  void run(const Int8ConvShape& sizes, const void* input, const void* residual, void* output,
           int threads) const override;

  int64_t packed_bytes() const override { return weights_.bytes(); }
  Isa isa() const override { return row_.isa; }

 private:
  struct Task;

  bool needs_sums() const { return !spec_.output.is_8bit() || spec_.output.residual.has_value(); }
  int vector_bytes() const { return row_.lanes * kLaneBytes; }
  int64_t block_weight_bytes() const {
    return int64_t{4} * plan_.steps * plan_.out_rows * vector_bytes();
  }
  // Channel of packed column `column` of a block, or -1: quads outermost, lanes within.
  int64_t channel_at(const Block& block, int64_t column) const {
    const int64_t quad = column / (4 * row_.lanes);
    const int64_t lane = column / 4 % row_.lanes % block.lanes;
    const int64_t in_block = lane * kLaneBytes + quad * 4 + column % 4;
    return in_block < block.channels ? block.channel + in_block : -1;
  }
  void pack(const uint8_t* weights, std::span<const int32_t> bias);
  void pack_step(const uint8_t* weights, const Block& block, int step, int out_row,
                 int8_t* dst) const;

  Int8ConvSpec spec_;
  const DepthwiseRow& row_;
  const int8::Row& finish_row_;
  Plan plan_;
  std::vector<Block> blocks_;
  Tensor weights_;                                ///< [block][quad][step][out_row][vector]
  Tensor init_;                                   ///< [block][quad][4 * lanes]
  std::optional<int8::StagePlan> stage_;          ///< columns as init_
  std::optional<int8::StagePlan> natural_stage_;  ///< columns in channel order, for sums
};

// One vector of weights: byte i of a channel's four meets interleaved line 4 * group + i.
void DepthwiseConv::pack_step(const uint8_t* weights, const Block& block, int step, int out_row,
                              int8_t* dst) const {
  const int64_t copy = step % plan_.copies;
  const int64_t kx = step / plan_.copies % spec_.kernel_w;
  const int64_t group = step / plan_.copies / spec_.kernel_w;
  for (int quad = 0; quad < 4; ++quad) {
    int8_t* to = dst + int64_t{quad} * plan_.steps * plan_.out_rows * vector_bytes();
    for (int c = 0; c < 4 * row_.lanes; ++c) {
      const int64_t channel = channel_at(block, quad * 4 * row_.lanes + c);
      for (int i = 0; i < 4; ++i) {
        const int64_t ky = group * 4 + i - out_row;
        if (channel < 0 || ky < 0 || ky >= spec_.kernel_h) continue;
        int32_t part = weight_minus_zero(spec_, weights, channel, ky * spec_.kernel_w + kx);
        for (int64_t before = 0; before < copy; ++before) part -= std::clamp(part, -128, 127);
        to[c * 4 + i] = static_cast<int8_t>(std::clamp(part, -128, 127));
      }
    }
  }
}

void DepthwiseConv::pack(const uint8_t* weights, std::span<const int32_t> bias) {
  const int64_t columns = int64_t{16} * row_.lanes;
  const auto blocks = static_cast<int64_t>(blocks_.size());
  weights_ = Tensor::zeros(DType::kInt8, {blocks * block_weight_bytes()});
  init_ = Tensor::zeros(DType::kInt32, {blocks * columns});
  std::vector<int64_t> channel_of;
  const int32_t a_zero = spec_.input_zero + (spec_.input_type == DType::kInt8 ? 128 : 0);
  double max_abs = 0;
  for (int64_t b = 0; b < blocks; ++b) {
    const Block& block = blocks_[static_cast<size_t>(b)];
    for (int step = 0; step < plan_.steps; ++step) {
      for (int r = 0; r < plan_.out_rows; ++r) {
        pack_step(weights, block, step, r,
                  weights_.data<int8_t>() + b * block_weight_bytes() +
                      (int64_t{step} * plan_.out_rows + r) * vector_bytes());
      }
    }
    for (int64_t c = 0; c < columns; ++c) {
      const int64_t channel = channel_at(block, c);
      channel_of.push_back(channel);
      if (channel < 0) continue;
      uint32_t sum = 0;
      for (int64_t tap = 0; tap < spec_.taps(); ++tap) {
        sum += static_cast<uint32_t>(weight_minus_zero(spec_, weights, channel, tap));
      }
      const int32_t add = bias.empty() ? 0 : bias[static_cast<size_t>(channel)];
      max_abs = std::max(max_abs, std::abs(static_cast<double>(add)));
      init_.data<int32_t>()[b * columns + c] =
          static_cast<int32_t>(static_cast<uint32_t>(add) - static_cast<uint32_t>(a_zero) * sum);
    }
  }
  max_abs += 255.0 * 255.0 * static_cast<double>(spec_.taps());
  stage_.emplace(spec_.output, channel_of, max_abs);
  std::vector<int64_t> natural(static_cast<size_t>((spec_.in_channels + 63) / 64 * 64), -1);
  for (int64_t c = 0; c < spec_.in_channels; ++c) natural[static_cast<size_t>(c)] = c;
  natural_stage_.emplace(spec_.output, natural, max_abs);
}

/// One call: geometry, and the work of one (image, row group, column tile, block).
struct DepthwiseConv::Task {
  const DepthwiseConv& conv;
  Int8ConvShape shape;
  const uint8_t* input;
  const uint8_t* residual;
  uint8_t* output;
  int64_t tile_cols;  ///< output columns of a column tile
  int64_t col_tiles;
  int64_t row_groups;

  Task(const DepthwiseConv& c, const Int8ConvShape& sizes, const void* in, const void* res,
       void* out)
      : conv(c),
        shape(sizes),
        input(static_cast<const uint8_t*>(in)),
        residual(static_cast<const uint8_t*>(res)),
        output(static_cast<uint8_t*>(out)) {
    const Int8ConvSpec& s = conv.spec_;
    if (shape.in_pixel_stride == 0) shape.in_pixel_stride = s.in_channels;
    if (shape.out_pixel_stride == 0) shape.out_pixel_stride = s.out_channels;
    if (shape.residual_pixel_stride == 0) shape.residual_pixel_stride = s.out_channels;
    const int64_t column_bytes = conv.vector_bytes() * 4 * conv.plan_.groups * s.stride_w;
    tile_cols = std::max<int64_t>(kStripBytes / column_bytes - s.kernel_w, 16);
    col_tiles = (shape.out_w + tile_cols - 1) / tile_cols;
    tile_cols = (shape.out_w + col_tiles - 1) / col_tiles;
    row_groups = (shape.out_h + conv.plan_.out_rows - 1) / conv.plan_.out_rows;
  }

  int64_t items() const {
    return shape.batch * row_groups * col_tiles * static_cast<int64_t>(conv.blocks_.size());
  }
  void run_items(int64_t begin, int64_t end) const;

 private:
  /// Where things lie in the strip of a block of some width.
  struct Layout {
    int64_t column_bytes = 0, phase_bytes = 0, group_bytes = 0, quad_bytes = 0;
    std::vector<int64_t> step_offset;
  };
  /// An input line of a row group: where it starts, or a line of padding.
  struct Line {
    int64_t offset;  ///< of column 0 of the image, or -1
    int64_t step;    ///< from one column to the next
  };
  /// A position: output rows [y, y + rows), columns [x, x + cols) of an image; shared by all
  /// blocks.
  struct Place {
    int64_t image = 0, y = 0, x = 0, cols = 0;
    int rows = 0;
    int64_t first = 0;           ///< column of the image that strip column 0 is
    int64_t begin = 0, end = 0;  ///< strip columns inside the image
    int64_t columns = 0;         ///< strip columns
    std::vector<Line> lines;     ///< 4 per row group
  };
  /// Memory of one thread, kept from call to call.
  struct Scratch {
    std::vector<uint8_t> pad_line;
    Tensor strip[int8::kMaxLanes + 1];  ///< by block width, so that padding columns stay filled in
    Tensor results, sums;
    Place place;
  };

  int64_t per_vector(const Block& block) const { return conv.row_.lanes / block.lanes; }
  int64_t pixel_of(const Place& at, int64_t row) const {
    return (at.image * shape.out_h + at.y + row) * shape.out_w + at.x;
  }
  Layout lay_out(int lanes) const;
  void reserve(int lanes, const Layout& layout, Scratch& scratch) const;
  void move_to(int64_t tile, Place& at) const;
  void fill(const Block& block, const Layout& layout, Scratch& scratch) const;
  void fill_padding(int lanes, const Layout& layout, Scratch& scratch) const;
  void compute(int64_t block_index, const Layout& layout, Scratch& scratch) const;
  void store_bytes(const Block& block, const Place& at, const Scratch& scratch) const;
  void apply_lut(const Block& block, const Place& at) const;
  void finish_sums(const Block& block, const Place& at, const Scratch& scratch) const;
};

DepthwiseConv::Task::Layout DepthwiseConv::Task::lay_out(int lanes) const {
  const Int8ConvSpec& s = conv.spec_;
  const Plan& plan = conv.plan_;
  Layout out;
  out.column_bytes = lanes * kLaneBytes;
  const int64_t columns_per_vector = conv.row_.lanes / lanes;
  const int64_t vectors = (tile_cols + columns_per_vector - 1) / columns_per_vector;
  const int64_t reach = (s.kernel_w - 1) * s.dilation_w / s.stride_w;
  // Columns past the last output are computed and dropped; they must lie in the strip all the same.
  const int64_t slots = (vectors + 1) * columns_per_vector + reach;
  out.phase_bytes = (slots * out.column_bytes + 63) / 64 * 64;
  out.group_bytes = out.phase_bytes * s.stride_w;
  out.quad_bytes = out.group_bytes * plan.groups;
  for (int step = 0; step < plan.steps; ++step) {
    const int64_t offset = step / plan.copies % s.kernel_w * s.dilation_w;
    const int64_t group = step / plan.copies / s.kernel_w;
    out.step_offset.push_back(group * out.group_bytes + offset % s.stride_w * out.phase_bytes +
                              offset / s.stride_w * out.column_bytes);
  }
  return out;
}

void DepthwiseConv::Task::reserve(int lanes, const Layout& layout, Scratch& scratch) const {
  const auto grow = [](Tensor& t, DType type, int64_t elements) {
    if (!t.defined() || t.elements() < elements) t = Tensor::zeros(type, {elements});
  };
  grow(scratch.strip[lanes], DType::kUint8, layout.quad_bytes * 4 + 64);
  const int64_t results =
      int64_t{int8::kDepthwiseMaxRows} * (tile_cols + int8::kMaxLanes) * conv.vector_bytes();
  grow(scratch.results, DType::kUint8, results);
  if (conv.needs_sums()) grow(scratch.sums, DType::kInt32, results);
}

void DepthwiseConv::Task::move_to(int64_t tile, Place& at) const {
  const Int8ConvSpec& s = conv.spec_;
  const int64_t row_group = tile / col_tiles % row_groups;
  at.image = tile / col_tiles / row_groups;
  at.y = row_group * conv.plan_.out_rows;
  at.rows = static_cast<int>(std::min<int64_t>(conv.plan_.out_rows, shape.out_h - at.y));
  at.x = tile % col_tiles * tile_cols;
  at.cols = std::min(tile_cols, shape.out_w - at.x);
  at.first = at.x * s.stride_w - s.pad_left;
  at.columns = (at.cols - 1) * s.stride_w + (s.kernel_w - 1) * s.dilation_w + 1;
  at.begin = std::clamp<int64_t>(-at.first, 0, at.columns);
  at.end = std::clamp<int64_t>(shape.in_w - at.first, at.begin, at.columns);
  const int64_t count = s.kernel_h + at.rows - 1;
  const int64_t pixel = shape.in_pixel_stride;
  at.lines.clear();
  for (int64_t line = 0; line < int64_t{4} * conv.plan_.groups; ++line) {
    const int64_t y = at.y * s.stride_h - s.pad_top + line * conv.plan_.line_step;
    const bool inside = line < count && y >= 0 && y < shape.in_h;
    at.lines.push_back(inside ? Line{(at.image * shape.in_h + y) * shape.in_w * pixel, pixel}
                              : Line{-1, 0});
  }
}

// The columns left and right of the image: all lines hold the same byte.
void DepthwiseConv::Task::fill_padding(int lanes, const Layout& layout, Scratch& scratch) const {
  const Int8ConvSpec& s = conv.spec_;
  const Place& at = scratch.place;
  const int flip = s.input_type == DType::kInt8 ? 0x80 : 0;
  const int pad = static_cast<uint8_t>(s.input_zero) ^ flip;
  uint8_t* strip = scratch.strip[lanes].data<uint8_t>();
  for (int64_t c = 0; c < at.columns; ++c) {
    if (c >= at.begin && c < at.end) continue;
    uint8_t* column =
        strip + c % s.stride_w * layout.phase_bytes + c / s.stride_w * layout.column_bytes;
    for (int i = 0; i < 4 * conv.plan_.groups; ++i) {
      std::memset(column + i * layout.group_bytes, pad, static_cast<size_t>(layout.column_bytes));
    }
  }
}

void DepthwiseConv::Task::fill(const Block& block, const Layout& layout, Scratch& scratch) const {
  const int64_t stride = conv.spec_.stride_w;
  const Place& at = scratch.place;
  int8::InterleaveArgs a = {};
  a.lanes = block.lanes;
  a.channels = block.channels;
  a.flip = conv.spec_.input_type == DType::kInt8 ? 0x80 : 0;
  a.quad_bytes = layout.quad_bytes;
  a.phase_bytes = layout.phase_bytes;
  a.phases = static_cast<int>(stride);
  a.first_phase = static_cast<int>(at.begin % stride);
  a.columns = at.end - at.begin;
  a.dst = scratch.strip[block.lanes].data<uint8_t>() + at.begin / stride * layout.column_bytes;
  const int64_t in_line = (at.first + at.begin) * shape.in_pixel_stride + block.channel;
  for (int g = 0; g < conv.plan_.groups; ++g, a.dst += layout.group_bytes) {
    for (int i = 0; i < 4; ++i) {
      const Line& line = at.lines[static_cast<size_t>(4 * g + i)];
      a.line[i] = line.offset < 0 ? scratch.pad_line.data() : input + line.offset + in_line;
      a.line_step[i] = line.step;
    }
    conv.row_.interleave(a);
  }
}

void DepthwiseConv::Task::compute(int64_t block_index, const Layout& layout,
                                  Scratch& scratch) const {
  const Block& block = conv.blocks_[static_cast<size_t>(block_index)];
  const Place& at = scratch.place;
  const int64_t columns = int64_t{16} * conv.row_.lanes;
  const int64_t vector_bytes = conv.vector_bytes();
  const int64_t in_vector = per_vector(block);
  const int8::Stage& stage = conv.stage_->stage();
  // Results go straight to the output where whole vectors of it are consecutive.
  const bool direct = block.channels == block.lanes * kLaneBytes && at.cols % in_vector == 0 &&
                      (in_vector == 1 || shape.out_pixel_stride == block.channels);
  DepthwiseTile t = {};
  t.strip = scratch.strip[block.lanes].data<uint8_t>();
  t.quad_bytes = layout.quad_bytes;
  t.step_offset = layout.step_offset.data();
  t.steps = conv.plan_.steps;
  t.weights = conv.weights_.data<int8_t>() + block_index * conv.block_weight_bytes();
  t.packed_rows = conv.plan_.out_rows;
  t.init = conv.init_.data<int32_t>() + block_index * columns;
  t.scale = stage.scale + block_index * columns;
  t.stage = &stage;
  t.rows = at.rows;
  t.vectors = static_cast<int>((at.cols + in_vector - 1) / in_vector);
  t.out_step = direct ? in_vector * shape.out_pixel_stride : vector_bytes;
  for (int r = 0; r < at.rows; ++r) {
    t.out[r] = direct ? output + pixel_of(at, r) * shape.out_pixel_stride + block.channel
                      : scratch.results.data<uint8_t>() + r * t.vectors * vector_bytes;
  }
  if (conv.needs_sums()) {
    t.acc = scratch.sums.data<int32_t>();
    conv.row_.tile_sums(t);
    finish_sums(block, at, scratch);
    return;
  }
  conv.row_.tile(t);
  if (!direct) store_bytes(block, at, scratch);
  if (stage.lut != nullptr) apply_lut(block, at);
}

template <int kBytes>
void copy_pixels(uint8_t* to, int64_t to_step, const uint8_t* from, int64_t from_step,
                 int64_t count) {
  for (int64_t i = 0; i < count; ++i) std::memcpy(to + i * to_step, from + i * from_step, kBytes);
}

// Results of narrow blocks lie several columns to a vector: store them pixel by pixel.
void DepthwiseConv::Task::store_bytes(const Block& block, const Place& at,
                                      const Scratch& scratch) const {
  const int64_t vectors = (at.cols + per_vector(block) - 1) / per_vector(block);
  const int64_t from_step = block.lanes * kLaneBytes;
  const int64_t to_step = shape.out_pixel_stride;
  for (int r = 0; r < at.rows; ++r) {
    const uint8_t* from = scratch.results.data<uint8_t>() + r * vectors * conv.vector_bytes();
    uint8_t* to = output + pixel_of(at, r) * to_step + block.channel;
    switch (block.channels) {
      case 8:
        copy_pixels<8>(to, to_step, from, from_step, at.cols);
        break;
      case 16:
        copy_pixels<16>(to, to_step, from, from_step, at.cols);
        break;
      case 32:
        copy_pixels<32>(to, to_step, from, from_step, at.cols);
        break;
      default:
        for (int64_t c = 0; c < at.cols; ++c) {
          std::memcpy(to + c * to_step, from + c * from_step, static_cast<size_t>(block.channels));
        }
    }
  }
}

void DepthwiseConv::Task::apply_lut(const Block& block, const Place& at) const {
  const uint8_t* lut = conv.stage_->stage().lut;
  for (int r = 0; r < at.rows; ++r) {
    uint8_t* out = output + pixel_of(at, r) * shape.out_pixel_stride + block.channel;
    for (int64_t c = 0; c < at.cols; ++c, out += shape.out_pixel_stride) {
      for (int i = 0; i < block.channels; ++i) out[i] = lut[out[i]];
    }
  }
}

// Outputs beyond plain bytes: the sums go to channel order and through the output stage of the
// matrix product, up to 32 channels of one pixel at a time.
void DepthwiseConv::Task::finish_sums(const Block& block, const Place& at,
                                      const Scratch& scratch) const {
  const int lanes = conv.row_.lanes;
  const int64_t in_vector = per_vector(block);
  const int64_t vectors = (at.cols + in_vector - 1) / in_vector;
  const int64_t element = output_element_bytes(conv.spec_.output.type);
  int8::FinishArgs f = {};
  f.stage = &conv.natural_stage_->stage();
  for (int64_t i = 0; i < at.rows * at.cols; ++i) {
    const int64_t r = i / at.cols, c = i % at.cols;
    const int32_t* from = scratch.sums.data<int32_t>() +
                          (r * vectors + c / in_vector) * 16 * lanes +
                          c % in_vector * block.lanes * 4;
    const int64_t pixel = pixel_of(at, r) + c;
    for (int begin = 0; begin < block.channels; begin += int8::kTileCols) {
      alignas(64) int32_t acc[int8::kTileCols] = {};
      for (int j = 0; j < int8::kTileCols && begin + j < block.channels; ++j) {
        const int in_block = begin + j;
        acc[j] = from[(in_block % 16 / 4 * lanes + in_block / 16) * 4 + in_block % 4];
      }
      f.column = block.channel + begin;
      f.cols = std::min(block.channels - begin, int8::kTileCols);
      f.out = output + (pixel * shape.out_pixel_stride + f.column) * element;
      if (residual != nullptr) {
        f.residual = residual + pixel * shape.residual_pixel_stride + f.column;
      }
      conv.finish_row_.finish(acc, 1, f);
    }
  }
}

void DepthwiseConv::Task::run_items(int64_t begin, int64_t end) const {
  static thread_local Scratch scratch;
  const auto blocks = static_cast<int64_t>(conv.blocks_.size());
  scratch.pad_line.assign(static_cast<size_t>(int8::kMaxLanes) * kLaneBytes,
                          static_cast<uint8_t>(conv.spec_.input_zero));
  Layout layouts[int8::kMaxLanes + 1];
  for (const Block& block : conv.blocks_) {
    Layout& layout = layouts[block.lanes];
    if (!layout.step_offset.empty()) continue;
    layout = lay_out(block.lanes);
    reserve(block.lanes, layout, scratch);
  }
  int64_t padded_x = -1;  // the column tile whose padding is in the strips
  for (int64_t i = begin; i < end;) {
    const int64_t tile = i / blocks;
    const int64_t tile_end = std::min(end, (tile + 1) * blocks);
    move_to(tile, scratch.place);
    for (int lanes = 1; scratch.place.x != padded_x && lanes <= int8::kMaxLanes; ++lanes) {
      if (!layouts[lanes].step_offset.empty()) fill_padding(lanes, layouts[lanes], scratch);
    }
    padded_x = scratch.place.x;
    for (; i < tile_end; ++i) {
      const int64_t block_index = i - tile * blocks;
      const Block& block = conv.blocks_[static_cast<size_t>(block_index)];
      fill(block, layouts[block.lanes], scratch);
      compute(block_index, layouts[block.lanes], scratch);
    }
  }
}

void DepthwiseConv::run(const Int8ConvShape& sizes, const void* input, const void* residual,
                        void* output, int threads) const {
  if (sizes.batch == 0 || sizes.out_h == 0 || sizes.out_w == 0) return;
  const Task task(*this, sizes, input, residual, output);
  const int64_t items = task.items();
  const int64_t macs = sizes.batch * sizes.out_h * sizes.out_w * spec_.out_channels * spec_.taps();
  const int64_t parts =
      std::clamp<int64_t>(std::min<int64_t>(macs / kMinMacsPerThread, items), 1, threads);
  if (parts == 1) {
    task.run_items(0, items);
    return;
  }
#pragma omp parallel for num_threads(static_cast <int>(parts)) schedule(static, 1)
  for (int64_t i = 0; i < parts; ++i) {
    task.run_items(items * i / parts, items * (i + 1) / parts);
  }
}

}  // namespace

bool is_depthwise(const Int8ConvSpec& spec) {
  return spec.groups == spec.in_channels && spec.out_channels == spec.in_channels &&
         spec.groups > 1;
}

Result<std::shared_ptr<const Int8ConvKernel>> prepare_int8_depthwise(const Int8ConvSpec& spec,
                                                                     const void* weights,
                                                                     std::span<const int32_t> bias,
                                                                     std::optional<Isa> isa) {
  FEWBIT_TRY(validate(spec));
  if (!is_depthwise(spec)) {
    return bad_input("depthwise convolution: {} groups, {} inputs, {} outputs", spec.groups,
                     spec.in_channels, spec.out_channels);
  }
  if (!bias.empty() && static_cast<int64_t>(bias.size()) != spec.out_channels) {
    return bad_input("depthwise convolution: {} biases for {} channels", bias.size(),
                     spec.out_channels);
  }
  const DepthwiseRow* row = nullptr;
  FEWBIT_ASSIGN(row, int8::find_depthwise_row(isa));
  const int8::Row* finish = nullptr;
  FEWBIT_ASSIGN(finish, int8::find_row(isa));
  return std::shared_ptr<const Int8ConvKernel>(
      std::make_shared<DepthwiseConv>(spec, weights, bias, *row, *finish));
}

}  // namespace fewbit
