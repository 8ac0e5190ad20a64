#pragma once
// The data-set file: docs/data-sets.md is its reference, and every key there is a member here.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "data/preprocess.h"

namespace fewbit {

/// One array that goes to one input of the model.
struct ArrayInput {
  std::string file;   ///< Relative to the data-set file's folder, or absolute.
  std::string array;  ///< Name within an npz; may be empty.
  std::string feed;   ///< The model's input; empty: its first.
  DType type = DType::kFloat32;
  Preprocess preprocess;
};

struct DataSetFile {
  enum class Kind { kImages, kArrays };

  std::string path;    ///< As opened, for messages.
  std::string folder;  ///< Of the file: what relative paths are relative to.
  Kind kind = Kind::kArrays;

  std::string root;       ///< Images: the folder; "" is the data-set file's own.
  std::string feed;       ///< Images: the model's input; empty: its first.
  Preprocess preprocess;  ///< Images.

  std::vector<ArrayInput> inputs;  ///< Arrays: at least one.

  std::string labels;              ///< Images: a CSV. Arrays: an array's name or a file. "": none.
  std::optional<int64_t> classes;  ///< Labels must be below it.
  std::optional<int64_t> limit;
  std::optional<uint64_t> seed;

  /// `name` as the file means it: itself if absolute, else within `folder`.
  std::string resolve(const std::string& name) const;
};

/// Reads a data-set file from its text. Errors name path and line.
Result<DataSetFile> parse_dataset_file(std::string_view text, const std::string& path);

}  // namespace fewbit
