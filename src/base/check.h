#pragma once
// FEWBIT_CHECK: an invariant of our own code. It prints the condition and the operands given, and
// aborts: it is never reached by bad input, only by a bug.

#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>
#include <string>

namespace fewbit::internal {

[[noreturn]] void check_failed(const char* file, int line, const char* condition,
                               size_t operand_count, fmt::format_args operands);

// Not inlined, and only the operands' addresses: there are hundreds of callers.
template <typename... Args>
[[noreturn, gnu::cold, gnu::noinline]] void fail_check(const char* file, int line,
                                                       const char* condition,
                                                       const Args&... operands) {
  check_failed(file, line, condition, sizeof...(operands), fmt::make_format_args(operands...));
}

}  // namespace fewbit::internal

/// FEWBIT_CHECK(condition, operands...): operands are anything that fmt can print.
#define FEWBIT_CHECK(condition, ...)                                                             \
  do {                                                                                           \
    if (!(condition)) [[unlikely]]                                                               \
      ::fewbit::internal::fail_check(__FILE__, __LINE__, #condition __VA_OPT__(, ) __VA_ARGS__); \
  } while (false)
