#!/usr/bin/env python3
"""Products of weights in few bits: Fewbit, llama.cpp's CPU backend and ONNX Runtime, in turn.

    bench/peers/build-ggml                      llama.cpp's side, once
    bench/peers/kernels.py [--only "4 bits"] [--shape 4096x4096] [--threads 2] [--rows 1 512]
    bench/peers/kernels.py --page               all of it, and the tables of docs/kernels-peers.md
    bench/peers/kernels.py --page --measured    the tables from what has been measured before

Each side is a process of its own that holds more than 600 MiB of copies of the weights and walks
through them, so that products of few rows read memory: fewbit_kernel_worker, ggml_matmul (in every
buffer type that takes the weights: AMX, repacked, plain) and onnxruntime_matmul.py. A comparison runs
`--rounds` rounds; in each, every side runs once for `--seconds`, in an order that turns. A round during
which other processes took more than a tenth of a processor is repeated, a few times. A ratio is
theirs over ours within a round, above 1 where Fewbit is faster; printed is the median and its range.
The limits of the machine are those of `fewbit bench-kernels`, measured first.

What has been measured is kept in `--results` (JSON); a run replaces what it measures again, so that a
shared machine can be measured in parts. Peers' products are checked against the decoded weights.
Needs the packages of tests/interop/requirements.txt (build/venv, made by ./run-tests).
"""
import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "kernels-peers.md"
BEGIN, END = "<!-- tables: bench/peers/kernels.py --page -->\n", "<!-- end of tables -->\n"

SHAPES = [(4096, 4096), (11008, 4096), (2048, 2048), (1536, 576)]  # rows of weights, weights in a row
ROWS = [1, 4, 16, 512]
QUIET = 0.1  # processors
LARGEST_ERROR = 0.02  # of a peer's product, relative: what int8 activations cost

# (name, ours: the first that the build has, llama.cpp's types, ONNX Runtime's bits/block/accuracy level)
COMPARISONS = [
    ("8 bits", ["few_bit/q8_0", "few_bit/int8/g32"], ["q8_0"], ["8 32 4", "8 32 0"]),
    ("6 bits", ["few_bit/q6_K", "few_bit/int6/g32"], ["q6_K"], []),
    ("4 bits, groups of 32", ["few_bit/q4_0", "few_bit/int4/g32"], ["q4_0"], ["4 32 4", "4 32 0"]),
    ("4 bits, groups of 64", ["few_bit/int4/g64", "few_bit/int4/g32"], [], ["4 64 4", "4 64 0"]),
    ("4 bits, groups of 128", ["few_bit/int4/g128"], [], ["4 128 4", "4 128 0"]),
    ("4 bits with minima", ["few_bit/q4_K", "few_bit/uint4/g32"], ["q4_K"], []),
    ("4 bits, scales of 6 bits", ["few_bit/int4/g32:u6"], ["q4_K"], []),
    ("4-bit levels", ["few_bit/iq4_nl", "few_bit/nf4/g32", "few_bit/nf4"], ["iq4_nl"], []),
    ("mxfp4", ["few_bit/mxfp4"], ["mxfp4"], []),
    ("nvfp4", ["few_bit/nvfp4"], ["nvfp4"], []),
    ("3 bits", ["few_bit/q3_K", "few_bit/int3/g32"], ["q3_K"], []),
    ("2 bits with minima", ["few_bit/q2_K", "few_bit/uint2/g16", "few_bit/int2/g32"], ["q2_K"], []),
    ("2 bits", ["few_bit/int2/g64"], ["q2_K"], ["2 64 4", "2 64 4:lut", "2 64 0"]),
    ("ternary", ["few_bit/ternary"], ["tq2_0", "tq1_0"], []),
    ("ternary, five in a byte", ["pattern_codes/tq1_0", "pattern_codes/ternary1.6"], ["tq2_0", "tq1_0"], []),
    ("1.25 bits (Sherry)", ["pattern_codes/sherry1.25"], ["tq2_0", "tq1_0", "q1_0"], []),
    ("binary", ["few_bit/binary"], ["q1_0"], []),
]

