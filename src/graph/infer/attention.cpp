// Attention, its variants and rotary position embedding.

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"

namespace fewbit::infer {

namespace {

// Q, K or V, whichever layout: [B, heads, length, size] or [B, length, heads * size].
struct Heads {
  Dim batch, heads, length, size;
};

Result<Heads> heads_of(const InferContext& c, size_t i, std::string_view count_attribute) {
  const Shape* s = c.shape(i);
  Heads h;
  if (s == nullptr) return h;
  if (s->size() == 4) return Heads{(*s)[0], (*s)[1], (*s)[2], (*s)[3]};
  if (s->size() != 3) return c.fail(i, "3 or 4 dimensions");
  FEWBIT_ASSIGN(int64_t count, c.required_int(count_attribute));
  if (count < 1)
    return bad_input("attribute '{}' is {}, expected 1 or more", count_attribute, count);
  const Dim& hidden = s->back();
  if (hidden.known() && hidden.value % count != 0) {
    return c.fail(i, "dimension 2 to be a multiple of {} = {}", count_attribute, count);
  }
  return Heads{(*s)[0], Dim::of(count), (*s)[1], div_exact(hidden, Dim::of(count))};
}

// Q, K, V, attn_mask?, past_key?, past_value?, nonpad_kv_seqlen?
Status attention(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kFloats));
  FEWBIT_TRY(c.check_same_elem(0, 1));
  FEWBIT_ASSIGN(Heads q, heads_of(c, 0, "q_num_heads"));
  FEWBIT_ASSIGN(Heads k, heads_of(c, 1, "kv_num_heads"));
  FEWBIT_ASSIGN(Heads v, heads_of(c, 2, "kv_num_heads"));
  if (certainly_differ(q.size, k.size)) {
    return c.fail(1, "heads of {} elements like {}", q.size.value, c.input_label(0));
  }
  Dim total = k.length;
  if (c.has(4)) {
    FEWBIT_TRY(c.check_rank(4, 4));
    total = c.has_shape(4) ? add((*c.shape(4))[2], k.length) : Dim{};
  }
  std::optional<Shape> out;
  if (c.rank(0) == 4) out = Shape{q.batch, q.heads, q.length, v.size};
  if (c.rank(0) == 3) out = Shape{q.batch, q.length, mul(q.heads, v.size)};
  c.set(0, c.elem(0), std::move(out));
  c.set(1, c.elem(1), Shape{k.batch, k.heads, total, k.size});
  c.set(2, c.elem(2), Shape{v.batch, v.heads, total, v.size});
  c.set(3, c.elem(0), Shape{q.batch, q.heads, q.length, total});
  return {};
}

// Q, K, V of four dimensions.
Status flex_attention(InferContext& c) {
  for (size_t i = 0; i < 3; ++i) FEWBIT_TRY(c.check_rank(i, 4));
  Shape out(4);
  if (const Shape* q = c.shape(0)) out = *q;
  out[3] = c.has_shape(2) ? (*c.shape(2))[3] : Dim{};
  c.set(0, c.elem(0), std::move(out));
  return {};
}

// query [B, T, Hq * dk], key [B, T, Hkv * dk], value [B, T, Hkv * dv], past_state [B, Hkv, dk, dv]
Status linear_attention(InferContext& c) {
  for (size_t i = 0; i < 3; ++i) FEWBIT_TRY(c.check_rank(i, 3));
  FEWBIT_TRY(c.required_int("q_num_heads"));
  FEWBIT_TRY(c.required_int("kv_num_heads"));
  FEWBIT_ASSIGN(Heads q, heads_of(c, 0, "q_num_heads"));
  FEWBIT_ASSIGN(Heads k, heads_of(c, 1, "kv_num_heads"));
  FEWBIT_ASSIGN(Heads v, heads_of(c, 2, "kv_num_heads"));
  Dim q_heads = dim_or_unknown(c.node().get_int("q_num_heads", -1));
  Dim kv_heads = dim_or_unknown(c.node().get_int("kv_num_heads", -1));
  c.set(0, c.elem(0), Shape{q.batch, q.length, mul(q_heads, v.size)});
  Dim batch = more_precise(q.batch, k.batch);
  c.set(1, c.has(3) ? c.elem(3) : c.elem(0), Shape{batch, kv_heads, k.size, v.size});
  return {};
}

Status rotary_embedding(InferContext& c) {
  FEWBIT_TRY(c.check_elem(0, kFloats));
  FEWBIT_TRY(c.check_same_elem(0, 1));
  FEWBIT_TRY(c.check_same_elem(0, 2));
  FEWBIT_TRY(c.check_elem(3, types(DType::kInt64)));
  c.set_type(0, c.type(0));
  return {};
}

constexpr SchemaRow kRows[] = {
    {"", "Attention", 23, 3, 6, 1, 4, attention},
    {"", "Attention", 24, 3, 7, 1, 4, attention},
    {"", "LinearAttention", 27, 3, 6, 2, 2, linear_attention},
    {"", "RotaryEmbedding", 23, 3, 4, 1, 1, rotary_embedding},
    {"ai.onnx.preview", "FlexAttention", 1, 3, 3, 1, 1, flex_attention},
};

}  // namespace

std::span<const SchemaRow> attention_rows() {
  return kRows;
}

}  // namespace fewbit::infer
