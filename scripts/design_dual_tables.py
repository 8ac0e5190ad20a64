#!/usr/bin/env python3
"""Finds the level tables of the formats dual3 and dual4 (src/formats/dual_formats.cpp).

A group of 32 weights takes one of two tables, as it is or mirrored, under one scale. The tables are
those of least squared error, relative to the group's own energy, over groups of which one half comes
from a normal distribution and the other half from Student's t with 4 degrees of freedom (weights of
trained networks lie between the two).

The method is Lloyd's: (1) every group takes the table, side, scale and levels that suit it best;
(2) every level becomes the weighted mean of what it stands for, x / scale with weight scale^2;
repeated from several starts, of which the best is kept. The levels are then rounded to int8, the
largest magnitude to 127, and moved by one as long as that helps.

    scripts/design_dual_tables.py           prints both tables and their errors: a few minutes

The numbers come from numpy's RandomState, whose streams are frozen, so the constants come out the
same everywhere.
"""
import argparse

import numpy as np

GROUP = 32
LARGEST = 127


def sample(groups: int, seed: int) -> np.ndarray:
    """[groups, GROUP], each row of unit energy; even rows normal, odd rows Student's t(4)."""
    random = np.random.RandomState(seed)
    x = np.empty((groups, GROUP))
    x[0::2] = random.standard_normal((groups - groups // 2, GROUP))
    x[1::2] = random.standard_t(4, (groups // 2, GROUP))
    return x / np.sqrt((x * x).sum(axis=1, keepdims=True))


def snap(x: np.ndarray, scale: np.ndarray, levels: np.ndarray) -> np.ndarray:
    """The index of the level nearest to x / scale."""
    middles = (levels[1:] + levels[:-1]) / 2
    return np.searchsorted(middles, x / scale[:, None])


def fit(x: np.ndarray, levels: np.ndarray):
    """The best scale of either sign for each row, its codes and its squared error."""
    peak = np.abs(x).max(axis=1) / np.abs(levels).max()
    best_error = np.full(len(x), np.inf)
    best_scale = np.empty(len(x))
    for sign in (1, -1):
        for reach in np.arange(0.55, 1.16, 0.05):  # what share of the peak the last level stands for
            scale = sign * peak * reach
            for _ in range(2):
                chosen = levels[snap(x, scale, levels)]
                scale = (x * chosen).sum(axis=1) / np.maximum((chosen * chosen).sum(axis=1), 1e-30)
                scale = np.where(scale == 0, peak, scale)
            chosen = levels[snap(x, scale, levels)]
            error = ((x - scale[:, None] * chosen) ** 2).sum(axis=1)
            better = error < best_error
            best_error = np.where(better, error, best_error)
            best_scale = np.where(better, scale, best_scale)
    return best_scale, snap(x, best_scale, levels), best_error


def choose(x: np.ndarray, tables: list):
    """fit with each table, and which one is best."""
    fits = [fit(x, table) for table in tables]
    errors = np.stack([error for _, _, error in fits])
    return fits, errors.argmin(axis=0), errors.min(axis=0)


def lloyd(x: np.ndarray, tables: list, rounds: int) -> list:
    for _ in range(rounds):
        fits, which, _ = choose(x, tables)
        moved = []
        for t, table in enumerate(tables):
            scale, codes, _ = fits[t]
            mine = which == t
            weight = np.broadcast_to((scale * scale)[:, None], x.shape)[mine].ravel()
            value = (scale[:, None] * x)[mine].ravel()
            code = codes[mine].ravel()
            top = np.bincount(code, value, len(table))
            bottom = np.bincount(code, weight, len(table))
            levels = np.where(bottom > 0, top / np.maximum(bottom, 1e-30), table)
            moved.append(np.sort(levels / np.abs(levels).max()))
        tables = moved
    return tables


def to_int8(levels: np.ndarray) -> np.ndarray:
    if -levels[0] > levels[-1]:  # mirrored: the largest magnitude is positive
        levels = -levels[::-1]
    return np.round(levels * (LARGEST / np.abs(levels).max()))


def polish(x: np.ndarray, tables: list) -> list:
    """Moves single levels by one while the error falls."""
    tables = [to_int8(table) for table in tables]
    best = choose(x, tables)[2].mean()
    for _ in range(2):
        improved = False
        for table in tables:
            for k in range(len(table)):
                for step in (-1, 1):
                    old = table[k]
                    table[k] = old + step
                    in_order = (np.diff(table) > 0).all() and np.abs(table).max() <= LARGEST
                    error = choose(x, tables)[2].mean() if in_order else np.inf
                    if error < best - 1e-9:
                        best = error
                        improved = True
                    else:
                        table[k] = old
        if not improved:
            break
    return tables


def start(bits: int, power: float, shift: float) -> np.ndarray:
    """Levels from -1 to 1, denser near zero with a larger power, moved by a part of a step."""
    count = 1 << bits
    u = np.linspace(-1, 1, count) + shift * 2 / (count - 1)
    levels = np.sign(u) * np.abs(u) ** power
    return levels / np.abs(levels).max()


def report(name: str, x: np.ndarray, tables: list) -> None:
    _, which, error = choose(x, tables)
    print(f"  {name}: error {error.mean():.6f}, normal {error[0::2].mean():.6f}, "
          f"t(4) {error[1::2].mean():.6f}, second table taken by {which.mean():.3f}")


def design(bits: int, groups: int) -> None:
    x = sample(groups, seed=bits)
    starts = [[(1.1, 0.0), (1.6, 0.0)], [(1.2, 0.5), (1.6, 0.5)], [(1.2, 0.0), (1.5, 0.5)],
              [(1.1, 0.5), (1.5, 0.0)]]
    best = None
    for pair in starts:
        tables = lloyd(x[: groups // 4], [start(bits, *p) for p in pair], 30)
        error = choose(x[: groups // 4], tables)[2].mean()
        print(f"  start {pair}: {error:.6f}", flush=True)
        if best is None or error < best[0]:
            best = (error, tables)
    tables = lloyd(x, best[1], 40)
    tables = polish(x[: groups // 4], tables)
    tables.sort(key=lambda table: np.abs(np.diff(table)).max())  # the more even one first
    print(f"dual{bits}:")
    for table in tables:
        print("  {" + ", ".join(f"{int(v)}" for v in table) + "}")
    fresh = sample(groups, seed=100 + bits)
    report("both tables", fresh, tables)
    single = to_int8(lloyd(x, [start(bits, 1.3, 0.5)], 40)[0])
    report("the best single table", fresh, [single])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bits", type=int, nargs="*", default=[3, 4], choices=[3, 4])
    parser.add_argument("--groups", type=int, default=16384)
    options = parser.parse_args()
    for bits in options.bits:
        design(bits, options.groups)


if __name__ == "__main__":
    main()
