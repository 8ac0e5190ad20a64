"""Data sets and number formats against NumPy, Pillow and ml_dtypes: the two programs beside this file."""
import pathlib
import subprocess
import sys

import pytest

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parents[1] / "src" / "numerics" / "small_float_golden_test.cpp"


def run_script(*arguments):
    done = subprocess.run([sys.executable, *map(str, arguments)], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_data_sets_are_read_as_numpy_and_pillow_read_them(program):
    pytest.importorskip("numpy", reason="needs numpy")
    pytest.importorskip("PIL", reason="needs Pillow")
    run_script(HERE / "check_data_sets.py", program("fewbit_data_dump"))


def test_small_floats_are_those_of_ml_dtypes():
    pytest.importorskip("ml_dtypes", reason="needs ml_dtypes")
    pytest.importorskip("onnx", reason="needs the onnx package")
    run_script(HERE / "small_float_golden.py", "--check", GOLDEN)
