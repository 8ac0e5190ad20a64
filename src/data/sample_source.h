#pragma once
// Where samples come from: one implementation per `kind` of data-set file. A new kind is a new file
// with a function like the two below, and a row in dataset.cpp.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/sha256.h"
#include "base/tensor.h"
#include "data/dataset_file.h"

namespace fewbit {

/// All samples of a set before shuffling and limiting, by position. Methods are const and may be
/// called from several threads.
class SampleSource {
 public:
  virtual ~SampleSource() = default;
  virtual int64_t size() const = 0;
  /// The model inputs the samples go to, "" for the model's first.
  virtual std::vector<std::string> feeds() const = 0;
  /// What the sample is called in messages.
  virtual std::string name(int64_t position) const = 0;
  /// One tensor per feed, without a batch dimension.
  virtual Result<std::vector<Tensor>> load(int64_t position) const = 0;
  /// The sample's bytes as stored, into a hash.
  virtual Status hash(int64_t position, Sha256& into) const = 0;
  /// The sample's label; -1 without labels. Checked when the source was opened.
  virtual int64_t label(int64_t position) const = 0;
};

using SourcePtr = std::shared_ptr<const SampleSource>;

Result<SourcePtr> open_images(const DataSetFile& file);  ///< image_source.cpp
Result<SourcePtr> open_arrays(const DataSetFile& file);  ///< array_source.cpp

/// An error unless 0 <= label, and label < classes where `classes` is given.
Status check_label(const DataSetFile& file, const std::string& place, int64_t label);

}  // namespace fewbit
