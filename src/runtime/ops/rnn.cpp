// RNN, GRU and LSTM.
//
// For each direction the products of all inputs with W are formed at once; then step by step those
// of the state with R. Sequences of a batch may have different lengths: a finished one keeps its
// state and its outputs are zero.

#include <algorithm>
#include <cstring>

#include "runtime/ops/matrix_product.h"
#include "runtime/ops/rnn_activation.h"
#include "runtime/ops/tables.h"
#include "runtime/ops/window.h"

namespace fewbit::ops {
namespace {

enum class Cell { kRnn, kGru, kLstm };

int64_t gates_of(Cell cell) {
  return cell == Cell::kRnn ? 1 : (cell == Cell::kGru ? 3 : 4);
}

struct RnnProblem {
  Cell cell;
  int64_t steps, batch, input, hidden, directions;
  bool first_reverse, batch_first, linear_before_reset, input_forget;
  std::vector<int64_t> lengths;
  std::vector<RnnActivation> activations;  ///< per direction as the cell needs them

  int64_t input_row(int64_t t, int64_t b) const {
    return batch_first ? b * steps + t : t * batch + b;
  }
  int64_t output_row(int64_t t, int64_t d, int64_t b) const {
    return batch_first ? (b * steps + t) * directions + d : (t * directions + d) * batch + b;
  }
  int64_t state_row(int64_t d, int64_t b) const {
    return batch_first ? b * directions + d : d * batch + b;
  }
  Dims state_dims() const {
    return batch_first ? Dims{batch, directions, hidden} : Dims{directions, batch, hidden};
  }
};

Status read_direction(const Node& node, RnnProblem& p) {
  const std::string direction = node.get_string("direction", "forward");
  p.directions = direction == "bidirectional" ? 2 : 1;
  p.first_reverse = direction == "reverse";
  if (p.directions == 2 || p.first_reverse || direction == "forward") return {};
  return node_error(node, "direction '{}' is not known", direction);
}

Status read_lengths(const OpContext& ctx, RnnProblem& p) {
  p.lengths.assign(static_cast<size_t>(p.batch), p.steps);
  if (!ctx.has(4)) return {};
  const std::array<int64_t, 1> dims{p.batch};
  FEWBIT_TRY(need_dims(ctx, 4, dims, "sequence_lens"));
  FEWBIT_ASSIGN(p.lengths, read_ints(ctx.node(), ctx.in(4), "sequence_lens"));
  for (int64_t length : p.lengths) {
    if (length < 0 || length > p.steps) {
      return node_error(ctx.node(), "a sequence length of {} in {} steps", length, p.steps);
    }
  }
  return {};
}

Status check_rnn_inputs(const OpContext& ctx, const RnnProblem& p) {
  const int64_t gates = gates_of(p.cell) * p.hidden;
  FEWBIT_TRY(need_dims(ctx, 1, Dims{p.directions, gates, p.input}, "W"));
  FEWBIT_TRY(need_dims(ctx, 2, Dims{p.directions, gates, p.hidden}, "R"));
  if (ctx.has(3)) FEWBIT_TRY(need_dims(ctx, 3, Dims{p.directions, 2 * gates}, "B"));
  if (ctx.has(5)) FEWBIT_TRY(need_dims(ctx, 5, p.state_dims(), "initial_h"));
  if (ctx.has(6)) FEWBIT_TRY(need_dims(ctx, 6, p.state_dims(), "initial_c"));
  if (ctx.has(7)) FEWBIT_TRY(need_dims(ctx, 7, Dims{p.directions, 3 * p.hidden}, "P"));
  for (const size_t i : {1, 2, 3, 5, 6, 7}) FEWBIT_TRY(need_same_type(ctx, 0, i));
  return {};
}

Result<RnnProblem> read_rnn(const OpContext& ctx, Cell cell) {
  const Node& node = ctx.node();
  const Dims& x = ctx.in(0).dims();
  const Dims& r = ctx.in(2).dims();
  if (x.size() != 3 || r.size() != 3) {
    return node_error(node, "X and R must have rank 3, are {} and {}", to_string(x), to_string(r));
  }
  RnnProblem p{};
  p.cell = cell;
  p.batch_first = node.get_int("layout", 0) != 0;
  p.steps = x[p.batch_first ? 1 : 0];
  p.batch = x[p.batch_first ? 0 : 1];
  p.input = x[2];
  p.hidden = r[2];
  p.linear_before_reset = node.get_int("linear_before_reset", 0) != 0;
  p.input_forget = node.get_int("input_forget", 0) != 0;
  if (node.get_int("hidden_size", p.hidden) != p.hidden) {
    return node_error(node, "hidden_size {} contradicts R {}", node.get_int("hidden_size", 0),
                      to_string(r));
  }
  FEWBIT_TRY(read_direction(node, p));
  FEWBIT_TRY(check_rnn_inputs(ctx, p));
  FEWBIT_TRY(read_lengths(ctx, p));
  std::vector<std::string> defaults{"Tanh"};
  if (cell == Cell::kGru) defaults = {"Sigmoid", "Tanh"};
  if (cell == Cell::kLstm) defaults = {"Sigmoid", "Tanh", "Tanh"};
  FEWBIT_ASSIGN(p.activations,
                read_rnn_activations(node, static_cast<size_t>(p.directions), defaults));
  return p;
}

// The matrix [rows, columns] as [columns, rows].
template <typename T>
std::vector<T> transposed(const T* m, int64_t rows, int64_t columns) {
  std::vector<T> out(static_cast<size_t>(rows * columns));
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t j = 0; j < columns; ++j)
      out[static_cast<size_t>(j * rows + i)] = m[i * columns + j];
  }
  return out;
}

