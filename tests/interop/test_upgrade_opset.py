"""Models of older operator sets, upgraded by `fewbit quantize`: ONNX Runtime gives the same outputs before
and after. `--scheme w8` upgrades to opset 13 and leaves activations in float."""
import json
import pathlib
import re

import pytest

np = pytest.importorskip("numpy", reason="needs numpy")
ort = pytest.importorskip("onnxruntime", reason="needs the onnxruntime package")
onnx = pytest.importorskip("onnx", reason="needs the onnx package")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
FLOAT = TensorProto.FLOAT


def ort_run(path, feeds):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"]).run(None, feeds)


def constants(**arrays):
    return [numpy_helper.from_array(np.asarray(a), n) for n, a in arrays.items()]


def save(path, opset, nodes, shape, initializers=(), outputs=("y",), elem=FLOAT, ir=None):
    """A model with the input x and outputs of unknown shape."""
    inputs = [helper.make_tensor_value_info("x", elem, shape)]
    ir = ir or (3 if opset < 9 else 4 if opset < 10 else 5 if opset < 11 else 6 if opset < 12 else 7)
    if ir < 4:  # these versions list initializers as inputs
        inputs += [helper.make_tensor_value_info(i.name, i.data_type, list(i.dims)) for i in initializers]
    types = outputs if isinstance(outputs, dict) else dict.fromkeys(outputs, elem)
    graph = helper.make_graph(nodes, "g", inputs,
                              [helper.make_tensor_value_info(n, t, None) for n, t in types.items()],
                              list(initializers))
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=ir)
    onnx.save(model, path)


def node(op, inputs, outputs=("y",), **attributes):
    return helper.make_node(op, list(inputs), list(outputs), name=f"my_{op}", **attributes)


