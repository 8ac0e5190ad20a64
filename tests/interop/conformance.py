"""The ONNX standard's own node tests, run through Fewbit.

    python tests/interop/conformance.py [--build build/release] [--plain] [--list]

writes every case of onnx.backend.test.case.node with its inputs into a temporary folder, runs them in
one process (fewbit_conformance), compares the outputs as ONNX's own runner does, and prints

    pass / unsupported (grouped by operator) / wrong

A case passes if each output has the expected type, shape and values: floats within the case's
tolerances (rtol 1e-3, atol 1e-7 unless it says otherwise; for bfloat16 ONNX's runner grants two units
in the last place), everything else exactly. What is exempt from that is listed by name, with a reason.
"""
import argparse
import collections
import contextlib
import dataclasses
import io
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import warnings

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Expected outputs that no other implementation can give: they come from the reference's generator of
# random numbers. Shape and type are still compared.
RANDOM = {
    "test_bernoulli": "random",
    "test_bernoulli_double": "random",
    "test_bernoulli_double_expanded": "random",
    "test_bernoulli_expanded": "random",
    "test_bernoulli_seed": "random",
    "test_bernoulli_seed_expanded": "random",
    "test_training_dropout": "random mask",
    "test_training_dropout_default": "random mask",
    "test_training_dropout_default_mask": "random mask",
    "test_training_dropout_mask": "random mask",
}

# Cases whose expected values are no more exact than this: (rtol, atol, why).
WIDER = {
    "test_attention_4d_causal_fp16_expanded":
        (2.0 ** -9, 1e-7, "rounded to float16 after each of some thirty nodes: two units"),
    "test_dft_inverse": (1e-3, 1e-6, "float32 noise of up to 2e-7 is expected where 0 is exact"),
    "test_dft_inverse_opset19": (1e-3, 1e-6, "as test_dft_inverse"),
}


@dataclasses.dataclass
class Case:
    name: str
    model: onnx.ModelProto
    data_sets: list
    rtol: float
    atol: float


@dataclasses.dataclass
class Outcome:
    name: str
    kind: str  # pass, unsupported, wrong
    reason: str = ""


def collect_cases():
    """All node tests. Their generators warn about the overflows that they test; that is not news."""
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases
        cases = collect_testcases(None)
    return [Case(c.name, c.model, c.data_sets, c.rtol, c.atol) for c in cases]


# ------------------------------------------------------------------------------- values in files


def tensor_proto(value, name):
    if isinstance(value, TensorProto):
        proto = TensorProto()
        proto.CopyFrom(value)
    else:
        array = np.asarray(value)
        if array.dtype == object or array.dtype.kind in "SU":
            proto = helper.make_tensor(
                name, TensorProto.STRING, array.shape,
                [v if isinstance(v, bytes) else str(v).encode() for v in array.reshape(-1)])
        else:
            proto = numpy_helper.from_array(array)
    proto.name = name
    return proto


def is_sequence(value):
    return isinstance(value, (list, tuple, onnx.SequenceProto))


def items_of(value):
    if isinstance(value, onnx.SequenceProto):
        return list(value.tensor_values)
    return list(value)


def write_values(path, values, opset):
    tensors, metadata = [], {}
    for k, value in enumerate(values):
        if isinstance(value, onnx.OptionalProto):
            value = numpy_helper.to_optional(value)
        if value is None:
            metadata[str(k)] = "none"
        elif is_sequence(value):
            metadata[str(k)] = "sequence"
            tensors += [tensor_proto(v, f"{k}/{j}") for j, v in enumerate(items_of(value))]
        else:
            metadata[str(k)] = "tensor"
            tensors.append(tensor_proto(value, str(k)))
    outputs = [helper.make_tensor_value_info(t.name, t.data_type, t.dims) for t in tensors]
    graph = helper.make_graph([], "values", [], outputs, initializer=tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])
    helper.set_model_props(model, metadata)
    path.write_bytes(model.SerializeToString())


