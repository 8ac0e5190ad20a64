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


def sizes_of(value):
    """The dimensions of an input or output of a test case; None for sequences and empty optionals."""
    if isinstance(value, onnx.TensorProto):
        return tuple(value.dims)
    return np.shape(value) if isinstance(value, (np.ndarray, np.generic)) else None


def declared_elem(value_info):
    t = value_info.type
    return ELEM_NAMES.get(t.tensor_type.elem_type) if t.HasField("tensor_type") else None


def with_known_inputs(model, inputs):
    """The model with its tensor inputs as constants, so that shapes that depend on values are known."""
    known = onnx.ModelProto()
    known.CopyFrom(model)
    for value_info, value in zip(known.graph.input, inputs):
        if sizes_of(value) is None or not value_info.type.HasField("tensor_type"):
            continue
        tensor = onnx.TensorProto()
        if isinstance(value, onnx.TensorProto):
            tensor.CopyFrom(value)
            tensor.name = value_info.name
        else:
            tensor = numpy_helper.from_array(np.asarray(value), value_info.name)
        if tensor.data_type == value_info.type.tensor_type.elem_type:
            known.graph.initializer.append(tensor)
    return known


def test_arity_of_every_operator(program):
    """Every operator of the standard from version 7 on has a row with its numbers of inputs and outputs."""
    done = subprocess.run([program("fewbit_infer"), "--schemas"], capture_output=True, text=True, check=True)
    rows = {}
    for domain, op_type, since, *arity in map(json.loads, done.stdout.splitlines()):
        rows.setdefault((domain, op_type), {})[since] = arity
    names = {s.name for s in onnx.defs.get_all_schemas_with_history() if s.domain == ""}
    problems, compared = set(), 0
    for name in names:
        for opset in range(7, onnx.defs.onnx_opset_version() + 1):
            try:
                schema = onnx.defs.get_schema(name, opset, "")
            except onnx.defs.SchemaError:
                continue
            if schema.deprecated:
                continue
            compared += 1
            ours = rows.get(("", name), {})
            since = max((v for v in ours if v <= opset), default=None)
            real = [n if n < 2**31 - 1 else -1 for n in (schema.min_input, schema.max_input,
                                                        schema.min_output, schema.max_output)]
            if since is None or ours[since] != real:
                problems.add(f"{name} {schema.since_version}: {ours.get(since)}, really {real}")
    assert compared > 2000
    assert problems == set()


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
    if isinstance(actual, (list, tuple)):
        if found["kind"] not in ("sequence", "unknown"):
            return f"wrong kind: {found} but the output is a sequence"
        for item in actual:
            verdict = check_output(found.get("inner", {"kind": "unknown"}), item, None)
            if "wrong" in verdict:
                return verdict
        return "none"
    sizes = sizes_of(actual)
    if sizes is None:
        return "none"
    if found["kind"] == "unknown":
        return "none"
    if found["kind"] != "tensor":
        return f"wrong kind: {found}"
    if elem is not None and found["elem"] not in (elem, "undefined"):
        return f"wrong element type: {found['elem']}, really {elem}"
    if "dims" not in found:
        return "none"
    if len(found["dims"]) != len(sizes):
        return f"wrong rank: {found['dims']}, really {sizes}"
    for inferred, real in zip(found["dims"], sizes):
        if isinstance(inferred, int) and inferred != real:
            return f"wrong size: {found['dims']}, really {sizes}"
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
                if verdict != "full" and sizes_of(actual) is not None:
                    partly.append(f"{case.name}: {line['values'][info.name]}, really {sizes_of(actual)}")
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
    assert count["full"] >= 1950


def test_node_cases_by_value(program, cases, tmp_path):
    """All inputs are known: what is not inferred depends on the data beyond arithmetic on shapes."""
    count, problems = tally(program, cases, tmp_path, values=True)
    assert problems == []
    assert count["full"] >= 2230


