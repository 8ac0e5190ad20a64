#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "kernels/binary/binary.h"
#include "kernels/binary/bit_panels.h"

namespace fewbit {

using binary::BitPanels;
using binary::BitRows;

struct BinaryConv::Impl {
  const binary::Row* row = nullptr;
  BinaryConvSpec spec;
  std::vector<BitPanels> panels;  ///< of each group; words in the order (ky, kx, word)
  std::vector<int32_t> tap_sums;  ///< [taps][out_channels]: sum of the weights of a tap
  std::vector<float> scales;

  void pack(std::span<const float> weights);
  int64_t words() const { return bit_words(spec.group_in()); }
  /// Offsets of the runs of one group in an image whose lines are `pitch` words apart.
  std::vector<int64_t> run_offsets(int64_t pitch) const;
  bool lines_are_runs() const { return spec.groups == 1 && spec.dilation_w == 1; }
  void take_out_padding(const BinaryConvShape& shape, int64_t y, int64_t x, int32_t* dots) const;
};

float pack_signs(const float* values, int64_t count, uint64_t* bits) {
  std::fill_n(bits, bit_words(count), 0);
  double sum = 0;
  for (int64_t i = 0; i < count; ++i) {
    bits[i / 64] |= static_cast<uint64_t>(values[i] >= 0) << (i % 64);
    sum += std::abs(values[i]);
  }
  return count > 0 ? static_cast<float>(sum / static_cast<double>(count)) : 0.0F;
}

void BinaryConv::Impl::pack(std::span<const float> weights) {
  const int64_t channels = spec.group_in(), taps = spec.taps();
  panels.resize(static_cast<size_t>(spec.groups));
  for (BitPanels& p : panels) p.assign(spec.group_out(), taps * words());
  tap_sums.resize(static_cast<size_t>(taps * spec.out_channels));
  scales.resize(static_cast<size_t>(spec.out_channels));
  std::vector<float> tap_weights(static_cast<size_t>(channels));
  std::vector<uint64_t> bits(static_cast<size_t>(words()));
  for (int64_t n = 0; n < spec.out_channels; ++n) {
    BitPanels& p = panels[static_cast<size_t>(n / spec.group_out())];
    double sum = 0;
    for (int64_t tap = 0; tap < taps; ++tap) {
      for (int64_t c = 0; c < channels; ++c) {
        tap_weights[static_cast<size_t>(c)] =
            weights[static_cast<size_t>((n * channels + c) * taps + tap)];
      }
      sum += static_cast<double>(pack_signs(tap_weights.data(), channels, bits.data()));
      int32_t positive = 0;
      for (int64_t i = 0; i < words(); ++i) {
        positive += std::popcount(bits[static_cast<size_t>(i)]);
        p.at(n % spec.group_out(), tap * words() + i) = bits[static_cast<size_t>(i)];
      }
      tap_sums[static_cast<size_t>(tap * spec.out_channels + n)] =
          2 * positive - static_cast<int32_t>(channels);
    }
    scales[static_cast<size_t>(n)] = static_cast<float>(sum / static_cast<double>(taps));
  }
}

std::vector<int64_t> BinaryConv::Impl::run_offsets(int64_t pitch) const {
  std::vector<int64_t> out;
  const int64_t columns = lines_are_runs() ? 1 : spec.kernel_w;
  for (int64_t ky = 0; ky < spec.kernel_h; ++ky) {
    for (int64_t kx = 0; kx < columns; ++kx) {
      out.push_back(ky * spec.dilation_h * pitch + kx * spec.dilation_w * spec.pixel_words());
    }
  }
  return out;
}

// Padding was read as bits 0: as -1 at every channel, minus the sum of the tap's weights.
void BinaryConv::Impl::take_out_padding(const BinaryConvShape& shape, int64_t y, int64_t x,
                                        int32_t* dots) const {
  const int64_t top = y * spec.stride_h - spec.pad_top, left = x * spec.stride_w - spec.pad_left;
  const int64_t bottom = top + (spec.kernel_h - 1) * spec.dilation_h;
  const int64_t right = left + (spec.kernel_w - 1) * spec.dilation_w;
  if (top >= 0 && left >= 0 && bottom < shape.in_h && right < shape.in_w) return;
  for (int64_t tap = 0; tap < spec.taps(); ++tap) {
    const int64_t at_y = top + tap / spec.kernel_w * spec.dilation_h;
    const int64_t at_x = left + tap % spec.kernel_w * spec.dilation_w;
    if (at_y >= 0 && at_y < shape.in_h && at_x >= 0 && at_x < shape.in_w) continue;
    const int32_t* sums = tap_sums.data() + tap * spec.out_channels;
    for (int64_t n = 0; n < spec.out_channels; ++n) dots[n] += sums[n];
  }
}

Result<BinaryConv> BinaryConv::prepare(const BinaryConvSpec& spec, std::span<const float> weights,
                                       std::optional<Isa> isa) {
  for (const int64_t size : {spec.in_channels, spec.out_channels, spec.groups, spec.kernel_h,
                             spec.kernel_w, spec.stride_h, spec.stride_w, spec.dilation_h,
                             spec.dilation_w, spec.pad_top + 1, spec.pad_left + 1}) {
    if (size < 1 || size > (int64_t{1} << 24)) {
      return bad_input("binary convolution: {} is no size", size);
    }
  }
  if (spec.in_channels % spec.groups != 0 || spec.out_channels % spec.groups != 0) {
    return bad_input("binary convolution: {} input and {} output channels in {} groups",
                     spec.in_channels, spec.out_channels, spec.groups);
  }
  const int64_t expected = spec.out_channels * spec.group_in() * spec.taps();
  if (static_cast<int64_t>(weights.size()) != expected) {
    return bad_input("binary convolution: {} weights, expected {}", weights.size(), expected);
  }
  auto impl = std::make_shared<Impl>();
  FEWBIT_ASSIGN(impl->row, binary::find_row(isa));
  impl->spec = spec;
  impl->pack(weights);
  return BinaryConv(std::move(impl));
}

namespace {

// The input lines of one output line, padded: bits 0 where there is no pixel.
void copy_lines(const BinaryConvSpec& spec, const BinaryConvShape& shape, const uint64_t* input,
                int64_t image, int64_t y, int64_t columns, std::vector<uint64_t>& band) {
  const int64_t words = spec.pixel_words();
  const int64_t lines = (spec.kernel_h - 1) * spec.dilation_h + 1;
  band.assign(static_cast<size_t>(lines * columns * words), 0);
  const int64_t begin = std::clamp<int64_t>(spec.pad_left, 0, columns);
  const int64_t end = std::clamp<int64_t>(spec.pad_left + shape.in_w, begin, columns);
  for (int64_t i = 0; i < lines; i += spec.dilation_h) {
    const int64_t from = y * spec.stride_h - spec.pad_top + i;
    if (from < 0 || from >= shape.in_h) continue;
    std::memcpy(band.data() + (i * columns + begin) * words,
                input + ((image * shape.in_h + from) * shape.in_w) * words,
                static_cast<size_t>((end - begin) * words) * sizeof(uint64_t));
  }
}

}  // namespace

void BinaryConv::run(const BinaryConvShape& shape, const uint64_t* input, int32_t* dots,
                     int threads) const {
  const Impl& impl = *impl_;
  const BinaryConvSpec& spec = impl.spec;
  // A matrix is one line; its rows are shared out in parts.
  const bool in_place = spec.taps() == 1 && spec.pad_top == 0 && spec.pad_left == 0 &&
                        spec.stride_h == 1 && spec.stride_w == 1;
  const int64_t pixels = shape.batch * shape.out_h * shape.out_w;
  constexpr int64_t kPart = 64;
  const int64_t parts = in_place ? (pixels + kPart - 1) / kPart : shape.batch * shape.out_h;
  const int64_t columns =
      (shape.out_w - 1) * spec.stride_w + (spec.kernel_w - 1) * spec.dilation_w + 1;
  const std::vector<int64_t> offsets =
      impl.run_offsets(in_place ? 0 : columns * spec.pixel_words());
  const int64_t depth = spec.taps() * spec.group_in();
#pragma omp parallel for num_threads(threads) schedule(static) if (threads > 1)
  for (int64_t part = 0; part < parts; ++part) {
    static thread_local std::vector<uint64_t> band;
    const int64_t first = in_place ? part * kPart : part * shape.out_w;
    BitRows rows;
    rows.count = in_place ? std::min(kPart, pixels - first) : shape.out_w;
    rows.stride = spec.stride_w * spec.pixel_words();
    rows.run_offset = offsets;
    rows.run_words = impl.lines_are_runs() ? spec.kernel_w * impl.words() : impl.words();
    const uint64_t* source = input + first * spec.pixel_words();
    if (!in_place) {
      copy_lines(spec, shape, input, part / shape.out_h, part % shape.out_h, columns, band);
      source = band.data();
    }
    for (int64_t g = 0; g < spec.groups; ++g) {
      rows.first = source + g * impl.words();
      int32_t* out = dots + first * spec.out_channels + g * spec.group_out();
      binary::for_each_tile(impl.row->differences, rows, impl.panels[static_cast<size_t>(g)],
                            [&](int64_t row, int64_t n, const int32_t* counts, int64_t cols) {
                              int32_t* to = out + row * spec.out_channels + n;
                              for (int64_t i = 0; i < cols; ++i)
                                to[i] = static_cast<int32_t>(depth) - 2 * counts[i];
                            });
    }
    for (int64_t x = 0; x < rows.count && !in_place; ++x) {
      impl.take_out_padding(shape, part % shape.out_h, x, dots + (first + x) * spec.out_channels);
    }
  }
}

std::span<const float> BinaryConv::scales() const {
  return impl_->scales;
}
int64_t BinaryConv::packed_bytes() const {
  int64_t words = 0;
  for (const BitPanels& p : impl_->panels) words += static_cast<int64_t>(p.data.size());
  return words * static_cast<int64_t>(sizeof(uint64_t));
}
Isa BinaryConv::isa() const {
  return impl_->row->isa;
}

}  // namespace fewbit
