#!/usr/bin/env python3
"""Time and memory of calibrating and quantizing, against onnxruntime.quantization.quantize_static.

    bench/peers/onnxruntime_quantize.py --models ../shared/data/models --data ../shared/data

MobileNetV2 on the same images. ONNX Runtime's histogram calibrators keep every activation in memory:
`--images` bounds what it is given. Each side runs in its own process; wall seconds and peak memory.
Needs the packages of tests/interop/requirements.txt (build/venv, made by ./run-tests).
"""
import argparse
import json
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]


def run_onnxruntime(model, images, count, method, target):
    import numpy as np
    from PIL import Image
    from onnxruntime.quantization import (CalibrationDataReader, CalibrationMethod, QuantFormat,
                                          QuantType, quantize_static)

    class Reader(CalibrationDataReader):
        def __init__(self):
            self.files = iter(sorted(images.glob("*.jpg"))[:count])

        def get_next(self):
            path = next(self.files, None)
            if path is None:
                return None
            image = Image.open(path).convert("RGB")
            left, top = (image.width - 224) // 2, (image.height - 224) // 2
            x = np.asarray(image.crop((left, top, left + 224, top + 224)), np.float32)
            return {"image": (x / 127.5 - 1).transpose(2, 0, 1)[None]}

    start = time.perf_counter()
    quantize_static(str(model), target, Reader(), quant_format=QuantFormat.QDQ, per_channel=True,
                    activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
                    calibrate_method=CalibrationMethod[method])
    print(json.dumps({"seconds": time.perf_counter() - start,
                      "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build/release/fewbit")
    parser.add_argument("--images", type=int, default=100)
    parser.add_argument("--methods", nargs="*", default=["Entropy", "Percentile", "MinMax"])
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    model = args.models / "mobilenet_v2_1.0.onnx"
    if args.worker:
        with tempfile.NamedTemporaryFile(suffix=".onnx") as target:
            run_onnxruntime(model, args.data / "imagenet" / "calib", args.images, args.worker,
                            target.name)
        return 0
    print(f"MobileNetV2, {args.images} images\n")
    print("| tool | seconds | peak MiB | ratio of seconds | of memory |")
    print("|---|---|---|---|---|")
    with tempfile.NamedTemporaryFile(suffix=".onnx") as target:
        r = json.loads(subprocess.run(
            [str(args.program), "quantize", str(model), "-o", target.name, "--calib",
             str(args.data / "imagenet_mobilenet_calib.toml"), "--set",
             f"calibration.samples={args.images}", "--json"], check=True, capture_output=True,
            text=True).stdout)
    print(f"| fewbit, defaults | {r['seconds_total']:.1f} | {r['peak_rss_bytes'] / 2**20:.0f} | | |",
          flush=True)
    for method in args.methods:
        theirs = subprocess.run(
            [sys.executable, __file__, "--models", str(args.models), "--data", str(args.data),
             "--images", str(args.images), "--worker", method], check=True, capture_output=True,
            text=True).stdout.splitlines()[-1]
        t = json.loads(theirs)
        print(f"| quantize_static, {method} | {t['seconds']:.1f} | {t['peak'] / 2**20:.0f} | "
              f"{t['seconds'] / r['seconds_total']:.1f} | "
              f"{t['peak'] / r['peak_rss_bytes']:.1f} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
