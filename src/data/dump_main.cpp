// fewbit_data_dump SET.toml FOLDER: writes what a data set gives (feed0.npy, feed1.npy, ...,
// labels.npy) and prints its size, feeds and hash. For the tests that compare with other readers.

#include <cstdio>
#include <filesystem>

#include "data/dataset.h"
#include "data/npy.h"

namespace {

using namespace fewbit;

Status dump(const std::string& path, const std::string& folder) {
  FEWBIT_ASSIGN(const DataSet set, DataSet::open(path));
  FEWBIT_ASSIGN(const Batch batch, set.batch(0, set.size()));
  for (size_t i = 0; i < batch.feeds.size(); ++i) {
    FEWBIT_TRY(write_npy(fmt::format("{}/feed{}.npy", folder, i), batch.feeds[i].value));
    fmt::print("feed '{}' {} {}\n", batch.feeds[i].name, name_of(batch.feeds[i].value.type()),
               to_string(batch.feeds[i].value.dims()));
  }
  FEWBIT_TRY(write_npy(folder + "/labels.npy", Tensor::from<int64_t>({set.size()}, batch.labels)));
  FEWBIT_ASSIGN(const std::string hash, set.hash());
  fmt::print("samples {} max_label {} first {} hash {}\n", set.size(), set.max_label(), set.name(0),
             hash);
  return {};
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: fewbit_data_dump SET.toml FOLDER\n", stderr);
    return 2;
  }
  const Status status = dump(argv[1], argv[2]);
  if (!status.ok()) fmt::print(stderr, "error: {}\n", status.error().message());
  return status.ok() ? 0 : 1;
}