# (what, comparison, llama.cpp's types, rows, at least this ratio): 4096x4096, most threads.
GOALS = [
    ("decode at 4 bits against q4_0", "4 bits, groups of 32", "q4_0", 1, 1.15),
    ("decode at 4 bits against q4_K", "4 bits with minima", "q4_K", 1, 1.8),
    ("decode at 2 bits against q2_K", "2 bits with minima", "q2_K", 1, 2),
    ("decode of mxfp4", "mxfp4", "mxfp4", 1, 3),
    ("decode of nvfp4", "nvfp4", "nvfp4", 1, 3),
    ("prefill at 4 bits against q4_0", "4 bits, groups of 32", "q4_0", 512, None),
    ("prefill at 4 bits against q4_K", "4 bits with minima", "q4_K", 512, None),
]
PREFILL_GOAL = {True: 8, False: 2}  # with AMX, without


class Side:
    """A worker process: commands in, lines of JSON out."""

    def __init__(self, name, command):
        self.name = name
        self.process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)

    def ask(self, *words):
        self.process.stdin.write(" ".join(str(w) for w in words) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name}: the worker ended at '{' '.join(map(str, words))}'")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


class Peers:
    """Starts the workers that the arguments name."""

    def __init__(self, arguments):
        self.arguments = arguments
        worker = Side("fewbit_kernel_worker", [arguments.worker])
        self.formats = worker.ask("formats")["formats"]
        worker.close()
        self.buffers, self.ggml_version = [], None
        if arguments.ggml.exists():
            worker = Side("ggml_matmul", [arguments.ggml])
            types = worker.ask("types")
            self.buffers, self.ggml_version = types["buffers"], types["version"]
            worker.close()
        else:
            print("llama.cpp is left out: bench/peers/build-ggml builds it")

    def start(self, comparison, n, k):
        """(sides, ours first; what was left out). Only sides that take the weights."""
        _, ours, types, onnxruntime = comparison
        name = next((f for f in ours if f in self.formats), None)
        if name is None:
            return [], [f"{ours[0]} is not among Fewbit's kernels"]
        script = ROOT / "bench" / "peers" / "onnxruntime_matmul.py"
        wanted = [(name, [self.arguments.worker], f"{name} {n} {k}")]
        wanted += [(f"llama.cpp {t} {b}", [self.arguments.ggml], f"{t} {b} {n} {k}")
                   for t in types for b in self.buffers]
        wanted += [(f"ONNX Runtime {o}", [sys.executable, script], f"{o} {n} {k}")
                   for o in onnxruntime]
        sides, left_out = [], []
        for name, command, weights in wanted:
            side = Side(name, command)
            answer = side.ask("weights", weights)
            if "unsupported" in answer:
                left_out.append(f"{name}: {answer['unsupported']}")
                side.close()
                if name == wanted[0][0]:
                    break
                continue
            if sides:
                error = side.ask("check", 1)["error"]
                if not error < LARGEST_ERROR:
                    raise SystemExit(f"{name}: its product is wrong, relative error {error}")
            sides.append(side)
        return sides, left_out


def limits_of(arguments, threads):
    out = subprocess.run([str(arguments.program), "bench-kernels", "--filter", "int4/g32/1x1536x576",
                          "--threads", str(threads), "--json"], check=True, capture_output=True, text=True)
    return json.loads(out.stdout)["limits"]


class Others:
    """Processors that processes other than ours keep busy, from when it is made."""

    TICKS = os.sysconf("SC_CLK_TCK")

    def __init__(self, sides):
        self.pids = [os.getpid()] + [s.process.pid for s in sides]
        self.start, self.busy, self.ours = time.perf_counter(), self.all_ticks(), self.our_ticks()

    @staticmethod
    def all_ticks():
        user, nice, system, *_ = map(int, pathlib.Path("/proc/stat").read_text().split()[1:9])
        return user + nice + system

    def our_ticks(self):
        total = 0
        for pid in self.pids:
            fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])  # user, system
        return total

    def processors(self):
        ticks = self.all_ticks() - self.busy - (self.our_ticks() - self.ours)
        return ticks / self.TICKS / (time.perf_counter() - self.start)


