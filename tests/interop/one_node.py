"""Models of one node with random inputs, run by ONNX Runtime and by Fewbit's plain operators."""
import numpy as np
import onnxruntime as ort
from onnx import helper, numpy_helper

import conformance

MS = "com.microsoft"


def model_of(op, inputs, attributes, domain, opset, outputs):
    """A model of one node; None stands for an input that is left out."""
    names = ["" if x is None else f"x{i}" for i, x in enumerate(inputs)]
    infos = [helper.make_tensor_value_info(n, helper.np_dtype_to_tensor_dtype(x.dtype), x.shape)
             for n, x in zip(names, inputs) if x is not None]
    results = [f"y{i}" for i in range(outputs)]
    node = helper.make_node(op, names, results, domain=domain)
    node.attribute.extend(helper.make_attribute(k, v) for k, v in attributes.items())
    graph = helper.make_graph([node], "one", infos,
                              [helper.make_empty_tensor_value_info(r) for r in results])
    imports = [helper.make_opsetid("", opset), helper.make_opsetid(MS, 1)]
    return helper.make_model(graph, opset_imports=imports, ir_version=10)


class Builder:
    """Collects (name, model, inputs) with numbers from one generator."""

    def __init__(self, domain="", opset=22):
        self.random = np.random.default_rng(7)
        self.domain, self.opset, self.cases = domain, opset, []

    def add(self, op, inputs, outputs=1, **attributes):
        inputs = [x if x is None else np.asarray(x) for x in inputs]
        model = model_of(op, inputs, attributes, self.domain, self.opset, outputs)
        self.cases.append((f"{op}-{len(self.cases)}", model, inputs))

    def codes(self, dtype, *shape):
        info = np.iinfo(dtype)
        return self.random.integers(info.min, info.max + 1, shape).astype(dtype)

    def zero(self, dtype):
        return np.array(128 if dtype == np.uint8 else -5, dtype)

    def floats(self, *shape):
        return self.random.standard_normal(shape).astype(np.float32)


def ort_results(model, inputs):
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    given = [x for x in inputs if x is not None]
    return session.run(None, dict(zip([i.name for i in session.get_inputs()], given)))


def fewbit_results(tool, cases, folder):
    """name -> the arrays that Fewbit gives, or a text that says what went wrong."""
    runs = [conformance.Case(name, model, [([x for x in inputs if x is not None], [])], 0, 0)
            for name, model, inputs in cases]
    conformance.write_cases(runs, folder)
    results = conformance.run_tool(tool, folder, len(runs), ["--plain"])
    return {run.name: [numpy_helper.to_array(t)
                       for t in conformance.read_values(folder / f"{i}.0.out.onnx")]
            if results[i][0] == "ran" else ": ".join(results[i]) for i, run in enumerate(runs)}


def differences(tool, cases, folder, difference):
    """What difference(operator, expected, got) says of each output, where it says something."""
    got = fewbit_results(tool, cases, folder)
    found = []
    for name, model, inputs in cases:
        if isinstance(got[name], str):
            found.append(f"{name}: {got[name]}")
            continue
        for k, (e, g) in enumerate(zip(ort_results(model, inputs), got[name], strict=True)):
            reason = difference(name.split("-")[0], np.asarray(e), g)
            if reason:
                attributes = ", ".join(str(a).replace("\n", " ") for a in model.graph.node[0].attribute)
                found.append(f"{name} output {k}: {reason} [{attributes}]")
    return found


def float_difference(expected, got, rtol, atol):
    """None, or how far apart; atol is relative to the largest expected value."""
    if got.dtype != expected.dtype or got.shape != expected.shape:
        return f"{got.dtype} {got.shape}, expected {expected.dtype} {expected.shape}"
    largest = np.abs(expected[np.isfinite(expected)]).max(initial=1)
    near = np.isclose(got, expected, rtol, atol * largest, equal_nan=True)
    return None if near.all() else f"by up to {np.nanmax(np.abs(got - expected))}"


def code_difference(expected, got, share):
    """None, or what differs; a share of the codes may be off by one."""
    if got.dtype != expected.dtype or got.shape != expected.shape:
        return f"{got.dtype} {got.shape}, expected {expected.dtype} {expected.shape}"
    apart = np.abs(got.astype(np.int64) - expected.astype(np.int64))
    if apart.max(initial=0) <= (share > 0) and np.mean(apart) <= share:
        return None
    return f"{np.count_nonzero(apart)} of {apart.size} codes by up to {apart.max()}"
