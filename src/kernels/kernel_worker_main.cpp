// fewbit_kernel_worker: one product of kernel_cases.h at a time, for bench/peers/kernels.py, which
// times it in turn with the products of other programs. It reads a command a line and answers with
// a line of JSON:
//
//   formats                     -> {"formats": ["few_bit/int4/g32", ...]}     FAMILY/FORMAT
//   weights FAMILY/FORMAT N K   -> {"isa": of m = 1}
//   time M THREADS SECONDS      -> {"seconds": of one product, "calls": ..., "isa", "bytes"}
//
// or {"unsupported": "why"}. Products walk through copies of their weights that take more than
// 600 MiB, so that they are read from memory.

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iostream>
#include <sstream>

#include "kernels/kernel_cases.h"

namespace {

using namespace fewbit;

constexpr int64_t kWalkedBytes = int64_t{600} << 20;

std::string unsupported(std::string_view why) {
  return fmt::format(R"({{"unsupported": "{}"}})", why);
}

std::string name_of(const KernelFamily& family, const KernelCase& kernel) {
  return fmt::format("{}/{}", family.name, kernel.format);
}

std::string formats() {
  std::vector<std::string> names;
  for (const KernelFamily& family : kernel_families()) {
    for (const KernelCase& kernel : family.cases()) {
      std::string name = fmt::format("\"{}\"", name_of(family, kernel));
      if (std::ranges::find(names, name) == names.end()) names.push_back(std::move(name));
    }
  }
  return fmt::format(R"({{"formats": [{}]}})", fmt::join(names, ", "));
}

class Worker {
 public:
  std::string set_weights(std::string_view name, int64_t n, int64_t k) {
    cases_.clear();
    for (const KernelFamily& family : kernel_families()) {
      for (KernelCase& kernel : family.cases()) {
        if (name_of(family, kernel) == name && kernel.n == n && kernel.k == k) {
          cases_.push_back(std::move(kernel));
        }
      }
    }
    m_ = 0;
    samples_.clear();
    return cases_.empty() ? unsupported("no such product") : prepare(1);
  }

  std::string time(int64_t m, int threads, double seconds) {
    if (m != m_) {
      const std::string answer = prepare(m);
      if (m != m_) return answer;
    }
    using Clock = std::chrono::steady_clock;
    int64_t calls = 0;
    const Clock::time_point start = Clock::now();
    double spent = 0;
    for (; spent < seconds; ++calls) {
      samples_[next_++ % samples_.size()].run(threads);
      spent = std::chrono::duration<double>(Clock::now() - start).count();
    }
    return fmt::format(R"({{"seconds": {:.9g}, "calls": {}, "isa": "{}", "bytes": {}}})",
                       spent / static_cast<double>(calls), calls, fewbit::name_of(samples_[0].isa),
                       samples_[0].bytes);
  }

 private:
  std::string prepare(int64_t m) {
    m_ = 0;
    samples_.clear();
    const auto found = std::ranges::find(cases_, m, &KernelCase::m);
    if (found == cases_.end()) return unsupported("no such number of rows");
    Result<KernelSample> first = found->prepare();
    if (!first.ok()) return unsupported(first.error().message());
    samples_.push_back(std::move(*first));
    const int64_t copies = kWalkedBytes / std::max<int64_t>(samples_[0].bytes, 1) + 1;
    while (static_cast<int64_t>(samples_.size()) < copies) {
      samples_.push_back(samples_[0].duplicate());
    }
    m_ = m;
    return fmt::format(R"({{"isa": "{}"}})", fewbit::name_of(samples_[0].isa));
  }

  std::vector<KernelCase> cases_;
  int64_t m_ = 0;  // of the samples
  std::vector<KernelSample> samples_;
  size_t next_ = 0;
};

std::string answer(Worker& worker, const std::string& line) {
  std::istringstream words(line);
  std::string command, name;
  int64_t m = 0, n = 0, k = 0;
  int threads = 0;
  double seconds = 0;
  words >> command;
  if (command == "formats") return formats();
  if (command == "weights" && words >> name >> n >> k) return worker.set_weights(name, n, k);
  if (command == "time" && words >> m >> threads >> seconds) {
    return worker.time(m, threads, seconds);
  }
  return unsupported("not a command");
}

}  // namespace

int main() {
  Worker worker;
  std::string line;
  while (std::getline(std::cin, line)) std::cout << answer(worker, line) << std::endl;
}
