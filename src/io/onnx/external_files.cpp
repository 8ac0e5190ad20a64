#include "io/onnx/external_files.h"

#include <algorithm>
#include <filesystem>

namespace fewbit::onnx {
namespace fs = std::filesystem;

namespace {

bool is_inside(const fs::path& folder, const fs::path& file) {
  return std::mismatch(folder.begin(), folder.end(), file.begin(), file.end()).first ==
         folder.end();
}

}  // namespace

Result<MappedFile> ExternalFiles::open(const std::string& location) {
  auto known = opened_.find(location);
  if (known != opened_.end()) return known->second;

  if (location.empty()) return bad_input("external data without a location");
  if (location.find('\0') != std::string::npos) {
    return bad_input("the location of external data has a zero byte in it");
  }
  if (folder_.empty()) {
    return bad_input("external data in '{}', but the model was not read from a file", location);
  }
  const fs::path relative(location);
  const bool climbs = std::find(relative.begin(), relative.end(), "..") != relative.end();
  if (relative.is_absolute() || climbs) {
    return bad_input("external data in '{}': the location must stay inside the model's folder",
                     location);
  }
  std::error_code error;
  const fs::path folder = fs::canonical(folder_, error);
  if (error) return io_error("folder '{}': {}", folder_, error.message());
  const fs::path file = fs::canonical(folder / relative, error);
  if (error) return io_error("external data in '{}': {}", location, error.message());
  if (!is_inside(folder, file)) {
    return bad_input(
        "external data in '{}': a symbolic link leads out of the model's folder, to {}", location,
        file.string());
  }
  FEWBIT_ASSIGN(MappedFile mapped, MappedFile::open(file.string()));
  opened_.emplace(location, mapped);
  return mapped;
}

}  // namespace fewbit::onnx