def measure(sides, m, threads, rounds, seconds):
    """Seconds of each side per round: [side][round], of the quietest rounds."""
    for side in sides:
        side.ask("time", m, threads, seconds / 4)
    done = []  # (processors of others, seconds of each side)
    while len(done) < 4 * rounds and sum(d[0] < QUIET for d in done) < rounds:
        others, times = Others(sides), [0.0] * len(sides)
        order = list(range(len(sides)))
        for s in order if len(done) % 2 == 0 else reversed(order):
            times[s] = sides[s].ask("time", m, threads, seconds)["seconds"]
        done.append((others.processors(), times))
    done = sorted(done, key=lambda d: d[0])[:rounds]
    return [list(t) for t in zip(*(d[1] for d in done))], max(d[0] for d in done)


def summary(name, times, ours):
    ratios = sorted(t / o for t, o in zip(times, ours))
    return {"name": name, "seconds": statistics.median(times), "ratio": statistics.median(ratios),
            "low": ratios[0], "high": ratios[-1]}


def run(arguments, results):
    peers = Peers(arguments)
    versions = {"llama.cpp": peers.ggml_version, "onnxruntime": __import__("onnxruntime").__version__}
    limits = {t: limits_of(arguments, t) for t in arguments.threads}
    for comparison in COMPARISONS:
        if arguments.only not in comparison[0]:
            continue
        for n, k in arguments.shape:
            sides, left_out = peers.start(comparison, n, k)
            for line in left_out:
                print(f"{comparison[0]}, {n}x{k}: without {line}")
            for threads, m in ((t, m) for t in arguments.threads for m in arguments.rows if sides):
                times, others = measure(sides, m, threads, arguments.rounds, arguments.seconds)
                entry = {"comparison": comparison[0], "n": n, "k": k, "m": m, "threads": threads,
                         "ours": summary(sides[0].name, times[0], times[0]),
                         "theirs": [summary(s.name, t, times[0]) for s, t in zip(sides[1:], times[1:])],
                         "others": others, "limits": limits[threads], "versions": versions,
                         "processor": processor(), "date": datetime.date.today().isoformat()}
                key = lambda e: [e[x] for x in ("comparison", "n", "k", "m", "threads")]
                results[:] = [e for e in results if key(e) != key(entry)] + [entry]
                show(entry)
                keep(arguments.results, results)
            for side in sides:
                side.close()


def keep(path, results):
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".new")
    unfinished.write_text(json.dumps(results, indent=1))
    unfinished.replace(path)


def processor():
    for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "unknown processor"


def show(e):
    ours = e["ours"]
    print(f"{e['comparison']}, {e['m']}x{e['n']}x{e['k']}, {e['threads']} threads: "
          f"{ours['name']} {ours['seconds'] * 1e6:.1f} us (others: {e['others']:.2f} processors)")
    for t in e["theirs"]:
        print(f"    {t['name']:28} {t['seconds'] * 1e6:10.1f} us  {t['ratio']:6.2f}x "
              f"[{t['low']:.2f}, {t['high']:.2f}]", flush=True)


# The page. --------------------------------------------------------------------------------------

def peers_of(entry):
    """llama.cpp's buffers of one type are one peer: the fastest. {peer: (summary, buffer)}."""
    found = {}
    for t in entry["theirs"]:
        program, _, rest = t["name"].rpartition(" ") if t["name"].startswith("llama") else (t["name"], "", "")
        if program not in found or t["seconds"] < found[program][0]["seconds"]:
            found[program] = (t, rest)
    return found


BUFFERS = {"AMX": " A", "CPU_REPACK": " R", "CPU": " P", "": ""}


def cell(summary_and_buffer, entry):
    theirs, buffer = summary_and_buffer
    ours = entry["ours"]
    disturbed = "~" if entry["others"] > QUIET else ""
    return (f"{disturbed}**{theirs['ratio']:.2f}** ({ours['seconds'] * 1e6:.0f} / "
            f"{theirs['seconds'] * 1e6:.0f}{BUFFERS.get(buffer, buffer)})")


def table(results, n, k, threads):
    chosen = [e for e in results if (e["n"], e["k"], e["threads"]) == (n, k, threads)]
    lines = ["| weights | Fewbit | peer | " + " | ".join(f"m = {m}" for m in ROWS) + " |\n",
             "|---|---|---|" + "---|" * len(ROWS) + "\n"]
    for name, *_ in COMPARISONS:
        entries = {e["m"]: e for e in chosen if e["comparison"] == name}
        names = dict.fromkeys(p for e in entries.values() for p in peers_of(e))
        for peer in names:
            cells = []
            for m in ROWS:
                theirs = peers_of(entries[m]).get(peer) if m in entries else None
                cells.append(cell(theirs, entries[m]) if theirs else "")
            ours = next(iter(entries.values()))["ours"]["name"]
            lines.append(f"| {name} | `{ours}` | {peer} | " + " | ".join(cells) + " |\n")
    return "".join(lines) if len(lines) > 2 else ""


