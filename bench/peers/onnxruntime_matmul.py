#!/usr/bin/env python3
"""Times ONNX Runtime's MatMulNBits. A worker of bench/peers/kernels.py: it reads a command a line and
answers with a line of JSON.

    weights BITS BLOCK ACCURACY N K   -> {"bytes": of one copy, "copies": ...}
    time M THREADS SECONDS            -> {"seconds": of one product, "calls": ...}
    check THREADS                     -> {"error": relative, against the decoded weights}

or {"unsupported": "why"}. ACCURACY is the operator's accuracy_level: 4 rounds activations to int8, 0
computes in float32; "4:lut" has ONNX Runtime use its look-up tables (session option mlas.use_lut_gemm).
Weights are symmetric with float32 scales. A model holds as many products of the same input, each with
weights of its own, as take more than 600 MiB, so that they are read from memory (8 or 2 where all would
take more than half a second: reading is no part of that); their outputs are bound to one buffer. Needs the packages of
tests/interop/requirements.txt (build/venv, made by ./run-tests).
"""
import json
import sys
import time

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper

WALKED_BYTES = 600 << 20
LONGEST_PASS = 0.5  # seconds


class Unsupported(Exception):
    pass


class Worker:
    def __init__(self):
        self.sessions = {}  # by threads and copies
        self.passes = {}  # copies, by threads and rows

    def weights(self, bits, block, accuracy, n, k):
        self.sessions.clear()
        self.passes.clear()
        self.bits, self.block, self.n, self.k = int(bits), int(block), int(n), int(k)
        level, _, table = accuracy.partition(":")
        self.accuracy, self.lut = int(level), table == "lut"
        if self.k % self.block:
            raise Unsupported("k is not whole blocks")
        generator = np.random.default_rng(1)
        blocks = self.k // self.block
        self.codes = generator.integers(
            0, 256, (self.n, blocks, self.block * self.bits // 8), np.uint8)
        self.scales = generator.uniform(0.5, 1.5, (self.n, blocks)).astype(np.float32)
        self.codes.flat[:4], self.scales.flat[0] = 0, 1  # of the first copy
        size = self.codes.nbytes + self.scales.nbytes
        self.copies = WALKED_BYTES // size + 1
        self.session(1, 1)  # says whether ONNX Runtime has it
        return {"bytes": size, "copies": self.copies}

    def model(self, copies):
        nodes, tensors, outputs = [], [], []
        codes, scales = self.codes.tobytes(), self.scales.tobytes()
        for i in range(copies):
            # ONNX Runtime merges initializers of the same contents: none may equal another.
            start = i.to_bytes(4, "little"), np.float32(1 + i / 4096).tobytes()
            tensors.append(helper.make_tensor(f"w{i}", TensorProto.UINT8, self.codes.shape,
                                              start[0] + codes[4:], raw=True))
            tensors.append(helper.make_tensor(f"s{i}", TensorProto.FLOAT, (self.scales.size,),
                                              start[1] + scales[4:], raw=True))
            nodes.append(helper.make_node(
                "MatMulNBits", ["x", f"w{i}", f"s{i}"], [f"y{i}"], domain="com.microsoft", K=self.k,
                N=self.n, bits=self.bits, block_size=self.block, accuracy_level=self.accuracy))
            outputs.append(helper.make_tensor_value_info(f"y{i}", TensorProto.FLOAT, ("m", self.n)))
        inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ("m", self.k))]
        graph = helper.make_graph(nodes, "products", inputs, outputs, tensors)
        return helper.make_model(graph, ir_version=10, opset_imports=[
            helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)])

    def session(self, threads, copies):
        if (threads, copies) not in self.sessions:
            for known in list(self.sessions):  # each holds its copies
                if known[0] != threads:
                    del self.sessions[known]
            options = ort.SessionOptions()
            options.intra_op_num_threads = threads
            options.log_severity_level = 4
            if self.lut:
                options.add_session_config_entry("mlas.use_lut_gemm", "1")
            try:
                self.sessions[threads, copies] = ort.InferenceSession(
                    self.model(copies).SerializeToString(), options, ["CPUExecutionProvider"])
            except Exception as error:  # its own kinds of errors share no base class
                raise Unsupported(str(error).replace("\n", " ")[:200]) from error
        return self.sessions[threads, copies]

    def bind(self, session, copies, x):
        y = np.zeros((x.shape[0], self.n), np.float32)
        binding = session.io_binding()
        binding.bind_cpu_input("x", x)
        for i in range(copies):
            binding.bind_output(f"y{i}", "cpu", 0, np.float32, y.shape, y.ctypes.data)
        return binding, y

    def time(self, m, threads, seconds):
        m, threads, seconds = int(m), int(threads), float(seconds)
        x = np.random.default_rng(2).standard_normal((m, self.k)).astype(np.float32)
        copies = self.copies_of_pass(x, threads)
        session = self.session(threads, copies)
        binding, _ = self.bind(session, copies, x)
        calls, spent = 0, 0.0
        while spent < seconds:
            start = time.perf_counter()
            session.run_with_iobinding(binding)
            spent += time.perf_counter() - start
            calls += copies
        return {"seconds": spent / calls, "calls": calls}

    def copies_of_pass(self, x, threads):
        """As many as a session is to hold for products of this many rows."""
        key = threads, x.shape[0]
        if key not in self.passes:
            session = self.session(threads, 1)
            binding, _ = self.bind(session, 1, x)
            session.run_with_iobinding(binding)
            start = time.perf_counter()
            session.run_with_iobinding(binding)
            seconds = time.perf_counter() - start
            self.passes[key] = next(
                (c for c in (self.copies, 8) if c * seconds < LONGEST_PASS), 2)
        return self.passes[key]

    def check(self, threads):
        session = self.session(int(threads), 1)
        x = np.random.default_rng(2).standard_normal((2, self.k)).astype(np.float32)
        binding, y = self.bind(session, 1, x)
        session.run_with_iobinding(binding)
        fields = [self.codes >> shift & (1 << self.bits) - 1 for shift in range(0, 8, self.bits)]
        codes = np.stack(fields, -1).reshape(self.n, -1, self.block).astype(np.float64)
        w = (codes - (1 << self.bits - 1)) * self.scales[..., None]
        wanted = x.astype(np.float64) @ w.reshape(self.n, self.k).T
        return {"error": float(np.linalg.norm(y - wanted) / np.linalg.norm(wanted))}


def main():
    worker = Worker()
    for line in sys.stdin:
        command, *words = line.split()
        try:
            answer = getattr(worker, command)(*words)
        except Unsupported as error:
            answer = {"unsupported": str(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
