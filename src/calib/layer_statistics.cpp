#include "calib/layer_statistics.h"

#include <cblas.h>

#include <algorithm>

namespace fewbit {
namespace {

int64_t output_extent(int64_t in, int64_t kernel, int64_t stride, int64_t dilation, int64_t pads) {
  int64_t room = in + pads - (kernel - 1) * dilation - 1;
  return room < 0 ? 0 : room / stride + 1;
}

// The output positions at which a tap reads inside the input: [first, last).
std::pair<int64_t, int64_t> inside(int64_t tap_offset, int64_t stride, int64_t in, int64_t out) {
  int64_t first = tap_offset >= 0 ? 0 : (-tap_offset + stride - 1) / stride;
  int64_t last = in - tap_offset <= 0 ? 0 : (in - tap_offset - 1) / stride + 1;
  return {std::min(first, out), std::clamp(last, std::min(first, out), out)};
}

}  // namespace

namespace {

// Of a constant weight, or one that a node makes of constants: DequantizeLinear, Decode.
Result<Dims> weight_dims(const Graph& graph, const Node& node) {
  const ValueId weight = node.input(1);
  if (const Tensor* w = graph.constant(weight); w != nullptr) return w->dims();
  const NodeId producer = weight == kNone ? kNone : graph.value(weight).producer;
  if (producer != kNone) {
    const Node& from = graph.node(producer);
    if (from.is("Decode", "ai.fewbit")) return from.get_ints("dims");
    if (const Tensor* codes = graph.constant(from.input(0)); codes != nullptr) return codes->dims();
  }
  return bad_input("{}: its weight is not constant", node.label());
}

}  // namespace

Result<PatchGeometry> patch_geometry(const Graph& graph, const Node& node) {
  PatchGeometry g;
  FEWBIT_ASSIGN(const Dims w, weight_dims(graph, node));
  if (!node.is("Conv")) {
    bool transposed = node.is("Gemm") && node.get_int("transB", 0) != 0;
    g.channels = w[transposed ? 1 : 0];
    return g;
  }
  g.spatial = true;
  g.groups = node.get_int("group", 1);
  g.channels = w[1] * g.groups;
  size_t rank = w.size() - 2;
  if (rank != 1 && rank != 2) return unsupported("{}: {}-D convolution", node.label(), rank);
  std::vector<int64_t> ones(rank, 1);
  std::vector<int64_t> strides = node.get_ints("strides", ones);
  std::vector<int64_t> dilations = node.get_ints("dilations", ones);
  std::vector<int64_t> pads = node.get_ints("pads", std::vector<int64_t>(2 * rank, 0));
  std::string auto_pad = node.get_string("auto_pad", "NOTSET");
  for (size_t i = 0; i < rank && auto_pad.rfind("SAME", 0) == 0; ++i) {
    auto dims = graph.value(node.input(0)).type.static_dims();
    if (!dims) return unsupported("{}: auto_pad with unknown input size", node.label());
    int64_t in = (*dims)[i + 2];
    int64_t out = (in + strides[i] - 1) / strides[i];
    int64_t extent = (w[i + 2] - 1) * dilations[i] + 1;
    int64_t total = std::max<int64_t>((out - 1) * strides[i] + extent - in, 0);
    pads[i] = auto_pad == "SAME_UPPER" ? total / 2 : total - total / 2;
    pads[i + rank] = total - pads[i];
  }
  g.kernel_w = w.back();
  g.stride_w = strides.back();
  g.dilation_w = dilations.back();
  g.pad_left = pads[rank - 1];
  g.pad_right = pads[2 * rank - 1];
  if (rank == 2) {
    g.kernel_h = w[2];
    g.stride_h = strides[0];
    g.dilation_h = dilations[0];
    g.pad_top = pads[0];
    g.pad_bottom = pads[2];
  }
  return g;
}

LayerStatistics::LayerStatistics(PatchGeometry geometry, Options options)
    : geometry_(geometry), options_(options) {
  sums_.assign(static_cast<size_t>(geometry_.groups * geometry_.group_elems()), 0.0);
  if (options_.gram) {
    int64_t k = geometry_.group_elems();
    gram_.assign(static_cast<size_t>(geometry_.groups * k * k), 0.0F);
  }
}

// Sums of one [H, W] channel plane at every tap: first along rows for each kx, then down for each
// ky.
template <typename T>
void LayerStatistics::add_means(const T* image, int64_t height, int64_t width, float scale,
                                float zero) {
  const PatchGeometry& g = geometry_;
  int64_t out_h =
      output_extent(height, g.kernel_h, g.stride_h, g.dilation_h, g.pad_top + g.pad_bottom);
  int64_t out_w =
      output_extent(width, g.kernel_w, g.stride_w, g.dilation_w, g.pad_left + g.pad_right);
#pragma omp parallel
  {
    std::vector<double> rows(static_cast<size_t>(height));
#pragma omp for schedule(static)
    for (int64_t c = 0; c < g.channels; ++c) {
      const T* plane = image + c * height * width;
      for (int64_t kx = 0; kx < g.kernel_w; ++kx) {
        int64_t offset_x = kx * g.dilation_w - g.pad_left;
        auto [x0, x1] = inside(offset_x, g.stride_w, width, out_w);
        for (int64_t y = 0; y < height; ++y) {
          const T* row = plane + y * width + offset_x;
          float sum = 0;
          for (int64_t x = x0; x < x1; ++x) sum += static_cast<float>(row[x * g.stride_w]);
          rows[static_cast<size_t>(y)] =
              scale *
              (static_cast<double>(sum) - static_cast<double>(zero) * static_cast<double>(x1 - x0));
        }
        for (int64_t ky = 0; ky < g.kernel_h; ++ky) {
          int64_t offset_y = ky * g.dilation_h - g.pad_top;
          auto [y0, y1] = inside(offset_y, g.stride_h, height, out_h);
          double sum = 0;
          for (int64_t y = y0; y < y1; ++y)
            sum += rows[static_cast<size_t>(y * g.stride_h + offset_y)];
          sums_[static_cast<size_t>(c * g.taps() + ky * g.kernel_w + kx)] += sum;
        }
      }
    }
  }
  positions_seen_ += out_h * out_w;
}

// A panel of sampled patches [P, K] per group, then one symmetric product.
template <typename T>
void LayerStatistics::add_gram(const T* values, const Dims& dims, float scale, float zero) {
  const PatchGeometry& g = geometry_;
  int64_t height = !g.spatial || dims.size() == 3 ? 1 : dims[2];
  int64_t width = g.spatial ? dims.back() : 1;
  int64_t batch = g.spatial ? dims[0] : 1;
  int64_t rows = g.spatial ? 0 : elements_of(dims) / g.channels;
  int64_t out_h =
      output_extent(height, g.kernel_h, g.stride_h, g.dilation_h, g.pad_top + g.pad_bottom);
  int64_t out_w =
      output_extent(width, g.kernel_w, g.stride_w, g.dilation_w, g.pad_left + g.pad_right);
  int64_t total = g.spatial ? out_h * out_w : rows;
  int64_t taken = std::min(total, options_.positions);
  int64_t k = g.group_elems();
  int64_t group_channels = g.channels / g.groups;
  if (taken == 0) return;
  std::vector<float> panel(static_cast<size_t>(taken * k));
  for (int64_t n = 0; n < batch; ++n) {
    for (int64_t group = 0; group < g.groups; ++group) {
#pragma omp parallel for schedule(static) if (taken * k > (1 << 14))
      for (int64_t p = 0; p < taken; ++p) {
        // Evenly spread, shifted from sample to sample so that a period of the image is not met.
        int64_t at = (p * total / taken + gram_patches_ * 7) % total;
        float* row = panel.data() + p * k;
        if (!g.spatial) {
          const T* source = values + at * g.channels + group * group_channels;
          for (int64_t i = 0; i < k; ++i) row[i] = scale * (static_cast<float>(source[i]) - zero);
          continue;
        }
        int64_t oy = at / out_w;
        int64_t ox = at % out_w;
        for (int64_t c = 0; c < group_channels; ++c) {
          const T* plane = values + ((n * g.groups + group) * group_channels + c) * height * width;
          for (int64_t ky = 0; ky < g.kernel_h; ++ky) {
            int64_t y = oy * g.stride_h + ky * g.dilation_h - g.pad_top;
            for (int64_t kx = 0; kx < g.kernel_w; ++kx) {
              int64_t x = ox * g.stride_w + kx * g.dilation_w - g.pad_left;
              bool in = y >= 0 && y < height && x >= 0 && x < width;
              *row++ = in ? scale * (static_cast<float>(plane[y * width + x]) - zero) : 0.0F;
            }
          }
        }
      }
      cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, static_cast<int>(k),
                  static_cast<int>(taken), 1.0F, panel.data(), static_cast<int>(k), 1.0F,
                  gram_.data() + group * k * k, static_cast<int>(k));
    }
    gram_patches_ += taken;
  }
}

