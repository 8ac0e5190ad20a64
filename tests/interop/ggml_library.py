"""ggml's own quantizers, from the prebuilt library in the npm package @node-llama-cpp/linux-x64.

`load()` gives a Ggml, or None where the library cannot be had (no npm, no network, another system).
Nothing of it is linked into Fewbit: it is the oracle for the GGUF formats.
"""
import ctypes
import pathlib
import platform
import subprocess
import tarfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
CACHE = ROOT / "build" / "ggml"
PACKAGE = "@node-llama-cpp/linux-x64@3.22.1"

# name: (GGUF type, weights in a block, bytes of a block); the ids are ggml's enum ggml_type.
TYPES = {
    "q4_0": (2, 32, 18), "q4_1": (3, 32, 20), "q5_0": (6, 32, 22), "q5_1": (7, 32, 24),
    "q8_0": (8, 32, 34), "q2_K": (10, 256, 84), "q3_K": (11, 256, 110), "q4_K": (12, 256, 144),
    "q5_K": (13, 256, 176), "q6_K": (14, 256, 210), "iq4_nl": (20, 32, 18), "iq4_xs": (23, 256, 136),
    "tq1_0": (34, 256, 54), "tq2_0": (35, 256, 66),
}
# Stored otherwise outside of GGUF files.
MX_TYPES = {"mxfp4": (39, 32, 17), "nvfp4": (40, 64, 36)}


class TypeTraits(ctypes.Structure):
    """struct ggml_type_traits, up to the function that decodes."""
    _fields_ = [
        ("type_name", ctypes.c_char_p), ("blck_size", ctypes.c_int64),
        ("blck_size_interleave", ctypes.c_int64), ("type_size", ctypes.c_size_t),
        ("is_quantized", ctypes.c_bool),
        ("to_float", ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64)),
    ]


class Ggml:
    def __init__(self, path):
        self._lib = ctypes.CDLL(str(path))
        self._lib.ggml_quantize_chunk.restype = ctypes.c_size_t
        self._lib.ggml_quantize_chunk.argtypes = [
            ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64,
            ctypes.c_int64, ctypes.c_void_p]
        self._lib.ggml_get_type_traits.restype = ctypes.POINTER(TypeTraits)
        self._lib.ggml_get_type_traits.argtypes = [ctypes.c_int]

    def traits(self, name):
        return self._lib.ggml_get_type_traits((TYPES | MX_TYPES)[name][0]).contents

    def quantize(self, name, values, importance=None):
        """values float32 [rows, cols], importance [cols] -> uint8 [rows, bytes of a row]."""
        kind, block, size = TYPES[name]
        values = np.ascontiguousarray(values, np.float32)
        rows, cols = values.shape
        out = np.zeros((rows, cols // block * size), np.uint8)
        weights = None if importance is None else np.ascontiguousarray(importance, np.float32)
        written = self._lib.ggml_quantize_chunk(
            kind, values.ctypes.data, out.ctypes.data, 0, rows, cols,
            None if weights is None else weights.ctypes.data)
        assert written == out.size
        return out

    def dequantize(self, name, blocks):
        """uint8 [rows, bytes of a row] -> float32 [rows, cols]."""
        _, block, size = (TYPES | MX_TYPES)[name]
        blocks = np.ascontiguousarray(blocks, np.uint8)
        out = np.empty((blocks.shape[0], blocks.shape[1] // size * block), np.float32)
        self.traits(name).to_float(blocks.ctypes.data, out.ctypes.data, out.size)
        return out


def load():
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        return None
    library = CACHE / "libggml-base.so"
    if not library.is_file():
        CACHE.mkdir(parents=True, exist_ok=True)
        try:
            packed = subprocess.run(["npm", "pack", "--silent", PACKAGE], cwd=CACHE, check=True,
                                    capture_output=True, text=True, timeout=120)
        except (OSError, subprocess.SubprocessError):
            return None
        archive = CACHE / packed.stdout.split()[-1]
        with tarfile.open(archive) as tar:
            member = tar.extractfile("package/bins/linux-x64/libggml-base.so")
            library.write_bytes(member.read())
        archive.unlink()
    try:
        return Ggml(library)
    except OSError:
        return None
