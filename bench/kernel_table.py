#!/usr/bin/env python3
"""Measures the kernels with `fewbit bench-kernels` and writes the table of docs/kernels.md.

    bench/kernel_table.py [--threads 2] [--fewbit build/release/fewbit] [--shapes 1x4096x4096,...]

Each kind of processor has a table of its own between markers in the page: a run replaces that of its processor.
"""
import argparse
import datetime
import json
import pathlib
import platform
import re
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "kernels.md"
# What is measured unless something else is asked for: a matrix that no cache holds, and what is no product.
SHAPES = ["1x4096x4096", "4x4096x4096", "16x4096x4096", "512x4096x4096"]


def processor():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    name = re.search(r"model name\s*: (.*)", text)
    flags = text.split("flags", 1)[-1].split("\n", 1)[0]
    tiles = " with AMX" if "amx_int8" in flags else ""
    return (name.group(1).strip() if name else platform.machine()) + tiles


def measured(fewbit, text, threads):
    done = subprocess.run([fewbit, "bench-kernels", "--filter", text, "--threads", str(threads), "--json"],
                          stdout=subprocess.PIPE, check=True, text=True)
    return json.loads(done.stdout)


def table(rows):
    lines = ["| kernel | weights | shape | us | Gw/s | GB/s | TOPS | of the limit |", "|---|---|---|---|---|---|---|---|"]
    for r in rows:
        lines.append(f"| {r['family']}/{r['isa']} | `{r['format']}` | {r['shape']} | {r['seconds'] * 1e6:.1f} | "
                     f"{r['weights_per_s'] / 1e9:.1f} | {r['bytes_per_s'] / 1e9:.1f} | {r['ops_per_s'] / 1e12:.3f} | "
                     f"{r['fraction'] * 100:.0f} % of {r['limit']} |")
    return lines


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--fewbit", default=str(ROOT / "build/release/fewbit"))
    parser.add_argument("--shapes", default=",".join(SHAPES), help="texts to filter by, with commas between")
    options = parser.parse_args()
    runs = [measured(options.fewbit, "/" + text, options.threads) for text in options.shapes.split(",")]
    limits = runs[0]["limits"]
    rows = sorted((row for run in runs for row in run["rows"]), key=lambda r: (r["family"], r["format"], r["m"]))
    lines = [f"{datetime.date.today()}, {options.threads} threads of an {processor()}. Limits, measured in the same run: "
             f"memory {limits['read_bytes_per_s'] / 1e9:.1f} GB/s, {limits['int8_instruction']} "
             f"{limits['int8_ops_per_s'] / 1e12:.2f} TOPS, {limits['float32_instruction']} "
             f"{limits['float32_ops_per_s'] / 1e12:.3f} TFLOPS.", "", *table(rows)]
    begin, end = f"<!-- {processor()} -->", "<!-- end -->"
    page = PAGE.read_text()
    block = "\n".join([begin, *lines, end])
    if begin in page:
        page = re.sub(re.escape(begin) + ".*?" + end, lambda _: block, page, flags=re.S)
    else:
        marker = "<!-- tables: bench/kernel_table.py -->"
        page = page.replace(marker, marker + "\n\n" + block)
    PAGE.write_text(page)


main()
