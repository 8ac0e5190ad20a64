#include "passes/scheme.h"

#include "base/text.h"

namespace fewbit {

std::string QuantScheme::name() const {
  if (weight_format) {
    return weight_format->name() + (activations == Activations::kFloat ? "" : "+a8") +
           (activations == Activations::kDynamic ? ":token" : "");
  }
  std::string text = fmt::format("w{}", weight_bits);
  if (activations != Activations::kFloat) text += fmt::format("a{}", bits_of(activation_type));
  if (weight_granularity == Granularity::kTensor) text += ":tensor";
  if (activations == Activations::kDynamic) text += per_token ? ":token" : ":dynamic";
  return text;
}

namespace {

// "w8a8", "w8a16", "w8" with their suffixes; nothing if the text is of another kind.
Result<std::optional<QuantScheme>> parse_int8(std::string_view text) {
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
    return std::optional<QuantScheme>();
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
    } else if (head != "w8a16" && (parts[i] == "asym" || parts[i].substr(0, 1) == "g")) {
      return std::optional<QuantScheme>();  // of a format
    } else {
      return misuse(
          "scheme '{}': unknown or unfitting suffix ':{}'; there are :tensor, :channel, "
          ":dynamic and :token (w8a8 only)",
          text, parts[i]);
    }
  }
  return std::optional(scheme);
}

struct Head {
  int bits;
  bool static_activations;
};

// "w4", "w4a8"
std::optional<Head> parse_head(std::string_view head) {
  if (head.size() < 2 || head[0] != 'w' || head[1] < '2' || head[1] > '8') return std::nullopt;
  if (head.size() == 2) return Head{head[1] - '0', false};
  if (head.substr(2) == "a8") return Head{head[1] - '0', true};
  return std::nullopt;
}

// The format of "w4a8:g128:asym", without its activations. Static ones take a scale per output
// channel, where nothing else is said: that is what integer kernels compute with.
Result<Format> format_of(std::string_view text, int bits, bool static_activations) {
  std::vector<std::string_view> parts = split(text, ':');
  std::string granularity, sign;
  for (size_t i = 1; i < parts.size(); ++i) {
    const bool known = parts[i] == "asym" ? sign.empty() : granularity.empty();
    if (!known) return misuse("scheme '{}': ':{}' is said twice", text, parts[i]);
    if (parts[i] == "asym") {
      sign = "u";
    } else {
      granularity = fmt::format("/{}", parts[i]);
    }
  }
  if (granularity.empty() && static_activations) granularity = "/channel";
  Result<Format> format = parse_format(fmt::format("{}int{}{}", sign, bits, granularity));
  if (format.ok()) return format;
  return misuse("scheme '{}': unknown suffix; there are :g16 to :g256, :channel, :tensor and :asym",
                text);
}

// ":token" makes 8-bit activations dynamic, one scale per row.
Result<QuantScheme> with_tokens(QuantScheme scheme, std::string_view text) {
  if (!scheme.per_token) return scheme;
  if (scheme.activations != Activations::kStatic) {
    return misuse(
        "scheme '{}': :token is of 8-bit activations, as in w4a8:g32:token or int4+a8:token", text);
  }
  scheme.activations = Activations::kDynamic;
  return scheme;
}

}  // namespace

Result<QuantScheme> parse_scheme(const std::string& text) {
  FEWBIT_ASSIGN(std::optional<QuantScheme> int8, parse_int8(text));
  if (int8) return *int8;
  QuantScheme scheme;
  scheme.activations = Activations::kFloat;
  constexpr std::string_view kToken = ":token";
  std::string format = text;
  scheme.per_token = text.size() > kToken.size() && text.ends_with(kToken);
  if (scheme.per_token) format.resize(format.size() - kToken.size());
  if (const std::optional<Head> head = parse_head(split(format, ':').front())) {
    if (head->static_activations) scheme.activations = Activations::kStatic;
    FEWBIT_ASSIGN(scheme.weight_format,
                  format_of(format, head->bits, head->static_activations && !scheme.per_token));
    return with_tokens(std::move(scheme), text);
  }
  constexpr std::string_view kStatic = "+a8";
  if (format.size() > kStatic.size() && format.ends_with(kStatic)) {
    format.resize(format.size() - kStatic.size());
    scheme.activations = Activations::kStatic;
  }
  for (const auto& [alias, name] :
       {std::pair{"fp8", "fp8e4m3"}, std::pair{"fp6", "fp6e2m3"}, std::pair{"fp4", "fp4e2m1"}}) {
    if (format.substr(0, format.find_first_of("/:")) == alias) format.replace(0, 3, name);
  }
  Result<Format> parsed = parse_format(format);
  if (!parsed.ok()) {
    return misuse(
        "unknown scheme '{}'; there are w8a8, w8a16 and w8, each with :tensor or :channel, "
        "w8a8:dynamic and w8a8:token, w2 to w8 and w2a8 to w8a8 with :gN, and every format, "
        "alone or with +a8: {}",
        text, parsed.error().message());
  }
  scheme.weight_format = *parsed;
  return with_tokens(std::move(scheme), text);
}

}  // namespace fewbit