def goals(results):
    threads = max(e["threads"] for e in results)
    lines = ["| what | goal | measured | range of rounds | |\n", "|---|---|---|---|---|\n"]
    for what, comparison, kind, m, least in GOALS:
        for e in results:
            if (e["comparison"], e["n"], e["k"], e["m"], e["threads"]) != (comparison, 4096, 4096, m, threads):
                continue
            least = least or PREFILL_GOAL[e["limits"]["int8_instruction"].startswith("tdp")]
            t, _ = peers_of(e)[f"llama.cpp {kind}"]
            lines.append(f"| {what} | {least:.2f} | {t['ratio']:.2f} | {t['low']:.2f} to {t['high']:.2f} | "
                         f"{'reached' if t['ratio'] >= least else 'missed'}"
                         f"{', disturbed' if e['others'] > QUIET else ''} |\n")
    return "".join(lines)


def machine(results):
    dates = sorted({e["date"] for e in results})
    kinds = sorted({e["processor"] for e in results})
    versions = results[-1]["versions"]
    text = (f"{' to '.join(dict.fromkeys([dates[0], dates[-1]]))}, {', '.join(kinds)}; ggml "
            f"{versions['llama.cpp']}, ONNX Runtime {versions['onnxruntime']}.\n")
    for threads in sorted({e["threads"] for e in results}):
        limits = [e["limits"] for e in results if e["threads"] == threads]
        middle = {x: statistics.median(l[x] for l in limits)
                  for x in ("read_bytes_per_s", "int8_ops_per_s", "float32_ops_per_s")}
        text += (f"- {threads} thread{'s' if threads > 1 else ''}: memory {middle['read_bytes_per_s'] / 1e9:.1f} GB/s, "
                 f"{limits[0]['int8_instruction']} {middle['int8_ops_per_s'] / 1e12:.2f} TOPS, "
                 f"{limits[0]['float32_instruction']} {middle['float32_ops_per_s'] / 1e12:.3f} TFLOPS\n")
    return text


def write_page(results):
    body = machine(results) + "\n" + goals(results)
    for threads in sorted({e["threads"] for e in results}, reverse=True):
        for n, k in SHAPES:
            if rows := table(results, n, k, threads):
                body += f"\n### {n}x{k}, {threads} thread{'s' if threads > 1 else ''}\n\n{rows}"
    before, rest = PAGE.read_text().split(BEGIN)
    PAGE.write_text(before + BEGIN + body + END + rest.split(END)[1])


def shape_of(text):
    n, k = text.split("x")
    return int(n), int(k)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="comparisons whose name contains this text")
    parser.add_argument("--shape", nargs="*", type=shape_of, default=SHAPES)
    parser.add_argument("--rows", nargs="*", type=int, default=ROWS)
    parser.add_argument("--threads", nargs="*", type=int, default=[1, 2])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.05)
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "build/kernels-peers.json")
    parser.add_argument("--measured", action="store_true", help="measure nothing")
    parser.add_argument("--page", action="store_true", help="write the tables of docs/kernels-peers.md")
    parser.add_argument("--json", action="store_true", help="print all results as JSON at the end")
    parser.add_argument("--program", type=pathlib.Path, default=ROOT / "build/release/fewbit")
    parser.add_argument("--worker", type=pathlib.Path,
                        default=ROOT / "build/release/src/kernels/fewbit_kernel_worker")
    parser.add_argument("--ggml", type=pathlib.Path, default=ROOT / "build/ggml-cpu/ggml_matmul")
    arguments = parser.parse_args()
    results = json.loads(arguments.results.read_text()) if arguments.results.exists() else []
    if not arguments.measured:
        run(arguments, results)
    if arguments.page:
        write_page(results)
    if arguments.json:
        print(json.dumps(results))
    return 0


if __name__ == "__main__":
    sys.exit(main())
