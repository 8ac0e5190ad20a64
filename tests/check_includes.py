#!/usr/bin/env python3
"""Checks that every #include in src/ follows the direction of the folders (docs/architecture.md).

A folder may include itself and the folders listed for it, nothing else: the runtime never includes
calib, methods, passes or plan, so that a program which only runs models links only the runtime.
"""
import pathlib
import re
import sys

ALLOWED = {
    "base": [],
    "numerics": ["base"],
    "formats": ["base", "numerics"],
    "kernels": ["base", "numerics", "formats"],
    "graph": ["base", "numerics"],
    "io": ["base", "numerics", "formats", "graph"],
    "runtime": ["base", "numerics", "formats", "kernels", "graph"],
    "data": ["base", "numerics"],
    "calib": ["base", "numerics", "graph", "runtime"],
    "methods": ["base", "numerics", "formats"],
    "passes": ["base", "numerics", "formats", "graph", "runtime", "calib", "methods"],
    "plan": ["base", "numerics", "graph", "runtime", "calib", "methods", "passes"],
    "eval": ["base", "numerics", "formats", "kernels", "graph", "runtime", "data"],
    "report": ["base", "numerics", "graph", "runtime", "passes", "plan", "eval"],
    "flow": ["base", "numerics", "formats", "graph", "io", "runtime", "data", "calib", "methods",
             "passes", "plan", "eval", "report"],
    "api": ["base", "graph", "io", "runtime", "flow", "report"],
    "cli": ["base", "numerics", "formats", "kernels", "graph", "io", "runtime", "data", "calib",
            "methods", "passes", "plan", "eval", "report", "flow"],
}

# The comparison by layer knows the names that the passes give to quantized values, and nothing else
# of them.
EXCEPTIONS = {("eval", "passes/quantize_graph.h")}


def main() -> int:
    root = pathlib.Path(__file__).resolve().parent.parent / "src"
    wrong = []
    for path in sorted(root.rglob("*")):
        if path.suffix not in (".cpp", ".h"):
            continue
        folder = path.relative_to(root).parts[0]
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#include "([a-z0-9_]+)/([^"]+)"', line)
            if not match or match.group(1) not in ALLOWED:
                continue
            to = match.group(1)
            if (folder, f"{to}/{match.group(2)}") in EXCEPTIONS:
                continue
            if to != folder and to not in ALLOWED[folder]:
                wrong.append(f"{path.relative_to(root.parent)}:{number}: src/{folder} may not include src/{to}")
    print("\n".join(wrong) if wrong else "include directions: ok")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
