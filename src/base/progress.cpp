#include "base/progress.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "base/text.h"

namespace fewbit {
namespace {

constexpr int kBarColumns = 24;
constexpr double kRedrawSeconds = 0.1;

int columns_of(std::FILE* stream) {
  winsize size{};
  if (::ioctl(::fileno(stream), TIOCGWINSZ, &size) != 0 || size.ws_col == 0) return 80;
  return size.ws_col;
}

}  // namespace

std::string progress_line(std::string_view label, std::string_view unit, int64_t done,
                          int64_t total, double elapsed_s, int columns) {
  const double rate = elapsed_s > 0 ? static_cast<double>(done) / elapsed_s : 0;
  std::string line;
  if (total <= 0) {
    line = fmt::format("{}  {} {}  {} {}/s", label, done, unit, human_count(rate), unit);
  } else {
    const double share = std::clamp(static_cast<double>(done) / static_cast<double>(total), 0., 1.);
    const auto filled = static_cast<size_t>(std::floor(share * kBarColumns));
    line =
        fmt::format("{} [{}{}] {:3.0f} %  {}/{}", label, std::string(filled, '#'),
                    std::string(kBarColumns - filled, '.'), std::floor(share * 100), done, total);
    line += fmt::format("  {} {}/s", human_count(rate), unit);
    if (rate > 0 && done < total) {
      line += fmt::format("  {} left", human_seconds(static_cast<double>(total - done) / rate));
    }
  }
  if (columns > 0 && line.size() > static_cast<size_t>(columns)) {
    line.resize(static_cast<size_t>(columns));
  }
  return line;
}

Progress::Progress(std::string label, std::string unit, int64_t total, std::FILE* stream)
    : label_(std::move(label)),
      unit_(std::move(unit)),
      total_(total),
      stream_(stream),
      terminal_(::isatty(::fileno(stream)) == 1),
      start_(std::chrono::steady_clock::now()) {}

Progress::~Progress() {
  if (drawn_) {
    std::fputs("\r\033[K", stream_);
    std::fflush(stream_);
  }
}

double Progress::elapsed_s() const {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
}

void Progress::advance(int64_t count) {
  done_.fetch_add(count, std::memory_order_relaxed);
  if (!terminal_) return;
  const double now_s = elapsed_s();
  double due_s = next_draw_s_.load(std::memory_order_relaxed);
  // Whoever moves the due time on is the one thread that draws.
  if (now_s < due_s || !next_draw_s_.compare_exchange_strong(due_s, now_s + kRedrawSeconds)) {
    return;
  }
  draw(now_s);
}

void Progress::draw(double elapsed) {
  const std::lock_guard lock(mutex_);
  // One column stays free: a full line would wrap on some terminals.
  const std::string line = progress_line(label_, unit_, done_.load(std::memory_order_relaxed),
                                         total_, elapsed, columns_of(stream_) - 1);
  std::fputs(fmt::format("\r{}\033[K", line).c_str(), stream_);
  std::fflush(stream_);
  drawn_ = true;
}

}  // namespace fewbit
