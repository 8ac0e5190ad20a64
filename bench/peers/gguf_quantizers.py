#!/usr/bin/env python3
"""GGUF's block formats: error and speed of Fewbit's encoder, ggml's and the gguf package's.

    bench/peers/gguf_quantizers.py [--rows 64] [--formats q4_K,q6_K] [--data normal]

Weights: seeded Gaussian and Student-t (4 degrees of freedom), [rows, 16384], a million by default.
Error: squared error relative to the weights' squares, without importances. Speed: millions
of weights per second of processor time on one thread, the best of `--rounds`. ggml is the prebuilt library of
tests/interop/ggml_library.py: ggml_quantize_chunk without an importance matrix, and ("ones") with one
that is 1 everywhere, which makes ggml search longer. The gguf package (NumPy) has no encoder for some
formats, shown as "-". Needs tests/interop/requirements.txt.
"""
import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "interop"))
import ggml_library  # noqa: E402

COLS = 16384


def weights(kind, rows):
    generator = np.random.default_rng(1)
    if kind == "normal":
        return generator.standard_normal((rows, COLS)).astype(np.float32)
    return generator.standard_t(4, (rows, COLS)).astype(np.float32)


def relative_error(values, decoded):
    difference = values.astype(np.float64) - decoded
    return float((difference ** 2).sum() / (values.astype(np.float64) ** 2).sum())


def fewbit(program, name, values, folder, rounds):
    """(error, million weights a second) with the search, on one thread."""
    source, packed, back = folder / "in.f32", folder / "out.bin", folder / "out.f32"
    values.tofile(source)
    shape = [str(n) for n in values.shape]
    environment = dict(os.environ, OMP_NUM_THREADS="1")
    seconds = []
    for _ in range(rounds):
        done = subprocess.run([program, "encode", name, *shape, source, packed], check=True,
                              capture_output=True, text=True, env=environment)
        seconds.append(float(done.stdout.split()[3]))
    subprocess.run([program, "decode", name, *shape, packed, back], check=True, env=environment,
                   stdout=subprocess.DEVNULL)
    decoded = np.fromfile(back, np.float32).reshape(values.shape)
    return relative_error(values, decoded), values.size / min(seconds) / 1e6


def timed(function, rounds):
    best, result = float("inf"), None
    for _ in range(rounds):
        start = time.process_time()
        result = function()
        best = min(best, time.process_time() - start)
    return result, best


def ggml(library, name, values, rounds, importance=None):
    blocks, seconds = timed(lambda: library.quantize(name, values, importance), rounds)
    return relative_error(values, library.dequantize(name, blocks)), values.size / seconds / 1e6


def gguf_package(name, values, rounds):
    import gguf
    kind = gguf.GGMLQuantizationType[name.upper()]
    try:
        blocks, seconds = timed(lambda: gguf.quants.quantize(values, kind), rounds)
    except NotImplementedError:
        return None
    return (relative_error(values, gguf.quants.dequantize(blocks, kind)),
            values.size / seconds / 1e6)


def show(result):
    return f"{result[0]:10.4e} {result[1]:7.1f}" if result else f"{'-':>10} {'-':>7}"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--program", default=ROOT / "build/release/src/formats/fewbit_codec")
    parser.add_argument("--rows", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--formats", default=",".join(ggml_library.TYPES))
    parser.add_argument("--data", default="normal,student-t")
    arguments = parser.parse_args()
    library = ggml_library.load()
    if library is None:
        print("ggml's library cannot be had here (npm, network, x86-64 Linux): its columns stay empty")
    print(f"{arguments.rows * COLS / 1e6:.2f} million weights, one thread; relative squared error"
          " and million weights/s")
    print(f"{'':8}{'':10} {'Fewbit':>18}   {'ggml':>18}   {'ggml, ones':>18}   {'gguf package':>18}   error/ggml")
    with tempfile.TemporaryDirectory() as name_of_folder:
        folder = pathlib.Path(name_of_folder)
        for kind in arguments.data.split(","):
            values = weights(kind, arguments.rows)
            for name in arguments.formats.split(","):
                ours = fewbit(arguments.program, name, values, folder, arguments.rounds)
                reference = ggml(library, name, values, arguments.rounds) if library else None
                longer = (ggml(library, name, values, 1, np.ones(COLS, np.float32))
                          if library else None)
                package = gguf_package(name, values, arguments.rounds)
                ratio = f"{ours[0] / reference[0]:10.4f}" if reference else ""
                print(f"{name:8}{kind:10} {show(ours)}   {show(reference)}   {show(longer)}"
                      f"   {show(package)}   {ratio}", flush=True)


if __name__ == "__main__":
    main()