// One direction: its weights, the products of the inputs, and the state of every sequence.
template <typename T>
struct Direction {
  const RnnProblem& p;
  const RnnActivation* act;
  Tensor inputs;               ///< X W^T [rows of X, gates], biases included (GRU: see hidden_bias)
  std::vector<T> r;            ///< [hidden, gates]; GRU: [hidden, 2 hidden] and r_hidden
  std::vector<T> r_hidden;     ///< GRU only: [hidden, hidden]
  std::vector<T> hidden_bias;  ///< GRU only: the recurrent bias of its hidden gate
  const T* peepholes = nullptr;
  std::vector<T> h, c;  ///< [batch, hidden]

  const T* input_row(int64_t row) const {
    return inputs.template data<T>() + row * gates_of(p.cell) * p.hidden;
  }
};

template <typename T>
Result<Direction<T>> make_direction(const OpContext& ctx, const RnnProblem& p, int64_t d) {
  const int64_t hidden = p.hidden, gates = gates_of(p.cell) * hidden;
  const auto count = static_cast<int64_t>(p.activations.size()) / p.directions;
  Direction<T> dir{p, p.activations.data() + d * count, {}, {}, {}, {}, nullptr, {}, {}};
  FEWBIT_ASSIGN(dir.inputs, make_tensor(ctx.node(), ctx.in(0).type(), {p.steps, p.batch, gates}));
  T* inputs = dir.inputs.template data<T>();
  const int64_t rows = p.steps * p.batch;
  const auto w = transposed(ctx.in(1).data<T>() + d * gates * p.input, gates, p.input);
  matrix_product(rows, gates, p.input, ctx.in(0).data<T>(), w.data(), inputs);
  const T* r = ctx.in(2).data<T>() + d * gates * hidden;
  const int64_t together = p.cell == Cell::kGru ? 2 * hidden : gates;
  dir.r = transposed(r, together, hidden);
  if (p.cell == Cell::kGru) {
    dir.r_hidden = transposed(r + together * hidden, hidden, hidden);
    dir.hidden_bias.assign(static_cast<size_t>(hidden), T{0});
  }
  if (ctx.has(3)) {
    const T* wb = ctx.in(3).data<T>() + d * 2 * gates;
    const T* rb = wb + gates;
    for (int64_t row = 0; row < rows; ++row) {
      T* x = inputs + row * gates;
      for (int64_t g = 0; g < gates; ++g) x[g] += wb[g] + (g < together ? rb[g] : T{0});
    }
    if (p.cell == Cell::kGru) dir.hidden_bias.assign(rb + together, rb + gates);
  }
  if (ctx.has(7)) dir.peepholes = ctx.in(7).data<T>() + d * 3 * hidden;
  for (std::vector<T>* state : {&dir.h, &dir.c}) {
    const size_t input = state == &dir.h ? 5 : 6;
    state->assign(static_cast<size_t>(p.batch * hidden), T{0});
    for (int64_t b = 0; ctx.has(input) && b < p.batch; ++b) {
      std::copy_n(ctx.in(input).data<T>() + p.state_row(d, b) * hidden, hidden,
                  state->data() + b * hidden);
    }
  }
  return dir;
}

