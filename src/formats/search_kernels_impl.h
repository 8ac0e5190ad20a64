// Included by one file per instruction set, inside its own anonymous namespace and under its own
// #pragma GCC target; never elsewhere. Products and sums are not contracted.

#include "formats/lanes_impl.h"

void try_scales(const LevelTable& table, const float* x, const float* w, int64_t n,
                ScaleTrials& trials) {
  const F inverse = load(trials.inverse_scale.data());
  F dot{};
  F norm{};
  for (int64_t i = 0; i < n; ++i) {
    const F t = inverse * x[i];
    F level = splat(table.levels[0]);
    for (int k = 1; k < table.count; ++k) {
      const auto at = static_cast<size_t>(k);
      level = t > splat(table.middles[at - 1]) ? splat(table.levels[at]) : level;
    }
    const F wl = level * w[i];
    dot += wl * x[i];
    norm += wl * level;
  }
  store(trials.dot.data(), dot);
  store(trials.norm.data(), norm);
}

template <int Length>
inline void insert(F score, I id, F (&scores)[Length], I (&ids)[Length]) {
  for (int k = 0; k < Length; ++k) {
    const I ahead = score < scores[k];
    const F old_score = scores[k];
    const I old_id = ids[k];
    scores[k] = ahead ? score : old_score;
    ids[k] = ahead ? id : old_id;
    score = ahead ? old_score : score;
    id = ahead ? old_id : id;
  }
}

template <int Width, int Length>
void scan_as(const EntryScan& scan, Beam& beam) {
  F vectors[Width];
  for (int j = 0; j < Width; ++j) vectors[j] = load(scan.vectors + j * kSearchLanes);
  F scores[Length];
  I ids[Length];
  for (size_t k = 0; k < Length; ++k) {
    scores[k] = load(beam.score[k].data());
    ids[k] = load(beam.id[k].data());
  }
  const F base = load(scan.base);
  const float* entry = scan.entries;
  for (int32_t e = 0; e < static_cast<int32_t>(scan.count); ++e, entry += 1 + Width) {
    F score = base + entry[0];
    for (int j = 0; j < Width; ++j) score += vectors[j] * entry[1 + j];
    insert<Length>(score, I{} + (scan.first_id + e), scores, ids);
  }
  for (size_t k = 0; k < Length; ++k) {
    store(beam.score[k].data(), scores[k]);
    store(beam.id[k].data(), ids[k]);
  }
}

template <int Width>
void scan_width(const EntryScan& scan, int64_t length, Beam& beam) {
  length == 1 ? scan_as<Width, 1>(scan, beam) : scan_as<Width, kBeam>(scan, beam);
}

void scan_entries(const EntryScan& scan, int64_t length, Beam& beam) {
  switch (scan.width) {
    case 2:
      return scan_width<2>(scan, length, beam);
    case 4:
      return scan_width<4>(scan, length, beam);
    case 8:
      return scan_width<8>(scan, length, beam);
    default:
      return scan_width<16>(scan, length, beam);
  }
}

SearchKernels kernels(std::string_view name, bool runs_here) {
  return {name, runs_here, try_scales, scan_entries};
}
