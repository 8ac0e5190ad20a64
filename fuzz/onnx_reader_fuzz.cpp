// Any bytes: read as an ONNX model. What can be read must be writable, what was written must be
// readable, and writing is a fixed point.

#include "fuzz_target.h"
#include "io/onnx/reader.h"
#include "io/onnx/writer.h"

FEWBIT_FUZZ_TARGET(bytes) {
  fewbit::OnnxReadOptions options;
  options.max_dense_bytes = 1 << 20;
  options.max_inlined_bytes = 1 << 20;
  fewbit::Result<fewbit::Model> model = fewbit::parse_onnx(bytes, nullptr, "", options);
  if (!model.ok()) {
    FEWBIT_CHECK(!model.error().message().empty());
    return;
  }
  fewbit::Result<std::string> once = fewbit::serialize_onnx(*model);
  FEWBIT_CHECK(once.ok(), once.error().message());
  fewbit::Result<fewbit::Model> again = fewbit::parse_onnx(std::as_bytes(std::span(*once)));
  FEWBIT_CHECK(again.ok(), again.error().message());
  fewbit::Result<std::string> twice = fewbit::serialize_onnx(*again);
  FEWBIT_CHECK(twice.ok() && *once == *twice);
}
