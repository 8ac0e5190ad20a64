#include "kernels/few_bit/stream_trial.h"

#include <fmt/format.h>

#include <chrono>
#include <memory>
#include <vector>

#include "base/huge_buffer.h"

namespace fewbit::few_bit {
namespace {

// Weights in 4 bits in groups of 32, more of them than caches hold: codes and scales of zero, whose
// values do not matter.
class Trial {
 public:
  Trial(const Row& row, int threads) : row_(row), threads_(threads) {
    layout_.bits = 4;
    layout_.group_elems = kChunk;
    layout_.chunks_per_group = 1;
    layout_.groups = kDepth / kChunk;
    layout_.panel_bytes = layout_.groups * layout_.step_bytes();
    panels_ = kBytes / layout_.panel_bytes / threads * threads;
    weights_ = huge_bytes(panels_ * layout_.panel_bytes);
    unit_.resize(static_cast<size_t>(panels_ * kPanelRows));
    y_ = unit_;
  }

  double bytes_per_second(const StreamTuning& tuning) {
    using Clock = std::chrono::steady_clock;
    const Clock::time_point start = Clock::now();
#pragma omp parallel for num_threads(threads_) schedule(static, 1)
    for (int t = 0; t < threads_; ++t) walk(t, tuning);
    const double seconds = std::chrono::duration<double>(Clock::now() - start).count();
    return static_cast<double>(weights_.bytes()) / seconds;
  }

 private:
  static constexpr int64_t kDepth = 4096;
  static constexpr int64_t kBytes = int64_t{192} << 20;

  void walk(int thread, const StreamTuning& tuning) {
    const int64_t each = panels_ / threads_;
    const int64_t first = thread * each;
    PanelJob job;
    job.layout = &layout_;
    job.panels = weights_.data<uint8_t>() + first * layout_.panel_bytes;
    job.row_unit = unit_.data() + first * kPanelRows;
    job.panel_count = each;
    job.x.q = q_.data();
    job.x.stride = kDepth;
    job.x.start = start_.data();
    job.x.group_sum = group_sum_.data();
    job.x.scale = &scale_;
    job.rows = 1;
    job.streams = tuning.streams;
    job.prefetch_bytes = tuning.prefetch_bytes;
    job.y = y_.data() + first * kPanelRows;
    job.y_stride = each * kPanelRows;
    row_.run(job);
  }

  const Row& row_;
  const int threads_;
  Layout layout_;
  int64_t panels_ = 0;
  Tensor weights_;
  std::vector<float> unit_, y_;
  std::vector<int8_t> q_ = std::vector<int8_t>(kDepth);
  std::vector<int32_t> start_ = std::vector<int32_t>(kDepth / kChunk);
  std::vector<float> group_sum_ = std::vector<float>(kDepth / kChunk);
  float scale_ = 1;
};

}  // namespace

StreamTuning streams_of(const Row& row, int threads) {
  // Asked for at every product: neither a lock nor a name where the thread knows the answer.
  struct Known {
    const Row* row = nullptr;
    int threads = 0;
    StreamTuning tuning;
  };
  static thread_local Known known;
  if (known.row == &row && known.threads == threads) return known.tuning;
  std::unique_ptr<Trial> trial;  // its memory is wanted only where nothing is known yet
  const StreamTuning tuning =
      tuned_streams(fmt::format("few_bit/{}", row.label), threads, [&](const StreamTuning& t) {
        if (trial == nullptr) trial = std::make_unique<Trial>(row, threads);
        return trial->bytes_per_second(t);
      });
  known = {&row, threads, tuning};
  return tuning;
}

}  // namespace fewbit::few_bit
