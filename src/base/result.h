#pragma once
// Result<T>: a value or an Error. Bad input is always a Result, never an exception and never a
// crash; a broken invariant of our own is a FEWBIT_CHECK (base/check.h).

#include <fmt/format.h>

#include <string>
#include <type_traits>
#include <utility>
#include <variant>

#include "base/check.h"

namespace fewbit {

enum class ErrorKind {
  kMisuse,       ///< The caller's request makes no sense (a flag, a recipe key): exit code 2.
  kBadInput,     ///< A file or a tensor is not what it must be: exit code 1.
  kUnsupported,  ///< Valid, but not within what Fewbit can do: exit code 1.
  kIo,           ///< The operating system refused: exit code 1.
};

/// What went wrong, in one sentence that names the file, the place, what was expected and found.
struct Error {
  ErrorKind kind = ErrorKind::kBadInput;
  std::string message;

  /// The same error with `context: ` put before its message.
  Error with_context(std::string_view context) && {
    return {kind, fmt::format("{}: {}", context, message)};
  }
};

template <typename... Args>
Error misuse(fmt::format_string<Args...> format, Args&&... args) {
  return {ErrorKind::kMisuse, fmt::format(format, std::forward<Args>(args)...)};
}
template <typename... Args>
Error bad_input(fmt::format_string<Args...> format, Args&&... args) {
  return {ErrorKind::kBadInput, fmt::format(format, std::forward<Args>(args)...)};
}
template <typename... Args>
Error unsupported(fmt::format_string<Args...> format, Args&&... args) {
  return {ErrorKind::kUnsupported, fmt::format(format, std::forward<Args>(args)...)};
}
template <typename... Args>
Error io_error(fmt::format_string<Args...> format, Args&&... args) {
  return {ErrorKind::kIo, fmt::format(format, std::forward<Args>(args)...)};
}

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& value() & {
    FEWBIT_CHECK(ok(), error_message());
    return std::get<0>(state_);
  }
  const T& value() const& {
    FEWBIT_CHECK(ok(), error_message());
    return std::get<0>(state_);
  }
  T&& value() && {
    FEWBIT_CHECK(ok(), error_message());
    return std::get<0>(std::move(state_));
  }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }

  const Error& error() const& { return std::get<1>(state_); }
  Error&& error() && { return std::get<1>(std::move(state_)); }

 private:
  std::string error_message() const { return ok() ? "" : std::get<1>(state_).message; }
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : failed_(true), error_(std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return !failed_; }
  explicit operator bool() const { return ok(); }
  const Error& error() const& { return error_; }
  Error&& error() && { return std::move(error_); }

 private:
  bool failed_ = false;
  Error error_;
};

using Status = Result<void>;

}  // namespace fewbit

#define FEWBIT_CONCAT_INNER(a, b) a##b
#define FEWBIT_CONCAT(a, b) FEWBIT_CONCAT_INNER(a, b)

/// Returns the error of `expr` from the enclosing function, if it has one.
#define FEWBIT_TRY(expr)                                                \
  do {                                                                  \
    auto fewbit_status_ = (expr);                                       \
    if (!fewbit_status_.ok()) return std::move(fewbit_status_).error(); \
  } while (false)

/// FEWBIT_ASSIGN(auto x, expr): x becomes the value of `expr`, or its error is returned.
#define FEWBIT_ASSIGN(lhs, expr) \
  FEWBIT_ASSIGN_IMPL(FEWBIT_CONCAT(fewbit_result_, __COUNTER__), lhs, expr)
#define FEWBIT_ASSIGN_IMPL(tmp, lhs, expr)      \
  auto tmp = (expr);                            \
  if (!tmp.ok()) return std::move(tmp).error(); \
  lhs = std::move(tmp).value()
