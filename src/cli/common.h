#pragma once
// What the subcommands share: reading models, naming inputs on the command line, printing.

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "cli/arguments.h"
#include "report/json.h"
#include "runtime/session.h"

namespace fewbit::cli {

/// --threads and --batch, the same in every subcommand that has them.
void add_threads(Arguments& arguments, int& threads);
void add_batch(Arguments& arguments, int64_t& batch);

/// What --help says of an argument that names a model.
inline constexpr const char* kModelHelp = "Model (.onnx, .fewbit)";

/// Reads a model of either kind; what the file holds beyond what is kept is noted on stderr.
Result<Model> load_model(const std::string& path);

/// load_model, and made ready to run.
Result<Session> open_session(const std::string& path, int threads);

/// What `--input NAME=...` says of one input.
struct InputSpec {
  std::string name;
  std::optional<Dims> dims;  ///< NAME=1,3,224,224
  std::string file;          ///< NAME=FILE.npy
};

/// Parses `--input` values. "FILE.npy" or "1,3,8,8" without a name stands for `only_input` (the
/// model's input, if it has just one; else ""). Errors (kMisuse) name the flag's value: no '=', a
/// name that is not among `inputs`, one given twice, a dimension that is no positive number.
Result<std::vector<InputSpec>> parse_inputs(
    const std::vector<std::string>& flags,
    const std::vector<std::pair<std::string, ValueType>>& inputs);

/// The shape an input gets where the command line says nothing: an unknown first dimension is
/// `batch`, any other unknown one is 1. nullopt if not even the rank is known.
std::optional<Dims> default_dims(const ValueType& type, int64_t batch);

/// Prints one JSON object on stdout.
Status print_json(const Json& json);
/// Prints text on stdout.
Status print_text(const std::string& text);
/// One line on stderr.
void note(const std::string& text);

/// "17.3 dB", "exact" for no error.
std::string decibels(double db);
/// Width of the terminal that stdout is, else 160.
int terminal_columns();

}  // namespace fewbit::cli
