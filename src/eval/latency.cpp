#include "eval/latency.h"

#include <algorithm>
#include <chrono>
#include <cmath>

#include "base/check.h"

namespace fewbit {
namespace {

using Clock = std::chrono::steady_clock;

Result<double> timed(const std::function<Status()>& run) {
  const Clock::time_point start = Clock::now();
  FEWBIT_TRY(run());
  return std::chrono::duration<double>(Clock::now() - start).count();
}

// At least once: the first run makes plans and packs weights.
Status warm_up(const std::function<Status()>& run, double seconds) {
  double spent = 0;
  do {
    FEWBIT_ASSIGN(const double took, timed(run));
    spent += took;
  } while (spent < seconds);
  return {};
}

}  // namespace

double quantile(std::span<const double> values, double p) {
  FEWBIT_CHECK(!values.empty() && p >= 0 && p <= 1, values.size(), p);
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const double place = p * static_cast<double>(sorted.size() - 1);
  const auto below = static_cast<size_t>(place);
  const size_t above = std::min(below + 1, sorted.size() - 1);
  return sorted[below] + (place - static_cast<double>(below)) * (sorted[above] - sorted[below]);
}

MedianInterval median_interval(std::span<const double> values) {
  FEWBIT_CHECK(!values.empty());
  std::vector<double> sorted(values.begin(), values.end());
  std::sort(sorted.begin(), sorted.end());
  const size_t n = sorted.size();
  // Largest k with P(Binomial(n, 1/2) < k) <= 2.5 %: the k-th smallest and the k-th largest value
  // enclose the median. Terms by logarithms: 2^-n underflows.
  size_t k = 0;
  double below = 0;
  for (size_t i = 0; i < n / 2; ++i) {
    const double log_term =
        std::lgamma(static_cast<double>(n) + 1) - std::lgamma(static_cast<double>(i) + 1) -
        std::lgamma(static_cast<double>(n - i) + 1) - static_cast<double>(n) * std::log(2.0);
    below += std::exp(log_term);
    if (below > 0.025) break;
    k = i + 1;
  }
  const size_t place = k == 0 ? 0 : k - 1;
  return {quantile(sorted, 0.5), sorted[place], sorted[n - 1 - place]};
}

Result<std::vector<double>> measure(const std::function<Status()>& run,
                                    const LatencyOptions& options) {
  FEWBIT_TRY(warm_up(run, options.warmup_seconds));
  std::vector<double> seconds;
  double spent = 0;
  while (spent < options.seconds || static_cast<int64_t>(seconds.size()) < options.min_runs) {
    FEWBIT_ASSIGN(const double took, timed(run));
    seconds.push_back(took);
    spent += took;
  }
  return seconds;
}

Result<PairedLatencies> measure_pair(const std::function<Status()>& first,
                                     const std::function<Status()>& second,
                                     const LatencyOptions& options) {
  FEWBIT_TRY(warm_up(first, options.warmup_seconds));
  FEWBIT_TRY(warm_up(second, options.warmup_seconds));
  PairedLatencies out;
  std::vector<double> ratios;
  double spent = 0;
  while (spent < 2 * options.seconds || static_cast<int64_t>(ratios.size()) < options.min_runs) {
    const bool swapped = ratios.size() % 2 == 1;
    FEWBIT_ASSIGN(const double earlier, timed(swapped ? second : first));
    FEWBIT_ASSIGN(const double later, timed(swapped ? first : second));
    out.first.push_back(swapped ? later : earlier);
    out.second.push_back(swapped ? earlier : later);
    ratios.push_back(out.second.back() / std::max(out.first.back(), 1e-9));
    spent += earlier + later;
  }
  out.ratio = median_interval(ratios);
  return out;
}

}  // namespace fewbit
