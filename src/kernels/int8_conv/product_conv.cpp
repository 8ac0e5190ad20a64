#include "kernels/int8_conv/product_conv.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/int8_conv/image_band.h"
#include "kernels/int8_gemm/code_panels.h"

namespace fewbit::int8 {
namespace {

// The matrix product's order of k, (ky, kx, channel), as positions in the (channel, ky, kx) order
// in which ONNX stores weights.
std::vector<int64_t> weight_order(const Int8ConvSpec& spec) {
  std::vector<int64_t> order;
  const int64_t channels = spec.group_in_channels();
  for (int64_t tap = 0; tap < spec.taps(); ++tap) {
    for (int64_t i = 0; i < channels; ++i) order.push_back(i * spec.taps() + tap);
  }
  return order;
}

Int8ConvShape with_strides(const Int8ConvSpec& spec, Int8ConvShape shape) {
  if (shape.in_pixel_stride == 0) shape.in_pixel_stride = spec.in_channels;
  if (shape.out_pixel_stride == 0) shape.out_pixel_stride = spec.out_channels;
  if (shape.residual_pixel_stride == 0) shape.residual_pixel_stride = spec.out_channels;
  return shape;
}

// Dense and grouped convolutions: a matrix product over gathered or in-place rows.
class ProductConv final : public Int8ConvKernel {
 public:
  ProductConv(const Int8ConvSpec& spec, const void* weights, std::span<const int32_t> bias,
              const Row& row)
      : spec_(spec), row_(row) {
    const std::vector<int64_t> order = weight_order(spec);
    PackSource source;
    source.data = static_cast<const uint8_t*>(weights);
    source.is_unsigned = spec.weight_type == DType::kUint8;
    source.k = static_cast<int64_t>(order.size());
    source.runs = ImageBand::runs(spec);
    source.n = spec.group_out_channels();
    source.groups = spec.groups;
    source.col_stride = source.k;
    source.k_stride = 1;
    if (spec.taps() > 1) source.k_order = order;
    source.zero = spec.weight_zero;
    pack_b(source, row, b_);
    init_ = make_init(b_, bias, tile_zero(spec.input_type, spec.input_zero, row));
    run_sums_ = sum_runs(b_);
    double max_abs = 255.0 * 255.0 * static_cast<double>(source.k);
    for (int32_t v : bias)
      max_abs = std::max(max_abs, 255.0 * 255.0 * static_cast<double>(source.k) +
                                      std::abs(static_cast<double>(v)));
    stage_.emplace(spec.output, b_.channel_of(), max_abs);
    if (spec.few_bits) compress_panels(b_);
  }

  void run(const Int8ConvShape& sizes, const void* input, const void* residual, void* output,
           int threads) const override {
    const Int8ConvShape shape = with_strides(spec_, sizes);
    const bool flip = spec_.input_type == DType::kInt8 && !row_.signed_a;
    ImageBand image;
    image.spec = &spec_;
    image.shape = shape;
    image.input = static_cast<const uint8_t*>(input);
    image.flip = flip ? 0x80 : 0;
    image.pad = static_cast<uint8_t>(static_cast<uint8_t>(spec_.input_zero) ^ image.flip);
    Product p;
    p.row = &row_;
    p.b = &b_;
    p.stage = &stage_->stage();
    p.init = init_.data<int32_t>();
    p.a_signed = spec_.input_type == DType::kInt8 && row_.signed_a;
    set_rows(image, flip, p.rows);
    std::vector<Tensor> inits;
    if (p.rows.copy && p.rows.in_place_pixels == 0) skip_padding(shape, p.rows, inits);
    p.out = static_cast<uint8_t*>(output);
    p.out_stride = shape.out_pixel_stride * output_element_bytes(spec_.output.type);
    p.residual = static_cast<const uint8_t*>(residual);
    p.residual_stride = shape.residual_pixel_stride;
    run_product(p, threads);
  }

  int64_t packed_bytes() const override { return b_.data.bytes(); }
  int weight_bits() const override { return b_.bits; }
  Isa isa() const override { return row_.isa; }

