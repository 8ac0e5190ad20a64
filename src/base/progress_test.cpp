#include "base/progress.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <thread>

namespace fewbit {
namespace {

TEST(Progress, LineShowsBarRateAndTimeLeft) {
  EXPECT_EQ(progress_line("calibrate", "images", 50, 200, 2.0, 120),
            "calibrate [######..................]  25 %  50/200  25 images/s  6.00 s left");
  EXPECT_EQ(progress_line("read", "lines", 30, 0, 2.0, 120), "read  30 lines  15 lines/s");
}

TEST(Progress, LineAtItsEdges) {
  EXPECT_EQ(progress_line("x", "u", 200, 200, 2.0, 120),
            "x [########################] 100 %  200/200  100 u/s");
  EXPECT_EQ(progress_line("x", "u", 199, 200, 2.0, 120).substr(27, 7), "]  99 %");  // not 100
  EXPECT_EQ(progress_line("x", "u", 300, 200, 1.0, 120).substr(0, 33),
            "x [########################] 100 ");
  EXPECT_EQ(progress_line("calibrate", "images", 50, 200, 2.0, 20).size(), 20U);
  EXPECT_EQ(progress_line("x", "u", 0, 10, 0.0, 120),
            "x [........................]   0 %  0/10  0 u/s");
}

TEST(Progress, QuietWhenNotATerminal) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  {
    Progress progress("x", "steps", 2, file);
    std::this_thread::sleep_for(std::chrono::milliseconds(1100));
    progress.advance();
  }
  EXPECT_EQ(std::ftell(file), 0);
  std::fclose(file);
}

TEST(Progress, DrawsOnATerminalAfterASecond) {
  const int controller = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (controller < 0 || ::grantpt(controller) != 0 || ::unlockpt(controller) != 0) {
    GTEST_SKIP() << "no pseudo-terminals here";
  }
  std::FILE* terminal = std::fopen(::ptsname(controller), "w");
  if (terminal == nullptr) GTEST_SKIP() << "no pseudo-terminals here";
  {
    Progress progress("x", "steps", 4, terminal);
    progress.advance();  // too early to show
    std::this_thread::sleep_for(std::chrono::milliseconds(1050));
    progress.advance();
    progress.advance();  // too soon after the last
  }
  // What was written may come in pieces; behind it, with the terminal closed, comes an error.
  std::fclose(terminal);
  std::string shown;
  char text[512];
  for (ssize_t n; (n = ::read(controller, text, sizeof(text))) > 0;) {
    shown.append(text, static_cast<size_t>(n));
  }
  ASSERT_GE(shown.size(), 4U);
  EXPECT_EQ(shown.find("\rx ["), 0U);
  EXPECT_NE(shown.find("2/4"), std::string::npos);
  EXPECT_EQ(shown.find("3/4"), std::string::npos);
  EXPECT_EQ(shown.substr(shown.size() - 4), "\r\033[K");
  ::close(controller);
}

}  // namespace
}  // namespace fewbit
