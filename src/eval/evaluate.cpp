#include "eval/evaluate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "base/progress.h"
#include "eval/feeds.h"
#include "numerics/error_stats.h"

namespace fewbit {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int64_t kTop = 5;

constexpr double kZ95 = 1.959963984540054;  // 97.5 % quantile of the normal distribution

struct Interval {
  double low = 0, high = 0;
};

// 95 % interval of a proportion (Wilson 1927, "Probable Inference, the Law of Succession, and
// Statistical Inference").
Interval wilson_interval(int64_t successes, int64_t trials) {
  const auto n = static_cast<double>(trials);
  const double p = static_cast<double>(successes) / n;
  const double z2 = kZ95 * kZ95;
  const double centre = p + z2 / (2 * n);
  const double half = kZ95 * std::sqrt(p * (1 - p) / n + z2 / (4 * n * n));
  return {std::max(0.0, (centre - half) / (1 + z2 / n)),
          std::min(1.0, (centre + half) / (1 + z2 / n))};
}

// 95 % interval of the difference of two paired proportions: Wald's, with half an observation added
// to each of the four cells (Agresti and Min 2005, "Simple improved confidence intervals for
// comparing matched proportions").
Interval paired_difference_interval(int64_t only_first, int64_t only_second, int64_t pairs) {
  const double b = static_cast<double>(only_first) + 0.5;
  const double c = static_cast<double>(only_second) + 0.5;
  const double n = static_cast<double>(pairs) + 2;
  const double difference = (b - c) / n;
  const double half = kZ95 * std::sqrt((b + c) - (b - c) * (b - c) / n) / n;
  return {std::max(-1.0, difference - half), std::min(1.0, difference + half)};
}

// Exact two-sided McNemar test: under no difference the discordant pairs are fair coins.
double mcnemar_p(int64_t only_first, int64_t only_second) {
  const auto n = static_cast<double>(only_first + only_second);
  double tail = 0;
  for (int64_t i = 0; i <= std::min(only_first, only_second); ++i) {
    const auto k = static_cast<double>(i);
    tail += std::exp(std::lgamma(n + 1) - std::lgamma(k + 1) - std::lgamma(n - k + 1) -
                     n * std::log(2.0));
  }
  return std::min(1.0, 2 * tail);
}

// How the classes of one sample are ranked.
struct Ranking {
  int64_t best = 0;        ///< class of the largest logit
  int64_t label_rank = 0;  ///< logits before the label's: 0 = right
  bool finite = true;
};

Ranking rank(std::span<const float> logits, int64_t label) {
  Ranking out;
  for (size_t c = 0; c < logits.size(); ++c) {
    out.finite = out.finite && std::isfinite(logits[c]);
    if (logits[c] > logits[static_cast<size_t>(out.best)]) out.best = static_cast<int64_t>(c);
  }
  if (label < 0) return out;
  const float own = logits[static_cast<size_t>(label)];
  for (size_t c = 0; c < logits.size(); ++c) {
    const bool before = logits[c] > own || (logits[c] == own && static_cast<int64_t>(c) < label);
    out.label_rank += before ? 1 : 0;
  }
  for (float v : logits) {
    if (std::isnan(v)) out.label_rank = static_cast<int64_t>(logits.size());
  }
  return out;
}

struct Hits {
  int64_t top1 = 0, top5 = 0;
  void add(const Ranking& ranking) {
    top1 += ranking.label_rank < 1 ? 1 : 0;
    top5 += ranking.label_rank < kTop ? 1 : 0;
  }
};

double percent(int64_t count, int64_t of) {
  return 100.0 * static_cast<double>(count) / static_cast<double>(of);
}

Accuracy accuracy_of(const Hits& hits, int64_t samples) {
  const Interval interval = wilson_interval(hits.top1, samples);
  return {percent(hits.top1, samples), 100 * interval.low, 100 * interval.high,
          percent(hits.top5, samples)};
}

class Evaluator {
 public:
  Evaluator(const DataSet& data, bool compared) : data_(data) { out_.compared = compared; }

