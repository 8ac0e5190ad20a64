"""Floats of few bits and the microscaling formats, bit for bit: decoding of every code and encoding of every
value, every midpoint and their neighbours against ml_dtypes; scales against the specification's rule; codes,
scales and values against compressed-tensors (heavy)."""
import numpy as np
import pytest

ml_dtypes = pytest.importorskip("ml_dtypes", reason="needs the ml_dtypes package")
from codec import Codec, pack_planes, unpack_planes  # noqa: E402

F32 = np.float32
# element: its type elsewhere, bits, largest level
FLOATS = {"fp8e4m3": (ml_dtypes.float8_e4m3fn, 8, 448), "fp8e5m2": (ml_dtypes.float8_e5m2, 8, 57344),
          "fp6e2m3": (ml_dtypes.float6_e2m3fn, 6, 7.5), "fp6e3m2": (ml_dtypes.float6_e3m2fn, 6, 28),
          "fp4e2m1": (ml_dtypes.float4_e2m1fn, 4, 6)}
MX = {"mxfp8": "fp8e4m3", "mxfp8e5m2": "fp8e5m2", "mxfp6": "fp6e2m3", "mxfp6e3m2": "fp6e3m2",
      "mxfp4": "fp4e2m1"}
GROUP = 32


@pytest.fixture
def codec(run, tmp_path):
    return Codec(run, tmp_path)


def same_bits(a, b):
    """As float32, bit by bit; any NaN equals any other."""
    a, b = np.asarray(a, F32), np.asarray(b, F32)
    return np.array_equal(np.where(np.isnan(a), 0, a.view(np.uint32)),
                          np.where(np.isnan(b), 0, b.view(np.uint32)))


def table(element):
    """Values of all codes, float32 [2^bits]."""
    kind, bits, _ = FLOATS[element]
    return np.arange(1 << bits, dtype=np.uint8).view(kind).astype(F32)


def critical(element):
    """Every value and every midpoint of two neighbours, the floats next to both, what lies below all of
    them, and 500 random numbers, within the largest level."""
    values = table(element)
    levels = np.unique(np.abs(values[np.isfinite(values)]))
    middles = ((levels[:-1].astype(np.float64) + levels[1:]) / 2).astype(F32)
    exact = np.concatenate([levels, middles])
    tiny = np.array([1e-45, 1e-40, np.finfo(F32).tiny], F32)
    near = [np.nextafter(exact, F32(0)), np.nextafter(exact[exact < levels[-1]], F32(np.inf))]
    random = np.random.default_rng(3).uniform(0, levels[-1], 500).astype(F32)
    small = random * F32(levels[1] / levels[-1] * 8)
    positive = np.concatenate([exact, *near, tiny, random, small])
    return np.concatenate([positive, -positive]).astype(F32)


def beyond(element):
    """Up to the next power of two: what saturates under a microscaling scale."""
    largest = FLOATS[element][2]
    top = F32(2.0 ** (np.floor(np.log2(largest)) + 1))
    values = np.linspace(largest, np.nextafter(top, F32(0)), 100).astype(F32)
    return np.concatenate([values, -values])


def in_groups(values, pivot):
    """[1, n]: 31 values and the pivot in each group of 32."""
    values = np.pad(values, (0, -len(values) % (GROUP - 1)))
    groups = values.reshape(-1, GROUP - 1)
    return np.concatenate([np.full((len(groups), 1), pivot, F32), groups], axis=1).reshape(1, -1)


def nearest_codes(element, values):
    """ml_dtypes' rounding, past the largest level the largest."""
    kind, _, largest = FLOATS[element]
    return np.clip(values, -largest, largest).astype(F32).astype(kind).view(np.uint8)


@pytest.mark.parametrize("element", FLOATS)
def test_every_code_decodes_to_the_standards_value(codec, element):
    values = table(element)
    codes = np.arange(len(values), dtype=np.uint8)[None]
    arrays = {"codes": pack_planes(codes, FLOATS[element][1]), "scales": np.ones(1, F32)}
    assert same_bits(codec.decode(f"{element}/channel:f32", arrays, 1, len(values)), values[None])


@pytest.mark.parametrize("element", FLOATS)
@pytest.mark.parametrize("choice,exponent", [("/g32:f32", 0), ("/tensor:f32", 0), ("/channel:f32", 7),
                                             ("/g32:f16", -3), ("/g32:bf16", 20), ("/g32:e8m0", -40)])
