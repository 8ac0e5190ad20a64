"""The program from end to end, on the network that the repository carries; ONNX Runtime is the judge."""
import gzip
import json
import pathlib

import pytest

np = pytest.importorskip("numpy", reason="needs numpy")
ort = pytest.importorskip("onnxruntime", reason="needs the onnxruntime package")
onnx = pytest.importorskip("onnx", reason="needs the onnx package")

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "fashion_mnist"
MODEL = EXAMPLE / "fashion_mobilenet.onnx"
EVAL = EXAMPLE / "eval.toml"
FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
# A few threads more than there are processors would only make the tests slow.
THREADS = ("--threads", "2")

needs_fashion = pytest.mark.skipif(
    not FASHION.is_dir(), reason="needs the Debian package dataset-fashion-mnist")


def one_object(done):
    """The single JSON object that a command printed."""
    assert done.returncode == 0, done.stderr
    value, end = json.JSONDecoder().raw_decode(done.stdout)
    assert isinstance(value, dict) and done.stdout[end:].strip() == ""
    return value


def fails(done, code, *words):
    assert done.returncode == code, (done.returncode, done.stderr)
    assert done.stdout == ""
    assert done.stderr.startswith("fewbit: error: ") and done.stderr.count("\n") == 1
    for word in words:
        assert word in done.stderr
    return done.stderr


def session_of(path):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 2
    return ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def fashion(count):
    """The first test images as the network takes them, and their labels."""
    with gzip.open(FASHION / "t10k-images-idx3-ubyte.gz") as file:
        pixels = np.frombuffer(file.read(16 + count * 784)[16:], np.uint8)
    with gzip.open(FASHION / "t10k-labels-idx1-ubyte.gz") as file:
        labels = np.frombuffer(file.read(8 + count)[8:], np.uint8)
    images = (pixels.reshape(count, 1, 28, 28).astype(np.float32) / 255 - 0.2860) / 0.3530
    return images.astype(np.float32), labels


@pytest.fixture(scope="module")
def images():
    return np.random.default_rng(1).standard_normal((1, 1, 28, 28)).astype(np.float32)


@pytest.fixture(scope="module")
def half(run, tmp_path_factory):
    path = tmp_path_factory.mktemp("half") / "half.onnx"
    run("fewbit", "convert", MODEL, "-o", path, "--to", "fp16")
    return path


# ------------------------------------------------------------------ the program itself


def test_version_and_help(run):
    assert run("fewbit", "--version").stdout.startswith("fewbit ")
    overview = run("fewbit", "--help").stdout
    for command in ("inspect", "run", "eval", "quantize", "compare", "bench", "convert"):
        assert command in overview
        text = run("fewbit", command, "--help").stdout
        assert "Examples:" in text and f"fewbit {command}" in text and "--json" in text


def test_misuse_is_exit_2(run):
    fails(run("fewbit", "inspekt", ok=False), 2, "inspekt", "did you mean 'inspect'")
    fails(run("fewbit", "inspect", ok=False), 2, "model")
    fails(run("fewbit", "inspect", MODEL, "--grph", ok=False), 2, "--grph")
    fails(run("fewbit", "convert", MODEL, "-o", "x", "--to", "fp8", ok=False), 2, "fp8")
    fails(run("fewbit", "bench", MODEL, "--batch", "0", ok=False), 2, "--batch")
    fails(run("fewbit", "run", MODEL, "--input", "imago=x.npy", "-o", "x", ok=False), 2,
          "imago", "did you mean 'image'")
    fails(run("fewbit", "inspect", MODEL, "--input", "image=1,0,2", ok=False), 2, "1,0,2")
    done = run("fewbit", ok=False)
    assert done.returncode == 2 and done.stdout == "" and "inspect" in done.stderr