template <typename T>
void rnn_row(const Direction<T>& dir, const T* x, const T* recurrent, T* h) {
  for (int64_t i = 0; i < dir.p.hidden; ++i) h[i] = dir.act[0](x[i] + recurrent[i]);
}

// Gates i, o, f, c. Peepholes see the old cell at i and f, the new one at o. The clip is for the
// gates; the cell that enters the output is not limited (as in ONNX Runtime).
template <typename T>
void lstm_row(const Direction<T>& dir, const T* x, const T* recurrent, T* h, T* c) {
  const int64_t n = dir.p.hidden;
  const T* peep = dir.peepholes;
  for (int64_t i = 0; i < n; ++i) {
    const auto gate = [&](int64_t k) { return x[k * n + i] + recurrent[k * n + i]; };
    const auto look = [&](int64_t k, T cell) {
      return peep != nullptr ? peep[k * n + i] * cell : T{0};
    };
    const T in = dir.act[0](gate(0) + look(0, c[i]));
    const T forget = dir.p.input_forget ? 1 - in : dir.act[0](gate(2) + look(2, c[i]));
    c[i] = forget * c[i] + in * dir.act[1](gate(3));
    h[i] = dir.act[0](gate(1) + look(1, c[i])) * dir.act[2].unclipped(c[i]);
  }
}

// Scratch of one step: products of the state with R.
template <typename T>
struct StepScratch {
  std::vector<T> recurrent, reset, hidden;
};

// Gates z, r, h for the whole batch; `live` says which sequences go on, `row` which input each has.
// Cho et al., 2014; linear_before_reset is the variant of Nvidia's cuDNN.
template <typename T>
void gru_step(Direction<T>& dir, const std::vector<int64_t>& rows, StepScratch<T>& s) {
  const RnnProblem& p = dir.p;
  const int64_t n = p.hidden;
  s.reset.resize(dir.h.size());
  s.hidden.resize(dir.h.size());
  for (int64_t b = 0; b < p.batch; ++b) {
    const T* h = dir.h.data() + b * n;
    T* reset = s.reset.data() + b * n;
    std::copy_n(h, n, reset);
    if (p.linear_before_reset || rows[static_cast<size_t>(b)] < 0) continue;
    const T* x = dir.input_row(rows[static_cast<size_t>(b)]);
    const T* recurrent = s.recurrent.data() + b * 2 * n;
    for (int64_t i = 0; i < n; ++i) reset[i] *= dir.act[0](x[n + i] + recurrent[n + i]);
  }
  matrix_product(p.batch, n, n, s.reset.data(), dir.r_hidden.data(), s.hidden.data());
  for (int64_t b = 0; b < p.batch; ++b) {
    if (rows[static_cast<size_t>(b)] < 0) continue;
    const T* x = dir.input_row(rows[static_cast<size_t>(b)]);
    const T* recurrent = s.recurrent.data() + b * 2 * n;
    T* h = dir.h.data() + b * n;
    for (int64_t i = 0; i < n; ++i) {
      T inner = s.hidden[static_cast<size_t>(b * n + i)] + dir.hidden_bias[static_cast<size_t>(i)];
      if (p.linear_before_reset) inner *= dir.act[0](x[n + i] + recurrent[n + i]);
      const T update = dir.act[0](x[i] + recurrent[i]);
      h[i] = (1 - update) * dir.act[1](x[2 * n + i] + inner) + update * h[i];
    }
  }
}

