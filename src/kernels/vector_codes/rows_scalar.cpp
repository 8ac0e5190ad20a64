// The row of plain C++, for any processor.

#include <cmath>
#include <cstring>

#include "kernels/vector_codes/vector_core.h"

namespace fewbit::vector_codes {
namespace {

// Code of lane `lane`, vector `i` of unit u in the chunk at p.
uint8_t code_at(const Layout& layout, const uint8_t* p, int64_t u, int64_t lane, int64_t i) {
  const int64_t byte = 4 * lane + i;
  if (!layout.small) return p[byte];
  const int low = p[u / 2 * kLineBytes + byte] >> 4 * (u % 2) & 0x0f;
  const int top = p[2 * kLineBytes + byte] >> 2 * u & 3;
  return static_cast<uint8_t>(low | top << 4);
}

// One row of weights times one row of activations.
float product(const PanelJob& job, const uint8_t* p, int64_t lane, int64_t m) {
  const Layout& layout = *job.layout;
  const int8_t* x = job.x.q + m * job.x.q_stride;
  float total = 0;
  for (int64_t g = 0; g < layout.groups; ++g) {
    int32_t sum = job.x.start[m * layout.groups + g];
    for (int64_t c = 0; c < layout.chunks; ++c, x += layout.chunk_elems()) {
      const auto* entries = reinterpret_cast<const int8_t*>(job.tables);
      for (int64_t b = 0; b < layout.books; ++b, p += layout.chunk_bytes()) {
        for (int64_t v = 0; v < layout.units() * kUnitVectors; ++v) {
          const uint8_t code = code_at(layout, p, v / kUnitVectors, lane, v % kUnitVectors);
          for (int64_t d = 0; d < layout.dim; ++d) {
            sum += entries[code * layout.dim + d] * x[v * layout.dim + d];
          }
        }
        entries += layout.entries() * layout.dim;
      }
    }
    float scale;
    std::memcpy(&scale, p + 4 * lane, sizeof(scale));
    total = std::fma(scale, static_cast<float>(sum), total);
    p += kPanelRows * 4;
  }
  return total * job.x.scale[m];
}

void run(const PanelJob& job) {
  for (int64_t i = 0; i < job.panel_count; ++i) {
    const uint8_t* p = job.panels + i * job.layout->panel_bytes;
    for (int64_t m = 0; m < job.rows; ++m) {
      for (int64_t lane = 0; lane < kPanelRows; ++lane) {
        job.y[m * job.y_stride + i * kPanelRows + lane] = product(job, p, lane, m);
      }
    }
  }
}

}  // namespace

const Row kScalarRow = {Isa::kScalar, "scalar", false, Order::kByVector, 0, run};

}  // namespace fewbit::vector_codes
