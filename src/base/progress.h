#pragma once
// A progress bar on stderr for whatever takes longer than a second.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <mutex>
#include <string>
#include <string_view>

namespace fewbit {

/// The line that a bar shows, at most `columns` wide, without line end: label, bar, share, rate and
/// the time left. `total` <= 0 means unknown: then no bar, share or time left.
std::string progress_line(std::string_view label, std::string_view unit, int64_t done,
                          int64_t total, double elapsed_s, int columns);

/// Shows itself only when the stream is a terminal, only after a second, and at most ten times per
/// second; removes itself at the end. advance() may be called from any thread.
class Progress {
 public:
  /// `unit` in the plural ("images"); `total` in the same unit, <= 0 if unknown.
  Progress(std::string label, std::string unit, int64_t total, std::FILE* stream = stderr);
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress();

  void advance(int64_t count = 1);

 private:
  void draw(double elapsed_s);
  double elapsed_s() const;

  std::string label_;
  std::string unit_;
  int64_t total_;
  std::FILE* stream_;
  bool terminal_;
  std::chrono::steady_clock::time_point start_;
  std::atomic<int64_t> done_{0};
  std::atomic<double> next_draw_s_{1.0};
  std::mutex mutex_;
  bool drawn_ = false;
};

}  // namespace fewbit
