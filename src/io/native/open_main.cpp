// fewbit_native_open FILE.fewbit: opens a model, nothing else, and prints one line of JSON: how
// long that took and by how much it raised the process's peak memory. bench/native_open.py reads
// it.

#include <chrono>
#include <cstdio>

#include "base/memory_use.h"
#include "io/native/native.h"

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: %s FILE.fewbit\n", argv[0]);
    return 2;
  }
  const int64_t before = fewbit::peak_rss_bytes();
  const auto start = std::chrono::steady_clock::now();
  const fewbit::Result<fewbit::Model> model = fewbit::read_native(argv[1]);
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  if (!model.ok()) {
    std::fprintf(stderr, "error: %s\n", model.error().message().c_str());
    return 1;
  }
  std::printf("{\"seconds\": %.6f, \"peak_rss_growth_bytes\": %lld}\n", seconds.count(),
              static_cast<long long>(fewbit::peak_rss_bytes() - before));
  return 0;
}
