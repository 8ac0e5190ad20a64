#pragma once
// What the table of subcommands (cli.cpp) points to: one function per file of this folder.

#include "cli/command.h"

namespace fewbit::cli {

Run add_inspect(CLI::App& app);
Run add_run(CLI::App& app);
Run add_eval(CLI::App& app);
Run add_quantize(CLI::App& app);
Run add_compare(CLI::App& app);
Run add_bench(CLI::App& app);
Run add_convert(CLI::App& app);

}  // namespace fewbit::cli
