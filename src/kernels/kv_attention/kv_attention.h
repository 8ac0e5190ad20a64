#pragma once
// Attention of new tokens to a key-value cache (A. Vaswani et al., "Attention Is All You Need",
// 2017, equation 1), with grouped heads (J. Ainslie et al., "GQA", 2023):
//
//   out[t, h] = sum_p w[p] v[p, g] / sum_p w[p]     g = h / (heads / key-value heads)
//   w[p] = e^s(p),   s(p) = scale * q[t, h] . k[p, g], or cap * tanh of that / cap (Gemma 2)
//
// The tokens have been appended to the cache before: token t of M stands at position
// tokens() - M + t. It sees positions up to its own (`causal`) and of these the last `window`.
// A row that sees nothing is 0. A row of q with NaN or infinity gives a row of NaN.
//
// What is rounded, besides float32 sums, against attention on what the cache holds (KvCache::read):
//
//   few rows     int8, int4: q and the weights to 15 bits a block (few_rows.h)
//                float32, bfloat16, fp8: nothing
//   many rows    with AMX, except float32: q, weights, keys and values to bfloat16
//                else: nothing
//
// "Few" are up to kFewRows rows of queries a key-value head.

#include <span>

#include "kernels/kernel_cases.h"
#include "kernels/kv_attention/kv_cache.h"

namespace fewbit {

struct AttentionOptions {
  int64_t heads = 1;   ///< of q: a multiple of the cache's
  float scale = 0;     ///< 0: 1 / sqrt(head size)
  float softcap = 0;   ///< 0: none
  int64_t window = 0;  ///< positions that a token sees, its own included; 0: all
  bool causal = true;
};

/// The new tokens of one sequence.
struct AttentionSequence {
  const KvCache* cache = nullptr;
  int64_t tokens = 0;        ///< M, no more than the cache's if causal
  const float* q = nullptr;  ///< [M, heads, head_size], tokens q_stride elements apart
  int64_t q_stride = 0;      ///< 0: heads * head_size
  float* out = nullptr;      ///< as q; may be q
  int64_t out_stride = 0;    ///< 0: heads * head_size
};

/// All sequences of a batch at once; their caches have the same number and size of heads. The
/// result is the same for any number of threads up to the rounding of float32 sums.
void attend(std::span<const AttentionSequence> batch, const AttentionOptions& options, int threads);

/// For kernel_cases.h.
std::vector<KernelCase> kv_attention_cases();

}  // namespace fewbit
