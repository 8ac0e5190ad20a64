"""Operators of networks against ONNX Runtime: the combinations of attributes that the standard's own
cases leave out. Random inputs, float32."""
import itertools

import numpy as np
import pytest

pytest.importorskip("onnx", reason="needs the onnx package")
pytest.importorskip("onnxruntime", reason="needs ONNX Runtime")
import one_node  # noqa: E402

# Sums are taken in another order: a few units in the last place of the largest term.
RTOL = ATOL = 2e-5


def scalar(v, dtype=np.int64):
    return np.array(v, dtype)


def add_convolutions(b):
    spatial = {1: [(11,)], 2: [(9, 8)], 3: [(5, 6, 4)]}
    for rank in (1, 2, 3):
        for shape, group, stride, dilation, pad in itertools.product(
                spatial[rank], (1, 2), (1, 2), (1, 2), (0, 1)):
            geometry = dict(group=group, strides=[stride] * rank, dilations=[dilation] * rank,
                            pads=[pad] * rank + [1] * rank)
            kernel = (2, 2, 2)[:rank] if rank == 3 else (3, 2)[:rank]
            b.add("Conv", [b.floats(2, 4, *shape), b.floats(6, 4 // group, *kernel), b.floats(6)],
                  **geometry)
            b.add("ConvTranspose", [b.floats(2, 4, *shape), b.floats(4, 3, *kernel),
                                    b.floats(3 * group)], **geometry)
    for auto, stride in itertools.product(("SAME_UPPER", "SAME_LOWER", "VALID"), (1, 2, 3)):
        b.add("Conv", [b.floats(1, 2, 9, 8), b.floats(3, 2, 4, 3)], auto_pad=auto,
              strides=[stride] * 2)
        b.add("ConvTranspose", [b.floats(1, 2, 5, 4), b.floats(2, 3, 4, 3)], auto_pad=auto,
              strides=[stride] * 2)
    b.add("ConvTranspose", [b.floats(1, 2, 5, 4), b.floats(2, 3, 3, 3)], strides=[3, 2],
          output_padding=[2, 1])


def add_pools(b):
    x = b.floats(2, 3, 11, 9)
    for stride, dilation, ceil, pad in itertools.product((1, 2, 3), (1, 2), (0, 1), (0, 1)):
        geometry = dict(kernel_shape=[3, 2], strides=[stride] * 2, dilations=[dilation] * 2,
                        ceil_mode=ceil, pads=[pad, pad, 1, 1])
        for order in (0, 1):
            b.add("MaxPool", [x], outputs=2, storage_order=order, **geometry)
        for include in (0, 1):
            b.add("AveragePool", [x], count_include_pad=include, **geometry)
        for p in (1, 2, 3):
            b.add("LpPool", [x], p=p, **geometry)
    for auto in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        for op in ("MaxPool", "AveragePool"):
            b.add(op, [x], kernel_shape=[4, 3], strides=[2, 3], auto_pad=auto)
    for rank_shape in ((2, 3, 10), (2, 3, 5, 6, 7)):
        n = len(rank_shape) - 2
        b.add("MaxPool", [b.floats(*rank_shape)], outputs=2, kernel_shape=[2] * n, strides=[2] * n)
        b.add("AveragePool", [b.floats(*rank_shape)], kernel_shape=[2] * n, pads=[1] * 2 * n)
    for op in ("GlobalAveragePool", "GlobalMaxPool", "GlobalLpPool"):
        b.add(op, [b.floats(2, 3, 5, 6)])
    rois = np.array([[0, 0, 9, 9], [1.5, 2.5, 7, 8.25], [3, 3, 3.5, 3.5], [-3, -2, 20, 15]],
                    np.float32)
    for ratio, form, scale in itertools.product((0, 2), ("half_pixel", "output_half_pixel"),
                                                (1.0, 0.5)):
        b.add("RoiAlign", [x, rois, np.array([0, 1, 0, 1])], output_height=3, output_width=2,
              sampling_ratio=ratio, coordinate_transformation_mode=form, spatial_scale=scale)
    b.add("MaxRoiPool", [x, np.concatenate([[[0], [1], [0], [1]], rois], 1).astype(np.float32)],
          pooled_shape=[3, 2])


def add_norms(b):
    x = b.floats(2, 6, 5, 4) * 3 + 1
    one = [b.floats(6), b.floats(6)]
    b.add("BatchNormalization", [x, *one, b.floats(6), np.abs(b.floats(6)) + 0.1])
    b.add("InstanceNormalization", [x, *one])
    b.add("GroupNormalization", [x, *one], num_groups=3)
    for axis in (-1, 1, 2):
        shape = x.shape[axis:]
        b.add("LayerNormalization", [x, b.floats(*shape), b.floats(*shape)], outputs=3, axis=axis)
    for axis, p in itertools.product((0, 1, -1), (1, 2)):
        b.add("LpNormalization", [x], axis=axis, p=p)
    for axis in (0, 1, -1):
        for op in ("Softmax", "LogSoftmax", "Hardmax"):
            b.add(op, [x], axis=axis)
    b.add("MeanVarianceNormalization", [x], axes=[0, 2, 3])
    for size in (1, 3, 5):
        b.add("LRN", [x], size=size, alpha=0.3, beta=0.6, bias=0.8)


def add_resizes(b):
    x = b.floats(1, 2, 6, 7)
    modes = {"nearest": ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil"), "linear": ("",),
             "cubic": ("",)}
    forms = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric",
             "half_pixel_symmetric")
    # ONNX Runtime takes the rounded extent for align_corners, the standard the exact one: they agree
    # where in * scale is whole.
    for mode, form, scales in itertools.product(modes, forms, ((2, 3), (0.5, 2), (1.5, 2))):
        if form == "align_corners" and scales[0] == 1.5:
            continue
        for nearest in modes[mode]:
            extra = dict(nearest_mode=nearest) if nearest else {}
            b.add("Resize", [x, None, np.array([1, 1, *scales], np.float32)], mode=mode,
                  coordinate_transformation_mode=form, **extra)
    for outside, coefficient in itertools.product((0, 1), (-0.5, -0.75)):
        b.add("Resize", [x, None, None, np.array([1, 2, 9, 4])], mode="cubic", cubic_coeff_a=coefficient,
              exclude_outside=outside)
    for mode, outside in itertools.product(("linear", "cubic"), (0, 1)):
        b.add("Resize", [x, None, np.array([1, 1, 0.5, 0.4], np.float32)], mode=mode, antialias=1,
              exclude_outside=outside)
    for policy in ("not_larger", "not_smaller"):
        b.add("Resize", [x, None, None, np.array([9, 16])], mode="linear", axes=[2, 3],
              keep_aspect_ratio_policy=policy)
    grid = b.random.uniform(-1.3, 1.3, (2, 4, 5, 2)).astype(np.float32)
    for mode, padding, align in itertools.product(
            ("nearest", "linear", "cubic"), ("zeros", "border", "reflection"), (0, 1)):
        b.add("GridSample", [b.floats(2, 3, 6, 7), grid], mode=mode, padding_mode=padding,
              align_corners=align)


def add_recurrent(b):
    steps, batch, inputs, hidden = 5, 3, 4, 6
    lengths = np.array([5, 2, 4], np.int32)
    for op, gates, states in (("RNN", 1, 1), ("GRU", 3, 1), ("LSTM", 4, 2)):
        for direction, lens, extra in itertools.product(
                ("forward", "reverse", "bidirectional"), (None, lengths), (0, 1)):
            d = 2 if direction == "bidirectional" else 1
            weights = [b.floats(steps, batch, inputs), b.floats(d, gates * hidden, inputs),
                       b.floats(d, gates * hidden, hidden), b.floats(d, 2 * gates * hidden), lens]
            attributes = dict(hidden_size=hidden, direction=direction)
            if extra:
                weights += [b.floats(d, batch, hidden) for _ in range(states)]
                attributes["clip"] = 0.7
            if extra and op == "LSTM":
                weights.append(b.floats(d, 3 * hidden))
            if op == "GRU":
                attributes["linear_before_reset"] = extra
            b.add(op, weights, outputs=1 + states, **attributes)


def add_signals(b):
    for length in (12, 13, 16):
        for one in (0, 1):
            b.add("DFT", [b.floats(2, length, 1)], onesided=one)
        b.add("DFT", [b.floats(2, length, 2)], inverse=1)
    boxes = b.random.uniform(0, 10, (2, 40, 2)).astype(np.float32)
    boxes = np.concatenate([boxes, boxes + b.random.uniform(1, 5, boxes.shape)], 2).astype(np.float32)
    for center in (0, 1):
        b.add("NonMaxSuppression", [boxes, b.random.random((2, 3, 40), np.float32), scalar(6),
                                    scalar(0.3, np.float32), scalar(0.2, np.float32)],
              center_point_box=center)


def add_attention(b):
    for heads, causal, mask, packed in itertools.product((4, 2), (0, 1), (None, bool, float), (0, 1)):
        q = b.floats(2, 5, 32) if packed else b.floats(2, 4, 5, 8)
        k, v = (b.floats(2, 5, heads * 8) if packed else b.floats(2, heads, 5, 8) for _ in "kv")
        m = None if mask is None else (b.floats(5, 5) if mask is float else b.floats(2, 1, 5, 5) > -1)
        attributes = dict(q_num_heads=4, kv_num_heads=heads) if packed else {}
        b.add("Attention", [q, k, v, m], is_causal=causal, softcap=2.0, scale=0.3, **attributes)


@pytest.mark.parametrize("add, opset", [
    (add_convolutions, 22), (add_pools, 21), (add_norms, 22), (add_resizes, 20), (add_recurrent, 22),
    (add_signals, 20), (add_attention, 23)], ids=lambda v: getattr(v, "__name__", None))
def test_as_onnx_runtime(program, tmp_path, add, opset):
    b = one_node.Builder(opset=opset)
    add(b)

    def difference(op, expected, got):
        if expected.dtype.kind == "f":
            return one_node.float_difference(expected, got, RTOL, ATOL)
        return one_node.code_difference(expected, got, 0)

    found = one_node.differences(program("fewbit_conformance"), b.cases, tmp_path, difference)
    assert not found, f"{len(found)} of {len(b.cases)}\n" + "\n".join(found)
