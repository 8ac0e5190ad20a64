#pragma once
// The kernels by themselves, on shapes of language models and transformers, against what the
// machine allows: for a few rows the reading of the weights from memory, for many the products.

#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "eval/machine_limits.h"
#include "eval/memory_bandwidth.h"

namespace fewbit {

struct KernelLimits {
  MemoryBandwidth memory;
  MachineLimits machine;
};

struct KernelTiming {
  std::string family;  ///< folder of src/kernels
  std::string format;  ///< of the weights
  std::string shape;   ///< "1x4096x4096": m, n, k of a matrix product
  std::string isa;
  int64_t m = 0, n = 0, k = 0;
  int threads = 0;
  double seconds = 0;             ///< of one product, the median
  double weights_per_second = 0;  ///< n * k over seconds
  double bytes_per_second = 0;    ///< packed weights (keys, values) over seconds
  double ops_per_second = 0;      ///< two per multiply-accumulate, over seconds
  std::string limit;              ///< "memory" or the instruction that bounds it (roofline)
  double fraction = 0;            ///< of that limit
};

struct KernelBenchOptions {
  std::string filter;  ///< only rows whose "family/format/shape" contains it
  int threads = 1;
};

struct KernelBench {
  KernelLimits limits;
  std::vector<KernelTiming> rows;
};

/// Measures every row of the table that the filter leaves. `progress` is called with the name of
/// each row before it is measured. Weights that take a good part of the time to read are
/// cycled through in more than 512 MiB. Error: the filter leaves nothing.
Result<KernelBench> bench_kernels(const KernelBenchOptions& options,
                                  const std::function<void(const std::string&)>& progress);

}  // namespace fewbit