template <typename T>
void step(Direction<T>& dir, const std::vector<int64_t>& rows, StepScratch<T>& s) {
  const RnnProblem& p = dir.p;
  const int64_t n = p.hidden, gates = gates_of(p.cell) * n;
  const int64_t columns = p.cell == Cell::kGru ? 2 * n : gates;
  s.recurrent.resize(static_cast<size_t>(p.batch * columns));
  matrix_product(p.batch, columns, n, dir.h.data(), dir.r.data(), s.recurrent.data());
  if (p.cell == Cell::kGru) return gru_step(dir, rows, s);
  for (int64_t b = 0; b < p.batch; ++b) {
    if (rows[static_cast<size_t>(b)] < 0) continue;
    const T* x = dir.input_row(rows[static_cast<size_t>(b)]);
    const T* recurrent = s.recurrent.data() + b * columns;
    if (p.cell == Cell::kRnn) {
      rnn_row(dir, x, recurrent, dir.h.data() + b * n);
    } else {
      lstm_row(dir, x, recurrent, dir.h.data() + b * n, dir.c.data() + b * n);
    }
  }
}

// All steps of direction d; y (may be nullptr) is zero beforehand.
template <typename T>
void run_direction(Direction<T>& dir, int64_t d, T* y) {
  const RnnProblem& p = dir.p;
  const bool reverse = d == 1 || p.first_reverse;
  StepScratch<T> scratch;
  std::vector<int64_t> rows(static_cast<size_t>(p.batch)), times(rows);
  for (int64_t s = 0; s < p.steps; ++s) {
    for (int64_t b = 0; b < p.batch; ++b) {
      const auto at = static_cast<size_t>(b);
      times[at] = reverse ? p.lengths[at] - 1 - s : s;
      rows[at] = s < p.lengths[at] ? p.input_row(times[at], b) : -1;
    }
    step(dir, rows, scratch);
    for (int64_t b = 0; y != nullptr && b < p.batch; ++b) {
      const auto at = static_cast<size_t>(b);
      if (rows[at] < 0) continue;
      std::copy_n(dir.h.data() + b * p.hidden, p.hidden,
                  y + p.output_row(times[at], d, b) * p.hidden);
    }
  }
}

template <typename T>
Status run_rnn(OpContext& ctx, const RnnProblem& p) {
  const DType type = ctx.in(0).type();
  T *y = nullptr, *last_h = nullptr, *last_c = nullptr;
  if (ctx.wants(0)) {
    const Dims dims = p.batch_first ? Dims{p.batch, p.steps, p.directions, p.hidden}
                                    : Dims{p.steps, p.directions, p.batch, p.hidden};
    FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 0, type, dims));
    y = out->data<T>();
    std::fill_n(y, out->elements(), T{0});
  }
  if (ctx.wants(1)) {
    FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 1, type, p.state_dims()));
    last_h = out->data<T>();
  }
  if (ctx.wants(2)) {
    FEWBIT_ASSIGN(Tensor * out, make_output(ctx, 2, type, p.state_dims()));
    last_c = out->data<T>();
  }
  for (int64_t d = 0; d < p.directions; ++d) {
    FEWBIT_ASSIGN(Direction<T> dir, make_direction<T>(ctx, p, d));
    run_direction(dir, d, y);
    for (int64_t b = 0; b < p.batch; ++b) {
      const int64_t to = p.state_row(d, b) * p.hidden;
      if (last_h != nullptr) std::copy_n(dir.h.data() + b * p.hidden, p.hidden, last_h + to);
      if (last_c != nullptr) std::copy_n(dir.c.data() + b * p.hidden, p.hidden, last_c + to);
    }
  }
  return {};
}

template <Cell cell>
Status rnn(OpContext& ctx) {
  FEWBIT_ASSIGN(const RnnProblem p, read_rnn(ctx, cell));
  return dispatch(ctx.node(), ctx.in(0).type(), Floats{}, [&](auto tag) -> Status {
    return run_rnn<typename decltype(tag)::type>(ctx, p);
  });
}

constexpr OpRow kRows[] = {
    {"", "RNN", 7, in_float<rnn<Cell::kRnn>>},
    {"", "GRU", 7, in_float<rnn<Cell::kGru>>},
    {"", "LSTM", 7, in_float<rnn<Cell::kLstm>>},
};

}  // namespace

std::span<const OpRow> rnn_table() {
  return kRows;
}

}  // namespace fewbit::ops