  // `logits` and (if compared) `baseline`: float32 [samples, classes] of the same samples.
  Status add(const Tensor& logits, const Tensor* baseline, int64_t begin) {
    const int64_t samples = logits.dim(0);
    out_.classes = logits.dim(1);
    if (out_.classes == 0) return bad_input("the model's first output is empty");
    if (baseline != nullptr) {
      if (baseline->dim(1) != out_.classes) {
        return bad_input("the model gives {} values per sample, the baseline {}", out_.classes,
                         baseline->dim(1));
      }
      error_.add(baseline->span<float>(), logits.span<float>());
    }
    for (int64_t i = 0; i < samples; ++i) {
      const int64_t label = data_.labelled() ? data_.label(begin + i) : -1;
      if (label >= out_.classes) {
        return bad_input("{}: the label {} is out of range: the model's first output has {} values "
                         "per sample",
                         data_.name(begin + i), label, out_.classes);
      }
      add_sample(row(logits, i), baseline == nullptr ? std::span<const float>() : row(*baseline, i),
                 label);
    }
    return {};
  }

  Evaluation finish() {
    if (data_.labelled()) out_.accuracy = accuracy_of(hits_, out_.samples);
    if (!out_.compared) return out_;
    out_.sqnr_db = error_.sqnr_db();
    out_.same_top1 = percent(same_, out_.samples);
    if (!data_.labelled()) return out_;
    out_.baseline_accuracy = accuracy_of(baseline_hits_, out_.samples);
    const Interval interval =
        paired_difference_interval(only_model_, only_baseline_, out_.samples);
    out_.difference = AccuracyDifference{percent(only_model_ - only_baseline_, out_.samples),
                                         100 * interval.low,
                                         100 * interval.high,
                                         mcnemar_p(only_model_, only_baseline_),
                                         only_model_,
                                         only_baseline_};
    return out_;
  }

 private:
  static std::span<const float> row(const Tensor& logits, int64_t i) {
    const auto classes = static_cast<size_t>(logits.dim(1));
    return logits.span<float>().subspan(static_cast<size_t>(i) * classes, classes);
  }

  void add_sample(std::span<const float> logits, std::span<const float> baseline, int64_t label) {
    const Ranking model = rank(logits, label);
    ++out_.samples;
    out_.non_finite_samples += model.finite ? 0 : 1;
    hits_.add(model);
    if (baseline.empty()) return;
    const Ranking other = rank(baseline, label);
    baseline_hits_.add(other);
    same_ += model.best == other.best ? 1 : 0;
    const bool right = model.label_rank == 0;
    const bool other_right = other.label_rank == 0;
    only_model_ += right && !other_right ? 1 : 0;
    only_baseline_ += other_right && !right ? 1 : 0;
  }

  const DataSet& data_;
  Evaluation out_;
  ErrorStats error_;
  Hits hits_, baseline_hits_;
  int64_t same_ = 0, only_model_ = 0, only_baseline_ = 0;
};

}  // namespace

Result<Evaluation> evaluate(Session& model, Session* baseline, const DataSet& data,
                            const EvaluateOptions& options) {
  if (!data.labelled() && baseline == nullptr) {
    return misuse("the data set has no labels: without a baseline there is nothing to measure");
  }
  FEWBIT_CHECK(options.batch > 0, options.batch);
  const Clock::time_point start = Clock::now();
  FEWBIT_ASSIGN(const SampleFeeder feeder, SampleFeeder::create(model, data));
  std::optional<SampleFeeder> baseline_feeder;
  if (baseline != nullptr) {
    FEWBIT_ASSIGN(baseline_feeder, SampleFeeder::create(*baseline, data));
  }
  Evaluator evaluator(data, baseline != nullptr);
  Progress bar(options.progress, "samples", data.size());
  for (int64_t begin = 0; begin < data.size(); begin += options.batch) {
    FEWBIT_ASSIGN(const Batch batch, data.batch(begin, options.batch));
    FEWBIT_ASSIGN(const Tensor logits, run_logits(model, feeder, batch));
    Tensor other;
    if (baseline != nullptr) {
      auto result = run_logits(*baseline, *baseline_feeder, batch);
      if (!result.ok()) return std::move(result).error().with_context("baseline");
      other = std::move(result).value();
    }
    FEWBIT_TRY(evaluator.add(logits, baseline == nullptr ? nullptr : &other, begin));
    bar.advance(logits.dim(0));
  }
  Evaluation out = evaluator.finish();
  out.seconds = std::chrono::duration<double>(Clock::now() - start).count();
  return out;
}

}  // namespace fewbit
