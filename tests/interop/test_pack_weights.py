"""Weight-only quantization: a .fewbit file, an ONNX file and ONNX Runtime agree on what the weights are, in
every operator that has some; what cannot be done is said in one line."""
import json

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the onnx package")
ort = pytest.importorskip("onnxruntime", reason="needs the onnxruntime package")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

from weight_models import EXAMPLES, Example, normal, one  # noqa: E402

F32 = np.float32
SCHEMES = ["w4:g32:asym", "w2:g64", "int8/channel", "fp8"]
MORE_SCHEMES = ["w8", "w8:g32", "w6:channel", "w4:g32", "w3:channel", "uint8/tensor", "int4/g32:u6", "ternary",
                "binary", "fp8e5m2/g32", "mxint8", "fp16", "bf16"]
WITHOUT_ONNX_FORM = ["nf4", "nvfp4", "mxfp4", "mxfp6", "fp6", "fp4", "log4", "apot4", "q4_K", "q8_0", "iq4_nl"]
MODELS = [("mobilenet_v2_1.0", (3, 224, 224), "int8/channel"), ("squeezenet1.1", (3, 224, 224), "w4:g32"),
          ("resnet20_cifar10", (3, 32, 32), "w4:g32:asym"), ("vit_mnist", (1, 28, 28), "w4:g32"),
          ("vit_mnist", (1, 28, 28), "w8:g32"), ("vit_mnist", (1, 28, 28), "fp8")]


@pytest.fixture
def quantize(run, tmp_path):
    """quantize(model, name, scheme, *flags): (path, report)"""

    def call(model, name, scheme, *flags):
        if isinstance(model, Example):
            onnx.save(model.model, tmp_path / "float.onnx")
            model = tmp_path / "float.onnx"
        path = tmp_path / name
        done = run("fewbit", "quantize", model, "-o", path, "--scheme", scheme, "--json", *flags)
        return path, json.loads(done.stdout)

    return call


@pytest.fixture
def outputs(run, tmp_path):
    """outputs(path, feeds): the first output, run here."""

    def call(path, feeds):
        arguments = []
        for i, (name, array) in enumerate(feeds.items()):
            np.save(tmp_path / f"in{i}.npy", array)
            arguments += ["--input", f"{name}={tmp_path / f'in{i}.npy'}"]
        done = run("fewbit", "run", path, "--output", tmp_path / "outputs", "--json", *arguments)
        return np.load(json.loads(done.stdout)["outputs"][0]["file"])

    return call


@pytest.fixture
def refuses(run, tmp_path):
    """refuses(command, *arguments, words=(), code=1): one line that says the words, and no output file."""

    def call(*arguments, words=(), code=1):
        files = set(tmp_path.iterdir())
        done = run("fewbit", *arguments, ok=False)
        assert done.returncode == code, (done.stdout, done.stderr)
        lines = done.stderr.splitlines()
        assert len(lines) == 1 and lines[0].startswith("fewbit: error: "), done.stderr
        for word in words:
            assert word in lines[0], (word, lines[0])
        assert set(tmp_path.iterdir()) == files

    return call


def ort_outputs(path, feeds, optimized):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    level = ort.GraphOptimizationLevel
    options.graph_optimization_level = level.ORT_ENABLE_ALL if optimized else level.ORT_DISABLE_ALL
    # Products that it fuses itself would round their inputs to 8 bits.
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "0")
    return ort.InferenceSession(str(path), options, ["CPUExecutionProvider"]).run(None, feeds)[0]


def apart(a, b):
    """Largest difference, relative to the largest value."""
    assert a.shape == b.shape and a.dtype == b.dtype
    a, b = a.astype(np.float64), b.astype(np.float64)
    return np.abs(a - b).max() / np.abs(b).max()


def check_files(model, feeds, scheme, quantize, outputs, tolerance=1e-5, ours_apart=3e-6):
    native, report = quantize(model, "q.fewbit", scheme)
    assert report["fallbacks"] == 0 or scheme == "w8", report["layers"]
    here = outputs(native, feeds)
    for flags in ([], ["--set", "export.products=nbits"]):
        path, _ = quantize(model, "q.onnx", scheme, *flags)
        onnx.checker.check_model(str(path), full_check=True)
        assert apart(outputs(path, feeds), here) <= ours_apart, flags
        for optimized in (False, True):
            assert apart(ort_outputs(path, feeds, optimized), here) <= tolerance, (flags, optimized)


