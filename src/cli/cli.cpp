#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <vector>

#include "base/text.h"
#include "cli/commands.h"
#include "cli/main.h"
#include "flow/quantize.h"

namespace fewbit::cli {
namespace {

constexpr Command kCommands[] = {
    {"inspect", "What a model is made of, what it costs, and whether it can be run",
     "  fewbit inspect model.onnx\n"
     "  fewbit inspect model.onnx --input image=8,3,224,224\n"
     "  fewbit inspect model.onnx --graph | less",
     add_inspect},
    {"run", "Runs a model on arrays (npy) and writes its outputs as arrays",
     "  fewbit run model.onnx --input image=image.npy --output results\n"
     "  fewbit run bert.onnx --input input_ids=ids.npy --input attention_mask=mask.npy --output "
     "out",
     add_run},
    {"eval", "Measures a model's accuracy on a data set, alone or against another",
     "  fewbit eval model.onnx --data test.toml\n"
     "  fewbit eval model_int8.onnx --data test.toml --baseline model.onnx",
     add_eval},
    {"quantize", "Makes a few-bit model of a float one, proves it, and writes it",
     "  fewbit quantize model.onnx -o model_int8.onnx --calib calibration.toml\n"
     "  fewbit quantize model.onnx -o model_int8.onnx --calib calibration.toml --eval test.toml\n"
     "  fewbit quantize model.onnx -o model_w8.onnx --scheme w8\n"
     "  fewbit quantize model.onnx -o model_w4.fewbit --scheme w4:g32",
     add_quantize},
    {"compare", "Finds the layers in which a quantized model's error is born",
     "  fewbit compare model.onnx model_int8.onnx --data calibration.toml\n"
     "  fewbit compare model.onnx model_int8.onnx --data calibration.toml --samples 0 --json",
     add_compare},
    {"bench", "Measures latency and memory, layer by layer, or against another model",
     "  fewbit bench model.onnx\n"
     "  fewbit bench model_int8.onnx --threads 2 --profile\n"
     "  fewbit bench model_int8.onnx --against model.onnx",
     add_bench},
    {"bench-kernels", "Measures the kernels alone, against the limits of this machine",
     "  fewbit bench-kernels --filter int4/g32/1x4096x4096 --threads 2\n"
     "  fewbit bench-kernels --json",
     add_bench_kernels},
    {"convert", "Writes a model anew, with its weights in 16 bits if wanted",
     "  fewbit convert model.onnx -o model_fp16.onnx --to fp16\n"
     "  fewbit convert model.onnx -o model_bf16.onnx --to bf16\n"
     "  fewbit convert old.onnx -o new.onnx --external-data",
     add_convert},
    {"formats", "The storage formats: bits per weight, error, and what can carry them",
     "  fewbit formats\n"
     "  fewbit formats int4/g32 q4_K nvfp4",
     add_formats},
};

int fail(std::string message, int code) {
  for (char& c : message) {
    if (c == '\n') c = ' ';
  }
  while (!message.empty() && message.back() == ' ') message.pop_back();
  std::fflush(stdout);
  std::fprintf(stderr, "fewbit: error: %s\n", message.c_str());
  return code;
}

int exit_code(const Error& error) {
  return error.kind() == ErrorKind::kMisuse ? 2 : 1;
}

// CLI11 would call a mistyped command an unexpected argument.
Status check_command(int argc, const char* const* argv) {
  if (argc < 2 || argv[1][0] == '-') return {};
  std::vector<std::string_view> names;
  for (const Command& command : commands()) {
    if (command.name == argv[1]) return {};
    names.push_back(command.name);
  }
  return misuse("unknown command '{}'{}; see fewbit --help", argv[1], did_you_mean(names, argv[1]));
}

int parse_and_run(int argc, const char* const* argv) {
  if (Status status = check_command(argc, argv); !status.ok()) {
    return fail(status.error().message(), exit_code(status.error()));
  }
  CommandLine line({.program = "fewbit",
                    .about =
                        "Fewbit turns trained neural networks (ONNX) into few-bit ones, proves "
                        "that they are\nstill right, and runs them.",
                    .version = "fewbit " + version(),
                    .footer = "\nfewbit COMMAND --help explains a command. Exit code: 0, 1 "
                              "(failure), 2 (misuse)."});
  std::vector<Run> runs;
  for (const Command& command : commands()) {
    Arguments& arguments = line.add_command(command.name, std::string(command.summary) + ".");
    arguments.explain("\nExamples:\n" + std::string(command.examples));
    runs.push_back(command.add(arguments));
  }
  if (argc < 2) {
    std::fputs(line.help().c_str(), stderr);
    return 2;
  }
  Result<std::optional<size_t>> chosen = line.parse(argc, argv);
  if (!chosen.ok()) return fail(chosen.error().message(), exit_code(chosen.error()));
  if (!chosen.value()) return 0;  // --help, --version
  const Status status = runs[*chosen.value()]();
  return status.ok() ? 0 : fail(status.error().message(), exit_code(status.error()));
}

}  // namespace

std::span<const Command> commands() {
  return kCommands;
}

int main(int argc, const char* const* argv) {
  try {
    return parse_and_run(argc, argv);
  } catch (const std::bad_alloc&) {
    return fail("out of memory", 1);
  } catch (const std::exception& error) {
    return fail(std::string("unexpected: ") + error.what(), 1);
  }
}

}  // namespace fewbit::cli
