#pragma once
// From a data set's batches to a model's inputs, whatever batch size the model insists on.

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "data/dataset.h"
#include "runtime/session.h"

namespace fewbit {

/// How samples of a data set enter a model.
class SampleFeeder {
 public:
  /// Errors (kBadInput): the data set feeds an input that the model does not have, or leaves one
  /// out.
  static Result<SampleFeeder> create(const Session& session, const DataSet& data);

  /// The batch size the model insists on; 1 also for models without a batch dimension; 0: any.
  int64_t fixed_batch() const { return fixed_batch_; }

  /// Samples [begin, begin + count) of `batch` as feeds: named, without the batch dimension where
  /// the model has none, float types converted to the model's. Fewer samples than fixed_batch()
  /// are filled up by repeating the last one.
  Result<Feeds> feeds(const Batch& batch, int64_t begin, int64_t count) const;

 private:
  struct Input {
    std::string name;
    ValueType type;
  };
  std::vector<Input> inputs_;  ///< In the order of the data set's feeds.
  int64_t fixed_batch_ = 0;
};

/// The model's first output for every sample of a batch, run in as many pieces as the model's batch
/// size makes necessary: float32 [samples, values], everything behind the first dimension
/// flattened. Errors: those of the run; an output that is no numeric tensor or does not have the
/// batch in front.
Result<Tensor> run_logits(Session& session, const SampleFeeder& feeder, const Batch& batch);

}  // namespace fewbit
