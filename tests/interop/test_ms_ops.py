"""com.microsoft operators against ONNX Runtime, which defines them: random inputs, all attributes."""
import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the onnx package")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
import one_node  # noqa: E402


def scale(v):
    return np.array(v, np.float32)


def add_elementwise(b):
    for t in (np.uint8, np.int8):
        z = b.zero(t)
        for op, y in (("QLinearAdd", 0.043), ("QLinearMul", 0.13)):
            for shape in ((4, 5, 33), (1,), (5, 1)):
                b.add(op, [b.codes(t, 4, 5, 33), scale(0.021), z, b.codes(t, *shape),
                               scale(0.033), t(3), scale(y), z])
        b.add("QLinearSigmoid",
              [b.codes(t, 2, 300), scale(0.07), z, scale(1 / 255), np.array(np.iinfo(t).min, t)])
        for alpha in (0.01, 0.2):
            b.add("QLinearLeakyRelu",
                  [b.codes(t, 2, 300), scale(0.07), z, scale(0.06), z], alpha=alpha)
        b.add("QLinearConcat",
              [scale(0.05), z, b.codes(t, 2, 3, 4), scale(0.03), z, b.codes(t, 2, 5, 4), scale(0.05),
               z, b.codes(t, 2, 1, 4), scale(0.09), t(1)], axis=1)
        for opset, axis in ((13, -1), (13, 1), (11, 1)):
            b.add("QLinearSoftmax",
                  [b.codes(t, 2, 7, 9), scale(0.05), z, scale(1 / 256), np.array(np.iinfo(t).min, t)],
                  axis=axis, opset=opset)


def add_pools(b):
    for t in (np.uint8, np.int8):
        z = b.zero(t)
        for last in (0, 1):
            x = b.codes(t, 2, 9, 8, 6) if last else b.codes(t, 2, 6, 9, 8)
            # Averages over a power of two with scales like 0.05 and 0.04 would all be ties.
            rest = [scale(0.0517), z, scale(0.0439), t(7)]
            b.add("QLinearGlobalAveragePool", [x, *rest],
                  channels_last=last)
            for pad, ceil in ((0, 0), (1, 0), (1, 1)):
                b.add("QLinearAveragePool", [x, *rest], channels_last=last,
                      kernel_shape=[3, 2], strides=[2, 2], pads=[1, 1, 1, 0], ceil_mode=ceil,
                      count_include_pad=pad)


def add_products(b):
    n = 12
    for at, bt in ((np.uint8, np.uint8), (np.uint8, np.int8), (np.int8, np.int8)):
        x, w = b.codes(at, 7, 20), b.codes(bt, 20, n)
        az, bz, column = b.zero(at), b.zero(bt), np.abs(b.floats(n)) * 0.01 + 0.001
        bias = b.random.integers(-500, 500, n).astype(np.int32)
        for bs, bzs in ((scale(0.02), bz), (column, b.codes(bt, n))):
            b.add("QGemm", [x, scale(0.03), az, w, bs, bzs, bias, scale(0.4), at(3)],
                  alpha=0.7)
            b.add("QGemm", [x.T.copy(), scale(0.03), az, w.T.copy(), bs, bzs, bias],
                  transA=1, transB=1)
            if at == np.uint8:
                b.add("MatMulIntegerToFloat",
                      [x, w, scale(0.03), bs, az, bzs, b.floats(n)])
                b.add("DynamicQuantizeMatMul",
                      [b.floats(7, 20), w, bs, bzs, b.floats(n)])
    b.add("MatMulIntegerToFloat",
          [b.codes(np.uint8, 3, 4, 5), b.codes(np.int8, 5, 6), scale(0.1), scale(0.2)])


