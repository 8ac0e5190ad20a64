#include "cli/common.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <set>

#include "base/text.h"
#include "io/model_file.h"

namespace fewbit::cli {
namespace {

constexpr int kColumnsWithoutTerminal = 160;

std::optional<Dims> parse_dims(std::string_view text) {
  Dims dims;
  for (std::string_view part : split(text, ',')) {
    auto dim = parse_int64(trim(part));
    if (!dim || *dim < 1) return std::nullopt;
    dims.push_back(*dim);
  }
  return dims;
}

}  // namespace

void add_threads(Arguments& arguments, int& threads) {
  arguments.option("--threads", threads, "Threads (default: all processors)")
      .range(0, 4096)
      .type_name("N");
}

void add_batch(Arguments& arguments, int64_t& batch) {
  arguments.option("--batch", batch, "Samples per run, where the model leaves it open")
      .range(1, int64_t{1} << 20)
      .show_default()
      .type_name("N");
}

Result<Model> load_model(const std::string& path) {
  std::vector<std::string> notes;
  FEWBIT_ASSIGN(Model model, read_model(path, &notes));
  for (const std::string& text : notes) note(text);
  return model;
}

Result<Session> open_session(const std::string& path, int threads) {
  FEWBIT_ASSIGN(Model model, load_model(path));
  SessionOptions options;
  options.threads = threads;
  return Session::create(std::move(model), options);
}

Result<std::vector<InputSpec>> parse_inputs(
    const std::vector<std::string>& flags,
    const std::vector<std::pair<std::string, ValueType>>& inputs) {
  std::vector<std::string> names;
  for (const auto& [name, type] : inputs) names.push_back(name);
  std::vector<InputSpec> specs;
  std::set<std::string> seen;
  for (const std::string& flag : flags) {
    InputSpec spec;
    // A name may hold '=' itself: the longest input name that the flag begins with counts.
    std::string rest = flag;
    size_t best = 0;
    for (const std::string& name : names) {
      if (name.size() >= best && flag.size() > name.size() && flag[name.size()] == '=' &&
          flag.compare(0, name.size(), name) == 0) {
        best = name.size();
        spec.name = name;
        rest = flag.substr(name.size() + 1);
      }
    }
    if (spec.name.empty()) {
      size_t equals = flag.find('=');
      if (equals != std::string::npos) {
        std::string asked = flag.substr(0, equals);
        return misuse("--input {}: the model has no input '{}'{}; its inputs are: {}", flag, asked,
                      did_you_mean(names, asked), join(names, ", "));
      }
      if (names.size() != 1) {
        return misuse("--input {}: expected NAME=..., the model's inputs are: {}", flag,
                      join(names, ", "));
      }
      spec.name = names.front();
    }
    if (!seen.insert(spec.name).second) {
      return misuse("--input {}: input '{}' is given twice", flag, spec.name);
    }
    bool looks_like_dims = !rest.empty() && rest.find_first_not_of("0123456789,- ") == rest.npos;
    if (looks_like_dims) {
      spec.dims = parse_dims(rest);
      if (!spec.dims) {
        return misuse("--input {}: '{}' is no shape: expected positive numbers as in 1,3,224,224",
                      flag, rest);
      }
    } else {
      if (rest.empty()) return misuse("--input {}: nothing behind '='", flag);
      spec.file = rest;
    }
    specs.push_back(std::move(spec));
  }
  return specs;
}

std::optional<Dims> default_dims(const ValueType& type, int64_t batch) {
  if (!type.shape) return std::nullopt;
  Dims dims;
  for (const Dim& d : *type.shape) {
    dims.push_back(d.known() ? d.value : dims.empty() ? batch : 1);
  }
  return dims;
}

Status print_text(const std::string& text) {
  bool ok = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (!ok || std::fflush(stdout) != 0) return io_error("standard output: {}", std::strerror(errno));
  return {};
}

Status print_json(const Json& json) {
  return print_text(json.print() + "\n");
}

void note(const std::string& text) {
  std::fprintf(stderr, "fewbit: note: %s\n", text.c_str());
}

std::string decibels(double db) {
  if (std::isnan(db)) return "-";
  if (std::isinf(db)) return db > 0 ? "exact" : "no signal";
  return fmt::format("{:.1f} dB", db);
}

int terminal_columns() {
  winsize size{};
  if (isatty(STDOUT_FILENO) != 0 && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 &&
      size.ws_col > 0) {
    return size.ws_col;
  }
  return kColumnsWithoutTerminal;
}

}  // namespace fewbit::cli
