#pragma once
// How long something takes: repeated until the figures stand, alone or interleaved with a rival.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "base/result.h"

namespace fewbit {

struct LatencyOptions {
  double seconds = 3;  ///< of measuring, for each of what is measured
  double warmup_seconds = 0.3;
  int64_t min_runs = 10;  ///< however long they take
};

/// The p-quantile (0 <= p <= 1) of the values, linear between order statistics; values not empty.
double quantile(std::span<const double> values, double p);

struct MedianInterval {
  double median = 0;
  double low = 0, high = 0;  ///< 95 %, free of any assumption on the distribution
};

/// The median and the order statistics that enclose the true one with at least 95 % confidence (the
/// number of values below it is binomial with p = 1/2); with fewer than 6 values: smallest,
/// largest.
MedianInterval median_interval(std::span<const double> values);

/// Seconds of each run of `run`, after warming up. The first error ends it.
Result<std::vector<double>> measure(const std::function<Status()>& run,
                                    const LatencyOptions& options);

struct PairedLatencies {
  std::vector<double> first, second;  ///< seconds, pair by pair
  MedianInterval ratio;               ///< of second / first within each pair
};

/// Both, in turn, each pair in alternating order: what disturbs the machine disturbs both.
Result<PairedLatencies> measure_pair(const std::function<Status()>& first,
                                     const std::function<Status()>& second,
                                     const LatencyOptions& options);

}  // namespace fewbit