F32 = np.float32
# name: opsets at which the form exists, input shape, nodes, initializers[, outputs]
CASES = {
    "clip": ((7, 10), (2, 5), [node("Clip", "x", min=-0.5, max=0.25)], {}),
    "clip_one_side": ((7, 8), (2, 5), [node("Clip", "x", max=0.25)], {}),
    "pad_constant": ((7, 10), (1, 2, 4, 4), [node("Pad", "x", pads=[0, 0, 1, 2, 0, 0, 2, 1], value=1.5)],
                     {}),
    "pad_edge": ((7, 9), (1, 2, 4, 4), [node("Pad", "x", pads=[0, 0, 1, 1, 0, 0, 1, 1], mode="edge")], {}),
    "slice_attributes": ((7, 9), (4, 5, 6), [node("Slice", "x", starts=[1, -3], ends=[3, 1000],
                                                  axes=[0, 2])], {}),
    "slice_no_axes": ((8,), (4, 5, 6), [node("Slice", "x", starts=[1, 0], ends=[3, 4])], {}),
    "slice_inputs": ((10, 12), (4, 5, 6), [node("Slice", ["x", "s", "e", "a", "t"])],
                     dict(s=np.array([3, 0]), e=np.array([0, 5]), a=np.array([0, 1]), t=np.array([-1, 2]))),
    "softmax_middle": ((7, 11, 12), (2, 3, 4), [node("Softmax", "x", axis=1)], {}),
    "softmax_default": ((8, 11), (2, 3, 4), [node("Softmax", "x")], {}),
    "softmax_last": ((7, 12), (2, 3, 4), [node("Softmax", "x", axis=2)], {}),
    "softmax_first": ((9,), (2, 3), [node("Softmax", "x", axis=0)], {}),
    "log_softmax": ((7, 11), (2, 3, 4), [node("LogSoftmax", "x", axis=1)], {}),
    "hardmax": ((7, 12), (2, 3, 4), [node("Hardmax", "x", axis=1)], {}),
    "squeeze": ((7, 11, 12), (2, 1, 3, 1), [node("Squeeze", "x", axes=[1, 3])], {}),
    "squeeze_all": ((7, 12), (2, 1, 3, 1), [node("Squeeze", "x")], {}),
    "unsqueeze": ((7, 12), (2, 3), [node("Unsqueeze", "x", axes=[0, 2])], {}),
    "unsqueeze_negative": ((11,), (2, 3), [node("Unsqueeze", "x", axes=[-1])], {}),
    "reduce_sum": ((7, 11, 12), (2, 3, 4), [node("ReduceSum", "x", axes=[1], keepdims=0)], {}),
    "reduce_sum_all": ((7, 12), (2, 3, 4), [node("ReduceSum", "x")], {}),
    "reduce_mean": ((7, 12), (2, 3, 4), [node("ReduceMean", "x", axes=[0, 2])], {}),
    "split": ((7, 12), (6, 3), [node("Split", "x", ["a", "b"], axis=0, split=[2, 4])], {}, ("a", "b")),
    "split_equal": ((7, 11), (6, 3), [node("Split", "x", ["a", "b", "c"])], {}, ("a", "b", "c")),
    "top_k": ((7, 9), (3, 6), [node("TopK", "x", ["v", "i"], k=2)], {},
              {"v": FLOAT, "i": TensorProto.INT64}),
    "top_k_input": ((10, 11), (3, 6), [node("TopK", "xk", ["v", "i"])], dict(k=np.array([3])),
                    {"v": FLOAT, "i": TensorProto.INT64}),
    "dropout": ((7, 10, 12), (3, 6), [node("Dropout", "x", ["d"]), node("Relu", "d")], {}),
    "dropout_ratio": ((7, 11), (3, 6), [node("Dropout", "x", ["d"], ratio=0.3), node("Relu", "d")], {}),
    "upsample_nearest": ((7,), (1, 2, 3, 4), [node("Upsample", "x", scales=[1.0, 1.0, 2.0, 3.0])], {}),
    "upsample_linear": ((7,), (1, 2, 3, 4), [node("Upsample", "x", scales=[1.0, 1.0, 2.0, 1.5],
                                                  mode="linear")], {}),
    "upsample_input": ((9,), (1, 2, 3, 4), [node("Upsample", "xs")],
                       dict(s=np.array([1, 1, 1.5, 2], F32))),
    "resize_10": ((10,), (1, 2, 4, 4), [node("Resize", "xs")], dict(s=np.array([1, 1, 0.5, 2], F32))),
    "resize_10_linear": ((10,), (1, 2, 4, 6), [node("Resize", "xs", mode="linear")],
                         dict(s=np.array([1, 1, 0.6, 2], F32))),
    "resize_11": ((11, 12), (1, 2, 4, 6), [node("Resize", ["x", "r", "s"], mode="linear",
                                                coordinate_transformation_mode="align_corners")],
                  dict(r=np.zeros(0, F32), s=np.array([1, 1, 2, 2], F32))),
    "batch_norm": ((7, 8, 9, 12), (2, 3, 4), [node("BatchNormalization", "xghmv", epsilon=1e-3)],
                   dict(g=np.ones(3, F32) * 2, h=np.ones(3, F32), m=np.zeros(3, F32),
                        v=np.array([1, 2, 3], F32))),
    "batch_norm_spatial": ((7, 8), (2, 3, 4), [node("BatchNormalization", "xghmv", spatial=1)],
                           dict(g=np.ones(3, F32), h=np.ones(3, F32), m=np.zeros(3, F32),
                                v=np.ones(3, F32))),
    "scatter": ((9, 10), (3, 4), [node("Scatter", "xiu", axis=1)],
                dict(i=np.array([[1], [0], [3]]), u=np.array([[9], [8], [7]], F32))),
    "pools": ((7, 8, 10, 11), (1, 2, 7, 7),
              [node("MaxPool", "x", ["a"], kernel_shape=[3, 3], strides=[2, 2]),
               node("AveragePool", "a", kernel_shape=[2, 2], pads=[0, 0, 1, 1])], {}),
    "gemm": ((7, 9, 11), (4, 3), [node("Gemm", "xwb", transB=1)],
             dict(w=np.arange(6, dtype=F32).reshape(2, 3), b=np.ones(2, F32))),
    "sum_and_max": ((7, 8, 12), (2, 3), [node("Sum", ["x", "x", "x"], ["a"]), node("Max", ["x", "a"])], {}),
    "loop_body": ((7, 10), (2, 3), [node(
        "Loop", ["n", "", "x"], ["y"], body=helper.make_graph(
            [helper.make_node("Identity", ["c"], ["c_out"]),
             helper.make_node("Add", ["v", "v"], ["s"]), helper.make_node("Clip", ["s"], ["w"], max=0.7)],
            "body", [helper.make_tensor_value_info("i", TensorProto.INT64, []),
                     helper.make_tensor_value_info("c", TensorProto.BOOL, []),
                     helper.make_tensor_value_info("v", FLOAT, [2, 3])],
            [helper.make_tensor_value_info("c_out", TensorProto.BOOL, []),
             helper.make_tensor_value_info("w", FLOAT, [2, 3])]))], dict(n=np.array(3))),
}
RUNS = [(name, opset) for name, case in CASES.items() for opset in case[0]]


