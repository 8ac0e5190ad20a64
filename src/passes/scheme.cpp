#include "passes/scheme.h"

#include "base/text.h"

namespace fewbit {

std::string QuantScheme::name() const {
  std::string text = fmt::format("w{}", weight_bits);
  if (activations != Activations::kFloat) text += fmt::format("a{}", bits_of(activation_type));
  if (weight_granularity == Granularity::kTensor) text += ":tensor";
  if (activations == Activations::kDynamic) text += per_token ? ":token" : ":dynamic";
  return text;
}

Result<QuantScheme> parse_scheme(const std::string& text) {
  QuantScheme scheme;
  std::vector<std::string_view> parts = split(text, ':');
  std::string_view head = parts.front();
  if (head == "w8a8") {
    scheme.activations = Activations::kStatic;
  } else if (head == "w8a16") {
    scheme.activations = Activations::kStatic;
    scheme.activation_type = DType::kUint16;
  } else if (head == "w8") {
    scheme.activations = Activations::kFloat;
  } else {
    return misuse(
        "unknown scheme '{}'; there are: w8a8, w8a16, w8, each with :tensor or :channel, "
        "and w8a8 with :dynamic or :token",
        text);
  }
  for (size_t i = 1; i < parts.size(); ++i) {
    bool dynamic = parts[i] == "dynamic" || parts[i] == "token";
    if (parts[i] == "tensor") {
      scheme.weight_granularity = Granularity::kTensor;
    } else if (parts[i] == "channel") {
      scheme.weight_granularity = Granularity::kChannel;
    } else if (dynamic && head == "w8a8") {
      scheme.activations = Activations::kDynamic;
      scheme.per_token = parts[i] == "token";
    } else {
      return misuse(
          "scheme '{}': unknown or unfitting suffix ':{}'; there are :tensor, :channel, "
          ":dynamic and :token (w8a8 only)",
          text, parts[i]);
    }
  }
  return scheme;
}

}  // namespace fewbit
