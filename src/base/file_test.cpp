#include "base/file.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>

namespace fewbit {
namespace {

namespace fs = std::filesystem;

class FileTest : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = fs::path(testing::TempDir()) /
              fmt::format("fewbit_file_test_{}_{}", ::getpid(),
                          testing::UnitTest::GetInstance()->current_test_info()->name());
    fs::create_directories(folder_);
  }
  void TearDown() override { fs::remove_all(folder_); }
  std::string at(const std::string& name) const { return (folder_ / name).string(); }
  size_t files() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(folder_), {}));
  }
  fs::path folder_;
};

TEST_F(FileTest, WritesThenMapsAndReads) {
  ASSERT_TRUE(write_file(at("a.txt"), "hello").ok());
  auto mapped = MappedFile::open(at("a.txt"));
  ASSERT_TRUE(mapped.ok());
  EXPECT_EQ(mapped->text(), "hello");
  EXPECT_EQ(*read_file(at("a.txt")), "hello");
  EXPECT_EQ(files(), 1U);
}

TEST_F(FileTest, MappingOutlivesItsHandle) {
  ASSERT_TRUE(write_file(at("a"), "abc").ok());
  std::shared_ptr<void> owner;
  const std::byte* data = nullptr;
  {
    MappedFile file = *MappedFile::open(at("a"));
    owner = file.owner();
    data = file.data();
  }
  EXPECT_EQ(static_cast<char>(data[2]), 'c');
}

TEST_F(FileTest, EmptyFile) {
  ASSERT_TRUE(write_file(at("e"), "").ok());
  auto mapped = MappedFile::open(at("e"));
  ASSERT_TRUE(mapped.ok());
  EXPECT_EQ(mapped->size(), 0U);
  EXPECT_EQ(*read_file(at("e")), "");
}

TEST_F(FileTest, ErrorsNameThePath) {
  const auto missing = MappedFile::open(at("none"));
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.error().kind(), ErrorKind::kIo);
  EXPECT_NE(missing.error().message().find(at("none") + ": cannot open: No such file"),
            std::string::npos);
  EXPECT_NE(MappedFile::open(folder_.string()).error().message().find("is a folder"),
            std::string::npos);
  EXPECT_NE(read_file(folder_.string()).error().message().find("is a folder"), std::string::npos);
  EXPECT_NE(AtomicFile::create(at("no/such")).error().message().find("there is no folder"),
            std::string::npos);
  EXPECT_NE(AtomicFile::create(folder_.string()).error().message().find("it is a folder"),
            std::string::npos);
  EXPECT_NE(AtomicFile::create("/dev/null").error().message().find("not a regular file"),
            std::string::npos);
}

TEST_F(FileTest, ReadOnlyFolder) {
  fs::permissions(folder_, fs::perms(0555));
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    // root may write everywhere, so become somebody else
    if (::geteuid() == 0 && ::seteuid(65534) != 0) ::_exit(2);
    const auto file = AtomicFile::create(at("x"));
    const bool named =
        !file.ok() && file.error().message().find("no permission in folder") != std::string::npos;
    ::_exit(named ? 0 : 1);
  }
  int state = 0;
  ASSERT_EQ(::waitpid(child, &state, 0), child);
  EXPECT_EQ(WEXITSTATUS(state), 0);
  fs::permissions(folder_, fs::perms::owner_all);
}

TEST_F(FileTest, WithoutCommitNothingAppears) {
  ASSERT_TRUE(write_file(at("a"), "old").ok());
  {
    AtomicFile file = std::move(*AtomicFile::create(at("a")));
    ASSERT_TRUE(file.write("new").ok());
    EXPECT_EQ(files(), 2U);
    EXPECT_EQ(*read_file(at("a")), "old");
  }
  EXPECT_EQ(files(), 1U);
  EXPECT_EQ(*read_file(at("a")), "old");
}

TEST_F(FileTest, LargeAndSmallWritesKeepTheirOrder) {
  std::string expected;
  AtomicFile file = std::move(*AtomicFile::create(at("a")));
  for (int i = 0; i < 40; ++i) {
    const std::string part(static_cast<size_t>(i) * 17001 % 300001,
                           static_cast<char>('a' + i % 26));
    ASSERT_TRUE(file.write(part).ok());
    expected += part;
  }
  EXPECT_EQ(file.offset(), expected.size());
  ASSERT_TRUE(file.align(4096).ok());
  expected.resize((expected.size() + 4095) / 4096 * 4096, '\0');
  ASSERT_TRUE(file.overwrite(5, std::as_bytes(std::span("XYZ", 3))).ok());
  expected.replace(5, 3, "XYZ");
  ASSERT_TRUE(file.write("end").ok());
  expected += "end";
  ASSERT_TRUE(file.commit().ok());
  EXPECT_EQ(*read_file(at("a")), expected);
}

TEST_F(FileTest, LinkIsFollowed) {
  ASSERT_TRUE(write_file(at("real"), "old").ok());
  fs::create_symlink("real", at("link"));
  ASSERT_TRUE(write_file(at("link"), "new").ok());
  EXPECT_TRUE(fs::is_symlink(at("link")));
  EXPECT_EQ(*read_file(at("real")), "new");
}

TEST_F(FileTest, PermissionsFollowTheUmask) {
  ASSERT_TRUE(write_file(at("a"), "x").ok());
  std::ofstream(at("b")) << "x";
  EXPECT_EQ(fs::status(at("a")).permissions(), fs::status(at("b")).permissions());
}

// A limit on the size of files stands in for a full disk: the write fails in the same place.
TEST_F(FileTest, FailedWriteLeavesTheOldFile) {
  ASSERT_TRUE(write_file(at("a"), "old").ok());
  const pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1 << 20, 1 << 20};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string big(3 << 20, 'x');
    const Status status = write_file(at("a"), big);
    ::_exit(!status.ok() && status.error().message().find(at("a")) == 0 ? 0 : 1);
  }
  int state = 0;
  ASSERT_EQ(::waitpid(child, &state, 0), child);
  EXPECT_EQ(WEXITSTATUS(state), 0);
  EXPECT_EQ(*read_file(at("a")), "old");
  EXPECT_EQ(files(), 1U);
}

TEST_F(FileTest, FullDisk) {
  if (::access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full here";
  // /dev/full is a device, which AtomicFile refuses; a link to it must be refused alike.
  fs::create_symlink("/dev/full", at("full"));
  EXPECT_FALSE(write_file(at("full"), "x").ok());
  EXPECT_TRUE(fs::exists("/dev/full"));
}

}  // namespace
}  // namespace fewbit
