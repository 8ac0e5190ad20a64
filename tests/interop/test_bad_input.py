"""What `fewbit` makes of input that is wrong, from end to end: the exit code, exactly one line that says what
was found where, and nothing half-written."""
import os
import pathlib
import signal
import subprocess
import time

import pytest

np = pytest.importorskip("numpy", reason="needs numpy")
onnx = pytest.importorskip("onnx", reason="needs the onnx package")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

EXAMPLE = pathlib.Path(__file__).resolve().parents[2] / "examples" / "fashion_mnist"
F32 = np.float32
RNG = np.random.default_rng(4)
CLASSES = 5


def weights():
    return {"w": RNG.normal(size=(6, 3, 3, 3)).astype(F32), "b": RNG.normal(size=6).astype(F32),
            "v": RNG.normal(size=(6, CLASSES)).astype(F32)}


def network(path, arrays=None, nodes=None, elem=TensorProto.FLOAT, **save):
    """conv -> Relu -> global pool -> Gemm, inputs [N, 3, 8, 8]."""
    nodes = nodes or [
        helper.make_node("Conv", ["x", "w", "b"], ["c"], name="conv", pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("GlobalAveragePool", ["r"], ["p"], name="pool"),
        helper.make_node("Flatten", ["p"], ["f"], name="flatten"),
        helper.make_node("Gemm", ["f", "v"], ["y"], name="gemm")]
    graph = helper.make_graph(
        nodes, "g", [helper.make_tensor_value_info("x", elem, ["N", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(a, n) for n, a in (arrays or weights()).items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, path, **save)
    return path


def data_set(folder, x=None, labels=None, name="set", extra=""):
    x = RNG.normal(size=(16, 3, 8, 8)).astype(F32) if x is None else x
    arrays = {"x": x} if labels is None else {"x": x, "y": np.asarray(labels)}
    np.savez(folder / f"{name}.npz", **arrays)
    keys = 'input = "x"\n' + ('labels = "y"\n' if labels is not None else "")
    (folder / f"{name}.toml").write_text(f'kind = "arrays"\nfile = "{name}.npz"\n{keys}{extra}')
    return folder / f"{name}.toml"


@pytest.fixture
def call(run):
    """call(*args): a run of the program that must not end by a signal."""

    def invoke(*args):
        done = run("fewbit", *args, ok=False)
        assert done.returncode in (0, 1, 2), (args, done.returncode, done.stderr)
        return done

    return invoke


def fails(done, *words, code=1):
    """Exactly one error line, with these words in it."""
    assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
    lines = [l for l in done.stderr.splitlines() if l]
    assert len(lines) == 1 and lines[0].startswith("fewbit: error: "), done.stderr
    for word in words:
        assert str(word) in lines[0], (word, lines[0])


def refuses(call, folder, model, calib, *words, code=1, extra=()):
    """quantize fails as said, and leaves nothing in an output folder of its own."""
    out = folder / "out"
    out.mkdir(exist_ok=True)
    fails(call("quantize", model, "-o", out / "q.onnx", "--calib", calib, *extra), *words, code=code)
    assert list(out.iterdir()) == []


# -- numbers


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("which,layer", [("w", "conv"), ("b", "conv"), ("v", "gemm")])
def test_weights_that_are_no_numbers(call, tmp_path, bad, which, layer):
    arrays = weights()
    arrays[which].flat[3] = bad
    refuses(call, tmp_path, network(tmp_path / "m.onnx", arrays), data_set(tmp_path),
            f"'{which}'", layer, "NaN or infinity")


@pytest.mark.parametrize("scheme,layer", [("w8", "conv"), ("w8a8:dynamic", "gemm"), ("w8a8:tensor", "gemm")])
def test_weights_that_are_no_numbers_in_every_scheme(call, tmp_path, scheme, layer):
    arrays = weights()
    arrays["w" if layer == "conv" else "v"].flat[0] = np.nan
    refuses(call, tmp_path, network(tmp_path / "m.onnx", arrays), data_set(tmp_path), layer,
            "NaN or infinity", extra=["--scheme", scheme])


def test_calibration_data_without_any_number(call, tmp_path):
    calib = data_set(tmp_path, np.full((4, 3, 8, 8), np.nan, F32))
    refuses(call, tmp_path, network(tmp_path / "m.onnx"), calib, "'x'", "finite")


def finite_model(path):
    arrays = [numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer]
    for a in arrays:
        assert a.dtype != F32 or np.isfinite(a).all()
    scales = [numpy_helper.to_array(i) for i in onnx.load(path).graph.initializer
              if i.name.endswith("_scale")]
    assert scales and all((s > 0).all() for s in scales)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_few_values_that_are_no_numbers_do_not_spoil_the_ranges(call, tmp_path, bad):
    x = RNG.normal(size=(16, 3, 8, 8)).astype(F32)
    x[3, 1, 2, 2] = bad
    out = tmp_path / "q.onnx"
    done = call("quantize", network(tmp_path / "m.onnx"), "-o", out, "--calib", data_set(tmp_path, x))
    assert done.returncode == 0, done.stderr
    finite_model(out)


@pytest.mark.parametrize("scheme", ["w8a8", "w8a8:tensor", "w8", "w8a8:dynamic", "w8a8:token"])
@pytest.mark.parametrize("what", ["constant data", "zero data", "zero weights", "one zero channel"])
def test_degenerate_numbers_quantize_to_finite_scales(call, tmp_path, what, scheme):
    arrays = weights()
    x = {"constant data": np.full((8, 3, 8, 8), 0.7, F32), "zero data": np.zeros((8, 3, 8, 8), F32)}.get(what)
    if what == "zero weights":
        arrays = {n: np.zeros_like(a) for n, a in arrays.items()}
    if what == "one zero channel":
        arrays["w"][2] = 0
        arrays["b"][2] = 0
    out = tmp_path / "q.onnx"
    done = call("quantize", network(tmp_path / "m.onnx", arrays), "-o", out, "--calib",
                data_set(tmp_path, x), "--scheme", scheme)
    assert done.returncode == 0, done.stderr
    finite_model(out)
    np.save(tmp_path / "x.npy", RNG.normal(size=(2, 3, 8, 8)).astype(F32))
    assert call("run", out, "--input", tmp_path / "x.npy", "--output", tmp_path / "y").returncode == 0
    assert np.isfinite(np.load(tmp_path / "y" / "y.npy")).all()


# -- data sets


def test_an_empty_set(call, tmp_path):
    refuses(call, tmp_path, network(tmp_path / "m.onnx"), data_set(tmp_path, np.zeros((0, 3, 8, 8), F32)),
            "set.npz")
    (tmp_path / "pictures").mkdir()
    (tmp_path / "none.toml").write_text('kind = "images"\nroot = "pictures"\n')
    refuses(call, tmp_path, network(tmp_path / "m.onnx"), tmp_path / "none.toml", "pictures")


@pytest.mark.parametrize("label", [-1, CLASSES, 2**40])
def test_labels_out_of_range(call, tmp_path, label):
    evaluation = data_set(tmp_path, labels=[0] * 15 + [label], name="eval")
    fails(call("eval", network(tmp_path / "m.onnx"), "--data", evaluation), label)
    refuses(call, tmp_path, network(tmp_path / "m.onnx"), data_set(tmp_path), label,
            extra=["--eval", evaluation])


def test_a_picture_that_cannot_be_read(call, tmp_path):
    (tmp_path / "pictures").mkdir()
    (tmp_path / "pictures" / "cut.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(40))
    (tmp_path / "set.toml").write_text('kind = "images"\nroot = "pictures"\n')
    refuses(call, tmp_path, network(tmp_path / "m.onnx"), tmp_path / "set.toml", "cut.jpg")


def test_samples_of_another_shape_or_type(call, tmp_path):
    model = network(tmp_path / "m.onnx")
    refuses(call, tmp_path, model, data_set(tmp_path, RNG.normal(size=(4, 4, 8, 8)).astype(F32)), "'x'",
            "[N, 3, 8, 8]")
    refuses(call, tmp_path, model, data_set(tmp_path, RNG.normal(size=(4, 3, 8)).astype(F32)), "'x'")
    refuses(call, tmp_path, model, data_set(tmp_path, np.zeros((4, 3, 8, 8), np.int64),
                                            extra='type = "int64"\n'), "'x'", "int64")


def test_an_input_that_the_data_does_not_feed(call, tmp_path):
    model = onnx.load(network(tmp_path / "m.onnx"))
    model.graph.input.append(helper.make_tensor_value_info("scale", TensorProto.FLOAT, [1]))
    model.graph.node[-1].output[0] = "z"
    model.graph.node.append(helper.make_node("Mul", ["z", "scale"], ["y"], name="mul"))
    onnx.save(model, tmp_path / "two.onnx")
    refuses(call, tmp_path, tmp_path / "two.onnx", data_set(tmp_path), "'scale'")
    refuses(call, tmp_path, network(tmp_path / "m.onnx"), data_set(tmp_path, extra='feed = "image"\n'),
            "'image'")


# -- models


def test_a_cycle(call, tmp_path):
    model = network(tmp_path / "m.onnx", nodes=[
        helper.make_node("Add", ["x", "b2"], ["a"], name="first"),
        helper.make_node("Relu", ["a"], ["b2"], name="second"),
        helper.make_node("Relu", ["b2"], ["y"], name="third")])
    refuses(call, tmp_path, model, data_set(tmp_path), "m.onnx", "cycle")


def test_truncated_files(call, tmp_path):
    whole = network(tmp_path / "m.onnx").read_bytes()
    calib = data_set(tmp_path)
    cut = tmp_path / "cut.onnx"
    for length in sorted({0, 1, 2, 7, *np.linspace(8, len(whole) - 1, 40).astype(int)}):
        cut.write_bytes(whole[:length])
        fails(call("inspect", cut), "cut.onnx")
        if length % 4 == 0:
            refuses(call, tmp_path, cut, calib, "cut.onnx")


def test_flipped_bits(call, tmp_path):
    """Whatever one bit says: no signal, one line or a result. A flipped bit of a weight is just another
    number: the flips fall on everything else."""
    small = {"w": np.ones((2, 3, 3, 3), F32), "b": np.ones(2, F32), "v": np.ones((2, CLASSES), F32)}
    whole = network(tmp_path / "m.onnx", small).read_bytes()
    calib = data_set(tmp_path, RNG.normal(size=(2, 3, 8, 8)).astype(F32))
    flipped = tmp_path / "flipped.onnx"
    numbers = set()
    for array in small.values():
        start = whole.index(array.tobytes())
        numbers.update(range(start, start + array.nbytes))
    places = [i for i in range(len(whole)) if i not in numbers]
    chosen = np.random.default_rng(8).choice(len(places) * 8, size=400, replace=False)
    outcomes = {0: 0, 1: 0}
    for bit in chosen:
        broken = bytearray(whole)
        broken[places[bit // 8]] ^= 1 << (bit % 8)
        flipped.write_bytes(broken)
        out = tmp_path / "q.onnx"
        done = call("quantize", flipped, "-o", out, "--calib", calib)
        assert done.returncode in outcomes, (places[bit // 8], bit % 8, done.stderr)
        outcomes[done.returncode] += 1
        if done.returncode == 1:
            fails(done)
            assert not out.exists(), (places[bit // 8], bit % 8)
        else:
            out.unlink()
        assert not list(tmp_path.glob("*.tmp-*"))
    assert outcomes[0] > 20 and outcomes[1] > 100, outcomes


def external(folder, location="m.data", cut=0):
    model = onnx.load(network(folder / "inline.onnx"))
    onnx.save(model, folder / "m.onnx", save_as_external_data=True, location="m.data", size_threshold=0)
    data = (folder / "m.data").read_bytes()
    (folder / "m.data").write_bytes(data[:len(data) - cut])
    if location != "m.data":
        model = onnx.load(folder / "m.onnx", load_external_data=False)
        for tensor in model.graph.initializer:
            for entry in tensor.external_data:
                if entry.key == "location":
                    entry.value = location
        (folder / "m.onnx").write_bytes(model.SerializeToString())
    return folder / "m.onnx"


def test_external_data(call, tmp_path):
    calib = data_set(tmp_path)
    out = tmp_path / "q.onnx"
    assert call("quantize", external(tmp_path), "-o", out, "--calib", calib).returncode == 0
    refuses(call, tmp_path, external(tmp_path, cut=8), calib, "m.onnx", "m.data")
    inner = tmp_path / "inner"
    inner.mkdir()
    (tmp_path / "outside.data").write_bytes(bytes(4096))
    refuses(call, tmp_path, external(inner, "../outside.data"), calib, "m.onnx", "../outside.data")
    refuses(call, tmp_path, external(inner, str(tmp_path / "outside.data")), calib, "outside.data")
    (inner / "link.data").symlink_to(tmp_path / "outside.data")
    refuses(call, tmp_path, external(inner, "link.data"), calib, "link.data")
    refuses(call, tmp_path, external(inner, "none.data"), calib, "none.data")


# -- the recipe: misuse, exit code 2, before the model is read


@pytest.mark.parametrize("key,value", [
    ("calibration.moving_average", "1"), ("calibration.moving_average", "-0.5"), ("threads", "-1"),
    ("calibration.samples", "-3"), ("calibration.batch", "0"), ("passes.equalize_max_scale", "0.5"),
    ("passes.bias_samples", "-1"), ("calibration.percentile", "50"), ("passes.absorb_bias", "maybe")])
def test_recipe_values_out_of_range(call, tmp_path, key, value):
    refuses(call, tmp_path, network(tmp_path / "m.onnx"), data_set(tmp_path), key, value, code=2,
            extra=["--set", f"{key}={value}"])


# -- disks


@pytest.fixture
def small_disk(tmp_path):
    """A disk of 64 KiB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)],
                             capture_output=True, text=True)
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk(call, tmp_path, small_disk):
    arrays = weights()
    arrays["v"] = RNG.normal(size=(6, 60000)).astype(F32)
    model, calib = network(tmp_path / "m.onnx", arrays), data_set(tmp_path)
    out = small_disk / "q.onnx"
    fails(call("quantize", model, "-o", out, "--calib", calib), out, "the disk is full")
    assert list(small_disk.iterdir()) == []
    out.write_bytes(b"the file of before")
    fails(call("quantize", model, "-o", out, "--calib", calib), out)
    assert out.read_bytes() == b"the file of before"


def test_a_folder_that_cannot_be_written(call, tmp_path):
    folder = tmp_path / "locked"
    folder.mkdir()
    bound = False
    if os.geteuid() == 0:  # permissions do not stop root; a read-only mount does
        bind = subprocess.run(["mount", "--bind", "-o", "ro", str(folder), str(folder)],
                              capture_output=True, text=True)
        if bind.returncode != 0:
            pytest.skip(f"nothing is read-only for root here: {bind.stderr.strip()}")
        bound = True
    else:
        folder.chmod(0o555)
    try:
        done = call("quantize", network(tmp_path / "m.onnx"), "-o", folder / "q.onnx", "--calib",
                    data_set(tmp_path))
        fails(done, folder / "q.onnx")
        assert list(folder.iterdir()) == []
    finally:
        if bound:
            subprocess.run(["umount", str(folder)], check=True)


def test_a_folder_that_is_not_there(call, tmp_path):
    fails(call("quantize", network(tmp_path / "m.onnx"), "-o", tmp_path / "none" / "q.onnx", "--calib",
               data_set(tmp_path)), tmp_path / "none" / "q.onnx")
    (tmp_path / "folder.onnx").mkdir()
    fails(call("quantize", network(tmp_path / "m.onnx"), "-o", tmp_path / "folder.onnx", "--calib",
               data_set(tmp_path)), tmp_path / "folder.onnx")
    # A name that is of no kind of model is a mistake of the command line.
    fails(call("quantize", network(tmp_path / "m.onnx"), "-o", tmp_path, "--calib", data_set(tmp_path)),
          tmp_path, ".onnx", ".fewbit", code=2)


def test_killed_half_way(program, tmp_path):
    """No output appears, the one of before stays, and the next run is none the wiser."""
    model, calib = network(tmp_path / "m.onnx"), data_set(tmp_path, RNG.normal(size=(64, 3, 8, 8)).astype(F32))
    folder = tmp_path / "out"
    folder.mkdir()
    out = folder / "q.onnx"
    args = [program("fewbit"), "quantize", model, "-o", out, "--calib", calib, "--threads", "1"]
    started = time.monotonic()
    subprocess.run(args, check=True, capture_output=True)
    seconds, expected = time.monotonic() - started, out.read_bytes()
    out.unlink()
    killed = 0
    for share in np.linspace(0.02, 0.98, 12):
        running = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(seconds * share)
        running.send_signal(signal.SIGKILL)
        killed += running.wait() == -signal.SIGKILL
        assert not out.exists() or out.read_bytes() == expected
        out.unlink(missing_ok=True)
    assert killed > 0
    out.write_bytes(b"the file of before")
    running = subprocess.Popen(args, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    time.sleep(seconds / 4)
    running.send_signal(signal.SIGKILL)
    running.wait()
    assert out.read_bytes() in (b"the file of before", expected)
    subprocess.run(args, check=True, capture_output=True)
    assert out.read_bytes() == expected
    # A kill between the first byte and the renaming leaves one file under another name, never more.
    assert len(list(folder.iterdir())) <= 1 + killed