def read_values(path):
    model = onnx.load(path)
    kinds = {p.key: p.value for p in model.metadata_props}
    tensors = {t.name: t for t in model.graph.initializer}
    values = []
    for k in range(len(kinds)):
        kind = kinds[str(k)]
        if kind == "tensor":
            values.append(tensors[str(k)])
        elif kind == "sequence":
            items = []
            while f"{k}/{len(items)}" in tensors:
                items.append(tensors[f"{k}/{len(items)}"])
            values.append(items)
        else:
            values.append(None)
    return values


def write_cases(cases, folder):
    (folder / "cases.txt").write_text("".join(c.name + "\n" for c in cases))
    for i, case in enumerate(cases):
        opset = max([o.version for o in case.model.opset_import if o.domain == ""], default=28)
        (folder / f"{i}.model.onnx").write_bytes(case.model.SerializeToString())
        for k, (inputs, _) in enumerate(case.data_sets):
            write_values(folder / f"{i}.{k}.in.onnx", inputs, opset)


# ------------------------------------------------------------------------------------- comparison

NARROW_FLOATS = {
    TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.FLOAT8E4M3FN, TensorProto.FLOAT8E4M3FNUZ,
    TensorProto.FLOAT8E5M2, TensorProto.FLOAT8E5M2FNUZ, TensorProto.FLOAT4E2M1,
    TensorProto.FLOAT8E8M0,
}
BFLOAT16_RTOL = 2.0 ** -6


def tolerances(case, data_type):
    """(rtol, atol) of a floating-point output."""
    rtol, atol, _ = WIDER.get(case.name, (case.rtol, case.atol, ""))
    return (max(rtol, BFLOAT16_RTOL) if data_type == TensorProto.BFLOAT16 else rtol), atol


def compare_tensors(expected, got, case):
    """None, or what differs."""
    expected = tensor_proto(expected, "expected")
    if got.data_type != expected.data_type:
        names = TensorProto.DataType.Name
        return f"type {names(got.data_type)}, expected {names(expected.data_type)}"
    if list(got.dims) != list(expected.dims):
        return f"shape {list(got.dims)}, expected {list(expected.dims)}"
    if case.name in RANDOM:
        return None
    a, b = numpy_helper.to_array(got), numpy_helper.to_array(expected)
    if got.data_type == TensorProto.STRING:
        equal = [x.encode() if isinstance(x, str) else x for x in a.reshape(-1)] == [
            x.encode() if isinstance(x, str) else x for x in b.reshape(-1)]
        return None if equal else f"{a.tolist()}, expected {b.tolist()}"
    is_float = got.data_type in NARROW_FLOATS or b.dtype.kind in "fc"
    if is_float:
        wide = b.dtype if b.dtype.kind == "c" or b.dtype == np.float64 else np.float32
        a, b = a.astype(wide), b.astype(wide)
        rtol, atol = tolerances(case, got.data_type)
        close = np.isclose(a, b, rtol=rtol, atol=atol, equal_nan=True)
    else:
        close = a == b
    if np.all(close):
        return None
    at = tuple(int(i[0]) for i in np.nonzero(~np.atleast_1d(close)))
    return (f"{int(np.sum(~close))} of {b.size} values differ, first at {list(at)}: "
            f"{np.atleast_1d(a)[at]}, expected {np.atleast_1d(b)[at]}")


def compare_values(expected, got, case):
    if isinstance(expected, onnx.OptionalProto):
        expected = numpy_helper.to_optional(expected)
    if expected is None:
        return None if got is None else "a value, expected none"
    if got is None:
        return "no value"
    if is_sequence(expected):
        if not isinstance(got, list):
            return "a tensor, expected a sequence"
        items = items_of(expected)
        if len(items) != len(got):
            return f"a sequence of {len(got)}, expected {len(items)}"
        return next((r for r in map(compare_tensors, items, got, [case] * len(got)) if r), None)
    if isinstance(got, list):
        return "a sequence, expected a tensor"
    return compare_tensors(expected, got, case)


