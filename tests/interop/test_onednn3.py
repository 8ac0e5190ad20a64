"""The wrapper over oneDNN compiles against version 3 as well (Debian 12 has version 2): its API changed."""
import pathlib
import shutil
import subprocess
import sys
import zipfile

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
WRAPPER = sorted(p for p in (ROOT / "src" / "kernels" / "dnnl").glob("dnnl*.cpp")
                 if not p.stem.endswith("_bench"))


@pytest.fixture(scope="module")
def headers(tmp_path_factory):
    """The folder with dnnl.hpp of oneDNN 3: headers only, the library itself is 100 MB."""
    folder = tmp_path_factory.mktemp("onednn3")
    done = subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder),
                           "onednn-devel>=2025"], capture_output=True, text=True)
    wheels = list(folder.glob("onednn_devel-*.whl"))
    if done.returncode != 0 or not wheels:
        pytest.skip(f"onednn-devel cannot be had: {done.stderr.strip().splitlines()[-1:]}")
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extractall(folder)
    found = list(folder.glob("**/include/dnnl.hpp"))
    assert found, "the wheel holds no dnnl.hpp"
    return found[0].parent


@pytest.mark.heavy
@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
@pytest.mark.parametrize("source", WRAPPER, ids=lambda p: p.name)
def test_wrapper_compiles(headers, source):
    version = (headers / "oneapi" / "dnnl" / "dnnl_version.h").read_text()
    assert "DNNL_VERSION_MAJOR 3" in version
    done = subprocess.run(["g++", "-std=c++20", "-fsyntax-only", "-Wall", "-Wextra", "-Werror", "-fopenmp",
                           f"-I{ROOT / 'src'}", "-isystem", str(headers), str(source)],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
