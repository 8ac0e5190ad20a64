// Any bytes: read as a native file, as they are and with the header's hash made right, for else
// nothing that was changed would get past it. What can be read must be writable, what was written
// must be readable and have the hashes that it states, and writing is a fixed point.

#include <cstring>

#include "fuzz_target.h"
#include "io/native/header.h"
#include "io/native/native.h"

namespace {

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

void read(std::span<const std::byte> bytes) {
  const fewbit::Result<fewbit::Model> model = fewbit::parse_native(bytes);
  const fewbit::Status verified = fewbit::verify_native(bytes);
  FEWBIT_CHECK(model.ok() || !verified.ok());
  if (!model.ok()) {
    FEWBIT_CHECK(!model.error().message().empty());
    return;
  }
  const fewbit::Result<std::string> once = fewbit::serialize_native(*model);
  FEWBIT_CHECK(once.ok(), once.error().message());
  const fewbit::Status whole = fewbit::verify_native(bytes_of(*once));
  FEWBIT_CHECK(whole.ok(), whole.error().message());
  const fewbit::Result<fewbit::Model> again = fewbit::parse_native(bytes_of(*once));
  FEWBIT_CHECK(again.ok(), again.error().message());
  const fewbit::Result<std::string> twice = fewbit::serialize_native(*again);
  FEWBIT_CHECK(twice.ok() && *once == *twice);
}

// The file with its header sealed anew, or "" if it has no place for a seal.
std::string sealed(std::span<const std::byte> bytes) {
  uint64_t length = 0;
  if (!fewbit::is_native(bytes)) return "";
  std::memcpy(&length, bytes.data(), sizeof(length));
  if (length > bytes.size() - sizeof(length)) return "";
  const std::string file(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  std::string header = file.substr(0, sizeof(length) + length);
  const std::string key = '"' + std::string(fewbit::native::kHeaderHashKey) + "\":\"";
  const std::string blank = fewbit::native::header_hash_blank();
  const size_t at = header.find(key);
  if (at == header.npos || header.size() - at - key.size() < blank.size()) return "";
  header.replace(at + key.size(), blank.size(), blank);
  fewbit::native::seal_header(header);
  return header + file.substr(header.size());
}

}  // namespace

FEWBIT_FUZZ_TARGET(bytes) {
  read(bytes);
  if (const std::string file = sealed(bytes); !file.empty()) read(bytes_of(file));
}