def symbolic(model, inputs):
    """The model with a symbol for every size of its float inputs, its int64 inputs as constants; and
    what each symbol stands for."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    meaning = {}
    for i, (value_info, value) in enumerate(zip(out.graph.input, inputs)):
        t = value_info.type.tensor_type
        if not value_info.type.HasField("tensor_type") or sizes_of(value) is None:
            continue
        if t.elem_type == TensorProto.INT64 and isinstance(value, np.ndarray):
            out.graph.initializer.append(numpy_helper.from_array(value, value_info.name))
            continue
        for axis, size in enumerate(sizes_of(value)):
            t.shape.dim[axis].dim_param = f"s{i}_{axis}"
            meaning[f"s{i}_{axis}"] = size
    return out, meaning


def test_node_cases_with_symbols(program, cases, tmp_path):
    """A symbol that comes out must stand for the real size."""
    paths, meanings = [], []
    for i, case in enumerate(cases):
        model, meaning = symbolic(case.model, case.data_sets[0][0])
        paths.append(tmp_path / f"{i}.onnx")
        paths[-1].write_bytes(model.SerializeToString())
        meanings.append(meaning)
    problems, resolved = [], 0
    for case, meaning, line in zip(cases, meanings, infer(program, paths)):
        if "error" in line:
            problems.append(f"{case.name}: {line['error']}")
            continue
        for info, actual in zip(case.model.graph.output, case.data_sets[0][1]):
            found = line["values"][info.name]
            if "dims" in found:
                found["dims"] = [meaning.get(d, d) for d in found["dims"]]
            verdict = check_output(found, actual, declared_elem(info))
            if verdict == "full":
                resolved += 1
            elif verdict not in ("part", "none"):
                problems.append(f"{case.name}: {info.name}: {verdict}")
    print(resolved, "outputs resolved through symbols")
    assert problems == []
    assert resolved >= 1475


def test_node_cases_without_shapes(program, cases, tmp_path):
    """Nothing is known of the inputs but their element types: no model is refused."""
    paths = []
    for i, case in enumerate(cases):
        model = onnx.ModelProto()
        model.CopyFrom(case.model)
        for value_info in model.graph.input:
            if value_info.type.HasField("tensor_type"):
                value_info.type.tensor_type.ClearField("shape")
        paths.append(tmp_path / f"{i}.onnx")
        paths[-1].write_bytes(model.SerializeToString())
    lines = infer(program, paths)
    assert [f"{c.name}: {line['error']}" for c, line in zip(cases, lines) if "error" in line] == []
    problems = []
    for case, line in zip(cases, lines):
        for info, actual in zip(case.model.graph.output, case.data_sets[0][1]):
            verdict = check_output(line["values"][info.name], actual, declared_elem(info))
            if verdict not in ("full", "part", "none"):
                problems.append(f"{case.name}: {info.name}: {verdict}")
    assert problems == []


# The package's inference takes STFT's `onesided` for 0 where it is left out, its own default for 1
# (the real outputs above decide); and it reads a loop body's declared shapes, which fewbit_infer
# forgets.
PACKAGE_DIFFERS = {"test_stft", "test_stft_with_window", "test_loop11"}


def compare_with_package(model, line):
    """(contradictions, sizes that only the package's inference knows) over all values of the graph."""
    inferred = onnx.shape_inference.infer_shapes(model, check_type=False, strict_mode=False, data_prop=True)
    contradictions, missed = [], []
    for info in [*inferred.graph.value_info, *inferred.graph.output]:
        if not info.type.HasField("tensor_type") or info.name not in line["values"]:
            continue
        found = line["values"][info.name]
        t = info.type.tensor_type
        elem = ELEM_NAMES.get(t.elem_type)
        if found["kind"] == "tensor" and elem and found["elem"] not in (elem, "undefined"):
            contradictions.append(f"{info.name}: {found['elem']} and {elem}")
        if not t.HasField("shape"):
            continue
        theirs = [d.dim_value if d.HasField("dim_value") else None for d in t.shape.dim]
        ours = found.get("dims")
        if ours is None:
            missed.append(f"{info.name}: only they know {theirs}")
            continue
        if len(ours) != len(theirs) or any(
                isinstance(a, int) and b is not None and a != b for a, b in zip(ours, theirs)):
            contradictions.append(f"{info.name}: {ours} and {theirs}")
        elif any(not isinstance(a, int) and b is not None for a, b in zip(ours, theirs)):
            missed.append(f"{info.name}: {ours} and {theirs}")
    return contradictions, missed


def test_node_cases_against_package(program, cases, tmp_path):
    """Inner values, too: where the package's own inference knows a size, so must ours."""
    paths, models = [], []
    for i, case in enumerate(cases):
        model = with_known_inputs(case.model, case.data_sets[0][0])
        for info in model.graph.output:
            if info.type.HasField("tensor_type"):
                info.type.tensor_type.ClearField("shape")
        models.append(model)
        paths.append(tmp_path / f"{i}.onnx")
        paths[-1].write_bytes(model.SerializeToString())
    contradictions, missed = [], []
    for case, model, line in zip(cases, models, infer(program, paths)):
        if "error" in line or case.name in PACKAGE_DIFFERS:
            continue
        try:
            wrong, less = compare_with_package(model, line)
        except onnx.shape_inference.InferenceError:
            continue
        contradictions += [f"{case.name}: {text}" for text in wrong]
        missed += [f"{case.name}: {text}" for text in less]
    print("\n".join(contradictions + missed))
    assert contradictions == []
    assert missed == []


def with_all_outputs(model):
    """The model with every value of its main graph as an output, so that a runtime shows its size."""
    out = onnx.ModelProto()
    out.CopyFrom(model)
    declared = {o.name for o in out.graph.output}
    for node in out.graph.node:
        for name in node.output:
            if name and name not in declared:
                out.graph.output.append(onnx.ValueInfoProto(name=name))
    return out


def check_against_runtime(program, ort, model, folder, batch=2):
    """Runs the model with all sizes of its inputs known and compares every inner value."""
    model = onnx.ModelProto.FromString(model.SerializeToString())
    for value_info in model.graph.input:
        for dim in value_info.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                dim.dim_value = batch
    path = folder / "model.onnx"
    onnx.save(with_all_outputs(model), path)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 3
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    feeds = {}
    for i in session.get_inputs():
        dtype = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(uint8)": np.uint8}[i.type]
        feeds[i.name] = np.ones(i.shape, dtype)
    real = dict(zip([o.name for o in session.get_outputs()], session.run(None, feeds)))
    onnx.save(model, path)
    [line] = infer(program, [path])
    assert "error" not in line, line["error"]
    wrong, open_sizes = [], []
    for name, value in real.items():
        # Constant nodes are values of the file, not of a node, once it is read.
        found = line["values"].get(name)
        if found is None:
            continue
        verdict = check_output(found, value, str(value.dtype))
        if verdict in ("part", "none"):
            open_sizes.append(f"{name}: {found}, really {value.shape}")
        elif verdict != "full":
            wrong.append(f"{name}: {verdict}")
    assert wrong == []
    assert open_sizes == []
    assert len(real) > 0
    return len(real)


MODELS = ["resnet20_cifar10", "resnet56_cifar10", "mobilenet_v1_0.75", "mobilenet_v2_1.0", "squeezenet1.1",
          "vit_mnist", "ddpm_unet_mnist"]


@pytest.fixture
def shared_model(request, shared_data):
    path = shared_data / "models" / f"{request.param}.onnx"
    if not path.exists():
        pytest.skip(f"{path} is missing")
    return onnx.load(path)


@pytest.mark.parametrize("shared_model", MODELS, indirect=True)
def test_networks_against_runtime(program, shared_model, tmp_path):
    ort = pytest.importorskip("onnxruntime")
    print(check_against_runtime(program, ort, shared_model, tmp_path), "values")


@pytest.mark.parametrize("form", ["QDQ", "QOperator", "dynamic"])
@pytest.mark.parametrize("shared_model", ["resnet20_cifar10", "squeezenet1.1", "vit_mnist"], indirect=True)
def test_quantized_networks_against_runtime(program, shared_model, form, tmp_path):
    """Exports of another quantizer: its own operators, too."""
    ort = pytest.importorskip("onnxruntime")
    quantization = pytest.importorskip("onnxruntime.quantization")
    for value_info in shared_model.graph.input:
        for dim in value_info.type.tensor_type.shape.dim:
            if not dim.HasField("dim_value"):
                dim.dim_value = 2
    source, target = tmp_path / "float.onnx", tmp_path / "quantized.onnx"
    onnx.save(shared_model, source)
    if form == "dynamic":
        quantization.quantize_dynamic(source, target)
    else:
        class Reader(quantization.CalibrationDataReader):
            def __init__(self):
                rng = np.random.default_rng(1)
                self.left = [{
                    i.name: rng.standard_normal([d.dim_value for d in i.type.tensor_type.shape.dim]).astype(
                        np.float32 if i.type.tensor_type.elem_type == TensorProto.FLOAT else np.int64)
                    for i in shared_model.graph.input}]

            def get_next(self):
                return self.left.pop() if self.left else None

        quantization.quantize_static(source, target, Reader(), per_channel=form == "QDQ",
                                     quant_format=quantization.QuantFormat[form])
    model = onnx.load(target)
    print(sorted({f"{n.domain}:{n.op_type}" for n in model.graph.node}))
    print(check_against_runtime(program, ort, model, tmp_path), "values")
