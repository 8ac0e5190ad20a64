#include "kernels/stream_tuning.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <optional>
#include <sstream>
#include <vector>

#include "base/file.h"

namespace fewbit {
namespace {

constexpr std::string_view kFileName = "streams.tsv";
constexpr int kRepeats = 3;

// "Intel(R) Xeon(R) Processor", with what tells one generation from another.
std::string processor() {
  std::ifstream file("/proc/cpuinfo");
  std::string line, name;
  for (int found = 0; found < 3 && std::getline(file, line);) {
    for (const char* key : {"model name", "cpu family", "model\t", "CPU part"}) {
      if (!line.starts_with(key)) continue;
      const size_t colon = line.find(':');
      if (colon != std::string::npos) name += line.substr(std::min(colon + 2, line.size())) + " ";
      ++found;
      break;
    }
  }
  std::ranges::replace(name, '\t', ' ');
  return name.empty() ? "unknown" : name.substr(0, name.size() - 1);
}

std::string line_start(std::string_view kernel, int threads) {
  return fmt::format("{}\t{}\t{}\t", processor(), kernel, threads);
}

std::optional<StreamTuning> find(const std::string& content, const std::string& start) {
  std::istringstream lines(content);
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(start)) continue;
    StreamTuning tuning;
    std::istringstream numbers(line.substr(start.size()));
    // A damaged line is measured anew.
    if (!(numbers >> tuning.streams >> tuning.prefetch_bytes)) continue;
    constexpr int64_t kFarthest = 1 << 20;
    const bool sound = (tuning.streams == 1 || tuning.streams == 4) && tuning.prefetch_bytes >= 0 &&
                       tuning.prefetch_bytes <= kFarthest;
    if (sound) return tuning;
  }
  return std::nullopt;
}

StreamTuning measure(const StreamTrial& trial) {
  StreamTuning best;
  double fastest = -1;
  for (const int streams : {1, 4}) {
    for (const int64_t prefetch : {512, 1024, 2048, 4096, 8192}) {
      std::vector<double> rates;
      for (int i = 0; i < kRepeats; ++i) rates.push_back(trial({streams, prefetch}));
      std::ranges::sort(rates);
      if (rates[kRepeats / 2] > fastest) {
        fastest = rates[kRepeats / 2];
        best = {streams, prefetch};
      }
    }
  }
  return best;
}

// Without the lines that `start` begins, which were not sound.
std::string without(const std::string& content, const std::string& start) {
  std::istringstream lines(content);
  std::string kept;
  for (std::string line; std::getline(lines, line);) {
    if (!line.starts_with(start)) kept += line + "\n";
  }
  return kept;
}

StreamTuning from_file_or_measured(std::string_view kernel, int threads, const StreamTrial& trial) {
  const std::string folder = tuning_folder();
  const std::string path = folder + "/" + std::string(kFileName);
  const std::string start = line_start(kernel, threads);
  const Result<std::string> content = folder.empty() ? std::string() : read_file(path);
  if (content.ok()) {
    if (const std::optional<StreamTuning> known = find(*content, start)) return *known;
  }
  const StreamTuning best = measure(trial);
  if (folder.empty()) return best;
  std::error_code ignored;
  std::filesystem::create_directories(folder, ignored);
  // Two processes that write at once may lose one line, which is then measured once more. Nobody
  // waits for a file that cannot be written.
  static_cast<void>(write_file(path, without(content.ok() ? *content : std::string(), start) +
                                         start +
                                         fmt::format("{}\t{}\n", best.streams, best.prefetch_bytes))
                        .ok());
  return best;
}

}  // namespace

std::string tuning_folder() {
  const auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string(value == nullptr ? "" : value);
  };
  if (std::string own = variable("FEWBIT_CACHE_DIR"); !own.empty()) return own;
  if (std::string shared = variable("XDG_CACHE_HOME"); !shared.empty()) return shared + "/fewbit";
  if (std::string home = variable("HOME"); !home.empty()) return home + "/.cache/fewbit";
  return {};
}

StreamTuning tuned_streams(std::string_view kernel, int threads, const StreamTrial& trial) {
  static std::mutex mutex;
  static std::map<std::pair<std::string, int>, StreamTuning> known;
  const std::lock_guard lock(mutex);
  const auto key = std::pair(std::string(kernel), threads);
  if (const auto found = known.find(key); found != known.end()) return found->second;
  const StreamTuning tuning = from_file_or_measured(kernel, threads, trial);
  known.emplace(key, tuning);
  return tuning;
}

}  // namespace fewbit
