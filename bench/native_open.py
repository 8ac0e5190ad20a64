#!/usr/bin/env python3
"""How fast a large native file opens, and what memory that takes.

    bench/native_open.py [--gigabytes 1] [--folder /var/tmp]

Makes a model of random float32 weights, once of few large tensors and once of many small ones, and
prints a line for each: bytes and tensors of the file, seconds and peak memory of writing it
(`fewbit convert` from ONNX), of opening it with the file in the page cache and without, and of
checking all hashes. Needs the packages onnx and numpy, and three times the size on the disk.
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import tempfile
import time

import numpy as np
import onnx
from onnx import TensorProto, helper

ROOT = pathlib.Path(__file__).resolve().parents[1]
SHAPES = {"few large": (4096, 4096), "many small": (128, 256)}


def write_onnx(folder, shape, total_bytes):
    """x -> Add w0 -> Add w1 -> ...; the weights in a file beside the model."""
    size = int(np.prod(shape)) * 4
    count = total_bytes // size
    rng = np.random.default_rng(0)
    weights, nodes = [], []
    with open(folder / "weights.bin", "wb") as data:
        for i in range(count):
            w = onnx.TensorProto(name=f"layer.{i}.weight", data_type=TensorProto.FLOAT, dims=shape,
                                 data_location=TensorProto.EXTERNAL)
            for key, value in (("location", "weights.bin"), ("offset", i * size), ("length", size)):
                w.external_data.add(key=key, value=str(value))
            data.write(rng.integers(0, 256, size, np.uint8).tobytes())
            weights.append(w)
            nodes.append(helper.make_node("Add", [f"x{i}", w.name], [f"x{i + 1}"]))
    info = lambda name: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph(nodes, "g", [info("x0")], [info(f"x{count}")], weights)
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 21)])
    (folder / "m.onnx").write_bytes(model.SerializeToString())
    return count


def timed(*command):
    """Seconds and peak resident bytes of a command; its peak counts mapped pages it has read."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{command[0]} failed")
    return time.monotonic() - start, usage.ru_maxrss * 1024


def drop_from_cache(path):
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def opened(program, path, cold):
    if cold:
        drop_from_cache(path)
    done = subprocess.run([program, path], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--gigabytes", type=float, default=1)
    parser.add_argument("--folder", type=pathlib.Path, default=None)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    args = parser.parse_args()
    fewbit, opener = args.build / "fewbit", args.build / "src/io/fewbit_native_open"
    print("| tensors | bytes | header | write s | write peak MB | open ms, cached | open ms, cold | "
          "open peak MB | verify s |")
    print("|---|---|---|---|---|---|---|---|---|")
    for name, shape in SHAPES.items():
        with tempfile.TemporaryDirectory(dir=args.folder) as folder:
            folder = pathlib.Path(folder)
            count = write_onnx(folder, shape, int(args.gigabytes * 1e9))
            native = folder / "m.fewbit"
            write_seconds, write_peak = timed(fewbit, "convert", folder / "m.onnx", "-o", native)
            header = int.from_bytes(native.open("rb").read(8), "little")
            warm = [opened(opener, native, False) for _ in range(5)]
            cold = [opened(opener, native, True) for _ in range(5)]
            peak = max(r["peak_rss_growth_bytes"] for r in warm + cold)
            verify_seconds, _ = timed(fewbit, "inspect", native, "--verify-hashes", "--graph")
            median = lambda runs: statistics.median(r["seconds"] for r in runs) * 1e3
            print(f"| {count} ({name}) | {native.stat().st_size} | {header} | {write_seconds:.2f} | "
                  f"{write_peak / 1e6:.0f} | {median(warm):.1f} | {median(cold):.1f} | "
                  f"{peak / 1e6:.1f} | {verify_seconds:.2f} |", flush=True)


if __name__ == "__main__":
    main()
