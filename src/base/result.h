#pragma once
// Result<T>: a value or an Error. Bad input is always a Result, never an exception and never a
// crash; a broken invariant of our own is a FEWBIT_CHECK (base/check.h).

#include <fmt/core.h>

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>

#include "base/check.h"

namespace fewbit {

template <typename T>
class Result;

enum class ErrorKind {
  kMisuse,       ///< The caller's request makes no sense (a flag, a recipe key): exit code 2.
  kBadInput,     ///< A file or a tensor is not what it must be: exit code 1.
  kUnsupported,  ///< Valid, but not within what Fewbit can do: exit code 1.
  kIo,           ///< The operating system refused: exit code 1.
};

/// What went wrong, in one sentence that names the file, the place, what was expected and found.
/// One pointer: an error is rare, and what returns one should cost nothing where there is none.
class [[nodiscard]] Error {
 public:
  Error(ErrorKind kind, std::string message);
  Error(const Error& other);
  Error(Error&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  Error& operator=(Error other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~Error() {
    if (state_ != nullptr) [[unlikely]]
      release();
  }

  ErrorKind kind() const;
  const std::string& message() const;

  /// The same error with `context: ` put before its message.
  Error with_context(std::string_view context) &&;

 private:
  friend class Result<void>;
  struct State;
  Error() = default;
  void release();
  State* state_ = nullptr;
};

namespace internal {
// Not inlined, and without the arguments' types: there are a thousand callers.
Error make_error(ErrorKind kind, fmt::string_view format, fmt::format_args args);
[[noreturn]] void value_of_error(const Error& error);
}  // namespace internal

template <typename... Args>
Error misuse(fmt::format_string<Args...> format, Args&&... args) {
  return internal::make_error(ErrorKind::kMisuse, format, fmt::make_format_args(args...));
}
template <typename... Args>
Error bad_input(fmt::format_string<Args...> format, Args&&... args) {
  return internal::make_error(ErrorKind::kBadInput, format, fmt::make_format_args(args...));
}
template <typename... Args>
Error unsupported(fmt::format_string<Args...> format, Args&&... args) {
  return internal::make_error(ErrorKind::kUnsupported, format, fmt::make_format_args(args...));
}
template <typename... Args>
Error io_error(fmt::format_string<Args...> format, Args&&... args) {
  return internal::make_error(ErrorKind::kIo, format, fmt::make_format_args(args...));
}

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : ok_(true), value_(std::move(value)) {}       // NOLINT: implicit
  Result(Error error) : ok_(false), error_(std::move(error)) {}  // NOLINT: implicit
  Result(Result&& other) noexcept(std::is_nothrow_move_constructible_v<T>) : ok_(other.ok_) {
    if (ok_) {
      std::construct_at(&value_, std::move(other.value_));
    } else {
      std::construct_at(&error_, std::move(other.error_));
    }
  }
  Result& operator=(Result&& other) noexcept(std::is_nothrow_move_constructible_v<T>) {
    if (this != &other) {
      std::destroy_at(this);
      std::construct_at(this, std::move(other));
    }
    return *this;
  }
  ~Result() {
    if (ok_) {
      value_.~T();
    } else {
      error_.~Error();
    }
  }

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }

  T& value() & {
    require_value();
    return value_;
  }
  const T& value() const& {
    require_value();
    return value_;
  }
  T&& value() && {
    require_value();
    return std::move(value_);
  }
  T* operator->() { return &value(); }
  const T* operator->() const { return &value(); }
  T& operator*() & { return value(); }
  const T& operator*() const& { return value(); }
  T&& operator*() && { return std::move(*this).value(); }

  const Error& error() const& { return error_; }
  Error&& error() && { return std::move(error_); }

 private:
  void require_value() const {
    if (!ok_) [[unlikely]]
      internal::value_of_error(error_);
  }
  bool ok_;
  union {
    T value_;
    Error error_;
  };
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return error_.state_ == nullptr; }
  explicit operator bool() const { return ok(); }
  const Error& error() const& { return error_; }
  Error&& error() && { return std::move(error_); }

 private:
  Error error_;
};

using Status = Result<void>;

}  // namespace fewbit

#define FEWBIT_CONCAT_INNER(a, b) a##b
#define FEWBIT_CONCAT(a, b) FEWBIT_CONCAT_INNER(a, b)

/// Returns the error of `expr` from the enclosing function, if it has one.
#define FEWBIT_TRY(expr)                        \
  do {                                          \
    auto fewbit_status_ = (expr);               \
    if (!fewbit_status_.ok()) [[unlikely]]      \
      return std::move(fewbit_status_).error(); \
  } while (false)

/// FEWBIT_ASSIGN(auto x, expr): x becomes the value of `expr`, or its error is returned.
#define FEWBIT_ASSIGN(lhs, expr) \
  FEWBIT_ASSIGN_IMPL(FEWBIT_CONCAT(fewbit_result_, __COUNTER__), lhs, expr)
#define FEWBIT_ASSIGN_IMPL(tmp, lhs, expr) \
  auto tmp = (expr);                       \
  if (!tmp.ok()) [[unlikely]]              \
    return std::move(tmp).error();         \
  lhs = std::move(tmp).value()
