"""Models read and written back by Fewbit, compared by the onnx package and by ONNX Runtime."""
import pathlib
import warnings

import pytest

np = pytest.importorskip("numpy", reason="needs numpy")
onnx = pytest.importorskip("onnx", reason="needs the onnx package")
ort = pytest.importorskip("onnxruntime", reason="needs the onnxruntime package")
from onnx import TensorProto, helper, numpy_helper  # noqa: E402

TOOL = "fewbit_onnx_roundtrip"
DATA = pathlib.Path(__file__).resolve().parents[3] / "shared" / "data"
MODELS = sorted((DATA / "models").glob("*.onnx")) if DATA.is_dir() else []


def roundtrip(run, model, folder, *flags):
    source, result = folder / "in.onnx", folder / "out.onnx"
    source.write_bytes(model.SerializeToString())
    run(TOOL, source, result, *flags)
    return onnx.load(result)


# -------------------------------------------------------------------- what a model says, normalised


def tensor_key(t):
    if t.data_type == TensorProto.STRING:
        return (t.data_type, tuple(t.dims), tuple(t.string_data))
    return (t.data_type, tuple(t.dims), numpy_helper.to_array(t).tobytes())


def constant_of(node):
    """The value of a Constant node as (type, dims, bytes)."""
    (a,) = node.attribute
    if a.name == "value":
        return tensor_key(a.t)
    if a.name == "sparse_value":
        s = a.sparse_tensor
        dense = np.zeros(tuple(s.dims), numpy_helper.to_array(s.values).dtype)
        index, values = numpy_helper.to_array(s.indices), numpy_helper.to_array(s.values)
        if index.ndim == 1:
            dense.reshape(-1)[index] = values
        else:
            dense[tuple(index.T)] = values
        return (s.values.data_type, tuple(s.dims), dense.tobytes())
    value = helper.get_attribute_value(a)
    kinds = {"value_float": np.float32, "value_floats": np.float32, "value_int": np.int64,
             "value_ints": np.int64}
    if a.name in kinds:
        return tensor_key(numpy_helper.from_array(np.array(value, kinds[a.name])))
    strings = value if isinstance(value, list) else [value]
    return (TensorProto.STRING, (len(strings),) if a.name == "value_strings" else (),
            tuple(strings))


def attribute_key(a):
    if a.type == onnx.AttributeProto.GRAPH:
        return (a.name, a.type, graph_key(a.g))
    if a.type == onnx.AttributeProto.TENSOR:
        return (a.name, a.type, tensor_key(a.t))
    if a.type == onnx.AttributeProto.TENSORS:
        return (a.name, a.type, tuple(tensor_key(t) for t in a.tensors))
    if a.type == onnx.AttributeProto.TYPE_PROTO:
        return (a.name, a.type, a.tp.SerializeToString(deterministic=True))
    value = helper.get_attribute_value(a)
    return (a.name, a.type, tuple(value) if not isinstance(value, (int, float, bytes)) else value)


def graph_key(g, main=False):
    constants = {t.name: tensor_key(t) for t in g.initializer}
    nodes = []
    for n in g.node:
        if n.op_type == "Constant" and n.domain in ("", "ai.onnx"):
            constants[n.output[0]] = constant_of(n)
            continue
        domain = "" if n.domain == "ai.onnx" else n.domain
        nodes.append((n.op_type, domain, n.name, tuple(n.input), tuple(n.output),
                      tuple(sorted((attribute_key(a) for a in n.attribute), key=lambda k: k[0]))))
    used = names_read(g) | {i.name for i in g.input}  # constants that nothing reads are left out
    constants = {k: v for k, v in constants.items() if k in used}
    io = lambda infos: [(i.name, i.type.SerializeToString(deterministic=True)) for i in infos]
    outputs = io(g.output) if main else [o.name for o in g.output]
    return (io(g.input), outputs, tuple(nodes), tuple(sorted(constants.items())))


def names_read(g):
    names = {o.name for o in g.output} | {i for n in g.node for i in n.input}
    for a in (a for n in g.node for a in n.attribute):
        for sub in [a.g] if a.type == onnx.AttributeProto.GRAPH else a.graphs:
            names |= names_read(sub)
    return names