def test_failure_is_exit_1(run, tmp_path):
    fails(run("fewbit", "inspect", tmp_path / "none.onnx", ok=False), 1, "none.onnx")
    cut = tmp_path / "cut.onnx"
    cut.write_bytes(MODEL.read_bytes()[:5000])
    fails(run("fewbit", "inspect", cut, ok=False), 1, "cut.onnx")
    fails(run("fewbit", "run", MODEL, "--input", f"image={tmp_path / 'none.npy'}", "-o", tmp_path,
              ok=False), 1, "none.npy")
    wrong = tmp_path / "wrong.npy"
    np.save(wrong, np.zeros((1, 3, 28, 28), np.float32))
    fails(run("fewbit", "run", MODEL, "--input", f"image={wrong}", "-o", tmp_path / "out", ok=False),
          1, "image", "[1, 3, 28, 28]")
    assert not (tmp_path / "out").exists()
    fails(run("fewbit", "eval", MODEL, "--data", tmp_path / "none.toml", ok=False), 1, "none.toml")


# ------------------------------------------------------------------ inspect


def test_inspect(run):
    found = one_object(run("fewbit", "inspect", MODEL, "--json"))
    model = onnx.load(MODEL)
    counts = {}
    for node in model.graph.node:
        counts[node.op_type] = counts.get(node.op_type, 0) + 1
    counts.pop("Constant", None)
    assert found["operators"] == counts
    assert found["runnable"] and found["unsupported"] == [] and found["problems"] == []
    assert found["file_bytes"] == MODEL.stat().st_size
    assert found["inputs"][0]["name"] == "image" and found["inputs"][0]["shape"][1:] == [1, 28, 28]
    weights = {i.name: i for i in model.graph.initializer}
    convolutions = [n for n in model.graph.node if n.op_type == "Conv"]
    expected = sum(int(np.prod(weights[v].dims)) for n in convolutions for v in n.input[1:])
    assert sum(l["parameters"] for l in found["layers"] if l["op"] == "Conv") == expected
    assert found["macs"] == sum(l["macs"] for l in found["layers"]) > 0
    text = run("fewbit", "inspect", MODEL).stdout
    assert "41 Conv" in text and "runs    yes" in text
    assert "= Conv(" in run("fewbit", "inspect", MODEL, "--graph").stdout


def test_inspect_lists_all_that_cannot_run(run, tmp_path):
    nodes = [onnx.helper.make_node("Nothing", ["x"], ["a"], domain="some.where"),
             onnx.helper.make_node("Relu", ["a"], ["b"]),
             onnx.helper.make_node("Never", ["b"], ["y"], domain="else.where")]
    value = [onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1]) for n in "xy"]
    graph = onnx.helper.make_graph(nodes, "g", value[:1], value[1:])
    opsets = [onnx.helper.make_opsetid(*o) for o in (("", 17), ("some.where", 1), ("else.where", 2))]
    path = tmp_path / "odd.onnx"
    onnx.save(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8), path)
    found = one_object(run("fewbit", "inspect", path, "--json"))
    assert not found["runnable"]
    assert len(found["unsupported"]) == 2
    error = fails(run("fewbit", "bench", path, ok=False), 1, "some.where.Nothing")
    assert "else.where.Never" in error


# ------------------------------------------------------------------ run


def test_run_gives_what_onnxruntime_gives(run, tmp_path, images):
    np.save(tmp_path / "image.npy", images)
    done = run("fewbit", "run", MODEL, "--input", f"image={tmp_path / 'image.npy'}",
               "--output", tmp_path / "a" / "b", "--json", *THREADS)
    written = one_object(done)["outputs"]
    assert [o["name"] for o in written] == ["logits"]
    ours = np.load(tmp_path / "a" / "b" / "logits.npy")
    theirs = session_of(MODEL).run(None, {"image": images})[0]
    assert ours.shape == theirs.shape and ours.dtype == theirs.dtype
    assert np.linalg.norm(ours - theirs) <= 1e-4 * np.linalg.norm(theirs)
    # With a single input its name may be left out.
    run("fewbit", "run", MODEL, "-i", tmp_path / "image.npy", "-o", tmp_path / "c", *THREADS)
    assert np.array_equal(np.load(tmp_path / "c" / "logits.npy"), ours)