 private:
  // A pointwise convolution reads its input in place, as one long line where nothing is skipped.
  void set_rows(const ImageBand& image, bool flip, RowSource& rows) const {
    const Int8ConvShape& shape = image.shape;
    const int64_t pixel = shape.in_pixel_stride;
    rows.lines = shape.batch * shape.out_h;
    rows.width = shape.out_w;
    rows.lines_per_image = shape.out_h;
    const bool pointwise = spec_.taps() == 1 && spec_.pad_top == 0 && spec_.pad_left == 0 &&
                           (shape.out_h - 1) * spec_.stride_h < shape.in_h &&
                           (shape.out_w - 1) * spec_.stride_w < shape.in_w;
    const bool one_line = shape.in_h == shape.out_h && shape.in_w == shape.out_w &&
                          spec_.stride_h == 1 && spec_.stride_w == 1;
    if (pointwise && !flip && (b_.run_bytes == b_.k || one_line)) {
      rows.run_offset = {0};
      rows.group_offset = spec_.group_in_channels();
      rows.in_place = {image.input, spec_.stride_w * pixel, spec_.stride_h * shape.in_w * pixel};
      rows.image_stride = shape.in_h * shape.in_w * pixel;
      if (one_line) {
        rows.width *= rows.lines;
        rows.lines = rows.lines_per_image = 1;
      }
      if (b_.run_bytes != b_.k) copy_last_pixels(image, rows);
      return;
    }
    rows.run_offset = image.run_offsets(image.pitch(), spec_.group_in_channels());
    rows.band_bytes = [&image](int64_t lines, int64_t pixels) {
      return (image.band_lines(lines) - 1) * image.pitch() +
             image.band_columns(pixels) * image.spec->group_in_channels();
    };
    rows.copy = [&image](int64_t group, int64_t line, int64_t lines, int64_t x, int64_t pixels,
                         uint8_t* band) { return image.copy(group, line, lines, x, pixels, band); };
  }

  // The last pixels of the only line would be read past the end of the input.
  void copy_last_pixels(const ImageBand& image, RowSource& rows) const {
    const int64_t channels = spec_.group_in_channels(), stride = image.shape.in_pixel_stride;
    rows.in_place_pixels =
        std::max<int64_t>(0, rows.width - rows_read_past_end(channels, b_.run_bytes, stride));
    rows.band_bytes = [channels](int64_t, int64_t pixels) { return pixels * channels; };
    rows.copy = [channels, stride, &image](int64_t group, int64_t, int64_t, int64_t x,
                                           int64_t pixels, uint8_t* band) {
      for (int64_t i = 0; i < pixels; ++i) {
        std::memcpy(band + i * channels, image.input + (x + i) * stride + group * channels,
                    static_cast<size_t>(channels));
      }
      return Band{band, channels, 0, false};
    };
  }

  // Kernel lines that fall outside the image contribute the same to every pixel of an output line:
  // the zero point times the sum of their weights. It goes into `init`, and the lines are skipped.
  void skip_padding(const Int8ConvShape& shape, RowSource& rows, std::vector<Tensor>& inits) const {
    const int64_t per_line = b_.runs / spec_.kernel_h;
    rows.line_runs.resize(static_cast<size_t>(shape.out_h));
    inits.reserve(rows.line_runs.size());
    for (int64_t y = 0; y < shape.out_h; ++y) {
      const int64_t first_y = y * spec_.stride_h - spec_.pad_top;
      int64_t begin = 0, end = 0;
      for (int64_t ky = spec_.kernel_h - 1; ky >= 0; --ky) {
        const int64_t at = first_y + ky * spec_.dilation_h;
        if (at < 0 || at >= shape.in_h) continue;
        begin = ky;
        end = std::max(end, ky + 1);
      }
      LineRuns& runs = rows.line_runs[static_cast<size_t>(y)];
      runs = {begin * per_line, (end - begin) * per_line, init_.data<int32_t>()};
      if (runs.count == b_.runs) continue;
      const LineRuns* before = y == 0 ? nullptr : &rows.line_runs[static_cast<size_t>(y - 1)];
      if (before != nullptr && before->first == runs.first && before->count == runs.count) {
        runs.init = before->init;
        continue;
      }
      inits.push_back(padded_init(runs));
      runs.init = inits.back().data<int32_t>();
    }
  }

  Tensor padded_init(const LineRuns& runs) const {
    Tensor out = init_.clone();
    const auto zero = static_cast<uint32_t>(tile_zero(spec_.input_type, spec_.input_zero, row_));
    for (int64_t run = 0; run < b_.runs; ++run) {
      if (run >= runs.first && run < runs.first + runs.count) continue;
      const int32_t* sums = run_sums_.data<int32_t>() + run * b_.columns();
      for (int64_t c = 0; c < b_.columns(); ++c) {
        // Modulo 2^32, as the sums themselves.
        out.data<int32_t>()[c] = static_cast<int32_t>(
            static_cast<uint32_t>(out.data<int32_t>()[c]) + zero * static_cast<uint32_t>(sums[c]));
      }
    }
    return out;
  }

  Int8ConvSpec spec_;
  const Row& row_;
  PackedB b_;
  Tensor run_sums_;
  Tensor init_;
  std::optional<StagePlan> stage_;
};

}  // namespace

std::shared_ptr<const Int8ConvKernel> make_product_conv(const Int8ConvSpec& spec,
                                                        const void* weights,
                                                        std::span<const int32_t> bias,
                                                        const Row& row) {
  return std::make_shared<ProductConv>(spec, weights, bias, row);
}

}  // namespace fewbit::int8
