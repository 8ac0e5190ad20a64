// fewbit bench-kernels: the kernels against the limits of this machine.

#include <memory>

#include "base/text.h"
#include "base/threads.h"
#include "cli/commands.h"
#include "cli/common.h"
#include "eval/kernel_rates.h"
#include "report/table.h"

namespace fewbit::cli {
namespace {

struct Options {
  std::string filter;
  int threads = 0;
  bool json = false;
};

Json json_of(const KernelBench& bench) {
  Json rows = Json::array();
  for (const KernelTiming& t : bench.rows) {
    rows.push_back({{"family", t.family},
                    {"format", t.format},
                    {"shape", t.shape},
                    {"isa", t.isa},
                    {"m", t.m},
                    {"n", t.n},
                    {"k", t.k},
                    {"threads", static_cast<int64_t>(t.threads)},
                    {"seconds", t.seconds},
                    {"weights_per_s", t.weights_per_second},
                    {"bytes_per_s", t.bytes_per_second},
                    {"ops_per_s", t.ops_per_second},
                    {"limit", t.limit},
                    {"fraction", t.fraction}});
  }
  const MemoryBandwidth& memory = bench.limits.memory;
  const MachineLimits& machine = bench.limits.machine;
  return {{"limits",
           {{"threads", static_cast<int64_t>(machine.threads)},
            {"read_bytes_per_s", memory.bytes_per_second},
            {"read_streams", static_cast<int64_t>(memory.streams)},
            {"read_prefetch_bytes", memory.prefetch_bytes},
            {"int8_ops_per_s", 2 * machine.int8.macs_per_second},
            {"int8_instruction", std::string(machine.int8.instruction)},
            {"float32_ops_per_s", 2 * machine.float32.macs_per_second},
            {"float32_instruction", std::string(machine.float32.instruction)},
            {"bfloat16_ops_per_s", 2 * machine.bfloat16.macs_per_second},
            {"bfloat16_instruction", std::string(machine.bfloat16.instruction)},
            {"binary_ops_per_s", 2 * machine.binary.macs_per_second},
            {"binary_instruction", std::string(machine.binary.instruction)}}},
          {"rows", rows}};
}

std::string text_of(const KernelBench& bench) {
  const MemoryBandwidth& memory = bench.limits.memory;
  const MachineLimits& machine = bench.limits.machine;
  std::string text =
      fmt::format("limits, {} thread{}: memory {:.1f} GB/s ({} stream{}, {} B ahead)",
                  machine.threads, machine.threads == 1 ? "" : "s", memory.bytes_per_second * 1e-9,
                  memory.streams, memory.streams == 1 ? "" : "s", memory.prefetch_bytes);
  for (const MachinePeak* peak :
       {&machine.int8, &machine.bfloat16, &machine.float32, &machine.binary}) {
    text += fmt::format(", {} {:.3f} TOPS", peak->instruction, 2 * peak->macs_per_second * 1e-12);
  }
  text += "\n\n";
  Table table(
      {"kernel", "weights", "shape", "isa", ">us", ">Gw/s", ">GB/s", ">TOPS", "limit", ">of it"});
  for (const KernelTiming& t : bench.rows) {
    table.row({t.family, t.format, t.shape, t.isa, fmt::format("{:.1f}", t.seconds * 1e6),
               fmt::format("{:.1f}", t.weights_per_second * 1e-9),
               fmt::format("{:.1f}", t.bytes_per_second * 1e-9),
               fmt::format("{:.3f}", t.ops_per_second * 1e-12), t.limit,
               fmt::format("{:.0f} %", t.fraction * 100)});
  }
  return text + table.print(terminal_columns());
}

Status bench_kernels(const Options& o) {
  KernelBenchOptions options;
  options.filter = o.filter;
  set_threads(o.threads);
  options.threads = num_threads();
  const auto progress = [](const std::string& name) { note(fmt::format("measuring {}", name)); };
  FEWBIT_ASSIGN(const KernelBench bench, fewbit::bench_kernels(options, progress));
  return o.json ? print_json(json_of(bench)) : print_text(text_of(bench));
}

}  // namespace

Run add_bench_kernels(Arguments& arguments) {
  auto o = std::make_shared<Options>();
  arguments.option("--filter", o->filter,
                   "Only kernels whose family/format/shape contains this text");
  add_threads(arguments, o->threads);
  arguments.flag("--json", o->json, "Print one JSON object");
  return [o] { return bench_kernels(*o); };
}

}  // namespace fewbit::cli