def test_run_replaces_slashes_in_names(run, tmp_path):
    x = onnx.helper.make_tensor_value_info("in/x", onnx.TensorProto.FLOAT, [2])
    y = onnx.helper.make_tensor_value_info("out/y:0", onnx.TensorProto.FLOAT, [2])
    graph = onnx.helper.make_graph([onnx.helper.make_node("Neg", ["in/x"], ["out/y:0"])], "g", [x], [y])
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "m.onnx")
    np.save(tmp_path / "x.npy", np.array([1, -2], np.float32))
    run("fewbit", "run", tmp_path / "m.onnx", "-i", f"in/x={tmp_path / 'x.npy'}", "-o", tmp_path)
    assert np.load(tmp_path / "out_y:0.npy").tolist() == [-1, 2]


# ------------------------------------------------------------------ eval, compare


@needs_fashion
def test_eval_counts_as_onnxruntime_does(run, half):
    count = 500
    pixels, labels = fashion(count)
    session = session_of(MODEL)
    logits = np.concatenate([session.run(None, {"image": pixels[i:i + 1]})[0] for i in range(count)])
    top1 = 100 * np.mean(logits.argmax(1) == labels)
    top5 = 100 * np.mean([label in row.argsort()[-5:] for row, label in zip(logits, labels)])
    found = one_object(run("fewbit", "eval", MODEL, "--data", EVAL, "--limit", count, "--json",
                           *THREADS))
    assert found["samples"] == count
    assert found["top1"] == pytest.approx(top1) and found["top5"] == pytest.approx(top5)
    low, high = found["top1_ci95"]
    assert low < top1 < high

    reduced = session_of(half)
    others = np.concatenate([reduced.run(None, {"image": pixels[i:i + 1]})[0] for i in range(100)])
    found = one_object(run("fewbit", "eval", half, "--data", EVAL, "--baseline", MODEL, "--limit", 100,
                           "--json", *THREADS))
    sqnr = 10 * np.log10(np.sum(logits[:100] ** 2) / np.sum((logits[:100] - others) ** 2))
    assert found["sqnr_db"] == pytest.approx(sqnr, abs=0.1)
    assert found["baseline"]["top1"] == pytest.approx(
        100 * np.mean(logits[:100].argmax(1) == labels[:100]))
    assert found["difference"]["points"] == pytest.approx(found["top1"] - found["baseline"]["top1"])
    assert found["difference"]["ci95"][0] <= found["difference"]["points"]
    assert 0 <= found["difference"]["mcnemar_p"] <= 1


def test_eval_without_labels(run, half, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(2).standard_normal((5, 1, 28, 28), np.float32))
    (tmp_path / "set.toml").write_text('kind = "arrays"\nfile = "x.npy"\n')
    data = tmp_path / "set.toml"
    fails(run("fewbit", "eval", MODEL, "--data", data, ok=False), 2, "labels")
    found = one_object(run("fewbit", "eval", half, "--data", data, "--baseline", MODEL, "--json",
                           *THREADS))
    assert "top1" not in found and "difference" not in found
    # Weights rounded to 11 bits: a relative error of about 2^-13 each.
    assert 50 < found["sqnr_db"] < 100


