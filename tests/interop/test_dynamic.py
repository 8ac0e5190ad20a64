"""Dynamic quantization as `fewbit quantize` writes it: read, fused and run by ONNX Runtime, and run
here on integer kernels."""
import collections
import json

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

ort = pytest.importorskip("onnxruntime")

SCHEMES = ["w8a8:dynamic", "w8a8:token", "w8a8:token symmetric"]
# Steps of 8 bits: a code on the other side of a tie moves the values behind it by a fraction of one.
STEP = 1 / 127


def perceptron(path, opset):
    """Two residual blocks of a transformer's feed-forward kind, and a Gemm as classifier."""
    rng = np.random.default_rng(1)
    width, hidden, classes, tokens = 48, 96, 10, 7
    initializers, nodes = [], []

    def constant(name, array):
        initializers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weight(name, k, n):
        return constant(name, (rng.normal(size=(k, n)) / np.sqrt(k)).astype(np.float32))

    def node(op, inputs, output, **attributes):
        nodes.append(helper.make_node(op, inputs, [output], name=output + "_node", **attributes))
        return output

    x = "x"
    for i in range(2):
        up = node("MatMul", [x, weight(f"up{i}", width, hidden)], f"up{i}_y")
        gate = node("MatMul", [x, weight(f"gate{i}", width, hidden)], f"gate{i}_y")
        up = node("Add", [up, constant(f"bias{i}", rng.normal(size=hidden).astype(np.float32))],
                  f"bias{i}_y")
        h = node("Mul", [node("Relu", [up], f"relu{i}_y"), node("Sigmoid", [gate], f"sig{i}_y")],
                 f"mul{i}_y")
        h = node("MatMul", [h, weight(f"down{i}", hidden, width)], f"down{i}_y")
        x = node("Add", [x, h], f"add{i}_y")
    x = node("Reshape", [x, constant("flat", np.array([-1, tokens * width], np.int64))], "flat_y")
    w = (rng.normal(size=(classes, tokens * width)) / 18).astype(np.float32)
    node("Gemm", [x, constant("head", w), constant("head_b", rng.normal(size=classes).astype(np.float32))],
         "y", transB=1)
    graph = helper.make_graph(
        nodes, "perceptron",
        [helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["N", tokens, width])],
        [helper.make_tensor_value_info("y", onnx.TensorProto.FLOAT, ["N", classes])], initializers)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    return rng.normal(size=(500, tokens, width)).astype(np.float32)


def quantize(run, source, target, scheme):
    name, _, symmetric = scheme.partition(" ")
    extra = ["--set", "activations.symmetric=true"] if symmetric else []
    return json.loads(run("fewbit", "quantize", source, "-o", target, "--scheme", name, *extra,
                          "--json").stdout)


def ort_run(path, feeds, optimized=None):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = 1
    if optimized is not None:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(optimized)
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, feeds)[0]


def fewbit_run(run, path, name, array, folder):
    np.save(folder / "in.npy", array)
    out = folder / "out"
    run("fewbit", "run", path, "--input", f"{name}={folder / 'in.npy'}", "--output", out)
    (only,) = out.glob("*.npy")
    return np.load(only)


def expect_agreement(run, source, folder, name, x, scheme, close):
    """Quantizes `source`; ours and ONNX Runtime's results are alike, and near the float ones."""
    path = folder / "dynamic.onnx"
    report = quantize(run, source, path, scheme)
    onnx.checker.check_model(str(path), full_check=True)
    optimized = folder / "optimized.onnx"
    # One scale for the whole tensor depends on all that is in it: the same batches on both sides.
    ours, theirs, exact = [], [], []
    for i in range(0, len(x), 100):
        batch = x[i:i + 100]
        ours.append(fewbit_run(run, path, name, batch, folder))
        theirs.append(ort_run(path, {name: batch}, optimized))
        exact.append(ort_run(source, {name: batch}))
    ours, theirs, exact = map(np.concatenate, (ours, theirs, exact))
    assert np.mean(ours.argmax(1) == theirs.argmax(1)) >= 0.995
    assert np.abs(ours - theirs).max() <= close * np.abs(theirs).max()
    signal = 10 * np.log10((exact ** 2).sum() / ((ours - exact) ** 2).sum())
    assert signal >= 20, signal

    layers = sum(l["scheme"] != "float" for l in report["layers"])
    assert layers > 0
    ops = collections.Counter(n.op_type for n in onnx.load(optimized).graph.node)
    if scheme == "w8a8:dynamic":
        assert ops["DynamicQuantizeMatMul"] + ops["MatMulIntegerToFloat"] == layers, ops
    else:
        assert ops["MatMulInteger"] == layers, ops
    profile = json.loads(run("fewbit", "bench", path, "--profile", "--seconds", "0.2",
                             "--json").stdout)
    kernels = [l["kernel"] for l in profile["layers"] if l["op"] == "QDynamicMatMul"]
    assert len(kernels) == layers
    assert all(k.startswith("int8_gemm/") for k in kernels), kernels
    return report


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("opset", [13, 17, 18, 21])
def test_perceptron(run, tmp_path, scheme, opset):
    x = perceptron(tmp_path / "float.onnx", opset)
    report = expect_agreement(run, tmp_path / "float.onnx", tmp_path, "x", x, scheme, STEP)
    assert sum(l["scheme"] != "float" for l in report["layers"]) == 7


@pytest.mark.parametrize("scheme", SCHEMES)
def test_vision_transformer(run, shared_data, tmp_path, scheme):
    source = shared_data / "models" / "vit_mnist.onnx"
    digits = shared_data / "mnist" / "mnist_t10k.npz"
    if not source.exists() or not digits.exists():
        pytest.skip(f"no {source.name} or {digits.name} in {shared_data}")
    images = np.load(digits)["x"][:500].reshape(-1, 1, 28, 28).astype(np.float32)
    images = (images / 255 - 0.1307) / 0.3081
    # Six layers of attention pass a code's step on.
    report = expect_agreement(run, source, tmp_path, "image", images, scheme, 4 * STEP)
    floats = [l for l in report["layers"] if l["scheme"] == "float"]
    assert all(l["reason"] for l in floats)


def test_onnxruntimes_own_dynamic_model_runs_on_integers(run, tmp_path):
    quantization = pytest.importorskip("onnxruntime.quantization")
    x = perceptron(tmp_path / "float.onnx", 17)
    path = tmp_path / "theirs.onnx"
    quantization.quantize_dynamic(str(tmp_path / "float.onnx"), str(path), per_channel=True,
                                  weight_type=quantization.QuantType.QInt8)
    theirs = ort_run(path, {"x": x[:100]})
    ours = fewbit_run(run, path, "x", x[:100], tmp_path)
    assert np.abs(ours - theirs).max() <= STEP * np.abs(theirs).max()
    profile = json.loads(run("fewbit", "bench", path, "--profile", "--seconds", "0.2",
                             "--json").stdout)
    kernels = [l["kernel"] for l in profile["layers"] if l["op"] == "QDynamicMatMul"]
    assert len(kernels) >= 6, profile["layers"]
