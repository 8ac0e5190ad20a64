#pragma once
// FEWBIT_CHECK: an invariant of our own code. It prints the condition and the operands given, and
// aborts: it is never reached by bad input, only by a bug.

#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace fewbit::internal {

template <typename... Args>
[[gnu::cold, gnu::noinline]] std::string describe_operands(const Args&... args) {
  std::string out;
  ((out += fmt::format(" [{}]", args)), ...);
  return out;
}

[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               const std::string& operands);

}  // namespace fewbit::internal

/// FEWBIT_CHECK(condition, operands...): operands are anything that fmt can print.
#define FEWBIT_CHECK(condition, ...)                                                        \
  do {                                                                                      \
    if (!(condition)) [[unlikely]]                                                          \
      ::fewbit::internal::check_failed(__FILE__, __LINE__, #condition,                      \
                                       ::fewbit::internal::describe_operands(__VA_ARGS__)); \
  } while (false)
