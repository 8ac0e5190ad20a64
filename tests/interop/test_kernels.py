"""Products that run on the codes of their weights, and the command that measures their kernels."""
import json

import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the onnx package")
from onnx import helper, numpy_helper  # noqa: E402

F32 = np.float32
K, N, M = 160, 70, 9


@pytest.fixture
def network(tmp_path):
    rng = np.random.default_rng(1)
    w = rng.normal(size=(K, N)).astype(F32)
    node = helper.make_node("MatMul", ["x", "w"], ["y"], name="product")
    graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", 1, ["m", K])],
                              [helper.make_tensor_value_info("y", 1, ["m", N])], [numpy_helper.from_array(w, "w")])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", rng.normal(size=(M, K)).astype(F32))
    return tmp_path / "m.onnx"


def output(run, model, tmp_path):
    done = run("fewbit", "run", model, "--input", f"x={tmp_path / 'x.npy'}", "--output", tmp_path / "out", "--json")
    return np.load(json.loads(done.stdout)["outputs"][0]["file"]).astype(np.float64)


def rounded_rows(x):
    """As src/kernels/few_bit/few_bit.h states it."""
    scale = np.abs(x).max(axis=1, keepdims=True) / F32(127)
    return np.rint(x * (F32(1) / scale)).astype(np.float64) * scale


@pytest.mark.parametrize("scheme", ["w4a8:g32:token", "w8a8:g32:token", "w3a8:channel:token", "w4a8:g16:asym:token",
                                    "ternary+a8:token", "q4_K+a8:token", "int4/g32:u6+a8:token",
                                    "ternary1.6/channel+a8:token", "tq1_0+a8:token", "sherry1.25+a8:token",
                                    "sherry1.25/g48+a8:token", "fp4e2m1+a8:token", "mxfp4+a8:token",
                                    "nvfp4+a8:token", "iq4_xs+a8:token", "fp6e2m3/g32+a8:token",
                                    "vq2_1x6+a8:token", "vq4_2x8+a8:token", "vq8_1x8/g32+a8:token"])
def test_rounded_activations_times_decoded_weights(run, network, tmp_path, scheme):
    plain = scheme.replace(":token", "").replace("+a8", "").replace("a8", "")
    run("fewbit", "quantize", network, "-o", tmp_path / "codes.fewbit", "--scheme", scheme)
    run("fewbit", "quantize", network, "-o", tmp_path / "float.fewbit", "--scheme", plain)
    x = np.load(tmp_path / "x.npy")
    found = output(run, tmp_path / "codes.fewbit", tmp_path)
    np.save(tmp_path / "x.npy", np.eye(K, dtype=F32))
    weights = output(run, tmp_path / "float.fewbit", tmp_path)
    wanted = rounded_rows(x) @ weights
    assert np.abs(found - wanted).max() <= 2e-6 * np.abs(rounded_rows(x)).max() * np.abs(weights).sum(axis=0).max()


def test_the_profile_names_the_kernel(run, network, tmp_path):
    path = tmp_path / "codes.fewbit"
    report = json.loads(run("fewbit", "quantize", network, "-o", path, "--scheme", "w4a8:g32:token", "--json").stdout)
    assert report["integer_layers"] == 1 and report["fallbacks"] == 0
    bench = json.loads(run("fewbit", "bench", path, "--profile", "--seconds", "0.1", "--json").stdout)
    assert any(layer["kernel"].startswith("few_bit/") for layer in bench["layers"])


