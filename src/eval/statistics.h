#pragma once
// The statistics of evaluation: proportions and their paired comparison. Every interval is at 95 %.
// (Quantiles and the ratios of latencies: eval/latency.h.)

#include <cstdint>
#include <span>

namespace fewbit {

struct Interval {
  double low = 0;
  double high = 0;
};

/// True if fewer than k of the scores come before that of `label`: the larger ones, and among equal
/// ones those with a smaller index. Scores that hold a NaN are never right: a broken output must
/// not count. A label outside the scores is never among the first.
bool in_top_k(std::span<const float> scores, int64_t label, int64_t k);

/// Wilson's score interval of the proportion successes / total (E. B. Wilson, JASA 1927): within
/// [0, 1] and sound for small counts and for proportions near the ends. total = 0 gives [0, 1].
Interval wilson_interval(int64_t successes, int64_t total);

/// The same samples, judged right or wrong by two classifiers.
struct PairedCounts {
  int64_t both_right = 0;
  int64_t only_first = 0;   ///< Right by the first alone.
  int64_t only_second = 0;  ///< Right by the second alone.
  int64_t both_wrong = 0;

  void add(bool first_right, bool second_right);
  int64_t total() const { return both_right + only_first + only_second + both_wrong; }
};

struct PairedDifference {
  double difference = 0;  ///< Accuracy of the second minus that of the first, in [-1, 1].
  Interval
      interval;  ///< R. G. Newcombe, Statistics in Medicine 17, 1998, pp. 2635-2650, method 10.
  /// Exact two-sided McNemar test: how likely a split of the samples on which they disagree at
  /// least as uneven is if neither is better. 1 if they agree everywhere.
  double mcnemar_p = 1;
};
PairedDifference paired_difference(const PairedCounts& counts);

}  // namespace fewbit
