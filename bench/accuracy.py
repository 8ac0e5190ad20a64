#!/usr/bin/env python3
"""Accuracy of int8 models made with default settings, on real data, paired with the float model.

    bench/accuracy.py --models ../shared/data/models --data ../shared/data

For every model and scheme: float top-1, the paired change with its 95 % interval, the logits' SQNR,
and what the run took. Nothing but Python's own library is needed.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[1]
IMAGENET = ("imagenet_mobilenet_calib.toml", "imagenet_mobilenet_eval.toml")
CIFAR = ("cifar10_calib.toml", "cifar10_eval.toml")
RUNS = [  # model, scheme, data sets
    ("mobilenet_v2_1.0", "w8a8", IMAGENET),
    ("mobilenet_v1_0.75", "w8a8", IMAGENET),
    ("squeezenet1.1", "w8a8", ("imagenet_squeezenet_calib.toml", "imagenet_squeezenet_eval.toml")),
    ("resnet20_cifar10", "w8a8", CIFAR),
    ("resnet56_cifar10", "w8a8", CIFAR),
    # No calibration set of its own: 250 images of the evaluation set, named here.
    ("vit_mnist", "w8a8", ("mnist_eval.toml", "mnist_eval.toml")),
    ("mobilenet_v2_1.0", "w8a8:tensor", IMAGENET),
    ("mobilenet_v1_0.75", "w8a8:tensor", IMAGENET),
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build/release/fewbit")
    args = parser.parse_args()
    print("| model | scheme | samples | float top-1 | change [95 %] | SQNR dB | seconds | peak MiB |")
    print("|---|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as folder:
        for model, scheme, (calibration, evaluation) in RUNS:
            out = subprocess.run(
                [str(args.program), "quantize", str(args.models / f"{model}.onnx"), "-o",
                 f"{folder}/out.onnx", "--calib", str(args.data / calibration), "--eval",
                 str(args.data / evaluation), "--scheme", scheme, "--json"],
                check=True, capture_output=True, text=True).stdout
            r = json.loads(out)
            d = r["accuracy_drop"]
            print(f"| {model} | {scheme} | {r['verify_samples']} | {r['float_accuracy']['top1']:.2f} | "
                  f"{-d['points']:+.2f} [{-d['ci95'][1]:+.2f}, {-d['ci95'][0]:+.2f}] | "
                  f"{r['output_sqnr_db']:.1f} | {r['seconds_total']:.1f} | "
                  f"{r['peak_rss_bytes'] / 2**20:.0f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
