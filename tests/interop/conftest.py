"""What the tests that compare with other tools share: where the built programs and the data are.

FEWBIT_BUILD names the build folder (default: build/release). A test whose program, Python package or
data set is missing is skipped with one line that says which.
"""
import os
import pathlib
import subprocess

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def build_dir():
    folder = pathlib.Path(os.environ.get("FEWBIT_BUILD", ROOT / "build" / "release"))
    folder = folder if folder.is_absolute() else ROOT / folder
    if not folder.is_dir():
        pytest.skip(f"no build in {folder} (set FEWBIT_BUILD)")
    return folder


@pytest.fixture(scope="session")
def program(build_dir):
    """program(name): the built executable of that name, wherever in the build folder it lies."""
    found = {}

    def find(name):
        if name not in found:
            candidates = [build_dir / name, *build_dir.glob(f"src/*/{name}"),
                          *build_dir.glob(f"tests/**/{name}")]
            found[name] = next((p for p in candidates if p.is_file()), None)
        if found[name] is None:
            pytest.skip(f"{name} is not built in {build_dir}")
        return found[name]

    return find


@pytest.fixture(scope="session")
def run(program):
    """run(name, *args, ok=True): runs a built program and returns what it printed."""

    def call(name, *args, ok=True):
        # Threads that wait for each other must not spin: on a busy machine that costs seconds a run.
        env = {"OMP_WAIT_POLICY": "passive"} | os.environ
        done = subprocess.run([program(name), *map(str, args)], capture_output=True, text=True, env=env)
        if ok:
            assert done.returncode == 0, f"{name}: {done.stderr}"
        return done

    return call


@pytest.fixture(scope="session")
def shared_data():
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no data in {folder}")
    return folder
