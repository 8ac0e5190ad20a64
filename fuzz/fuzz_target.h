#pragma once
// FEWBIT_FUZZ_TARGET(bytes) { ... }: one input of a libFuzzer target. The first bytes are what the
// tested function gets; nothing but a crash, a failed check or a sanitizer's report is a finding.

#include <unistd.h>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <fstream>
#include <span>
#include <string>

#include "base/check.h"

#define FEWBIT_FUZZ_TARGET(bytes)                                           \
  static void fuzz_one(std::span<const std::byte> bytes);                   \
  extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) { \
    fuzz_one({reinterpret_cast<const std::byte*>(data), size});             \
    return 0;                                                               \
  }                                                                         \
  static void fuzz_one(std::span<const std::byte> bytes)

namespace fewbit::fuzz {

/// The input as a file, for functions that take a path: one file per process, in memory where the
/// system has such a folder.
inline std::string as_file(std::span<const std::byte> bytes) {
  static const std::string path = [] {
    const char* folder = ::access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    return std::string(folder) + "/fewbit-fuzz-" + std::to_string(::getpid());
  }();
  std::ofstream(path, std::ios::binary)
      .write(reinterpret_cast<const char*>(bytes.data()),
             static_cast<std::streamsize>(bytes.size()));
  return path;
}

}  // namespace fewbit::fuzz
