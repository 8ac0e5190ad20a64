#include "eval/evaluate.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <vector>

#include "base/progress.h"
#include "eval/feeds.h"
#include "eval/statistics.h"
#include "numerics/error_stats.h"

namespace fewbit {
namespace {

using Clock = std::chrono::steady_clock;

// What one model makes of one sample.
struct Judgement {
  int64_t best = 0;  ///< class of the largest logit
  bool top1 = false, top5 = false;
  bool finite = true;
};

Judgement judge(std::span<const float> logits, int64_t label) {
  Judgement out;
  for (size_t c = 0; c < logits.size(); ++c) {
    out.finite = out.finite && std::isfinite(logits[c]);
    if (logits[c] > logits[static_cast<size_t>(out.best)]) out.best = static_cast<int64_t>(c);
  }
  out.top1 = label >= 0 && in_top_k(logits, label, 1);
  out.top5 = label >= 0 && in_top_k(logits, label, 5);
  return out;
}

struct Hits {
  int64_t top1 = 0, top5 = 0;
  void add(const Judgement& judgement) {
    top1 += judgement.top1 ? 1 : 0;
    top5 += judgement.top5 ? 1 : 0;
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
        return bad_input(
            "{}: the label {} is out of range: the model's first output has {} values "
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
    const PairedDifference paired = paired_difference(counts_);
    out_.difference = AccuracyDifference{100 * paired.difference,    100 * paired.interval.low,
                                         100 * paired.interval.high, paired.mcnemar_p,
                                         counts_.only_second,        counts_.only_first};
    return out_;
  }

 private:
  static std::span<const float> row(const Tensor& logits, int64_t i) {
    const auto classes = static_cast<size_t>(logits.dim(1));
    return logits.span<float>().subspan(static_cast<size_t>(i) * classes, classes);
  }

  void add_sample(std::span<const float> logits, std::span<const float> baseline, int64_t label) {
    const Judgement own = judge(logits, label);
    ++out_.samples;
    out_.non_finite_samples += own.finite ? 0 : 1;
    hits_.add(own);
    if (baseline.empty()) return;
    const Judgement other = judge(baseline, label);
    baseline_hits_.add(other);
    same_ += own.best == other.best ? 1 : 0;
    counts_.add(other.top1, own.top1);
  }

  const DataSet& data_;
  Evaluation out_;
  ErrorStats error_;
  Hits hits_, baseline_hits_;
  PairedCounts counts_;  ///< first: the baseline
  int64_t same_ = 0;
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
