#pragma once
// What the table of subcommands (cli.cpp) points to: one function per file of this folder.

#include "cli/command.h"

namespace fewbit::cli {

Run add_inspect(Arguments& arguments);
Run add_run(Arguments& arguments);
Run add_eval(Arguments& arguments);
Run add_quantize(Arguments& arguments);
Run add_compare(Arguments& arguments);
Run add_bench(Arguments& arguments);
Run add_bench_kernels(Arguments& arguments);
Run add_convert(Arguments& arguments);
Run add_formats(Arguments& arguments);

}  // namespace fewbit::cli