def test_every_value_and_tie_rounds_as_in_ml_dtypes(codec, element, choice, exponent):
    bits, largest = FLOATS[element][1:]
    x = in_groups(critical(element), largest)
    scaled = np.ldexp(x, exponent)
    exact = np.ldexp(scaled, -exponent) == x  # but for the smallest
    arrays = codec.encode(element + choice, scaled, "--no-search")
    expected_scale = 2.0 ** exponent
    assert np.all(arrays["scales"].astype(np.float64) == expected_scale)
    codes = unpack_planes(arrays["codes"], x.shape[1], bits)
    assert exact.mean() > 0.99
    assert np.array_equal(codes[exact], nearest_codes(element, x)[exact])


@pytest.mark.parametrize("name", MX)
def test_microscaling_rounds_and_saturates_as_the_specification_says(codec, name):
    element = MX[name]
    bits, largest = FLOATS[element][1:]
    x = in_groups(np.concatenate([critical(element), beyond(element)]), largest)
    arrays = codec.encode(name, x, "--no-search")
    assert np.all(arrays["scales"].astype(F32) == 1)
    codes = unpack_planes(arrays["codes"], x.shape[1], bits)
    assert np.array_equal(codes, nearest_codes(element, x))


@pytest.mark.parametrize("name", [*MX, "mxint8"])
def test_every_scale_decodes_as_a_power_of_two(codec, name):
    bits, one = 8, 64 + 128  # mxint8: 64 steps of 2^-6
    if name in MX:
        bits = FLOATS[MX[name]][1]
        one = int(nearest_codes(MX[name], F32([1]))[0])
    scales = np.arange(256, dtype=np.uint8)[None]
    codes = np.full((1, 256 * GROUP), one, np.uint8)
    arrays = {"codes": pack_planes(codes, bits), "scales": scales.view(ml_dtypes.float8_e8m0fnu)}
    got = codec.decode(name, arrays, 1, codes.shape[1])
    expected = scales.view(ml_dtypes.float8_e8m0fnu).astype(F32).repeat(GROUP, axis=1)
    assert same_bits(got, expected)


def microscaled(name, x):
    """The specification, 6.3: scale exponents and codes of each group of x [rows, groups, 32]."""
    largest = np.abs(x).max(axis=2)
    highest = FLOATS[MX[name]][2] if name in MX else 127 / 64
    exponents = np.frexp(largest)[1] - 1 - int(np.floor(np.log2(highest)))
    low = -127 if name in MX else -121  # the step of mxint8, 2^-6 of the scale, is a float to divide by
    exponents = np.where(largest > 0, np.clip(exponents, low, 127), 0)
    scaled = np.ldexp(x.astype(np.float64), -exponents[..., None])
    if name == "mxint8":
        return exponents, (np.clip(np.rint(scaled * 64), -128, 127) + 128).astype(np.uint8)
    return exponents, nearest_codes(MX[name], scaled.astype(F32))