@pytest.mark.parametrize("scheme", [*SCHEMES, *(pytest.param(s, marks=pytest.mark.heavy)
                                                for s in MORE_SCHEMES)])
@pytest.mark.parametrize("name", [n for n in EXAMPLES if n != "embedding tied the other way"])
def test_all_files_hold_the_same_weights(quantize, outputs, name, scheme):
    example = EXAMPLES[name]()
    half = name == "float16"
    # bfloat16 values in an ONNX file run on bfloat16 kernels where the processor has them.
    check_files(example, example.feeds, scheme, quantize, outputs, tolerance=2e-3 if half else 1e-5,
                ours_apart=1e-2 if scheme == "bf16" else 1e-6)


@pytest.mark.parametrize("name,shape,scheme", MODELS)
def test_real_models(shared_data, quantize, outputs, name, shape, scheme):
    path = shared_data / "models" / f"{name}.onnx"
    if not path.exists():
        pytest.skip(f"{path} is not here")
    x = np.random.default_rng(1).standard_normal((2, *shape)).astype(F32)
    feeds = {onnx.load(path).graph.input[0].name: x}
    check_files(path, feeds, scheme, quantize, outputs, tolerance=2e-5, ours_apart=2e-5)


def test_one_matrix_read_in_two_directions_is_packed_once(quantize, outputs):
    """Groups of one direction are not groups of the other: the second layer says so and stays in float."""
    example = EXAMPLES["embedding tied the other way"]()
    path, report = quantize(example, "q.fewbit", "w4:g32")
    layers = {l["name"]: l for l in report["layers"]}
    assert layers["embedding"]["packed"] and not layers["head"]["packed"]
    assert "embedding" in layers["head"]["reason"] and "direction" in layers["head"]["reason"]
    other, _ = quantize(example, "q.onnx", "w4:g32")
    assert apart(ort_outputs(other, example.feeds, False), outputs(path, example.feeds)) <= 1e-5


