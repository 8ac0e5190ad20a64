#include "base/result.h"

namespace fewbit {

struct Error::State {
  ErrorKind kind;
  std::string message;
};

Error::Error(ErrorKind kind, std::string message) : state_(new State{kind, std::move(message)}) {}
Error::Error(const Error& other)
    : state_(other.state_ == nullptr ? nullptr : new State(*other.state_)) {}
void Error::release() {
  delete state_;
}

ErrorKind Error::kind() const {
  FEWBIT_CHECK(state_ != nullptr);
  return state_->kind;
}
const std::string& Error::message() const {
  FEWBIT_CHECK(state_ != nullptr);
  return state_->message;
}

Error Error::with_context(std::string_view context) && {
  state_->message = fmt::format("{}: {}", context, state_->message);
  return std::move(*this);
}

namespace internal {

Error make_error(ErrorKind kind, fmt::string_view format, fmt::format_args args) {
  return {kind, fmt::vformat(format, args)};
}

void value_of_error(const Error& error) {
  FEWBIT_CHECK(false && "value() of an error", error.message());
  std::abort();
}

void check_failed(const char* file, int line, const char* condition, size_t operand_count,
                  fmt::format_args operands) {
  std::string format;
  for (size_t i = 0; i < operand_count; ++i) format += " [{}]";
  const std::string text = fmt::vformat(format, operands);
  std::fprintf(stderr, "%s:%d: broken invariant: %s%s\n", file, line, condition, text.c_str());
  std::fflush(stderr);
  std::abort();
}

}  // namespace internal
}  // namespace fewbit
