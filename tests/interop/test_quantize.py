"""What `fewbit quantize` writes, read by ONNX Runtime and OpenVINO; what ONNX Runtime writes, run here.

Uses the network and the data that the repository names; the larger models beside the repository where
they are (../shared/data), otherwise those tests skip.
"""
import collections
import gzip
import json
import pathlib
import subprocess

import numpy as np
import onnx
import pytest

ort = pytest.importorskip("onnxruntime")

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "fashion_mnist"
SHARED = ROOT.parent / "shared" / "data"
IMAGES = pathlib.Path("/usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz")


def fewbit(program, *args):
    done = subprocess.run([str(program), *map(str, args)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_images(count):
    with gzip.open(IMAGES) as f:
        raw = np.frombuffer(f.read(), np.uint8, offset=16).reshape(-1, 1, 28, 28)
    return ((raw[:count].astype(np.float32) / 255.0) - 0.2860) / 0.3530


test_images.__test__ = False


@pytest.fixture(scope="session")
def fewbit_program(program):
    return program("fewbit")


@pytest.fixture(scope="module")
def quantized(fewbit_program, tmp_path_factory):
    if not IMAGES.exists():
        pytest.skip("Debian package dataset-fashion-mnist is not installed")
    folder = tmp_path_factory.mktemp("quantized")
    out = {}
    for scheme in ("w8a8", "w8a8:tensor", "w8"):
        path = folder / (scheme.replace(":", "_") + ".onnx")
        report = fewbit(fewbit_program, "quantize", EXAMPLE / "fashion_mobilenet.onnx", "-o", path,
                        "--calib", EXAMPLE / "calib.toml", "--scheme", scheme, "--json")
        out[scheme] = (path, report)
    return out


def ort_run(path, feeds, optimized=None, threads=1):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = threads
    if optimized is not None:
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
        options.optimized_model_filepath = str(optimized)
    return ort.InferenceSession(str(path), options).run(None, feeds)


def fewbit_run(program, path, name, array, folder):
    np.save(folder / "in.npy", array)
    done = subprocess.run([str(program), "run", str(path), "--input", f"{name}={folder / 'in.npy'}",
                           "--output", str(folder)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    outputs = [p for p in folder.glob("*.npy") if p.name != "in.npy"]
    assert len(outputs) == 1, outputs
    return np.load(outputs[0])


@pytest.mark.parametrize("scheme", ["w8a8", "w8a8:tensor", "w8"])
def test_checker_accepts(quantized, scheme):
    onnx.checker.check_model(str(quantized[scheme][0]), full_check=True)


@pytest.mark.parametrize("scheme", ["w8a8", "w8a8:tensor"])
def test_agrees_with_onnxruntime(quantized, fewbit_program, tmp_path, scheme):
    path, _ = quantized[scheme]
    x = test_images(2000)
    theirs = ort_run(path, {"image": x})[0]
    ours = fewbit_run(fewbit_program, path, "image", x, tmp_path)
    assert np.mean(theirs.argmax(1) == ours.argmax(1)) >= 0.995
    # One code of a layer may fall on the other side of a tie; the logits move by a few steps then.
    step = np.abs(theirs).max() / 127
    assert np.mean(np.abs(theirs - ours) <= step) >= 0.99


def test_onnxruntime_fuses_what_the_table_says(quantized, tmp_path):
    path, report = quantized["w8a8"]
    ort_run(path, {"image": test_images(1)}, optimized=tmp_path / "optimized.onnx")
    ops = collections.Counter(n.op_type for n in onnx.load(tmp_path / "optimized.onnx").graph.node)
    convolutions = sum(l["op"] == "Conv" and l["scheme"] != "float" for l in report["layers"])
    additions = sum(l["op"] == "Add" and l["scheme"] != "float" for l in report["layers"])
    assert convolutions > 0
    assert ops["QLinearConv"] == convolutions
    assert ops["QLinearAdd"] == additions
    assert ops["Conv"] == 0


def test_metadata_holds_the_recipe(quantized):
    path, report = quantized["w8a8"]
    props = {p.key: p.value for p in onnx.load(path).metadata_props}
    assert 'scheme = "w8a8"' in props["fewbit.recipe"].replace("'", '"')
    assert props["fewbit.data_sha256"] == report["data_sha256"]
    assert props["fewbit.version"] == report["version"]


def test_same_recipe_same_bytes(quantized, fewbit_program, tmp_path):
    path, _ = quantized["w8a8"]
    again = tmp_path / "again.onnx"
    fewbit(fewbit_program, "quantize", EXAMPLE / "fashion_mobilenet.onnx", "-o", again, "--calib",
           EXAMPLE / "calib.toml", "--scheme", "w8a8", "--json")
    assert again.read_bytes() == path.read_bytes()


@pytest.mark.heavy
def test_openvino_agrees(quantized):
    openvino = pytest.importorskip("openvino")
    path, _ = quantized["w8a8"]
    x = test_images(500)
    compiled = openvino.Core().compile_model(str(path), "CPU")
    ov = np.concatenate([compiled(x[i:i + 50])[0] for i in range(0, len(x), 50)])
    theirs = ort_run(path, {"image": x})[0]
    assert np.mean(ov.argmax(1) == theirs.argmax(1)) >= 0.99


class Reader:
    def __init__(self, x):
        self.batches = iter([{"image": x[i:i + 1]} for i in range(len(x))])

    def get_next(self):
        return next(self.batches, None)


@pytest.mark.parametrize("per_channel", [False, True])
def test_onnxruntimes_own_models_run_on_integers(fewbit_program, tmp_path, per_channel):
    quantization = pytest.importorskip("onnxruntime.quantization")
    from onnxruntime.quantization.shape_inference import quant_pre_process

    prepared = tmp_path / "prepared.onnx"
    path = tmp_path / "theirs.onnx"
    quant_pre_process(str(EXAMPLE / "fashion_mobilenet.onnx"), str(prepared))
    x = test_images(600)
    quantization.quantize_static(str(prepared), str(path), Reader(x[500:]),
                                 quant_format=quantization.QuantFormat.QDQ, per_channel=per_channel)
    theirs = ort_run(path, {"image": x[:500]})[0]
    ours = fewbit_run(fewbit_program, path, "image", x[:500], tmp_path)
    assert np.mean(theirs.argmax(1) == ours.argmax(1)) >= 0.99
    profile = fewbit(fewbit_program, "bench", path, "--profile", "--seconds", "0.2", "--json")
    kernels = [l["kernel"] for l in profile["layers"] if l["op"] in ("Conv", "QLinearConv")]
    assert kernels and all(k.startswith("int8_conv") for k in kernels), kernels


MODELS = [("mobilenet_v2_1.0", "imagenet_mobilenet_eval.toml", (3, 224, 224)),
          ("mobilenet_v1_0.75", "imagenet_mobilenet_eval.toml", (3, 224, 224)),
          ("squeezenet1.1", "imagenet_squeezenet_eval.toml", (3, 224, 224)),
          ("resnet20_cifar10", "cifar10_eval.toml", (3, 32, 32)),
          ("resnet56_cifar10", "cifar10_eval.toml", (3, 32, 32)),
          ("vit_mnist", "mnist_eval.toml", (1, 28, 28))]


@pytest.mark.parametrize("name,data,shape", MODELS)
def test_float_outputs_equal_onnxruntimes(fewbit_program, tmp_path, name, data, shape):
    path = SHARED / "models" / f"{name}.onnx"
    if not path.exists():
        pytest.skip("the models beside the repository are not here")
    x = np.random.default_rng(0).normal(size=(4, *shape)).astype(np.float32)
    input_name = onnx.load(path).graph.input[0].name
    theirs = ort_run(path, {input_name: x})[0]
    ours = fewbit_run(fewbit_program, path, input_name, x, tmp_path)
    assert np.abs(theirs - ours).max() / np.abs(theirs).max() <= 1e-4


def test_unet_outputs_equal_onnxruntimes(fewbit_program, tmp_path):
    path = SHARED / "models" / "ddpm_unet_mnist.onnx"
    if not path.exists():
        pytest.skip("the models beside the repository are not here")
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 1, 28, 28)).astype(np.float32)
    t = np.array([[17], [500]], np.int64)
    np.save(tmp_path / "x.npy", x)
    np.save(tmp_path / "t.npy", t)
    theirs = ort_run(path, {"x_t": x, "t": t})[0]
    out = tmp_path / "out"
    done = subprocess.run([str(fewbit_program), "run", str(path), "--input",
                           f"x_t={tmp_path / 'x.npy'}", "--input", f"t={tmp_path / 't.npy'}",
                           "--output", str(out)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ours = np.load(out / "eps.npy")
    assert np.abs(theirs - ours).max() / np.abs(theirs).max() <= 1e-4