@pytest.mark.parametrize("name", ["tied embedding", "shared weights"])
def test_shared_weights_are_stored_once(quantize, name):
    example = EXAMPLES[name]()
    _, report = quantize(example, "q.fewbit", "w4:g32")
    sizes = sorted(l["bytes"] for l in report["layers"])
    assert sizes == [0, 64 * 64 // 2 + 64 * 2 * 2]  # codes and float16 scales
    assert report["packed_bits_per_weight"] == 4.5


@pytest.mark.parametrize("scheme", ["w4:g32", "w8:g64", "w2:g32"])
def test_nbits_products_replace_matmul(quantize, scheme):
    for name in ("matmul", "gemm", "gemm, B transposed", "matmul of ragged depth"):
        path, _ = quantize(EXAMPLES[name](), "q.onnx", scheme, "--set", "export.products=nbits")
        nodes = onnx.load(path).graph.node
        assert [(n.op_type, n.domain) for n in nodes] == [("MatMulNBits", "com.microsoft")]
    path, _ = quantize(EXAMPLES["gemm, all attributes"](), "q.onnx", scheme, "--set",
                       "export.products=nbits")
    assert "MatMulNBits" not in [n.op_type for n in onnx.load(path).graph.node]


@pytest.mark.parametrize("scheme", WITHOUT_ONNX_FORM)
def test_formats_without_an_onnx_form(run, quantize, outputs, refuses, tmp_path, scheme):
    example = EXAMPLES["matmul"]()
    path, report = quantize(example, "q.fewbit", scheme)
    assert report["packed_layers"] == 1
    assert apart(outputs(path, example.feeds), outputs(tmp_path / "float.onnx", example.feeds)) < 0.5
    refuses("quantize", tmp_path / "float.onnx", "-o", tmp_path / "q.onnx", "--scheme", scheme,
            words=["'w", "ONNX has no form", ".fewbit"])


def test_the_table_says_which_formats_onnx_carries(run, quantize, tmp_path):
    onnx.save(EXAMPLES["matmul"]().model, tmp_path / "float.onnx")
    rows = json.loads(run("fewbit", "formats", "--json").stdout)["formats"]
    assert len(rows) > 40
    for row in rows:
        done = run("fewbit", "quantize", tmp_path / "float.onnx", "-o", tmp_path / "q.onnx", "--scheme",
                   row["name"], ok=False)
        assert (done.returncode == 0) == ("onnx" in row["files"]), (row["name"], done.stderr)


def two_products():
    nodes = [helper.make_node("MatMul", ["x", "w"], ["a"], name="first"),
             helper.make_node("MatMul", ["a", "v"], ["y"], name="second")]
    return Example(nodes, {"x": normal(5, 64)}, {"w": normal(64, 32), "v": normal(32, 48)})


def test_layers_left_in_float(quantize, outputs, refuses, tmp_path):
    example = two_products()
    path, report = quantize(example, "q.fewbit", "w4:g32", "--set", 'layers.float=["second"]')
    layers = {l["name"]: l for l in report["layers"]}
    assert layers["first"]["packed"] and layers["first"]["scheme"] == "int4/g32"
    assert not layers["second"]["packed"] and layers["second"]["scheme"] == "float"
    assert layers["second"]["reason"] == "left in float by the recipe"
    assert layers["second"]["bytes"] == layers["second"]["float_bytes"] == 32 * 48 * 4
    assert (report["packed_layers"], report["fallbacks"]) == (1, 1)
    refuses("quantize", tmp_path / "float.onnx", "-o", tmp_path / "strict.fewbit", "--scheme", "w4:g32",
            "--set", 'layers.float=["second"]', "--strict", words=["--strict", "'second'", "recipe"])
    refuses("quantize", tmp_path / "float.onnx", "-o", tmp_path / "q2.fewbit", "--scheme", "w4:g32",
            "--set", 'layers.float=["third"]', words=["'third'"], code=2)


@pytest.mark.parametrize("scheme", ["fp16", "int8/channel"])
def test_weights_that_the_format_cannot_hold(quantize, outputs, refuses, tmp_path, scheme):
    """fp16 ends at 65504: such a layer stays in float and is listed; a float32 scale holds it."""
    example = two_products()
    huge = numpy_helper.to_array(example.model.graph.initializer[1]).copy()
    huge[3, 5] = 1e6
    example.model.graph.initializer[1].CopyFrom(numpy_helper.from_array(huge, "v"))
    path, report = quantize(example, "q.fewbit", scheme)
    layers = {l["name"]: l for l in report["layers"]}
    assert layers["first"]["packed"]
    assert layers["second"]["packed"] == (scheme != "fp16")
    if scheme == "fp16":
        assert "too large for fp16" in layers["second"]["reason"]
        assert "row 5, column 3" in layers["second"]["reason"]
        refuses("quantize", tmp_path / "float.onnx", "-o", tmp_path / "strict.fewbit", "--scheme", scheme,
                "--strict", words=["--strict", "'second'", "too large"])
    assert np.isfinite(outputs(path, example.feeds)).all()


def test_scales_that_their_type_cannot_hold(quantize):
    example = two_products()
    huge = numpy_helper.to_array(example.model.graph.initializer[1]) * F32(1e7)
    example.model.graph.initializer[1].CopyFrom(numpy_helper.from_array(huge, "v"))
    _, report = quantize(example, "q.fewbit", "int4/g32:f16")
    reasons = {l["name"]: l["reason"] for l in report["layers"]}
    assert reasons["first"] == "" and "scale" in reasons["second"] and "f16" in reasons["second"]
    _, report = quantize(example, "q.fewbit", "int4/g32:bf16")
    assert report["fallbacks"] == 0


def test_weights_that_are_no_numbers(refuses, tmp_path):
    example = two_products()
    bad = numpy_helper.to_array(example.model.graph.initializer[0]).copy()
    bad[2, 2] = np.nan
    example.model.graph.initializer[0].CopyFrom(numpy_helper.from_array(bad, "w"))
    onnx.save(example.model, tmp_path / "float.onnx")
    refuses("quantize", tmp_path / "float.onnx", "-o", tmp_path / "q.fewbit", "--scheme", "w4:g32",
            words=["'w'", "'first'", "NaN or infinity"])


@pytest.mark.parametrize("scheme,stored", [("w4:g32", "int4/g32"), ("nf4", "nf4"), ("mxfp4", "mxfp4"),
                                           ("w3:channel", "int3/channel"), ("w8:g64:asym", "uint8/g64")])
def test_inspect_names_the_format_of_each_layer(run, quantize, scheme, stored):
    path, _ = quantize(two_products(), "q.fewbit", scheme)
    found = json.loads(run("fewbit", "inspect", path, "--json").stdout)
    stores = {l["name"]: l["stored"] for l in found["layers"]}
    assert stored in stores["first"] and stored in stores["second"]
    assert found["parameters"] == 64 * 32 + 32 * 48
    text = run("fewbit", "inspect", path).stdout
    assert text.count(stored) >= 2


def test_same_codes_with_any_number_of_threads(quantize):
    example = one("MatMul", normal(5, 512), [normal(512, 96)])
    stored = []
    for threads in (1, 2):
        path, _ = quantize(example, "q.onnx", "w4:g32", "--threads", threads)
        stored.append({t.name: t.raw_data for t in onnx.load(path).graph.initializer})
    assert len(stored[0]) == 2 and stored[0] == stored[1]


# -- static activations


def calibration(folder, example, samples=32):
    shape = example.feeds["x"].shape[1:]
    np.savez(folder / "set.npz", x=np.random.default_rng(2).standard_normal((samples, *shape)).astype(F32))
    (folder / "set.toml").write_text('kind = "arrays"\nfile = "set.npz"\ninput = "x"\n')
    return folder / "set.toml"


@pytest.mark.parametrize("scheme", ["w4a8:g32", "w4a8:channel", "int8/g32+a8", "nf4+a8"])
@pytest.mark.parametrize("name", ["conv 2-D", "gemm"])
def test_few_bit_weights_with_static_activations(quantize, outputs, refuses, tmp_path, name, scheme):
    example = EXAMPLES[name]()
    calib = calibration(tmp_path, example)
    native, report = quantize(example, "q.fewbit", scheme, "--calib", calib)
    assert report["packed_layers"] == 1
    here = outputs(native, example.feeds)
    assert apart(here, ort_outputs(tmp_path / "float.onnx", example.feeds, False)) < 0.25
    if scheme == "nf4+a8":
        refuses("quantize", tmp_path / "float.onnx", "-o", tmp_path / "q.onnx", "--scheme", scheme,
                "--calib", calib, words=["ONNX has no form"])
        return
    path, _ = quantize(example, "q.onnx", scheme, "--calib", calib)
    nodes = [n.op_type for n in onnx.load(path).graph.node]
    assert "QuantizeLinear" in nodes and nodes.count("DequantizeLinear") >= 2
    # With a scale per channel the layer computes on integers, and its bias is rounded to their scale.
    tolerance = 1e-4 if scheme == "w4a8:channel" else 1e-5
    for optimized in (False, True):
        theirs = ort_outputs(path, example.feeds, optimized)
        assert apart(theirs, here) <= 1e-2, optimized  # a code of the activations on the other side
        assert np.median(np.abs(theirs - here)) <= tolerance * np.abs(here).max(), optimized


def test_static_activations_need_data(refuses, tmp_path):
    onnx.save(EXAMPLES["gemm"]().model, tmp_path / "float.onnx")
    refuses("quantize", tmp_path / "float.onnx", "-o", tmp_path / "q.onnx", "--scheme", "w4a8:g32",
            words=["calibration data"], code=2)


# -- schemes and Decode nodes that are wrong


@pytest.mark.parametrize("scheme", ["w4:g33", "w9", "w1", "w4:g32:g64", "w4:asym:asym", "int4/g0", "nf5",
                                    "mxfp4/g16", "uint4/g32:u6", "int4/g32:q", "w4+a16", "+a8", ""])
def test_schemes_that_there_are_not(refuses, tmp_path, scheme):
    onnx.save(EXAMPLES["matmul"]().model, tmp_path / "float.onnx")
    refuses("quantize", tmp_path / "float.onnx", "-o", tmp_path / "q.fewbit", "--scheme", scheme,
            words=["scheme"], code=2)


GOOD = {"format": "int4/g32", "rows": 8, "cols": 64, "dims": [64, 8], "transposed": 1}
PARTS = {"codes": np.full((8, 32), 0x88, np.uint8), "scales": np.ones((8, 2), np.float16)}


def decode_model(path, parts=None, **changes):
    """x [2, 64] times a weight behind one Decode node."""
    arrays = PARTS | (parts or {})
    attributes = {k: v for k, v in (GOOD | changes).items() if v is not None}
    nodes = [helper.make_node("Decode", list(arrays), ["w"], name="the_decoder", domain="ai.fewbit",
                              **attributes),
             helper.make_node("MatMul", ["x", "w"], ["y"], name="product")]
    graph = helper.make_graph(nodes, "g",
                              [helper.make_tensor_value_info("x", TensorProto.FLOAT, [2, 64])],
                              [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
                              [numpy_helper.from_array(a, n) for n, a in arrays.items()])
    imports = [helper.make_opsetid("", 17), helper.make_opsetid("ai.fewbit", 1)]
    onnx.save(helper.make_model(graph, opset_imports=imports, ir_version=8), path)


WRONG = {
    "no format": ({"format": None}, ["format"]),
    "an unknown format": ({"format": "int4x"}, ["int4x"]),
    "an impossible choice": ({"format": "int4/g33"}, ["g33"]),
    "another format": ({"format": "int5/g32"}, ["codes", "int5/g32", "[8, 40]", "[8, 32]"]),
    "too few parts": ({"format": "uint4/g32"}, ["uint4/g32", "3 arrays, found 2"]),
    "rows that do not fit": ({"rows": 9}, ["'dims'", "[9, 64]"]),
    "no rows": ({"rows": 0}, ["[0, 64]"]),
    "negative columns": ({"cols": -64}, ["[8, -64]"]),
    "rows past all memory": ({"rows": 2**62}, ["'dims'", str(2**62)]),
    "columns that do not fit": ({"cols": 96}, ["'dims'", "[8, 96]"]),
    "another matrix of that size": ({"rows": 4, "cols": 128, "dims": [128, 4]},
                                    ["codes", "[4, 64]", "[8, 32]"]),
    "dims of another size": ({"dims": [64, 9]}, ["'dims'", "[64, 9]"]),
    "no dims": ({"dims": None}, ["'dims'"]),
    "negative dims": ({"dims": [-64, -8]}, ["'dims'", "[-64, -8]"]),
    "dims that wrap round": ({"dims": [2**32, 2**32, 512]}, ["'dims'", "overflows"]),
    "dims transposed otherwise": ({"dims": [8, 64]}, ["'dims'", "transposing"]),
    "one dim to transpose": ({"dims": [512]}, ["'dims'", "[512]"]),
    "codes of another shape": ({"parts": {"codes": np.zeros((8, 31), np.uint8)}},
                               ["codes", "[8, 32]", "[8, 31]"]),
    "codes of another type": ({"parts": {"codes": np.zeros((8, 32), np.int8)}}, ["codes", "int8"]),
    "scales of another type": ({"parts": {"scales": np.ones((8, 2), F32)}}, ["scales", "float32"]),
}


@pytest.fixture(params=["onnx", "fewbit"])
def wrong_file(request, run, tmp_path):
    """A file of either kind with a wrong Decode node, or None where that kind cannot be made."""

    def make(**changes):
        decode_model(tmp_path / "wrong.onnx", **changes)
        if request.param == "onnx":
            return tmp_path / "wrong.onnx"
        done = run("fewbit", "convert", tmp_path / "wrong.onnx", "-o", tmp_path / "wrong.fewbit", ok=False)
        return tmp_path / "wrong.fewbit" if done.returncode == 0 else None

    return make


def test_a_right_decode_node_runs(run, outputs, tmp_path):
    decode_model(tmp_path / "right.onnx")
    assert outputs(tmp_path / "right.onnx", {"x": normal(2, 64)}).shape == (2, 8)


@pytest.mark.parametrize("case", WRONG)
def test_wrong_decode_nodes(wrong_file, refuses, tmp_path, case):
    changes, words = WRONG[case]
    path = wrong_file(**changes)
    if path is None:
        return  # convert has refused it
    np.save(tmp_path / "x.npy", normal(2, 64))
    (tmp_path / "out").mkdir()
    refuses("run", path, "--input", f"x={tmp_path / 'x.npy'}", "--output", tmp_path / "out",
            words=["the_decoder", *words])
    refuses("bench", path, "--seconds", "0.1", words=["the_decoder", *words])


def test_few_bits_are_not_quantized_again(quantize, refuses, tmp_path):
    """Codes of codes would lose what the first ones kept."""
    path, _ = quantize(EXAMPLES["matmul"](), "few.fewbit", "w4:g32")
    refuses("quantize", path, "-o", tmp_path / "again.fewbit", "--scheme", "w2:g32", words=("int4/g32", "float model"))
