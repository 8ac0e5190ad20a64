"""Small float models with weights in every place that weight-only quantization knows."""
import numpy as np
from onnx import TensorProto, helper, numpy_helper

F32 = np.float32
KINDS = {np.dtype(F32): TensorProto.FLOAT, np.dtype(np.float16): TensorProto.FLOAT16,
         np.dtype(np.int64): TensorProto.INT64}


class Example:
    """A model and what to feed it."""

    def __init__(self, nodes, feeds, constants, outputs=("y",), opset=17):
        kinds = {v.dtype for v in constants.values()}
        result = TensorProto.FLOAT16 if np.dtype(np.float16) in kinds else TensorProto.FLOAT
        graph = helper.make_graph(
            nodes, "small",
            [helper.make_tensor_value_info(n, KINDS[v.dtype], v.shape) for n, v in feeds.items()],
            [helper.make_tensor_value_info(n, result, None) for n in outputs],
            [numpy_helper.from_array(v, n) for n, v in constants.items()])
        self.model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)],
                                       ir_version=8)
        self.feeds = feeds


def normal(*shape, seed=0):
    generator = np.random.default_rng([seed, *shape])
    return generator.standard_normal(shape).astype(F32)


def one(op, x, weights, **attributes):
    """One operator: weight w, then bias b if there is one."""
    constants = dict(zip(("w", "b"), weights))
    node = helper.make_node(op, ["x", *constants], ["y"], name="layer", **attributes)
    return Example([node], {"x": x}, constants)


def recurrent(op, gates, directions):
    inputs, hidden = 40, 48
    constants = {"w": normal(directions, gates * hidden, inputs) / 8,
                 "r": normal(directions, gates * hidden, hidden) / 8,
                 "b": normal(directions, 2 * gates * hidden) / 8}
    node = helper.make_node(op, ["x", "w", "r", "b"], ["y"], name="layer", hidden_size=hidden,
                            direction="bidirectional" if directions == 2 else "forward")
    return Example([node], {"x": normal(7, 3, inputs)}, constants)


def tied(product):
    """An embedding whose matrix is the head's too."""
    nodes = [helper.make_node("Gather", ["w", "ids"], ["e"], name="embedding"),
             helper.make_node("Relu", ["e"], ["h"], name="relu"),
             helper.make_node(product, ["h", "w"], ["y"], name="head",
                              **({"transB": 1} if product == "Gemm" else {}))]
    return Example(nodes, {"ids": np.array([3, 0, 63, 17], np.int64)}, {"w": normal(64, 64)})


def shared():
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"], name="first"),
             helper.make_node("Relu", ["a"], ["b"], name="relu"),
             helper.make_node("MatMul", ["b", "w"], ["y"], name="second")]
    return Example(nodes, {"x": normal(5, 64)}, {"w": normal(64, 64) / 8})


def half():
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], name="conv", pads=[1, 1, 1, 1]),
             helper.make_node("Flatten", ["c"], ["f"], name="flatten"),
             helper.make_node("MatMul", ["f", "v"], ["y"], name="product")]
    constants = {"w": normal(8, 4, 3, 3) / 8, "v": normal(128, 24) / 16}
    return Example(nodes, {"x": normal(2, 4, 4, 4).astype(np.float16)},
                   {n: v.astype(np.float16) for n, v in constants.items()})


EXAMPLES = {
    "matmul": lambda: one("MatMul", normal(3, 5, 96), [normal(96, 40)]),
    "matmul of ragged depth": lambda: one("MatMul", normal(5, 172), [normal(172, 24)]),
    "matmul below a group": lambda: one("MatMul", normal(5, 24), [normal(24, 40)]),
    "matmul of one column": lambda: one("MatMul", normal(5, 96), [normal(96, 1)]),
    "batched matmul": lambda: one("MatMul", normal(2, 3, 5, 64), [normal(3, 64, 48)]),
    "gemm": lambda: one("Gemm", normal(5, 96), [normal(96, 40), normal(40)]),
    "gemm, B transposed": lambda: one("Gemm", normal(5, 96), [normal(40, 96), normal(40)], transB=1),
    "gemm, all attributes": lambda: one("Gemm", normal(96, 5), [normal(96, 40), normal(5, 40)], transA=1,
                                        alpha=0.5, beta=2.0),
    "conv 1-D": lambda: one("Conv", normal(2, 12, 20), [normal(16, 12, 5), normal(16)]),
    "conv 2-D": lambda: one("Conv", normal(1, 12, 9, 9), [normal(16, 12, 3, 3), normal(16)]),
    "conv 1x1": lambda: one("Conv", normal(1, 64, 5, 5), [normal(32, 64, 1, 1)]),
    "grouped conv": lambda: one("Conv", normal(1, 12, 9, 9), [normal(16, 3, 3, 3)], group=4),
    "depthwise conv": lambda: one("Conv", normal(1, 24, 9, 9), [normal(24, 1, 3, 3)], group=24),
    "conv transpose": lambda: one("ConvTranspose", normal(1, 12, 6, 6), [normal(12, 8, 3, 3)], group=2,
                                  strides=[2, 2]),
    "tied embedding": lambda: tied("Gemm"),
    "embedding tied the other way": lambda: tied("MatMul"),
    "shared weights": shared,
    "lstm": lambda: recurrent("LSTM", 4, 2),
    "gru": lambda: recurrent("GRU", 3, 2),
    "rnn": lambda: recurrent("RNN", 1, 1),
    "float16": half,
}
