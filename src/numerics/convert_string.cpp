// Cast from and to strings.

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/text.h"
#include "numerics/element_codec.h"

namespace fewbit::internal {
namespace {

template <typename T>
std::string text_of(T value) {
  if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) return "NaN";
    if (std::isinf(value)) return value > 0 ? "INF" : "-INF";
  }
  return fmt::format("{}", value);
}

/// Through T, which holds every value of the input's type.
template <typename T>
Status write_texts(const Tensor& in, Tensor& out) {
  FEWBIT_ASSIGN(const Tensor values, cast(in, DTypeOf<T>::value));
  const auto texts = out.strings();
  for (size_t i = 0; i < texts.size(); ++i) texts[i] = text_of(values.span<T>()[i]);
  return {};
}

/// A whole number or a float; false if the text is not one as a whole.
template <typename T>
bool parse(std::string_view text, T& value) {
  if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (stopped != end || error == std::errc::invalid_argument) return false;
  if (error == std::errc::result_out_of_range) {
    if constexpr (!std::is_floating_point_v<T>) return false;
    // from_chars does not say which end of the range was passed: strtod gives infinity or zero.
    value = static_cast<T>(std::strtod(std::string(text).c_str(), nullptr));
  }
  return true;
}

template <typename T>
bool parse_number(std::string_view text, T& value) {
  if (parse(text, value)) return true;
  if constexpr (std::is_integral_v<T>) {
    double fraction = 0;
    if (!parse(text, fraction)) return false;
    value = to_integer<T>(fraction);
    return true;
  }
  return false;
}

/// Through T, then as any number is converted.
template <typename T>
Status read_texts(const Tensor& in, Tensor& out, const CastOptions& options) {
  Tensor values = Tensor::uninitialized(DTypeOf<T>::value, in.dims());
  const auto texts = in.strings();
  for (size_t i = 0; i < texts.size(); ++i) {
    if (!parse_number(trim(texts[i]), values.data<T>()[i])) {
      return bad_input("cannot convert the string '{}' (element {}) to {}: not a number", texts[i],
                       i, name_of(out.type()));
    }
  }
  return cast_into(values, out, options);
}

}  // namespace

Status numbers_to_strings(const Tensor& in, Tensor& out) {
  if (in.type() == DType::kFloat64) return write_texts<double>(in, out);
  if (is_float(in.type())) return write_texts<float>(in, out);
  if (in.type() == DType::kUint64) return write_texts<uint64_t>(in, out);
  return write_texts<int64_t>(in, out);
}

Status strings_to_numbers(const Tensor& in, Tensor& out, const CastOptions& options) {
  if (out.type() == DType::kFloat32) return read_texts<float>(in, out, options);
  if (out.type() == DType::kUint64) return read_texts<uint64_t>(in, out, options);
  if (is_integer(out.type())) return read_texts<int64_t>(in, out, options);
  return read_texts<double>(in, out, options);
}

}  // namespace fewbit::internal