def judge(case, folder, index):
    for k, (_, expected) in enumerate(case.data_sets):
        got = read_values(folder / f"{index}.{k}.out.onnx")
        if len(got) != len(expected):
            return Outcome(case.name, "wrong", f"{len(got)} outputs, expected {len(expected)}")
        for o, (e, g) in enumerate(zip(expected, got)):
            difference = compare_values(e, g, case)
            if difference:
                return Outcome(case.name, "wrong", f"output {o}: {difference}")
    return Outcome(case.name, "pass")


# ---------------------------------------------------------------------------------------- the run


def run_tool(tool, folder, count, flags):
    """index -> (ran | unsupported | failed | crashed, reason). A crash costs one case, not the rest."""
    results = {}
    while len(results) < count:
        first = len(results)
        done = subprocess.run([tool, folder, "--from", str(first), *flags], capture_output=True,
                              text=True, errors="replace")
        for line in done.stdout.splitlines():
            index, kind, reason = line.split("\t", 2)
            results[int(index)] = (kind, reason)
        if len(results) < count:
            last = (done.stderr.strip().splitlines() or [""])[-1]
            results[len(results)] = ("crashed", f"exit {done.returncode} {last}")
    return results


def run_all(tool, plain=False, cases=None):
    """The outcome of every case, in order."""
    cases = collect_cases() if cases is None else cases
    with tempfile.TemporaryDirectory(prefix="fewbit-conformance-") as name:
        folder = pathlib.Path(name)
        write_cases(cases, folder)
        results = run_tool(tool, folder, len(cases), ["--plain"] if plain else [])
        outcomes = []
        for i, case in enumerate(cases):
            kind, reason = results[i]
            if kind == "ran":
                outcomes.append(judge(case, folder, i))
            else:
                outcomes.append(Outcome(case.name, "unsupported" if kind == "unsupported" else "wrong",
                                        reason if kind == "unsupported" else f"{kind}: {reason}"))
    return outcomes


def operators_of(case):
    return sorted({n.op_type for n in case.model.graph.node})


def summary(outcomes, cases):
    counts = collections.Counter(o.kind for o in outcomes)
    lines = [f"pass {counts['pass']}   unsupported {counts['unsupported']}   wrong {counts['wrong']}"
             f"   of {len(outcomes)}"]
    groups = collections.Counter(re.sub(r"^\S*model\.onnx: ", "", o.reason)
                                 for o in outcomes if o.kind == "unsupported")
    lines += [f"  unsupported {n:4d}  {reason}" for reason, n in groups.most_common()]
    lines += [f"  wrong  {o.name}: {o.reason}" for o in outcomes if o.kind == "wrong"]
    random = [c.name for c in cases if c.name in RANDOM]
    lines.append(f"  values not compared (random): {', '.join(random)}")
    lines += [f"  wider tolerance for {c.name}: {WIDER[c.name][2]}" for c in cases if c.name in WIDER]
    return "\n".join(lines)


def find_tool(build):
    found = sorted(pathlib.Path(build).glob("**/fewbit_conformance"))
    return found[0] if found else None


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default=os.environ.get("FEWBIT_BUILD", ROOT / "build/release"))
    parser.add_argument("--plain", action="store_true", help="plain operators only, nothing fused")
    parser.add_argument("--list", action="store_true", help="one line per case")
    args = parser.parse_args()
    tool = find_tool(args.build)
    if tool is None:
        sys.exit(f"fewbit_conformance is not built in {args.build}")
    cases = collect_cases()
    outcomes = run_all(tool, args.plain, cases)
    if args.list:
        for o in outcomes:
            print(f"{o.kind}\t{o.name}\t{o.reason}")
    print(summary(outcomes, cases))
    return 1 if any(o.kind == "wrong" for o in outcomes) else 0


if __name__ == "__main__":
    sys.exit(main())