def test_compare_finds_the_changed_layer(run, tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(2).standard_normal((5, 1, 28, 28), np.float32))
    (tmp_path / "set.toml").write_text('kind = "arrays"\nfile = "x.npy"\n')
    model = onnx.load(MODEL)
    target = [n for n in model.graph.node if n.op_type == "Conv"][5]
    weight = next(i for i in model.graph.initializer if i.name == target.input[1])
    values = onnx.numpy_helper.to_array(weight)
    noise = np.random.default_rng(3).standard_normal(values.shape).astype(np.float32)
    changed = values + 0.1 * np.std(values) * noise
    weight.CopyFrom(onnx.numpy_helper.from_array(changed.astype(np.float32), weight.name))
    onnx.save(model, tmp_path / "changed.onnx")
    found = one_object(run("fewbit", "compare", MODEL, tmp_path / "changed.onnx", "--data",
                           tmp_path / "set.toml", "--json", *THREADS))
    assert found["samples"] == 5 and len(found["layers"]) > 40
    worst, second = found["layers"][:2]
    assert worst["name"] == target.name and worst["own_sqnr_db"] < 40
    # Every other layer computes the same; what reaches it from there is inherited.
    assert second["own_sqnr_db"] is None or second["own_sqnr_db"] > 80
    assert found["outputs"][0]["sqnr_db"] < 60


# ------------------------------------------------------------------ bench, convert


def test_bench(run, half):
    found = one_object(run("fewbit", "bench", MODEL, "--threads", 1, "--seconds", 0.2, "--profile",
                           "--against", half, "--json"))
    latency = found["latency_ms"]
    assert 0 < latency["p10"] <= latency["p50"] <= latency["p90"]
    assert found["threads"] == 1 and found["batch"] == 1
    assert found["peak_rss_bytes"] > MODEL.stat().st_size
    low, high = found["against"]["ci95"]
    assert 0 < low <= found["against"]["ratio"] <= high
    assert sum(layer["share"] for layer in found["layers"]) == pytest.approx(1)
    products = [layer for layer in found["layers"] if layer["macs"] > 0]
    assert products and all(layer["gops"] > 0 for layer in products)


@pytest.mark.parametrize("kind", ["fp16", "bf16"])
def test_convert_halves_the_file(run, tmp_path, images, kind):
    path = tmp_path / "small.onnx"
    done = one_object(run("fewbit", "convert", MODEL, "-o", path, "--to", kind, "--json"))
    assert done["file_bytes"] == path.stat().st_size < 0.65 * MODEL.stat().st_size
    onnx.checker.check_model(onnx.load(path), full_check=True)
    before = session_of(MODEL).run(None, {"image": images})[0]
    after = session_of(path).run(None, {"image": images})[0]
    error = np.linalg.norm(before - after) / np.linalg.norm(before)
    assert 0 < error < (0.01 if kind == "fp16" else 0.08)
    np.save(tmp_path / "image.npy", images)
    run("fewbit", "run", path, "-i", tmp_path / "image.npy", "-o", tmp_path, *THREADS)
    ours = np.load(tmp_path / "logits.npy")
    # bfloat16 weights are computed with in bfloat16 where the processor can: 8 bits of mantissa.
    assert np.linalg.norm(ours - after) <= (1e-4 if kind == "fp16" else 0.04) * np.linalg.norm(after)


def test_convert_keeps_the_model(run, tmp_path, images):
    path = tmp_path / "same.onnx"
    run("fewbit", "convert", MODEL, "-o", path, "--external-data")
    assert (tmp_path / "same.onnx.data").stat().st_size > 0.8 * MODEL.stat().st_size
    before = session_of(MODEL).run(None, {"image": images})[0]
    assert np.array_equal(session_of(path).run(None, {"image": images})[0], before)


def test_convert_refuses_to_make_infinities(run, tmp_path):
    weight = np.ones((16, 16), np.float32)
    weight[3, :2] = 1e6
    x, y = (onnx.helper.make_tensor_value_info(n, onnx.TensorProto.FLOAT, [1, 16]) for n in "xy")
    graph = onnx.helper.make_graph([onnx.helper.make_node("MatMul", ["x", "w"], ["y"])], "g", [x], [y],
                                   [onnx.numpy_helper.from_array(weight, "w")])
    opset = [onnx.helper.make_opsetid("", 17)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), tmp_path / "m.onnx")
    out = tmp_path / "out.onnx"
    fails(run("fewbit", "convert", tmp_path / "m.onnx", "-o", out, "--to", "fp16", ok=False), 1,
          "'w'", "2 of 256")
    assert not out.exists()
