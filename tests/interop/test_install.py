"""What `cmake --install` puts down is enough for a stranger's program: examples/classify, built against
the CMake package, classifies as the fewbit program does."""
import json
import pathlib
import shutil
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODEL = ROOT / "examples" / "fashion_mnist" / "fashion_mobilenet.onnx"
FASHION = pathlib.Path("/usr/share/datasets/fashion-mnist")
IMAGES = FASHION / "t10k-images-idx3-ubyte.gz"
CLASSES = ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag",
           "Ankle boot"]


def must(*command):
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def classify(build_dir, tmp_path_factory):
    """The example, built against an installation in a folder of its own."""
    if shutil.which("cmake") is None:
        pytest.skip("needs cmake")
    prefix = tmp_path_factory.mktemp("prefix")
    build = tmp_path_factory.mktemp("classify")
    must("cmake", "--install", build_dir, "--prefix", prefix)
    must("cmake", "-S", ROOT / "examples" / "classify", "-B", build, f"-DCMAKE_PREFIX_PATH={prefix}")
    must("cmake", "--build", build)
    # The build tree must not be what it runs on: the library comes from the prefix.
    linked = must("ldd", build / "classify")
    assert str(prefix) in linked and str(build_dir) not in linked
    return build / "classify"


@pytest.mark.skipif(not FASHION.is_dir(), reason="needs the Debian package dataset-fashion-mnist")
def test_example_classifies_like_the_program(classify, run, tmp_path):
    np = pytest.importorskip("numpy", reason="needs numpy")
    import gzip
    with gzip.open(IMAGES) as file:
        file.seek(16 + 3 * 784)
        pixels = np.frombuffer(file.read(784), np.uint8).reshape(1, 1, 28, 28)
    image = ((pixels / np.float32(255) - np.float32(0.2860)) / np.float32(0.3530)).astype(np.float32)
    np.save(tmp_path / "image.npy", image)
    listed = json.loads(run("fewbit", "run", MODEL, "--input", tmp_path / "image.npy",
                            "--output", tmp_path, "--json").stdout)
    logits = np.load(listed["outputs"][0]["file"])
    assert CLASSES[int(logits.argmax())] in must(classify, MODEL, IMAGES, 3).splitlines()[0]


def test_installed_program_runs(build_dir, tmp_path):
    must("cmake", "--install", build_dir, "--prefix", tmp_path)
    assert must(tmp_path / "bin" / "fewbit", "--version").startswith("fewbit ")


def test_example_refuses_what_is_no_model(classify, tmp_path):
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(b"\x00" * 64)
    done = subprocess.run([str(classify), str(broken), str(IMAGES), "0"], capture_output=True, text=True)
    assert done.returncode == 1 and "broken.onnx" in done.stderr
