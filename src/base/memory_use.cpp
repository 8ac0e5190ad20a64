#include "base/memory_use.h"

#include "base/file.h"
#include "base/text.h"

namespace fewbit {

// Not getrusage(2): its maximum starts, across exec, with that of the program that started this
// one.
int64_t peak_rss_bytes() {
  const Result<std::string> status = read_file("/proc/self/status");
  if (!status.ok()) return 0;
  for (const std::string_view line : split(*status, '\n')) {
    if (!line.starts_with("VmHWM:")) continue;
    const std::vector<std::string_view> words = split(trim(line.substr(6)), ' ');  // "1234 kB"
    return parse_int64(words.front()).value_or(0) * 1024;
  }
  return 0;
}

}  // namespace fewbit
