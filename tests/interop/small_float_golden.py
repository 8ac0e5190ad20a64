#!/usr/bin/env python3
"""Prints the table of src/numerics/small_float_golden_test.cpp from independent implementations.

Each line is the SHA-256 of the codes that ml_dtypes, NumPy or the reference of the onnx package
gives for the floats with the bits (h << 16 | l), h = 0 .. 65535, l in LOW: every sign, exponent and
upper mantissa, at, just beside and between the points where narrow formats round. Codes that are
NaN are replaced by one code, because their sign and payload are nobody's business. With --check
FILE, compares with the table in that file and exits with 1 if a line differs.
"""
import hashlib
import re
import sys

import ml_dtypes
import numpy as np
from onnx.numpy_helper import saturate_cast, to_float8e8m0

LOW = np.array([0, 1, 0x7FFF, 0x8000, 0x8001, 0xFFFF], np.uint32)
BITS = (np.arange(65536, dtype=np.uint32)[:, None] << 16 | LOW).reshape(-1)
FLOATS = BITS.view(np.float32)


def digest(values):
    codes = values.view(np.uint16 if values.dtype.itemsize == 2 else np.uint8).copy()
    with np.errstate(all="ignore"):
        codes[np.isnan(values.astype(np.float32))] = 0xFFFF if values.dtype.itemsize == 2 else 0xFF
    return hashlib.sha256(codes.astype("<u2" if codes.dtype.itemsize == 2 else "u1").tobytes()).hexdigest()


def rows():
    with np.errstate(all="ignore"):
        yield "float16", digest(FLOATS.astype(np.float16))
        yield "bfloat16", digest(FLOATS.astype(ml_dtypes.bfloat16))
        for name in ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz"):
            dtype = np.dtype(getattr(ml_dtypes, name))
            short = name.replace("_", "")
            yield f"{short} saturate", digest(saturate_cast(FLOATS, dtype))
            yield f"{short} overflow", digest(FLOATS.astype(dtype))
        # A code of this format is half a byte, and none is NaN.
        codes = FLOATS.astype(ml_dtypes.float4_e2m1fn).view(np.uint8)
        yield "float4e2m1", hashlib.sha256(codes.tobytes()).hexdigest()
        # Positive normal numbers: the rest is where the reference and the operator's text differ.
        normal = FLOATS[(BITS >= 0x00800000) & (BITS < 0x7F800000)]
        for mode in ("up", "down", "nearest"):
            yield f"float8e8m0 {mode}", digest(to_float8e8m0(normal, True, mode))
        for name in ("float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz",
                     "float8_e8m0fnu"):
            values = np.arange(256, dtype=np.uint8).view(getattr(ml_dtypes, name)).astype(np.float32)
            values[np.isnan(values)] = np.nan
            yield f"{name.replace('_', '')} values", hashlib.sha256(values.tobytes()).hexdigest()


def main():
    table = list(rows())
    if len(sys.argv) == 3 and sys.argv[1] == "--check":
        with open(sys.argv[2], encoding="utf-8") as file:
            committed = dict(re.findall(r'\{"([^"]+)",\s*"([0-9a-f]{64})"', file.read()))
        wrong = [name for name, value in table if committed.get(name) != value]
        print(f"small floats: {len(table) - len(wrong)} of {len(table)} tables agree", *wrong)
        sys.exit(1 if wrong or len(committed) != len(table) else 0)
    for name, value in table:
        print(f'    {{"{name}", "{value}"}},')


if __name__ == "__main__":
    main()
