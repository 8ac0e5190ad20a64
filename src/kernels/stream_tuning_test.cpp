#include "kernels/stream_tuning.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"

namespace fewbit {
namespace {

// A folder of its own for the file.
class StreamTuningTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = testing::TempDir() + "stream_tuning_test";
    std::filesystem::remove_all(folder_);
    setenv("FEWBIT_CACHE_DIR", folder_.c_str(), 1);
  }
  void TearDown() override {
    unsetenv("FEWBIT_CACHE_DIR");
    std::filesystem::remove_all(folder_);
  }
  std::string file() const { return *read_file(folder_ + "/streams.tsv"); }

  // Fastest with four streams, 4096 bytes ahead.
  StreamTrial trial() {
    return [this](const StreamTuning& t) {
      ++trials_;
      return t.streams * 1000.0 - std::abs(static_cast<double>(t.prefetch_bytes) - 4096) / 10;
    };
  }

  std::string folder_;
  int trials_ = 0;
};

TEST_F(StreamTuningTest, MeasuresOnceAndKeepsTheFastest) {
  const StreamTuning wanted{4, 4096};
  EXPECT_EQ(tuned_streams("test/once", 2, trial()), wanted);
  const int trials = trials_;
  EXPECT_GT(trials, 0);
  EXPECT_EQ(tuned_streams("test/once", 2, trial()), wanted);
  EXPECT_EQ(trials_, trials);
  EXPECT_NE(file().find("test/once\t2\t4\t4096\n"), std::string::npos);
}

TEST_F(StreamTuningTest, ReadsTheFileAndMeasuresWhereALineIsDamaged) {
  tuned_streams("test/first", 1, trial());
  const std::string line = file();
  const std::string start = line.substr(0, line.find("test/first"));
  std::filesystem::remove_all(folder_);
  std::filesystem::create_directories(folder_);
  ASSERT_TRUE(write_file(folder_ + "/streams.tsv",
                         start + "test/read\t3\t1\t512\n" + start + "test/damaged\t3\t7\tmany\n")
                  .ok());
  trials_ = 0;
  EXPECT_EQ(tuned_streams("test/read", 3, trial()), (StreamTuning{1, 512}));
  EXPECT_EQ(trials_, 0);
  EXPECT_EQ(tuned_streams("test/damaged", 3, trial()), (StreamTuning{4, 4096}));
  EXPECT_GT(trials_, 0);
  EXPECT_NE(file().find("test/read\t3\t1\t512\n"), std::string::npos);
  EXPECT_EQ(file().find("many"), std::string::npos);
}

TEST_F(StreamTuningTest, DoesWithoutAFile) {
  setenv("FEWBIT_CACHE_DIR", "/proc/nothing/here", 1);
  EXPECT_EQ(tuned_streams("test/no file", 1, trial()), (StreamTuning{4, 4096}));
}

}  // namespace
}  // namespace fewbit
