#!/usr/bin/env python3
"""Latency of Fewbit against ONNX Runtime, float and int8, batch 1, pair by pair in one run.

    bench/peers/onnxruntime_latency.py --models ../shared/data/models --data ../shared/data

For every model: ONNX Runtime's own int8 model (quantize_static, QDQ, per channel) and Fewbit's, then
`--rounds` rounds in which each side runs for about `--seconds`, in turn. Printed: the medians of the
rounds' medians and the median ratio with its range. Needs the packages of
tests/interop/requirements.txt (build/venv, made by ./run-tests).
"""
import argparse
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
import onnxruntime as ort

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = {  # name: (input shape, calibration set)
    "mobilenet_v2_1.0": ((3, 224, 224), "imagenet_mobilenet_calib.toml"),
    "mobilenet_v1_0.75": ((3, 224, 224), "imagenet_mobilenet_calib.toml"),
    "squeezenet1.1": ((3, 224, 224), "imagenet_squeezenet_calib.toml"),
    "resnet20_cifar10": ((3, 32, 32), "cifar10_calib.toml"),
    "resnet56_cifar10": ((3, 32, 32), "cifar10_calib.toml"),
    "vit_mnist": ((1, 28, 28), "mnist_eval.toml"),
}


def quantize_with_onnxruntime(source, target, shape):
    from onnxruntime.quantization import (CalibrationDataReader, QuantFormat, QuantType,
                                          quantize_static)
    from onnxruntime.quantization.shape_inference import quant_pre_process

    class Reader(CalibrationDataReader):
        def __init__(self):
            rng = np.random.default_rng(0)
            self.items = iter([rng.uniform(-1, 1, (1, *shape)).astype(np.float32)
                               for _ in range(4)])

        def get_next(self):
            x = next(self.items, None)
            return None if x is None else {input_name: x}

    input_name = ort.InferenceSession(str(source)).get_inputs()[0].name
    with tempfile.NamedTemporaryFile(suffix=".onnx") as prepared:
        quant_pre_process(str(source), prepared.name, skip_symbolic_shape=True)
        quantize_static(prepared.name, str(target), Reader(), quant_format=QuantFormat.QDQ,
                        per_channel=True, activation_type=QuantType.QUInt8,
                        weight_type=QuantType.QInt8)


class OnnxRuntime:
    def __init__(self, path, shape, threads):
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 3
        self.session = ort.InferenceSession(str(path), options)
        x = np.random.default_rng(0).uniform(-1, 1, (1, *shape)).astype(np.float32)
        self.feeds = {self.session.get_inputs()[0].name: x}
        self.measure(0.2)

    def measure(self, seconds):
        times, end = [], time.perf_counter() + seconds
        while time.perf_counter() < end or len(times) < 10:
            start = time.perf_counter()
            self.session.run(None, self.feeds)
            times.append(time.perf_counter() - start)
        return statistics.median(times) * 1e3


class Fewbit:
    def __init__(self, program, path, threads):
        self.command = [str(program), "bench", str(path), "--threads", str(threads), "--json"]

    def measure(self, seconds):
        out = subprocess.run(self.command + ["--seconds", str(seconds)], check=True,
                             capture_output=True, text=True).stdout
        return json.loads(out)["latency_ms"]["p50"]


def compare(name, kind, threads, ours, theirs, rounds, seconds):
    mine, other = [], []
    for i in range(rounds):
        pair = [(mine, ours), (other, theirs)]
        for times, side in (pair if i % 2 == 0 else reversed(pair)):
            times.append(side.measure(seconds))
    ratios = sorted(o / m for m, o in zip(mine, other))
    print(f"| {name} | {kind} | {threads} | {statistics.median(other):.3f} | "
          f"{statistics.median(mine):.3f} | {statistics.median(ratios):.2f} "
          f"[{ratios[0]:.2f}, {ratios[-1]:.2f}] |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build/release/fewbit")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.7)
    parser.add_argument("--only", nargs="*", default=list(MODELS))
    args = parser.parse_args()
    print(f"ONNX Runtime {ort.__version__}; ratio > 1: Fewbit is faster\n")
    print("| model | kind | threads | ONNX Runtime ms | Fewbit ms | ratio [range of pairs] |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for name in args.only:
            shape, calibration = MODELS[name]
            source = args.models / f"{name}.onnx"
            theirs = pathlib.Path(folder) / "ort.onnx"
            ours = pathlib.Path(folder) / "fewbit.onnx"
            quantize_with_onnxruntime(source, theirs, shape)
            subprocess.run([str(args.program), "quantize", str(source), "-o", str(ours), "--calib",
                            str(args.data / calibration), "--set", "calibration.samples=16",
                            "--json"], check=True, stdout=subprocess.DEVNULL)
            for threads in (1, 2):
                compare(name, "float", threads, Fewbit(args.program, source, threads),
                        OnnxRuntime(source, shape, threads), args.rounds, args.seconds)
                compare(name, "int8", threads, Fewbit(args.program, ours, threads),
                        OnnxRuntime(theirs, shape, threads), args.rounds, args.seconds)
    return 0


if __name__ == "__main__":
    sys.exit(main())
