#pragma once
// Tensor data beside the model: files mapped once each, and only inside the model's folder.

#include <map>
#include <string>

#include "base/file.h"
#include "base/result.h"

namespace fewbit::onnx {

class ExternalFiles {
 public:
  /// `folder` is the model's; empty: there is none (a model from memory), every open is an error.
  explicit ExternalFiles(std::string folder) : folder_(std::move(folder)) {}

  /// The file at `location`, relative to the folder. Refused: an absolute path, "..", a symbolic
  /// link that leads out of the folder, anything but a regular file.
  Result<MappedFile> open(const std::string& location);

 private:
  std::string folder_;
  std::map<std::string, MappedFile> opened_;  ///< by location
};

}  // namespace fewbit::onnx
