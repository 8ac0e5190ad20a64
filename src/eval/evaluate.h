#pragma once
// Accuracy of a classifier on a data set, alone or paired with a baseline (usually the float model)
// on the same samples. Streaming: memory does not grow with the number of samples.
//
// The logits are the model's first output, everything behind its batch dimension flattened. A
// sample's class is the largest logit, the first of equal ones; a NaN never wins and a sample whose
// logits hold one is counted as wrong.

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.h"
#include "data/dataset.h"
#include "runtime/session.h"

namespace fewbit {

struct EvaluateOptions {
  /// Samples per run, where the model leaves the batch dimension open.
  int64_t batch = 8;
  /// Label of the progress bar and of errors.
  std::string progress = "evaluating";
};

/// In percent.
struct Accuracy {
  double top1 = 0;
  double top1_low = 0, top1_high = 0;  ///< 95 % interval (Wilson)
  double top5 = 0;
};

/// model minus baseline, on the same samples.
struct AccuracyDifference {
  double points = 0;         ///< top-1, percentage points; negative: the model is worse
  double low = 0, high = 0;  ///< 95 % interval of the paired difference
  double mcnemar_p = 1;      ///< exact two-sided McNemar test of no difference
  int64_t only_model_right = 0;
  int64_t only_baseline_right = 0;
};

struct Evaluation {
  int64_t samples = 0;
  int64_t classes = 0;               ///< values of the first output per sample
  int64_t non_finite_samples = 0;    ///< whose logits hold NaN or infinity
  std::optional<Accuracy> accuracy;  ///< if the data set has labels
  bool compared = false;             ///< a baseline was given; then:
  double sqnr_db = 0;                ///< logits, 10 log10(sum f^2 / sum (f - q)^2)
  double same_top1 = 0;              ///< samples with the same class, percent
  std::optional<Accuracy> baseline_accuracy;
  std::optional<AccuracyDifference> difference;
  double seconds = 0;
};

/// Runs `model`, and `baseline` if there is one (else nullptr), on every sample.
/// Errors: no labels and no baseline (kMisuse); a label beyond the model's classes; outputs of
/// different sizes; whatever the data set or the models report.
Result<Evaluation> evaluate(Session& model, Session* baseline, const DataSet& data,
                            const EvaluateOptions& options = {});

}  // namespace fewbit
