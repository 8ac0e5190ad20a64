"""Fewbit's native files: opened by the safetensors package, read by docs/native-file.md alone, and
written back as the ONNX models that they came from."""
import base64
import hashlib
import json
import pathlib
import struct

import pytest

np = pytest.importorskip("numpy", reason="needs numpy")
onnx = pytest.importorskip("onnx", reason="needs the onnx package")
ort = pytest.importorskip("onnxruntime", reason="needs the onnxruntime package")
safetensors = pytest.importorskip("safetensors", reason="needs the safetensors package")
from onnx import TensorProto, helper  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "fashion_mnist" / "fashion_mobilenet.onnx"
DATA = ROOT.parent / "shared" / "data" / "models"
MODELS = sorted(DATA.glob("*.onnx"))

# ONNX's element type -> the name in the file and bits of an element.
TYPES = {
    TensorProto.FLOAT: ("F32", 32), TensorProto.UINT8: ("U8", 8), TensorProto.INT8: ("I8", 8),
    TensorProto.UINT16: ("U16", 16), TensorProto.INT16: ("I16", 16), TensorProto.INT32: ("I32", 32),
    TensorProto.INT64: ("I64", 64), TensorProto.BOOL: ("BOOL", 8), TensorProto.FLOAT16: ("F16", 16),
    TensorProto.DOUBLE: ("F64", 64), TensorProto.UINT32: ("U32", 32), TensorProto.UINT64: ("U64", 64),
    TensorProto.COMPLEX64: ("C64", 64), TensorProto.COMPLEX128: (None, 128),
    TensorProto.BFLOAT16: ("BF16", 16), TensorProto.FLOAT8E4M3FN: ("F8_E4M3", 8),
    TensorProto.FLOAT8E4M3FNUZ: ("F8_E4M3FNUZ", 8), TensorProto.FLOAT8E5M2: ("F8_E5M2", 8),
    TensorProto.FLOAT8E5M2FNUZ: ("F8_E5M2FNUZ", 8), TensorProto.FLOAT8E8M0: ("F8_E8M0", 8),
    TensorProto.UINT4: (None, 4), TensorProto.INT4: (None, 4), TensorProto.FLOAT4E2M1: (None, 4),
    TensorProto.UINT2: (None, 2), TensorProto.INT2: (None, 2),
}


def model_of_all_types(path):
    """Constants of every element type, small, middling and large; returns their bytes by name."""
    rng = np.random.default_rng(3)
    initializers, expected = [], {}
    for number, (kind, (name, bits)) in enumerate(TYPES.items()):
        for shape in ([3, 5], [9, 131 + number], [7, 2, 40_001 + number]):
            size = (int(np.prod(shape)) * bits + 7) // 8
            data = rng.integers(0, 2 if kind == TensorProto.BOOL else 256, size, np.uint8).tobytes()
            t = onnx.TensorProto(name=f"t{kind}.{shape[-1]}", data_type=kind, dims=shape, raw_data=data)
            initializers.append(t)
            stored = (name, shape) if name else ("U8", [size])
            expected[t.name] = (*stored, data)
    node = helper.make_node("Everything", [t.name for t in initializers], ["y"], domain="test")
    graph = helper.make_graph([node], "g", [], [helper.make_empty_tensor_value_info("y")], initializers)
    model = helper.make_model(graph, ir_version=13, opset_imports=[
        helper.make_opsetid("", 23), helper.make_opsetid("test", 1)])
    helper.set_model_props(model, {"fewbit.recipe": 'scheme = "w8"\n', "note": "ä"})
    path.write_bytes(model.SerializeToString())
    return expected


@pytest.fixture
def converted(run, tmp_path):
    expected = model_of_all_types(tmp_path / "types.onnx")
    run("fewbit", "convert", tmp_path / "types.onnx", "-o", tmp_path / "types.fewbit")
    return tmp_path / "types.fewbit", expected


