#pragma once
// The command line: subcommands with their options. CLI11 does the parsing and the help; it costs
// ten seconds of compilation in every file that includes it, and only arguments.cpp does.

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace fewbit::cli {

/// One option or positional argument, for saying more about it.
class Option {
 public:
  explicit Option(CLI::Option* option) : option_(option) {}

  Option& required();
  /// What the help shows for its value, "N" or "FILE".
  Option& type_name(const std::string& name);
  /// The help shows the value that the variable has now.
  Option& show_default();
  /// Takes one value each time it is given, where a list would take all that follow.
  Option& one_value();
  /// The smallest and the largest value that it may have.
  Option& range(int64_t smallest, int64_t largest);
  Option& real_range(double smallest, double largest);
  Option& choices(std::initializer_list<std::string> allowed);

 private:
  CLI::Option* option_;
};

/// The arguments of one subcommand. The variables keep their value where an argument is not given;
/// they must live until the command line is parsed.
class Arguments {
 public:
  explicit Arguments(CLI::App* app) : app_(app) {}

  /// Declares an option ("-o,--output") or, without dashes, a positional argument ("model").
  Option option(const std::string& names, std::string& value, const std::string& help);
  Option option(const std::string& names, std::vector<std::string>& values,
                const std::string& help);
  Option option(const std::string& names, int& value, const std::string& help);
  Option option(const std::string& names, int64_t& value, const std::string& help);
  Option option(const std::string& names, uint64_t& value, const std::string& help);
  Option option(const std::string& names, double& value, const std::string& help);
  /// An option without a value; giving it sets `value`.
  void flag(const std::string& names, bool& value, const std::string& help);
  /// Adds a paragraph below the list of options.
  void explain(const std::string& text);

 private:
  CLI::App* app_;
};

/// What `PROGRAM --help` and `PROGRAM --version` print.
struct ProgramText {
  std::string program;
  std::string about;
  std::string version;
  std::string footer;
};

/// PROGRAM COMMAND ARGUMENTS...
class CommandLine {
 public:
  explicit CommandLine(const ProgramText& text);
  ~CommandLine();

  /// Adds a subcommand; the reference stays valid.
  Arguments& add_command(std::string_view name, std::string_view summary);
  std::string help() const;
  /// Fills the variables and returns the index of the command that was given, or nullopt after
  /// --help or --version, whose text is then printed. Error (kMisuse): names the argument.
  Result<std::optional<size_t>> parse(int argc, const char* const* argv);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace fewbit::cli