# --------------------------------------------------------------------------------------- real files


def random_feed(session):
    rng = np.random.default_rng(0)
    feed = {}
    for i in session.get_inputs():
        shape = [d if isinstance(d, int) else 2 for d in i.shape]
        floats = "float" in i.type
        feed[i.name] = (rng.standard_normal(shape).astype(np.float32) if floats
                        else rng.integers(0, 9, shape))
    return feed


def same_outputs(a, b):
    before, after = ort.InferenceSession(a), ort.InferenceSession(b)
    assert [o.name for o in before.get_outputs()] == [o.name for o in after.get_outputs()]
    feed = random_feed(before)
    for x, y in zip(before.run(None, feed), after.run(None, feed)):
        np.testing.assert_array_equal(x, y)


@pytest.mark.skipif(not MODELS, reason=f"no models in {DATA}")
@pytest.mark.parametrize("path", MODELS, ids=lambda p: p.stem)
def test_real_models(run, tmp_path, path):
    result = tmp_path / "out.onnx"
    run(TOOL, path, result)
    onnx.checker.check_model(str(result), full_check=True)
    before, after = onnx.load(path), onnx.load(result)
    assert graph_key(before.graph, main=True) == graph_key(after.graph, main=True)
    for field in ("ir_version", "producer_name", "producer_version", "domain", "model_version",
                  "doc_string"):
        assert getattr(before, field) == getattr(after, field)
    pairs = lambda m: {p.key: p.value for p in m.metadata_props}
    assert pairs(before) == pairs(after)
    assert before.graph.name == after.graph.name
    same_outputs(str(path), str(result))
    # What was written is read and written to the same bytes.
    again = tmp_path / "again.onnx"
    run(TOOL, result, again)
    assert again.read_bytes() == result.read_bytes()


@pytest.mark.skipif(not MODELS, reason=f"no models in {DATA}")
def test_external_data(run, tmp_path):
    path = DATA / "models" / "squeezenet1.1.onnx"
    inline, external, back = (tmp_path / n for n in ("inline.onnx", "external.onnx", "back.onnx"))
    run(TOOL, path, inline)
    run(TOOL, path, external, "--external")
    data = tmp_path / "external.onnx.data"
    assert external.stat().st_size < 100_000 < data.stat().st_size
    onnx.checker.check_model(str(external), full_check=True)
    same_outputs(str(path), str(external))
    run(TOOL, external, back)
    assert back.read_bytes() == inline.read_bytes()
    # Over itself: the file that is read is the file that is replaced.
    before = data.read_bytes()
    run(TOOL, external, external, "--external")
    assert data.read_bytes() == before
    assert not list(tmp_path.glob("*tmp*"))


@pytest.mark.skipif(not MODELS, reason=f"no models in {DATA}")
def test_external_data_that_is_too_short(run, tmp_path):
    model = onnx.load(DATA / "models" / "resnet20_cifar10.onnx")
    onnx.save(model, tmp_path / "m.onnx", save_as_external_data=True, location="m.bin")
    whole = (tmp_path / "m.bin").read_bytes()
    run(TOOL, tmp_path / "m.onnx", tmp_path / "out.onnx")
    (tmp_path / "m.bin").write_bytes(whole[:-1])
    done = run(TOOL, tmp_path / "m.onnx", tmp_path / "no.onnx", ok=False)
    assert done.returncode == 1 and "which has only" in done.stderr
    assert not (tmp_path / "no.onnx").exists()


# ------------------------------------------------------------------------ the standard's node tests