@pytest.mark.parametrize("scheme", ["w4:g32", "nf4", "int3/g16", "uint8/g32"])
def test_few_rows_in_float_read_the_codes(run, tmp_path, scheme):
    rng = np.random.default_rng(2)
    w = rng.normal(size=(N, K)).astype(F32)

    def product(x):
        """What the quantized layer gives for x, and the name of its kernel."""
        node = helper.make_node("Gemm", ["x", "w"], ["y"], name="product", transB=1)
        graph = helper.make_graph([node], "g", [helper.make_tensor_value_info("x", 1, x.shape)],
                                  [helper.make_tensor_value_info("y", 1, [len(x), N])], [numpy_helper.from_array(w, "w")])
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), tmp_path / "m.onnx")
        np.save(tmp_path / "x.npy", x)
        path = tmp_path / "q.fewbit"
        run("fewbit", "quantize", tmp_path / "m.onnx", "-o", path, "--scheme", scheme)
        bench = json.loads(run("fewbit", "bench", path, "--profile", "--seconds", "0.1", "--json").stdout)
        return output(run, path, tmp_path), bench["layers"][0]["kernel"]

    x = rng.normal(size=(3, K)).astype(F32)
    found, kernel = product(x)
    assert kernel.startswith("few_bit/"), kernel
    # Many rows are multiplied with decoded weights: here they show them.
    weights, kernel = product(np.eye(K, dtype=F32))
    assert not kernel.startswith("few_bit/"), kernel
    assert np.abs(found - x @ weights).max() <= 1e-6 * np.abs(weights).sum(axis=0).max() * np.abs(x).max()


@pytest.mark.parametrize("scheme, families", [("sherry1.25+a8:token", {"pattern_codes", "few_bit"}),
                                              ("vq4_1x8+a8:token", {"vector_codes"})])
def test_codes_are_looked_up(run, network, tmp_path, scheme, families):
    path = tmp_path / "codes.fewbit"
    report = json.loads(run("fewbit", "quantize", network, "-o", path, "--scheme", scheme, "--json").stdout)
    assert report["integer_layers"] == 1 and report["fallbacks"] == 0
    bench = json.loads(run("fewbit", "bench", path, "--profile", "--seconds", "0.1", "--json").stdout)
    assert any(layer["kernel"].split("/")[0] in families for layer in bench["layers"])


def test_many_rows_of_activations(run, network, tmp_path):
    """From 16 rows on Sherry's weights are multiplied as ternary ones."""
    x = np.random.default_rng(2).normal(size=(20, K)).astype(F32)
    found = {}
    for scheme in ("sherry1.25", "sherry1.25+a8:token"):
        run("fewbit", "quantize", network, "-o", tmp_path / "q.fewbit", "--scheme", scheme)
        np.save(tmp_path / "x.npy", x if "a8" in scheme else np.eye(K, dtype=F32))
        found[scheme] = output(run, tmp_path / "q.fewbit", tmp_path)
    weights = found["sherry1.25"]
    wanted = rounded_rows(x) @ weights
    # Products of many rows may round weights to int8 once more (few_bit.h).
    tolerance = np.abs(weights).max() * np.abs(rounded_rows(x)).sum(axis=1).max() / 200
    assert np.abs(found["sherry1.25+a8:token"] - wanted).max() <= tolerance


def test_formats_that_no_kernel_reads_are_listed(run, network, tmp_path):
    done = run("fewbit", "quantize", network, "-o", tmp_path / "q.fewbit", "--scheme", "dual4+a8:token", "--json")
    layer = json.loads(done.stdout)["layers"][0]
    assert layer["packed"] and not layer["integer"] and "dual4" in layer["reason"]
    done = run("fewbit", "quantize", network, "-o", tmp_path / "r.fewbit", "--scheme", "dual4+a8:token", "--strict", ok=False)
    assert done.returncode == 1 and "--strict" in done.stderr and not (tmp_path / "r.fewbit").exists()


def test_bench_kernels(run):
    bench = json.loads(run("fewbit", "bench-kernels", "--filter", "int2/g32/1x1536x576", "--threads", "1", "--json").stdout)
    assert bench["limits"]["read_bytes_per_s"] > 1e8 and bench["limits"]["int8_ops_per_s"] > 1e8
    rows = [row for row in bench["rows"] if row["format"] == "int2/g32"]
    assert len(rows) == 1 and rows[0]["family"] == "few_bit"
    row = rows[0]
    assert (row["m"], row["n"], row["k"], row["threads"]) == (1, 1536, 576, 1)
    assert np.isclose(row["weights_per_s"] * row["seconds"], 1536 * 576)
    assert np.isclose(row["fraction"], row["bytes_per_s"] / bench["limits"]["read_bytes_per_s"])
    refused = run("fewbit", "bench-kernels", "--filter", "nothing", ok=False)
    assert refused.returncode == 2 and "nothing" in refused.stderr