def add_n_bits(b):
    k, n = 70, 5
    for bits in (2, 4, 8):
        for block in (16, 32):
            blocks = -(-k // block)
            w = b.codes(np.uint8, n, blocks, block * bits // 8)
            scales = b.floats(n, blocks) * np.float32(0.1)
            zeros = b.codes(np.uint8, n, -(-blocks * bits // 8))
            attributes = dict(K=k, N=n, bits=bits, block_size=block)
            x = b.floats(2, 3, k)
            b.add("MatMulNBits", [x, w, scales], **attributes)
            b.add("MatMulNBits", [x, w, scales, zeros], **attributes)
            b.add("MatMulNBits", [x, w, scales, None, None, b.floats(n)], **attributes)


def add_fused(b):
    x = b.floats(3, 4, 16)
    for op in ("Gelu", "QuickGelu", "FastGelu"):
        b.add(op, [x])
    b.add("FastGelu", [x, b.floats(16)])
    b.add("BiasGelu", [x, b.floats(16)])
    b.add("SkipLayerNormalization",
          [x, b.floats(3, 4, 16), b.floats(16), b.floats(16), b.floats(16)], epsilon=1e-5)
    b.add("SkipLayerNormalization",
          [x, b.floats(1, 4, 16), b.floats(16)])
    b.add("SkipSimplifiedLayerNormalization",
          [x, b.floats(3, 4, 16), b.floats(16), b.floats(16)], epsilon=1e-5)
    image, w = b.floats(1, 4, 6, 5), b.floats(6, 2, 3, 3)
    for name, numbers in (("Relu", None), ("Tanh", None), ("Sigmoid", None), ("LeakyRelu", [0.3]),
                          ("Clip", [-0.5, 0.7]), ("HardSigmoid", [0.3, 0.4])):
        attributes = dict(activation=name, group=2, pads=[1, 1, 1, 1])
        if numbers:
            attributes["activation_params"] = numbers
        b.add("FusedConv", [image, w, b.floats(6)], **attributes)
    b.add("FusedConv", [image, w, b.floats(6), b.floats(1, 6, 6, 5)],
          activation="Relu", group=2, pads=[1, 1, 1, 1])
    b.add("FusedGemm", [b.floats(3, 4), b.floats(5, 4), b.floats(5)], transB=1, alpha=0.5,
          activation="LeakyRelu", activation_alpha=0.2)
    for ta, tb in ((0, 0), (1, 0), (0, 1), (1, 1)):
        a = b.floats(2, 5, 3) if ta else b.floats(2, 3, 5)
        c = b.floats(2, 4, 5) if tb else b.floats(2, 5, 4)
        b.add("FusedMatMul", [a, c], transA=ta, transB=tb, alpha=0.5)
    b.add("FusedMatMul", [b.floats(3, 2, 5), b.floats(2, 5, 4)], transBatchA=1)


def add_linear(b):
    for t in (np.uint8, np.int8, np.uint16, np.int16):
        x = b.floats(4, 6) * 40
        b.add("QuantizeLinear", [x, scale(0.31), t(3)])
        s, z = np.abs(b.floats(6)) + 0.1, b.codes(t, 6)
        b.add("QuantizeLinear", [x, s, z], axis=1)
        b.add("DequantizeLinear", [b.codes(t, 4, 6), s, z], axis=1)
        b.add("DequantizeLinear", [b.codes(t, 4, 6), scale(0.3), t(2)])


# Where ONNX Runtime's codes are not always the rounded real value: it multiplies and adds in another
# order, so a value within rounding of a tie may go the other way; its softmax works on a table of
# exponentials.
OFF_BY_ONE = {"QLinearSoftmax", "QLinearAveragePool"}

# A sum of floats is taken in another order: a few units in the last place of its largest term.
RTOL = ATOL = 2e-5


def difference(op, expected, got):
    if expected.dtype.kind == "f":
        return one_node.float_difference(expected, got, RTOL, ATOL)
    return one_node.code_difference(expected, got, 0.01 if op in OFF_BY_ONE else 0)


def test_as_onnx_runtime(program, tmp_path):
    b = one_node.Builder(one_node.MS, opset=21)
    for add in (add_elementwise, add_pools, add_products, add_n_bits, add_fused, add_linear):
        add(b)
    found = one_node.differences(program("fewbit_conformance"), b.cases, tmp_path, difference)
    assert not found, "\n".join(found)
