"""GGUF's block formats bit for bit: what `fewbit_codec` writes without a search, and what it decodes,
against ggml itself and against the gguf package; and that the search never loses to ggml."""
import numpy as np
import pytest

import ggml_library

FORMATS = list(ggml_library.TYPES)
COLS = 512


def cases():
    """name: weights [rows, 512] that every format can hold."""
    generator = np.random.default_rng(7)
    normal = generator.standard_normal((24, COLS))
    ties = generator.integers(-16, 17, (12, COLS)) / 16
    ties[:, ::32] = 1
    halves = generator.integers(-254, 255, (16, COLS)) / 2  # boundaries of iq4's levels
    halves[:, ::32] = -127
    small = generator.standard_normal((8, COLS))
    offset = 1 + 0.01 * generator.standard_normal((6, COLS))
    sparse = np.where(generator.random((8, COLS)) < 0.9, 0, generator.standard_normal((8, COLS)))
    mixed = normal[:8] * 10.0 ** generator.integers(-5, 4, (8, COLS // 16)).repeat(16, axis=1)
    made = {
        "normal": normal * 0.02,
        "heavy-tailed": generator.standard_t(2, (16, COLS)),
        "positive": np.abs(normal[:8]),
        "negative": -np.abs(normal[:8]),
        "offset": np.concatenate([offset, -offset]),
        "constant": np.full((2, COLS), [[0.3], [-7.25]]),
        "zero": np.zeros((1, COLS)),
        "negative zero": np.full((1, COLS), -0.0),
        "sparse": sparse,
        "ties": ties,
        "halves": halves,
        "mixed ranges": mixed,
        "tiny": small * 1e-7,
        "below float16": small * 1e-12,
        "denormal": small * 1e-41,
        "large": small * 2000,
    }
    return {name: values.astype(np.float32) for name, values in made.items()}


CASES = cases()
# Where ggml and the package differ: the sign of a zero scale, and what a zero times infinity becomes.
PACKAGE_DIFFERS = ("denormal", "below float16", "negative zero")


def random_blocks(name, generator, rows=64):
    """Blocks of random bytes whose 16-bit scales are finite."""
    _, block, size = ggml_library.TYPES[name]
    blocks = generator.integers(0, 256, (rows * COLS // block, size), dtype=np.uint8)
    halves = {"q4_1": [0, 2], "q5_1": [0, 2], "q2_K": [80, 82], "q3_K": [108], "q4_K": [0, 2],
              "q5_K": [0, 2], "q6_K": [208], "tq1_0": [52], "tq2_0": [64]}.get(name, [0])
    for at in halves:
        infinite = (blocks[:, at + 1] & 0x7c) == 0x7c
        blocks[infinite, at + 1] ^= 0x40
    return blocks.reshape(rows, -1)


@pytest.fixture(scope="module")
def ggml():
    library = ggml_library.load()
    if library is None:
        pytest.skip("ggml's library cannot be had: needs npm, a network and x86-64 Linux")
    return library


@pytest.fixture
def encode(run, tmp_path):
    def call(name, values, *flags, importance=None):
        values.astype(np.float32).tofile(tmp_path / "in.f32")
        if importance is not None:
            importance.astype(np.float32).tofile(tmp_path / "importance.f32")
            flags = (*flags, "--importance", tmp_path / "importance.f32")
        run("fewbit_codec", "encode", name, *values.shape, tmp_path / "in.f32", tmp_path / "out.bin",
            *flags)
        return np.fromfile(tmp_path / "out.bin", np.uint8).reshape(values.shape[0], -1)
    return call


@pytest.fixture
def decode(run, tmp_path):
    def call(name, blocks, cols):
        blocks.tofile(tmp_path / "in.bin")
        run("fewbit_codec", "decode", name, blocks.shape[0], cols, tmp_path / "in.bin",
            tmp_path / "out.f32")
        return np.fromfile(tmp_path / "out.f32", np.float32).reshape(blocks.shape[0], cols)
    return call


def package_type(name):
    gguf = pytest.importorskip("gguf", reason="needs the gguf package")
    return gguf.quants, gguf.GGMLQuantizationType[name.upper()]


def same_bits(a, b):
    return np.array_equal(a.view(np.uint32), b.view(np.uint32))


@pytest.mark.parametrize("name", FORMATS)
def test_without_search_the_bytes_are_ggmls(name, ggml, encode):
    wrong = {}
    for case, values in CASES.items():
        ours, theirs = encode(name, values, "--no-search"), ggml.quantize(name, values)
        if not np.array_equal(ours, theirs):
            wrong[case] = np.argwhere(ours != theirs)[0].tolist()
    assert not wrong, f"first differing [row, byte] in each case: {wrong}"


@pytest.mark.parametrize("name", ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0", "tq1_0", "tq2_0"])
@pytest.mark.parametrize("case", [c for c in CASES if c not in PACKAGE_DIFFERS])
def test_without_search_the_bytes_are_the_packages(name, case, encode):
    quants, kind = package_type(name)
    assert np.array_equal(encode(name, CASES[case], "--no-search"), quants.quantize(CASES[case], kind))


@pytest.mark.parametrize("name", FORMATS)
def test_random_bytes_decode_as_ggml_decodes_them(name, ggml, decode):
    blocks = random_blocks(name, np.random.default_rng(11))
    assert same_bits(decode(name, blocks, COLS), ggml.dequantize(name, blocks))


@pytest.mark.parametrize("name", FORMATS)
def test_random_bytes_decode_as_the_package_decodes_them(name, decode):
    quants, kind = package_type(name)
    blocks = random_blocks(name, np.random.default_rng(12))
    # The package turns some zeros' signs round: equal as numbers.
    assert np.array_equal(decode(name, blocks, COLS), quants.dequantize(blocks, kind))


@pytest.mark.parametrize("name", list(ggml_library.MX_TYPES))
def test_mx_blocks_decode_as_ggml_decodes_them(name, ggml, run, tmp_path):
    """Every scale byte with every pair of codes; the program goes through the plain arrays."""
    _, block, size = ggml_library.MX_TYPES[name]
    assert ggml.traits(name).type_size == size
    blocks = np.random.default_rng(13).integers(0, 256, (1024, size), dtype=np.uint8)
    blocks[:, :size - block // 2] = np.arange(1024)[:, None] // 4
    blocks.tofile(tmp_path / "in.bin")
    run("fewbit_codec", "decode-gguf", name, tmp_path / "in.bin", tmp_path / "out.f32")
    ours = np.fromfile(tmp_path / "out.f32", np.float32).reshape(1024, block)
    assert same_bits(ours, ggml.dequantize(name, blocks))


def block_errors(name, values, decoded, importance=1.0):
    block = ggml_library.TYPES[name][1]
    difference = (values.astype(np.float64) - decoded) ** 2 * importance
    return difference.reshape(values.shape[0], -1, block).sum(axis=2)


@pytest.mark.parametrize("name", FORMATS)
def test_the_search_is_better_than_ggml_and_never_worse_in_a_block(name, ggml, encode):
    for case, values in CASES.items():
        found = block_errors(name, values, ggml.dequantize(name, encode(name, values)))
        theirs = block_errors(name, values, ggml.dequantize(name, ggml.quantize(name, values)))
        assert np.isfinite(found).all(), case
        assert (found <= theirs).all(), case
    values = CASES["normal"]
    found = block_errors(name, values, ggml.dequantize(name, encode(name, values))).sum()
    theirs = block_errors(name, values, ggml.dequantize(name, ggml.quantize(name, values))).sum()
    assert found < theirs


@pytest.mark.parametrize("name", [n for n in FORMATS if n not in ("q8_0", "tq1_0", "tq2_0")])
def test_with_importances_the_search_is_better_than_ggmls_own(name, ggml, encode):
    values = CASES["normal"]
    importance = np.random.default_rng(5).lognormal(0, 1.5, COLS).astype(np.float32)
    found = ggml.dequantize(name, encode(name, values, importance=importance))
    theirs = ggml.dequantize(name, ggml.quantize(name, values, importance))
    plain = ggml.dequantize(name, encode(name, values))
    error = block_errors(name, values, found, importance).sum()
    assert error < block_errors(name, values, theirs, importance).sum()
    assert error < block_errors(name, values, plain, importance).sum()


@pytest.mark.parametrize("name", FORMATS)
def test_a_ragged_row_is_the_whole_one_cut_off(name, encode, decode):
    values = CASES["normal"][:3, :300]
    padded = np.zeros((3, COLS), np.float32)
    padded[:, :300] = values
    ours = encode(name, values, "--no-search")
    whole = encode(name, padded, "--no-search")
    assert np.array_equal(ours, whole[:, :ours.shape[1]])
    assert same_bits(decode(name, ours, 300), decode(name, whole, COLS)[:, :300])


@pytest.mark.parametrize("name", FORMATS)
def test_weights_beyond_the_scales_are_refused(name, run, tmp_path):
    values = np.full((1, COLS), 0.5, np.float32)
    values[0, 40] = 1e30
    values.tofile(tmp_path / "in.f32")
    done = run("fewbit_codec", "encode", name, 1, COLS, tmp_path / "in.f32", tmp_path / "out.bin",
               ok=False)
    assert done.returncode == 1
    assert "row 0, column 40" in done.stderr and name in done.stderr
