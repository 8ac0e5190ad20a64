#pragma once
// The subcommands: one file and one row each.

#include <functional>
#include <span>
#include <string_view>

#include "base/result.h"
#include "cli/arguments.h"

namespace fewbit::cli {

/// What a subcommand's options were parsed into; run after parsing.
using Run = std::function<Status()>;

struct Command {
  std::string_view name;
  std::string_view summary;   ///< one line, for `fewbit --help`
  std::string_view examples;  ///< shown under `fewbit NAME --help`
  /// Declares the arguments and returns what to run once they are parsed.
  Run (*add)(Arguments& arguments);
};

/// All subcommands, in the order of the help.
std::span<const Command> commands();

}  // namespace fewbit::cli