template <typename T>
void LayerStatistics::add_values(const T* values, const Dims& dims, float scale, float zero) {
  const PatchGeometry& g = geometry_;
  if (elements_of(dims) == 0) return;
  if (g.spatial) {
    int64_t height = dims.size() == 3 ? 1 : dims[2];
    int64_t width = dims.back();
    for (int64_t n = 0; n < dims[0]; ++n) {
      add_means(values + n * g.channels * height * width, height, width, scale, zero);
    }
  } else {
    int64_t rows = elements_of(dims) / g.channels;
    for (int64_t r = 0; r < rows; ++r) {
      const T* row = values + r * g.channels;
      for (int64_t c = 0; c < g.channels; ++c) {
        sums_[static_cast<size_t>(c)] +=
            static_cast<double>(scale) * (static_cast<float>(row[c]) - zero);
      }
    }
    positions_seen_ += rows;
  }
  if (options_.gram) add_gram(values, dims, scale, zero);
}

void LayerStatistics::add(const Tensor& input) {
  FEWBIT_CHECK(input.type() == DType::kFloat32, name_of(input.type()));
  add_values(input.data<float>(), input.dims(), 1, 0);
}

void LayerStatistics::add_codes(const Tensor& codes, float scale, int32_t zero) {
  const auto z = static_cast<float>(zero);
  switch (codes.type()) {
    case DType::kUint8:
      return add_values(codes.data<uint8_t>(), codes.dims(), scale, z);
    case DType::kInt8:
      return add_values(codes.data<int8_t>(), codes.dims(), scale, z);
    case DType::kUint16:
      return add_values(codes.data<uint16_t>(), codes.dims(), scale, z);
    default:
      FEWBIT_CHECK(codes.type() == DType::kInt16, name_of(codes.type()));
      return add_values(codes.data<int16_t>(), codes.dims(), scale, z);
  }
}

std::vector<double> LayerStatistics::means() const {
  std::vector<double> out = sums_;
  for (double& v : out) v /= static_cast<double>(std::max<int64_t>(positions_seen_, 1));
  return out;
}

}  // namespace fewbit