@pytest.mark.parametrize("name,opset", RUNS)
def test_same_outputs_in_onnxruntime(run, tmp_path, name, opset):
    _, shape, nodes, initializers, *outputs = CASES[name]
    before, after = tmp_path / "before.onnx", tmp_path / "after.onnx"
    save(before, opset, nodes, shape, constants(**initializers), *outputs)
    report = json.loads(run("fewbit", "quantize", before, "-o", after, "--scheme", "w8", "--json").stdout)
    assert report["passes"][0]["name"] == "upgrade_opset"
    assert report["passes"][0]["notes"] == [f"opset {opset} -> 13"]
    upgraded = onnx.load(after)
    assert [(o.domain, o.version) for o in upgraded.opset_import] == [("", 13)]
    assert [i.name for i in upgraded.graph.input] == ["x"]
    onnx.checker.check_model(upgraded, full_check=True)
    x = np.random.default_rng(3).normal(size=shape).astype(F32)
    theirs, ours = ort_run(before, {"x": x}), ort_run(after, {"x": x})
    for a, b in zip(theirs, ours, strict=True):
        assert a.dtype == b.dtype and a.shape == b.shape
        # Gemm's weight has 8 bits afterwards.
        assert np.allclose(a, b, rtol=1e-5, atol=1e-6 if name != "gemm" else 0.1)


def convolution(opset):
    rng = np.random.default_rng(1)
    nodes = [node("Conv", "xwb", ["c"], pads=[1, 1, 1, 1]), node("Clip", "c", ["r"], min=0.0, max=6.0),
             node("ReduceMean", "r", ["m"], axes=[2, 3], keepdims=0), node("Gemm", "mvh", ["g"]),
             node("Softmax", "g")]
    weights = dict(w=rng.normal(size=(8, 3, 3, 3)).astype(F32), b=rng.normal(size=8).astype(F32),
                   v=rng.normal(size=(8, 5)).astype(F32), h=rng.normal(size=5).astype(F32))
    return nodes, constants(**weights)


@pytest.mark.parametrize("opset,scheme,target", [(7, "w8a8", 13), (9, "w8a8", 13), (10, "w8a16", 21),
                                                 (17, "w8a16", 21)])
def test_an_old_network_quantizes_end_to_end(run, tmp_path, opset, scheme, target):
    before, after = tmp_path / "before.onnx", tmp_path / "after.onnx"
    nodes, weights = convolution(opset)
    if opset >= 11:
        nodes[1] = node("Relu", "c", ["r"])
    save(before, opset, nodes, ("N", 3, 8, 8), weights)
    x = np.random.default_rng(2).normal(size=(64, 3, 8, 8)).astype(F32)
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "set.toml").write_text('kind = "arrays"\nfile = "x.npy"\n')
    report = json.loads(run("fewbit", "quantize", before, "-o", after, "--scheme", scheme, "--calib",
                            tmp_path / "set.toml", "--json").stdout)
    assert report["passes"][0]["notes"] == [f"opset {opset} -> {target}"]
    onnx.checker.check_model(onnx.load(after), full_check=True)
    a, b = ort_run(before, {"x": x})[0], ort_run(after, {"x": x})[0]
    assert np.abs(a - b).max() <= (0.02 if scheme == "w8a8" else 0.01)
    convolutions = [l for l in report["layers"] if l["op"] in ("Conv", "Gemm")]
    assert len(convolutions) == 2 and all(l["scheme"] == scheme for l in convolutions)
    # There are no 16-bit kernels here: what was written for other runtimes is computed in float.
    assert all(l["integer"] == (scheme == "w8a8") for l in convolutions)
    if scheme == "w8a16":
        assert report["integer_layers"] == 0
        refused = run("fewbit", "quantize", before, "-o", tmp_path / "strict.onnx", "--scheme", scheme,
                      "--calib", tmp_path / "set.toml", "--strict", ok=False)
        assert refused.returncode == 1 and "16-bit codes" in refused.stderr
        assert not (tmp_path / "strict.onnx").exists()


@pytest.mark.parametrize("name,opset,scheme,target,data,shape,db", [
    ("resnet20_cifar10", 11, "w8a8", 13, "cifar10_calib", (3, 32, 32), 15),  # opset 13 uses nothing newer
    ("resnet20_cifar10", 13, "w8a16", 21, "cifar10_calib", (3, 32, 32), 30),
    ("vit_mnist", 13, "w8a16", 21, "mnist_eval", (1, 28, 28), 30)])