def test_safetensors_lists_every_tensor(converted):
    path, expected = converted
    found = {name: (t["dtype"], t["shape"], bytes(t["data"]))
             for name, t in safetensors.deserialize(path.read_bytes())}
    padding = [name for name in found if name.startswith("fewbit.padding.")]
    assert all(not any(found.pop(name)[2]) for name in padding)
    # deserialize gives numpy's names or the format's, by version: those of safe_open are the file's.
    with safetensors.safe_open(path, "np") as file:
        assert set(file.keys()) == set(expected) | set(padding)
        for name, (dtype, shape, data) in expected.items():
            tensor = file.get_slice(name)
            assert (tensor.get_dtype(), tensor.get_shape()) == (dtype, shape), name
            assert found[name][2] == data, name
        assert file.metadata()["fewbit.recipe"] == 'scheme = "w8"\n'
        assert file.metadata()["note"] == "ä"
        np.testing.assert_array_equal(
            file.get_tensor("t1.5"), np.frombuffer(expected["t1.5"][2], np.float32).reshape(3, 5))


def header_of(data):
    """Length, JSON and the number of the first byte of the tensors, as docs/native-file.md says."""
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(data[8:8 + length]), 8 + length


def test_the_layout_is_what_its_page_says(converted):
    path, expected = converted
    data = path.read_bytes()
    header, start = header_of(data)
    assert next(iter(header)) == "__metadata__"
    metadata = header.pop("__metadata__")
    assert start % 4096 == 0 and metadata["fewbit.file_version"] == "1"
    digits = metadata["fewbit.header_sha256"].encode()
    assert data[:start].count(digits) == 1
    assert hashlib.sha256(data[:start].replace(digits, b"0" * 64)).hexdigest().encode() == digits
    hashes = json.loads(metadata["fewbit.hashes"])
    assert set(hashes) == set(expected)
    end = start
    for name, entry in header.items():
        a, b = (start + offset for offset in entry["data_offsets"])
        assert a == end  # no gap, in the order of the header
        end = b
        if name.startswith("fewbit.padding."):
            continue
        assert a % (4096 if b - a >= 65536 else 64 if b - a >= 1024 else 1) == 0
        assert hashlib.sha256(data[a:b]).hexdigest() == hashes[name]
    assert end == len(data)
    graph = onnx.load_from_string(base64.b64decode(metadata["fewbit.graph"], validate=True))
    for t in graph.graph.initializer:
        assert t.data_location == TensorProto.EXTERNAL
        (pair,) = t.external_data
        assert pair.key == "location" and TYPES[t.data_type][0] in (None, header[pair.value]["dtype"])


def same_outputs(a, b):
    before, after = (ort.InferenceSession(str(p), providers=["CPUExecutionProvider"]) for p in (a, b))
    rng = np.random.default_rng(0)
    feed = {}
    for i in before.get_inputs():
        shape = [d if isinstance(d, int) else 2 for d in i.shape]
        feed[i.name] = (rng.standard_normal(shape).astype(np.float32) if "float" in i.type
                        else rng.integers(0, 9, shape))
    for x, y in zip(before.run(None, feed), after.run(None, feed), strict=True):
        np.testing.assert_array_equal(x, y)


NO_MODELS = pytest.param(DATA, marks=pytest.mark.skip(reason=f"no models in {DATA}"))


@pytest.mark.parametrize("path", [EXAMPLE, *(MODELS or [NO_MODELS])], ids=lambda p: p.stem)
def test_there_and_back(run, tmp_path, path):
    native, back, direct = (tmp_path / n for n in ("m.fewbit", "back.onnx", "direct.onnx"))
    run("fewbit", "convert", path, "-o", native)
    run("fewbit", "convert", native, "-o", back)
    run("fewbit", "convert", path, "-o", direct)
    assert back.read_bytes() == direct.read_bytes()
    same_outputs(path, back)
    run("fewbit", "inspect", native, "--verify-hashes")
    with safetensors.safe_open(native, "np") as file:
        weights = sum(np.prod(file.get_slice(k).get_shape()) for k in file.keys()
                      if not k.startswith("fewbit.padding."))
    assert weights > 0


