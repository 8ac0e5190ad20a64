// Data-set files (TOML): only the text; no path in it is opened.

#include "data/dataset_file.h"
#include "fuzz_target.h"

FEWBIT_FUZZ_TARGET(bytes) {
  const std::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  const auto file = fewbit::parse_dataset_file(text, "fuzz.toml");
  if (!file.ok()) {
    FEWBIT_CHECK(file.error().message().starts_with("fuzz.toml"), file.error().message());
    return;
  }
  FEWBIT_CHECK(file->kind == fewbit::DataSetFile::Kind::kImages || !file->inputs.empty());
  FEWBIT_CHECK(!file->limit || *file->limit > 0);
}
