#pragma once
// A data set: samples, ready as model inputs, streamed. What it is made of stands in a small TOML
// file (docs/data-sets.md).

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/tensor.h"
#include "data/sample_source.h"

namespace fewbit {

/// A value for one of the model's inputs.
struct Feed {
  std::string name;  ///< Of the model's input; "": its first.
  Tensor value;      ///< [batch, ...]; float32 unless the file says otherwise.
};

struct Batch {
  std::vector<Feed> feeds;
  std::vector<int64_t> labels;  ///< One per sample; -1: none.
};

/// What the command line may change of the file.
struct DataSetOverrides {
  std::optional<int64_t> limit;  ///< At most so many samples, at least 1.
  std::optional<uint64_t> seed;  ///< Shuffle by this seed before limiting.
};

/// Samples stay in their files until they are asked for: pictures are decoded, rows of arrays
/// copied from the mapped file, so that memory does not grow with their number (labels and
/// positions aside, and the names of image files). Methods are const and may be called from several
/// threads.
class DataSet {
 public:
  /// Errors name the file, and the line where it is one of the TOML file's. They are found here for
  /// everything but damaged images, which are found when they are decoded.
  static Result<DataSet> open(const std::string& path, const DataSetOverrides& overrides = {});
  /// The same from text; relative paths in it are relative to the folder of `path`.
  static Result<DataSet> from_text(std::string_view text, const std::string& path,
                                   const DataSetOverrides& overrides = {});

  int64_t size() const { return static_cast<int64_t>(positions_.size()); }
  bool labelled() const { return labelled_; }
  /// The largest label of the samples selected, -1 without labels; the model must have more
  /// classes.
  int64_t max_label() const;
  /// The model inputs fed, "" for the model's first.
  std::vector<std::string> feeds() const { return source_->feeds(); }
  /// The file (or the array and row) of sample i, for messages.
  std::string name(int64_t i) const { return source_->name(position(i)); }
  int64_t label(int64_t i) const { return source_->label(position(i)); }

  /// Sample i as a batch of one.
  Result<Batch> get(int64_t i) const { return batch(i, 1); }
  /// Samples [begin, begin + count), cut at size(), decoded on all threads. Errors (kBadInput): a
  /// damaged image; samples of different shapes.
  Result<Batch> batch(int64_t begin, int64_t count) const;

  /// SHA-256 over the stored bytes and labels of the samples selected, in their order: 64
  /// hexadecimal digits. Reads all of them.
  Result<std::string> hash() const;

 private:
  int64_t position(int64_t i) const { return positions_[static_cast<size_t>(i)]; }

  SourcePtr source_;
  std::vector<int64_t> positions_;  ///< In the source, of the samples selected.
  bool labelled_ = false;
};

}  // namespace fewbit
