#include "kernels/int8_conv/int8_conv.h"

#include "kernels/int8_conv/image_band.h"
#include "kernels/int8_conv/product_conv.h"
#include "kernels/int8_depthwise/int8_depthwise.h"

namespace fewbit {

Result<Int8Conv> Int8Conv::prepare(const Int8ConvSpec& spec, const void* weights,
                                   std::span<const int32_t> bias, std::optional<Isa> isa) {
  FEWBIT_TRY(validate(spec));
  if (!bias.empty() && static_cast<int64_t>(bias.size()) != spec.out_channels) {
    return bad_input("8-bit convolution: {} biases for {} output channels", bias.size(),
                     spec.out_channels);
  }
  if (is_depthwise(spec)) {
    FEWBIT_ASSIGN(auto kernel, prepare_int8_depthwise(spec, weights, bias, isa));
    return Int8Conv(std::move(kernel));
  }
  const int8::Row* row = nullptr;
  FEWBIT_ASSIGN(
      row, int8::find_row(isa, int8::ImageBand::runs(spec),
                          spec.taps() * spec.group_in_channels() / int8::ImageBand::runs(spec)));
  return Int8Conv(int8::make_product_conv(spec, weights, bias, *row));
}

}  // namespace fewbit
