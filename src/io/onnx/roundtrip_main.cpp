// fewbit_onnx_roundtrip IN.onnx OUT.onnx [--external]: reads and writes a model, nothing else. The
// tests compare both files in other readers of ONNX.

#include <cstdio>
#include <cstring>

#include "io/onnx/reader.h"
#include "io/onnx/writer.h"

int main(int argc, char** argv) {
  const bool external = argc == 4 && std::strcmp(argv[3], "--external") == 0;
  if (argc != 3 && !external) {
    std::fprintf(stderr, "usage: %s IN.onnx OUT.onnx [--external]\n", argv[0]);
    return 2;
  }
  std::vector<std::string> notes;
  fewbit::OnnxReadOptions options;
  options.notes = &notes;
  fewbit::Result<fewbit::Model> model = fewbit::read_onnx(argv[1], options);
  for (const std::string& line : notes) std::fprintf(stderr, "note: %s\n", line.c_str());
  if (!model.ok()) {
    std::fprintf(stderr, "error: %s\n", model.error().message().c_str());
    return 1;
  }
  fewbit::OnnxWriteOptions write_options;
  write_options.external_data = external;
  fewbit::Status status = fewbit::write_onnx(*model, argv[2], write_options);
  if (!status.ok()) {
    std::fprintf(stderr, "error: %s\n", status.error().message().c_str());
    return 1;
  }
  return 0;
}
