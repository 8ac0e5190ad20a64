#include "eval/statistics.h"

#include <algorithm>
#include <cmath>

#include "base/check.h"

namespace fewbit {
namespace {

constexpr double kZ95 = 1.959963984540054;  // the normal distribution's 0.975 quantile

double share_of(int64_t part, int64_t total) {
  return static_cast<double>(part) / static_cast<double>(total);
}

/// P(X <= k) for X ~ Binomial(n, 1/2), 0 <= k < n. Summed from the largest term downwards, each
/// from the one before: terms that no longer change the sum end it.
double half_binomial_cdf(int64_t k, int64_t n) {
  const auto log_factorial = [](int64_t m) { return std::lgamma(static_cast<double>(m) + 1); };
  double term = std::exp(log_factorial(n) - log_factorial(k) - log_factorial(n - k) -
                         static_cast<double>(n) * std::log(2.0));
  double sum = 0;
  for (int64_t i = k; i >= 0 && sum + term != sum; --i) {
    sum += term;
    term *= share_of(i, n - i + 1);
  }
  return std::min(sum, 1.0);
}

/// Correlation of the two classifiers' being right, shrunk as in Newcombe's method 10.
double correlation(const PairedCounts& counts) {
  const auto a = static_cast<double>(counts.both_right);
  const auto b = static_cast<double>(counts.only_first);
  const auto c = static_cast<double>(counts.only_second);
  const auto d = static_cast<double>(counts.both_wrong);
  const double product = (a + b) * (c + d) * (a + c) * (b + d);
  if (product == 0) return 0;
  double numerator = a * d - b * c;
  if (numerator > 0) numerator = std::max(numerator - (a + b + c + d) / 2, 0.0);
  return numerator / std::sqrt(product);
}

}  // namespace

bool in_top_k(std::span<const float> scores, int64_t label, int64_t k) {
  if (label < 0 || label >= static_cast<int64_t>(scores.size())) return false;
  const auto own_index = static_cast<size_t>(label);
  const float own = scores[own_index];
  int64_t before = 0;
  for (size_t i = 0; i < scores.size(); ++i) {
    if (std::isnan(scores[i])) return false;
    before += scores[i] > own || (scores[i] == own && i < own_index) ? 1 : 0;
  }
  return before < k;
}

Interval wilson_interval(int64_t successes, int64_t total) {
  FEWBIT_CHECK(successes >= 0 && successes <= total, successes, total);
  if (total == 0) return {0, 1};
  const auto n = static_cast<double>(total);
  const double p = share_of(successes, total);
  const double z2 = kZ95 * kZ95;
  const double center = (p + z2 / (2 * n)) / (1 + z2 / n);
  const double half = kZ95 / (1 + z2 / n) * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  // Exact at the ends, where rounding would leave 1e-17.
  return {successes == 0 ? 0 : center - half, successes == total ? 1 : center + half};
}

void PairedCounts::add(bool first_right, bool second_right) {
  int64_t& cell = first_right ? (second_right ? both_right : only_first)
                              : (second_right ? only_second : both_wrong);
  ++cell;
}

PairedDifference paired_difference(const PairedCounts& counts) {
  const int64_t total = counts.total();
  FEWBIT_CHECK(total > 0);
  PairedDifference result;
  result.difference = share_of(counts.only_second - counts.only_first, total);
  const int64_t right_first = counts.both_right + counts.only_first;
  const int64_t right_second = counts.both_right + counts.only_second;
  const double p1 = share_of(right_first, total);
  const double p2 = share_of(right_second, total);
  const Interval w1 = wilson_interval(right_first, total);
  const Interval w2 = wilson_interval(right_second, total);
  const double phi = correlation(counts);
  const auto margin = [phi](double x, double y) {
    return std::sqrt(std::max(0.0, x * x - 2 * phi * x * y + y * y));
  };
  result.interval.low = result.difference - margin(p2 - w2.low, w1.high - p1);
  result.interval.high = result.difference + margin(w2.high - p2, p1 - w1.low);
  const int64_t disagreements = counts.only_first + counts.only_second;
  if (counts.only_first != counts.only_second) {
    const int64_t fewer = std::min(counts.only_first, counts.only_second);
    result.mcnemar_p = std::min(1.0, 2 * half_binomial_cdf(fewer, disagreements));
  }
  return result;
}

}  // namespace fewbit