def test_node_models(run, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases
        cases = collect_testcases(None)
    same, unsupported, wrong = 0, [], []
    for case in cases:
        if case.model is None:
            continue
        source, result = tmp_path / "in.onnx", tmp_path / "out.onnx"
        source.write_bytes(case.model.SerializeToString())
        done = run(TOOL, source, result, ok=False)
        if done.returncode != 0:
            (unsupported if "not supported" in done.stderr else wrong).append(
                f"{case.name}: {done.stderr.strip()}")
            continue
        after = onnx.load(result)
        if graph_key(case.model.graph, main=True) == graph_key(after.graph, main=True):
            same += 1
        else:
            wrong.append(f"{case.name}: differs")
    print(f"\nnode tests read and written back: {same} equal, {len(unsupported)} unsupported, "
          f"{len(wrong)} wrong")
    for line in unsupported + wrong:
        print("  " + line.replace(str(tmp_path), ""))
    assert not wrong
    assert same >= 0.98 * len(cases)


# ------------------------------------------------------------------------- functions and sub-graphs


def f32(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def function_model():
    """A function with a default attribute, one that calls it twice (and reads a capture in an If),
    an output that is an input, and names that collide with the caller's."""
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("f", 1)]
    elu = helper.make_node("Elu", ["x"], ["y"], name="elu")
    elu.attribute.append(onnx.AttributeProto(name="alpha", ref_attr_name="a",
                                             type=onnx.AttributeProto.FLOAT))
    inner = helper.make_function(
        "f", "Inner", ["x"], ["y"], [elu], opsets,
        attribute_protos=[helper.make_attribute("a", 0.5)])
    branch = lambda op: helper.make_graph(
        [helper.make_node(op, ["t", "x"], ["b"])], op, [], [f32("b", None)])
    call = helper.make_node("Inner", ["x"], ["t"], domain="f")
    call.attribute.append(onnx.AttributeProto(name="a", ref_attr_name="beta",
                                              type=onnx.AttributeProto.FLOAT))
    outer = helper.make_function(
        "f", "Outer", ["x", "cond"], ["y", "x", "t"],
        [call, helper.make_node("Inner", ["t"], ["u"], domain="f"),
         helper.make_node("If", ["cond"], ["v"], then_branch=branch("Add"),
                          else_branch=branch("Sub")),
         helper.make_node("Mul", ["u", "v"], ["y"])], opsets, attributes=["beta"])
    graph = helper.make_graph(
        [helper.make_node("Outer", ["t", "c"], ["u", "same", "seen"], domain="f", name="call",
                          beta=2.0),
         helper.make_node("Outer", ["u", "c"], ["y"], domain="f", beta=0.25)],
        "g", [f32("t", [3]), helper.make_tensor_value_info("c", TensorProto.BOOL, [])],
        [f32("y", [3]), f32("same", [3]), f32("seen", [3])])
    return helper.make_model(graph, functions=[inner, outer], opset_imports=opsets, ir_version=9)


@pytest.mark.parametrize("condition", [True, False])
def test_functions_are_inlined(run, tmp_path, condition):
    model = function_model()
    after = roundtrip(run, model, tmp_path)
    assert not after.functions
    onnx.checker.check_model(after, full_check=True)
    feed = {"t": np.array([-2, 0.5, -0.1], np.float32), "c": np.array(condition)}
    elu = lambda x, a: np.where(x < 0, a * np.expm1(x), x)

    def outer(x, beta):
        t = elu(x, beta)
        return elu(t, 0.5) * (t + x if condition else t - x), t

    first, seen = outer(feed["t"], 2.0)
    expected = [outer(first, 0.25)[0], feed["t"], seen]
    for e, f in zip(expected, ort.InferenceSession(after.SerializeToString()).run(None, feed)):
        np.testing.assert_allclose(f, e, rtol=1e-5, atol=1e-7)


def test_subgraphs_and_captures(run, tmp_path):
    body = helper.make_graph(
        [helper.make_node("Constant", [], ["one"], value_float=1.0),
         helper.make_node("Add", ["state", "w"], ["t"]),
         helper.make_node("Mul", ["t", "one"], ["next"]),
         helper.make_node("Identity", ["keep"], ["keep_out"]),
         helper.make_node("Identity", ["next"], ["row"])],
        "body", [helper.make_tensor_value_info("i", TensorProto.INT64, []),
                 helper.make_tensor_value_info("keep", TensorProto.BOOL, []), f32("state", [2])],
        [helper.make_tensor_value_info("keep_out", TensorProto.BOOL, []), f32("next", [2]),
         f32("row", [2])])
    graph = helper.make_graph(
        [helper.make_node("Loop", ["n", "", "x"], ["last", "rows"], name="loop", body=body)],
        "g", [f32("x", [2]), helper.make_tensor_value_info("n", TensorProto.INT64, [])],
        [f32("last", [2]), f32("rows", [None, 2])],
        initializer=[numpy_helper.from_array(np.array([1, 2], np.float32), "w")])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    after = roundtrip(run, model, tmp_path)
    feed = {"x": np.array([0, 0], np.float32), "n": np.array(3, np.int64)}
    session = ort.InferenceSession(after.SerializeToString())
    before = ort.InferenceSession(model.SerializeToString())
    for expected, found in zip(before.run(None, feed), session.run(None, feed)):
        np.testing.assert_array_equal(found, expected)


# ---------------------------------------------------------------------------------------- all types


NUMERIC_TYPES = sorted(set(TensorProto.DataType.values())
                       - {TensorProto.UNDEFINED, TensorProto.STRING}
                       - {getattr(TensorProto, n, None) for n in ("FLOAT6E2M3", "FLOAT6E3M2")})


@pytest.mark.parametrize("raw", [True, False], ids=["raw", "typed"])
@pytest.mark.parametrize("kind", NUMERIC_TYPES, ids=lambda k: TensorProto.DataType.Name(k).lower())
def test_element_types(run, tmp_path, kind, raw):
    dtype = helper.tensor_dtype_to_np_dtype(kind)
    # Seven, so that the last byte of the packed types is not full.
    values = np.array([0, 1, 1, 0, 1, 1, 1], np.float32).astype(dtype)
    if raw:
        tensor = numpy_helper.from_array(values, "w")
    else:
        tensor = helper.make_tensor("w", kind, [7], values)
    assert tensor.HasField("raw_data") == raw
    graph = helper.make_graph([helper.make_node("Identity", ["w"], ["y"])], "g", [],
                              [helper.make_tensor_value_info("y", kind, [7])], initializer=[tensor])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 25)], ir_version=4)
    after = roundtrip(run, model, tmp_path)
    (found,) = after.graph.initializer
    assert found.data_type == kind
    assert numpy_helper.to_array(found).tobytes() == values.tobytes()
    lowest = {"BFLOAT16": 4, "UINT4": 10, "INT4": 10, "FLOAT4E2M1": 11, "FLOAT8E8M0": 12,
              "UINT2": 13, "INT2": 13}
    name = TensorProto.DataType.Name(kind)
    assert after.ir_version == (9 if name.startswith("FLOAT8E4") or name.startswith("FLOAT8E5")
                                else lowest.get(name, 4))


def test_docs_and_metadata(run, tmp_path):
    node = helper.make_node("Add", ["x", "w"], ["t"], name="a", doc_string="adds")
    weight = numpy_helper.from_array(np.ones([2], np.float32), "w")
    weight.doc_string = "a weight"
    out = helper.make_node("Relu", ["t"], ["y"], name="r")
    graph = helper.make_graph([node, out], "main", [f32("x", ["batch", 2])],
                              [f32("y", ["batch", 2])], initializer=[weight], doc_string="a graph",
                              value_info=[f32("t", ["batch", 2])])
    model = helper.make_model(graph, ir_version=10, producer_name="p", producer_version="1",
                              domain="d", model_version=3, doc_string="a model",
                              opset_imports=[helper.make_opsetid("", 21)])
    main = model.graph
    for holder in (model, main, main.node[0], main.input[0], main.initializer[0],
                   main.value_info[0], main.output[0]):
        entry = holder.metadata_props.add()
        entry.key, entry.value = "k", type(holder).__name__
    annotation = main.quantization_annotation.add(tensor_name="t")
    entry = annotation.quant_parameter_tensor_names.add()
    entry.key, entry.value = "SCALE_TENSOR", "w"
    after = roundtrip(run, model, tmp_path)
    assert after == model