@pytest.mark.parametrize("name", [*MX, "mxint8"])
@pytest.mark.parametrize("magnitudes", [(-6, 3), (-30, 30), (-126, -100), (100, 128)])
def test_microscaling_scales_follow_the_specification(codec, name, magnitudes):
    generator = np.random.default_rng(5)
    rows, cols = 24, 512
    mantissas = generator.standard_normal((rows, cols)).clip(-1, 1)
    powers = generator.integers(*magnitudes, (rows, cols // GROUP)).repeat(GROUP, axis=1)
    x = np.ldexp(mantissas, powers).astype(F32)
    x[3] = 0
    x[4, :GROUP] = 2.0 ** (magnitudes[1] - 1)  # a power of two exactly, and just below it
    x[4, GROUP:2 * GROUP] = np.nextafter(F32(2.0 ** (magnitudes[1] - 1)), F32(0))
    exponents, codes = microscaled(name, x.reshape(rows, -1, GROUP))
    arrays = codec.encode(name, x, "--no-search")
    assert np.array_equal(arrays["scales"].view(np.uint8).astype(int) - 127, exponents)
    bits = FLOATS[MX[name]][1] if name in MX else 8
    assert np.array_equal(unpack_planes(arrays["codes"], cols, bits), codes.reshape(rows, cols))


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("choice", ["/g32", "/channel", "/tensor:bf16", "/g32:f32"])
def test_ties_of_integers_go_to_even(codec, bits, choice):
    """The largest magnitude falls on the highest code; halves between two codes go to the even level."""
    top = (1 << bits - 1) - 1
    halves = np.arange(-2 * top, 2 * top + 1) / 2
    x = in_groups(halves.astype(F32), top)
    name = f"int{bits}{choice}"
    arrays = codec.encode(name, x, "--no-search")
    codes = unpack_planes(arrays["codes"], x.shape[1], bits).astype(int) - (1 << bits - 1)
    assert np.array_equal(codes, np.rint(x).astype(int))
    assert same_bits(codec.decode(name, arrays, *x.shape), np.rint(x) + 0)  # no negative zero


# -- compressed-tensors: the state dict of one layer, compressed and decompressed by its own classes


@pytest.fixture(scope="module")
def theirs():
    pytest.importorskip("compressed_tensors", reason="needs the compressed-tensors package")
    return Theirs


class Theirs:
    """One weight in the hands of compressed-tensors."""

    def __init__(self, kind, **arguments):
        from compressed_tensors.compressors import BaseCompressor
        from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme

        self.args = QuantizationArgs(**arguments)
        self.scheme = QuantizationScheme(targets=["Linear"], weights=self.args)
        self.compressor = BaseCompressor.get_value_from_registry(kind)

    def scales_and_zeros(self, x, global_scale=None):
        """From the extremes of each group of x [rows, cols]: its own rule."""
        import torch
        from compressed_tensors.quantization.utils import calculate_qparams

        groups = torch.from_numpy(x).unflatten(-1, (-1, self.args.group_size or x.shape[1]))
        return calculate_qparams(groups.amin(-1), groups.amax(-1), self.args, global_scale)

    def compress(self, x, **state):
        import torch

        return self.compressor.compress({"weight": torch.from_numpy(x), **state}, self.scheme)

    def decompress(self, state):
        return self.compressor.decompress(state, self.scheme)["weight"].float().numpy()


def weights(rows=64, cols=512):
    generator = np.random.default_rng(17)
    ranges = 10.0 ** generator.uniform(-2, 1, (rows, cols // GROUP)).repeat(GROUP, axis=1)
    return (generator.standard_t(5, (rows, cols)) * ranges * 0.02).astype(F32)


def nibbles(packed):
    """Two codes a byte, the first one low."""
    return np.stack([packed & 15, packed >> 4], axis=-1).reshape(packed.shape[0], -1)


def without_negative_zero(codes, bits):
    """compressed-tensors has one zero."""
    return np.where(codes == 1 << bits - 1, 0, codes)


@pytest.mark.heavy
def test_nvfp4_is_that_of_compressed_tensors(codec, theirs):
    import torch
    from compressed_tensors.quantization.utils import generate_gparam

    x = weights()
    them = theirs("nvfp4-pack-quantized", num_bits=4, type="float", strategy="tensor_group",
                  symmetric=True, group_size=16, scale_dtype=torch.float8_e4m3fn)
    global_scale = generate_gparam(torch.tensor(x.min()), torch.tensor(x.max()))
    scales, _ = them.scales_and_zeros(x, global_scale)
    state = them.compress(x, weight_scale=scales, weight_global_scale=global_scale)
    arrays = codec.encode("nvfp4", x, "--no-search")
    # They divide by the global scale, here it multiplies: one is the other's inverse.
    assert arrays["tensor_scale"][0] == pytest.approx(1 / float(global_scale), rel=2e-7)
    assert np.array_equal(arrays["scales"].view(np.uint8),
                          state["weight_scale"].view(torch.uint8).numpy())
    codes = unpack_planes(arrays["codes"], x.shape[1], 4)
    assert np.array_equal(without_negative_zero(codes, 4),
                          without_negative_zero(nibbles(state["weight_packed"].numpy()), 4))
    assert np.allclose(codec.decode("nvfp4", arrays, *x.shape), them.decompress(state), rtol=2e-2,
                       atol=0)  # they decompress to bfloat16


@pytest.mark.heavy
@pytest.mark.parametrize("name,bits", [("mxfp4", 4), ("mxfp6", 6), ("mxfp8", 8)])
def test_microscaling_is_that_of_compressed_tensors(codec, theirs, name, bits):
    """Codes under the same scales. Its observers take the next power of two where the largest magnitude
    would round to it, which the specification does not: there the scales differ by one step."""
    import torch

    x = weights()
    kind = "mxfp8-quantized" if bits == 8 else f"mxfp{bits}-pack-quantized"
    them = theirs(kind, num_bits=bits, type="float", strategy="group", symmetric=True, group_size=GROUP,
                  scale_dtype=torch.uint8)
    arrays = codec.encode(name, x, "--no-search")
    step = them.scales_and_zeros(x)[0].numpy() / arrays["scales"].astype(F32)
    assert set(np.unique(step)) == {1, 2} and np.mean(step == 1) > 0.5
    state = them.compress(x, weight_scale=torch.from_numpy(arrays["scales"].astype(F32)))
    assert np.array_equal(arrays["scales"].view(np.uint8), state["weight_scale"].numpy())
    codes = without_negative_zero(unpack_planes(arrays["codes"], x.shape[1], bits), bits)
    if bits == 8:
        found = state["weight"].view(torch.uint8).numpy()
    elif bits == 6:
        word = state["weight_packed"].numpy().reshape(-1, 3).astype(np.uint32)
        word = word[:, 0] | word[:, 1] << 8 | word[:, 2] << 16
        found = np.stack([word >> s & 63 for s in (0, 6, 12, 18)], axis=-1).reshape(x.shape)
    else:
        found = nibbles(state["weight_packed"].numpy())
    assert np.array_equal(codes, without_negative_zero(found, bits))
    assert same_bits(codec.decode(name, arrays, *x.shape) + 0, them.decompress(state) + 0)


@pytest.mark.heavy
@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("group", [32, 128, None])
def test_symmetric_integers_are_those_of_compressed_tensors(codec, theirs, bits, group):
    """Under the same scales: it divides by 2^(bits-1) - 1/2 where the largest magnitude is the highest code
    here."""
    import torch

    x = weights()
    strategy = {"strategy": "group", "group_size": group} if group else {"strategy": "channel"}
    them = theirs("pack-quantized", num_bits=bits, type="int", symmetric=True, **strategy)
    name = f"int{bits}/{f'g{group}' if group else 'channel'}:f32"
    arrays = codec.encode(name, x, "--no-search")
    scales = arrays["scales"].reshape(len(x), -1).copy()
    top = (1 << bits - 1) - 1
    assert np.allclose(them.scales_and_zeros(x)[0].numpy() * (top + 0.5), scales * top, rtol=1e-6)
    state = them.compress(x, weight_scale=torch.from_numpy(scales))
    assert np.array_equal(unpack_planes(arrays["codes"], x.shape[1], bits),
                          dense(state["weight_packed"].numpy(), bits))
    assert same_bits(codec.decode(name, arrays, *x.shape), them.decompress(state))


@pytest.mark.heavy
@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("group", [32, 128])
def test_integers_with_zero_points_are_those_of_compressed_tensors(codec, theirs, bits, group):
    import torch

    x = weights() + F32(0.01)
    them = theirs("pack-quantized", num_bits=bits, type="int", symmetric=False, strategy="group",
                  group_size=group)
    name = f"uint{bits}/g{group}:f32"
    arrays = codec.encode(name, x, "--no-search")
    scales, zeros = them.scales_and_zeros(x)
    assert np.allclose(scales.numpy(), arrays["scales"], rtol=1e-6)
    ours = unpack_planes(arrays["zeros"], scales.shape[1], bits)
    assert np.array_equal(ours, zeros.numpy().astype(int) + (1 << bits - 1))
    state = them.compress(x, weight_scale=torch.from_numpy(arrays["scales"].copy()),
                          weight_zero_point=zeros)
    codes = unpack_planes(arrays["codes"], x.shape[1], bits)
    assert np.array_equal(codes, dense(state["weight_packed"].numpy(), bits))
    assert same_bits(codec.decode(name, arrays, *x.shape), them.decompress(state))


def dense(words, bits):
    """Codes of `bits` one after another through int32 words, low bits first."""
    stream = np.unpackbits(words.view(np.uint8).reshape(len(words), -1), axis=1, bitorder="little")
    codes = stream.reshape(len(words), -1, bits)
    return np.packbits(codes, axis=2, bitorder="little")[..., 0]
