"""fewbit_codec from Python: a matrix into a format and back, its stored arrays by name, and the codes in
them one per element."""
import ml_dtypes
import numpy as np

TYPES = {"uint8": np.uint8, "float32": np.float32, "float16": np.float16,
         "bfloat16": ml_dtypes.bfloat16, "float8e8m0": ml_dtypes.float8_e8m0fnu,
         "float8e4m3fn": ml_dtypes.float8_e4m3fn}
# The planes of a code, low bits first (src/formats/code_planes.h).
PLANES = {8: [8], 7: [4, 2, 1], 6: [4, 2], 5: [4, 1], 4: [4], 3: [2, 1], 2: [2], 1: [1]}


class Codec:
    def __init__(self, run, folder):
        self._run, self._folder = run, folder

    def parts(self, name, rows, cols):
        """[(part, dtype, shape)]"""
        found = []
        for line in self._run("fewbit_codec", "parts", name, rows, cols).stdout.splitlines():
            part, kind, dims = line.split(" ", 2)
            found.append((part, np.dtype(TYPES[kind]), tuple(map(int, dims.strip("[]").split(",")))))
        return found

    def encode(self, name, values, *flags):
        """float32 [rows, cols] -> {part: array}"""
        np.ascontiguousarray(values, np.float32).tofile(self._folder / "in.f32")
        self._run("fewbit_codec", "encode", name, *values.shape, self._folder / "in.f32",
                  self._folder / "out.bin", *flags)
        data, arrays, at = (self._folder / "out.bin").read_bytes(), {}, 0
        for part, dtype, shape in self.parts(name, *values.shape):
            count = int(np.prod(shape))
            arrays[part] = np.frombuffer(data, dtype, count, at).reshape(shape)
            at += count * dtype.itemsize
        assert at == len(data)
        return arrays

    def decode(self, name, arrays, rows, cols):
        """{part: array} -> float32 [rows, cols]"""
        data = b"".join(np.ascontiguousarray(arrays[part], dtype).reshape(shape).tobytes()
                        for part, dtype, shape in self.parts(name, rows, cols))
        (self._folder / "in.bin").write_bytes(data)
        self._run("fewbit_codec", "decode", name, rows, cols, self._folder / "in.bin",
                  self._folder / "out.f32")
        return np.fromfile(self._folder / "out.f32", np.float32).reshape(rows, cols)


def chunks(count):
    """(first code, codes) of each chunk of a row; the last is filled up to a multiple of 8."""
    return [(i, min(32, -(-(count - i) // 8) * 8)) for i in range(0, count, 32)]


def pack_planes(codes, bits):
    """uint8 [rows, count] of codes -> uint8 [rows, bytes]"""
    rows, count = codes.shape
    codes = np.pad(codes, ((0, 0), (0, -count % 8))).astype(np.uint8)
    out = []
    for first, size in chunks(count):
        shift = 0
        for plane in PLANES[bits]:
            part = codes[:, first:first + size] >> shift & (1 << plane) - 1
            stride = size * plane // 8
            out.append(sum(part[:, k * stride:(k + 1) * stride].astype(np.uint8) << k * plane
                           for k in range(8 // plane)))
            shift += plane
    return np.concatenate(out, axis=1).astype(np.uint8)


def unpack_planes(data, count, bits):
    """The inverse."""
    out, at = np.zeros((data.shape[0], -(-count // 8) * 8), np.uint8), 0
    for first, size in chunks(count):
        shift = 0
        for plane in PLANES[bits]:
            stride = size * plane // 8
            part = data[:, at:at + stride]
            at += stride
            for k in range(8 // plane):
                code = part >> k * plane & (1 << plane) - 1
                out[:, first + k * stride:first + (k + 1) * stride] |= (code << shift).astype(np.uint8)
            shift += plane
    assert at == data.shape[1]
    return out[:, :count]