def test_every_command_takes_native_files(run, tmp_path):
    """A quantized model gives the same bytes from either file."""
    outputs = {}
    np.save(tmp_path / "x.npy", np.random.default_rng(5).standard_normal((2, 1, 28, 28), np.float32))
    for end in ("onnx", "fewbit"):
        float_model, model = tmp_path / f"float.{end}", tmp_path / f"small.{end}"
        run("fewbit", "convert", EXAMPLE, "-o", float_model)
        report = json.loads(run("fewbit", "quantize", float_model, "-o", model, "--scheme", "w8",
                                "--json").stdout)
        assert report["bytes"] == model.stat().st_size
        run("fewbit", "run", model, "-i", tmp_path / "x.npy", "-o", tmp_path / end)
        outputs[end] = [p.read_bytes() for p in sorted((tmp_path / end).glob("*.npy"))]
        run("fewbit", "bench", model, "--seconds", "0.1")
        shown = json.loads(run("fewbit", "inspect", model, "--json").stdout)
        assert shown["runnable"] and "scheme = 'w8'" in shown["metadata"]["fewbit.recipe"]
        assert not any(key in shown["metadata"] for key in ("fewbit.graph", "fewbit.hashes"))
    assert outputs["onnx"] == outputs["fewbit"] and outputs["onnx"]
    with safetensors.safe_open(tmp_path / "small.fewbit", "np") as file:
        assert "scheme = 'w8'" in file.metadata()["fewbit.recipe"]


def fails(done, code, *words):
    assert done.returncode == code, (done.returncode, done.stderr)
    assert done.stderr.startswith("fewbit: error: ") and done.stderr.count("\n") == 1
    for word in words:
        assert str(word) in done.stderr, done.stderr


def test_damage_is_named(run, tmp_path):
    path = tmp_path / "m.fewbit"
    run("fewbit", "convert", EXAMPLE, "-o", path)
    whole = path.read_bytes()
    header, start = header_of(whole)
    name, entry = max(((n, e) for n, e in header.items() if n != "__metadata__"),
                      key=lambda item: item[1]["data_offsets"][1] - item[1]["data_offsets"][0])
    begin, end = (start + offset for offset in entry["data_offsets"])
    place = f"tensor '{name}' at bytes {begin} to {end}"

    def with_byte(at):
        path.write_bytes(whole[:at] + bytes([whole[at] ^ 1]) + whole[at + 1:])

    with_byte((begin + end) // 2)
    run("fewbit", "inspect", path)  # weights are not read to open a file
    fails(run("fewbit", "inspect", path, "--verify-hashes", ok=False), 1, path, place, "SHA-256")
    with_byte(whole.index(b"fewbit.graph") + 40)
    fails(run("fewbit", "inspect", path, ok=False), 1, path, f"the header, bytes 0 to {start}")
    path.write_bytes(whole[:-1])
    fails(run("fewbit", "inspect", path, ok=False), 1, path, "cut short", f"byte {len(whole) - 1}")


def test_misuse(run, tmp_path):
    fails(run("fewbit", "inspect", EXAMPLE, "--verify-hashes", ok=False), 2, "holds no hashes")
    fails(run("fewbit", "convert", EXAMPLE, "-o", tmp_path / "m.bin", ok=False), 2, ".onnx", ".fewbit")
    fails(run("fewbit", "convert", EXAMPLE, "-o", tmp_path / "m.fewbit", "--external-data", ok=False), 2,
          "--external-data")
    fails(run("fewbit", "quantize", EXAMPLE, "-o", tmp_path / "m", "--scheme", "w8", ok=False), 2,
          ".onnx", ".fewbit")
    assert not list(tmp_path.iterdir())
