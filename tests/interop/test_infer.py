"""Type and shape inference against the ONNX package: the real outputs of all its node test cases, and
its own inference on larger models.

Every size that is inferred as a number must be the size of the real output, and every inferred
element type its type: nothing may be wrong. How much is inferred is held to a count, so that a row
that stops working is seen.
"""
import json
import subprocess
import warnings

import numpy as np
import pytest

onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

ELEM_NAMES = {
    getattr(TensorProto, upper): lower
    for upper, lower in [
        ("FLOAT", "float32"), ("DOUBLE", "float64"), ("FLOAT16", "float16"), ("BFLOAT16", "bfloat16"),
        ("STRING", "string"), ("BOOL", "bool"), ("COMPLEX64", "complex64"), ("COMPLEX128", "complex128"),
        *[(f"{sign}INT{bits}", f"{sign.lower()}int{bits}") for sign in ("", "U") for bits in (2, 4, 8, 16, 32, 64)],
        ("FLOAT8E4M3FN", "float8e4m3fn"), ("FLOAT8E4M3FNUZ", "float8e4m3fnuz"), ("FLOAT8E5M2", "float8e5m2"),
        ("FLOAT8E5M2FNUZ", "float8e5m2fnuz"), ("FLOAT4E2M1", "float4e2m1"), ("FLOAT8E8M0", "float8e8m0"),
    ]
}


def infer(program, paths):
    """Runs fewbit_infer once over all models; one parsed line for each."""
    done = subprocess.run([program("fewbit_infer")], input="\n".join(map(str, paths)) + "\n",
                          capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["path"] for line in lines] == [str(p) for p in paths]
    return lines


def declared_elem(value_info):
    t = value_info.type
    return ELEM_NAMES.get(t.tensor_type.elem_type) if t.HasField("tensor_type") else None


def with_known_inputs(model, inputs):
    """The model with its tensor inputs as constants, so that shapes that depend on values are known."""
    known = onnx.ModelProto()
    known.CopyFrom(model)
    for value_info, array in zip(known.graph.input, inputs):
        array = np.asarray(array) if isinstance(array, np.generic) else array
        if not isinstance(array, np.ndarray) or not value_info.type.HasField("tensor_type"):
            continue
        elem = value_info.type.tensor_type.elem_type
        try:
            tensor = numpy_helper.from_array(array, value_info.name)
        except (KeyError, ValueError, TypeError, RuntimeError):
            continue
        if tensor.data_type == elem:
            known.graph.initializer.append(tensor)
    return known


@pytest.fixture(scope="module")
def cases():
    from onnx.backend.test.case.node import collect_testcases
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [c for c in collect_testcases(None) if c.model is not None]


def check_output(found, actual, elem):
    """"full", "part", "none", or a sentence that says what is wrong."""
    if found["kind"] == "optional":
        return check_output(found.get("inner", {"kind": "unknown"}), actual, elem)
    actual = np.asarray(actual) if isinstance(actual, np.generic) else actual
    if isinstance(actual, (list, tuple)):
        if found["kind"] not in ("sequence", "unknown"):
            return f"{found} but the output is a sequence"
        inner = found.get("inner", {"kind": "unknown"})
        for item in actual:
            if isinstance(item, np.ndarray) and "wrong" in (verdict := check_output(inner, item, None)):
                return verdict
        return "none"
    if actual is None or not isinstance(actual, np.ndarray):
        return "none"
    if found["kind"] == "unknown":
        return "none"
    if found["kind"] != "tensor":
        return f"wrong kind: {found}"
    if elem is not None and found["elem"] not in (elem, "undefined"):
        return f"wrong element type: {found['elem']}, really {elem}"
    if "dims" not in found:
        return "none"
    if len(found["dims"]) != actual.ndim:
        return f"wrong rank: {found['dims']}, really {actual.shape}"
    for inferred, real in zip(found["dims"], actual.shape):
        if isinstance(inferred, int) and inferred != real:
            return f"wrong size: {found['dims']}, really {actual.shape}"
    return "full" if all(isinstance(d, int) for d in found["dims"]) else "part"


def tally(program, cases, folder, values):
    paths = []
    for i, case in enumerate(cases):
        model = case.model
        if values:
            model = with_known_inputs(model, case.data_sets[0][0])
        path = folder / f"{i}.onnx"
        path.write_bytes(model.SerializeToString())
        paths.append(path)
    count = {"full": 0, "part": 0, "none": 0}
    problems, partly = [], []
    for case, line in zip(cases, infer(program, paths)):
        if "error" in line:
            problems.append(f"{case.name}: {line['error']}")
            continue
        for info, actual in zip(case.model.graph.output, case.data_sets[0][1]):
            verdict = check_output(line["values"][info.name], actual, declared_elem(info))
            if verdict in count:
                count[verdict] += 1
                if verdict != "full" and isinstance(actual, (np.ndarray, np.generic)):
                    partly.append(f"{case.name}: {line['values'][info.name]}, really {actual.shape}")
            else:
                problems.append(f"{case.name}: {info.name}: {verdict}")
    print(count, f"{len(problems)} wrong or refused")
    for text in partly:
        print("  ", text)
    return count, problems


def test_node_cases_by_shape(program, cases, tmp_path):
    """Only the shapes of the inputs are known."""
    count, problems = tally(program, cases, tmp_path, values=False)
    assert problems == []
    assert count["full"] >= 1500


def test_node_cases_by_value(program, cases, tmp_path):
    """All inputs are known: what is not inferred depends on the data beyond arithmetic on shapes."""
    count, problems = tally(program, cases, tmp_path, values=True)
    assert problems == []
    assert count["full"] >= 1800