def test_real_networks(run, tmp_path, shared_data, name, opset, scheme, target, data, shape, db):
    before, after = tmp_path / "before.onnx", tmp_path / "after.onnx"
    model = onnx.load(shared_data / "models" / f"{name}.onnx")
    model.opset_import[0].version = opset
    onnx.checker.check_model(model)
    onnx.save(model, before)
    report = json.loads(run("fewbit", "quantize", before, "-o", after, "--scheme", scheme, "--calib",
                            shared_data / f"{data}.toml", "--set", "calibration.samples=32", "--set",
                            "passes.bias_samples=16", "--json").stdout)
    assert report["passes"][0]["notes"] == [f"opset {opset} -> {target}"]
    onnx.checker.check_model(onnx.load(after), full_check=True)
    assert report["output_sqnr_db"] > db
    # Here and in ONNX Runtime the file means the same.
    x = np.random.default_rng(2).normal(size=(16, *shape)).astype(F32)
    np.save(tmp_path / "x.npy", x)
    run("fewbit", "run", after, "--input", tmp_path / "x.npy", "--output", tmp_path / "out")
    a = ort_run(after, {model.graph.input[0].name: x})[0]
    b = np.load(next((tmp_path / "out").glob("*.npy")))
    assert 10 * np.log10(np.sum(a**2) / np.sum((a - b)**2)) > 30


@pytest.mark.parametrize("opset,nodes,initializers,reason", [
    (8, [node("BatchNormalization", "xghmv", spatial=0)],
     dict(g=np.ones((3, 4), F32), h=np.ones((3, 4), F32), m=np.zeros((3, 4), F32), v=np.ones((3, 4), F32)),
     "spatial = 0"),
    (10, [node("Resize", "xs")], dict(s=np.array([1, 1, 0.3], F32)), "scaling down by 0.3"),
    (6, [node("Relu", "x")], {}, "opset 6"),
])
def test_what_has_no_equivalent_is_refused_by_name(run, tmp_path, opset, nodes, initializers, reason):
    path = tmp_path / "m.onnx"
    save(path, opset, nodes, (2, 3, 4), constants(**initializers))
    done = run("fewbit", "quantize", path, "-o", tmp_path / "o.onnx", "--scheme", "w8", ok=False)
    assert done.returncode == 1
    assert done.stderr.startswith("fewbit: error: ") and done.stderr.count("\n") == 1
    assert reason in done.stderr
    assert opset == 6 or f"my_{nodes[0].op_type}" in done.stderr
    assert not (tmp_path / "o.onnx").exists()


# What ONNX changed from opset 8 to 21 without another meaning for nodes of before: more element types,
# new optional inputs and attributes whose defaults are the old behaviour, clearer words.
SAME_MEANING = """
Abs Add ArgMax ArgMin AveragePool Cast CastLike Ceil Compress Concat Constant ConstantOfShape Conv
ConvTranspose CumSum DepthToSpace DequantizeLinear Div Equal Erf Exp Expand Flatten Floor GRU Gather
GatherElements GatherND Gemm Greater GreaterOrEqual Identity If IsInf IsNaN LRN LSTM LeakyRelu Less
LessOrEqual Log Loop LpPool MatMul Max MaxPool MaxUnpool Mean MeanVarianceNormalization Min Mod Mul Neg
NegativeLogLikelihoodLoss NonMaxSuppression NonZero OneHot OptionalGetElement OptionalHasElement PRelu Pow
QLinearMatMul QuantizeLinear RNN Reciprocal Relu Reshape ScatterElements ScatterND Shape Sigmoid Sign Size
SoftmaxCrossEntropyLoss SpaceToDepth Sqrt Sub Sum Tanh Tile Transpose Where
""".split()


def test_every_operator_that_onnx_changed_is_in_the_table_or_means_the_same():
    source = (ROOT / "src" / "passes" / "upgrade_opset.cpp").read_text()
    rows = {m[0] for m in re.findall(r'\{"(\w+)", (\d+), \w+\}', source)}
    assert len(rows) > 20
    first, changed = {}, set()
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            first[schema.name] = min(first.get(schema.name, 99), schema.since_version)
            if 8 <= schema.since_version <= 21:
                changed.add((schema.name, schema.since_version))
    changed = {name for name, since in changed if since != first[name]}
    assert changed - rows - set(SAME_MEANING) == set()
    assert rows & set(SAME_MEANING) == set()
