// Recurrent layers: RNN, GRU, LSTM.

#include "graph/infer/common.h"
#include "graph/infer/infer_table.h"

namespace fewbit::infer {

namespace {

// X [seq, batch, input], W [directions, gates * hidden, input], R [directions, gates * hidden,
// hidden]; with layout = 1 batch comes first everywhere but in W and R.
Status recurrent(InferContext& c, int64_t gates, size_t states) {
  for (size_t i = 0; i < 3; ++i) FEWBIT_TRY(c.check_rank(i, 3));
  FEWBIT_TRY(c.check_same_elem(0, 1));
  FEWBIT_TRY(c.check_same_elem(0, 2));
  bool batch_first = c.node().get_int("layout", 0) != 0;
  bool both_ways = c.node().get_string("direction", "forward") == "bidirectional";
  Dim directions = Dim::of(both_ways ? 2 : 1);
  FEWBIT_TRY(c.check_dim(1, 0, directions));
  FEWBIT_TRY(c.check_dim(2, 0, directions));
  const Shape* x = c.shape(0);
  const Shape* r = c.shape(2);
  Dim length = x == nullptr ? Dim{} : (*x)[batch_first ? 1 : 0];
  Dim batch = x == nullptr ? Dim{} : (*x)[batch_first ? 0 : 1];
  Dim hidden = r == nullptr ? Dim{} : (*r)[2];
  hidden = more_precise(hidden, dim_or_unknown(c.node().get_int("hidden_size", -1)));
  FEWBIT_TRY(c.check_dim(1, 1, mul(hidden, Dim::of(gates))));
  FEWBIT_TRY(c.check_dim(2, 1, mul(hidden, Dim::of(gates))));
  if (x != nullptr) FEWBIT_TRY(c.check_dim(1, 2, (*x)[2]));
  DType elem = first_elem(c, {0, 1, 2});
  c.set(0, elem,
        batch_first ? Shape{batch, length, directions, hidden}
                    : Shape{length, directions, batch, hidden});
  for (size_t i = 1; i <= states; ++i) {
    c.set(i, elem,
          batch_first ? Shape{batch, directions, hidden} : Shape{directions, batch, hidden});
  }
  return {};
}

Status rnn(InferContext& c) {
  return recurrent(c, 1, 1);
}
Status gru(InferContext& c) {
  return recurrent(c, 3, 1);
}
Status lstm(InferContext& c) {
  return recurrent(c, 4, 2);
}

constexpr SchemaRow kRows[] = {
    {"", "GRU", 1, 3, 6, 0, 2, gru},
    {"", "LSTM", 1, 3, 8, 0, 3, lstm},
    {"", "RNN", 1, 3, 6, 0, 2, rnn},
};

}  // namespace

std::span<const SchemaRow> rnn_rows() {
  return kRows;
}

}  // namespace fewbit::infer
