#!/usr/bin/env bash
# dask 2026.8.0: arrays of unknown length pair block by block, and a single block is repeated
#
# One would expect: dask arrays whose lengths are unknown (after a filter, or from a frame) are compared when
#   computed, and 5 rows with 20 rows are an error, as in NumPy.
# What happens: blocks meet by their number. One block broadcasts against all blocks of the other array, and rows are
#   compared within a pair of blocks only. With map_blocks not even that: known blocks of 4, 6, 4, 6 rows meet 5, 5,
#   5, 5.
# Seen: 20 rows - 5 rows = 20 rows; in NumPy a ValueError. Pairs of rows (4, 5), (6, 5), ... reach the function.
# Why it matters: X filtered in four blocks and y in one give a fit on wrong pairs of rows, without a word. Whoever
#   sums over blocks has to compare the numbers of blocks, and the rows of each pair where they meet.
# Source: found here.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile 'dask[array]==2026.8.0' 'numpy==2.4.6'

"$folder/venv/bin/python" - <<'END'
import dask.array as da
import numpy as np


def filtered(n, rows):
    """The numbers below n in blocks of so many rows, of lengths that dask does not know."""
    numbers = da.from_array(np.arange(n), chunks=rows)
    return numbers[numbers >= 0]


difference = (filtered(20, 5) - filtered(5, 5)).compute()
print("20 rows - 5 rows:", difference)
assert difference.tolist() == np.repeat([0, 5, 10, 15], 5).tolist()

known = da.from_array(np.arange(20), chunks=((4, 6, 4, 6),))
pairs = da.map_blocks(lambda a, b: np.array([[len(a), len(b)]]), known, filtered(20, 5), dtype=int, new_axis=1)
print("rows that meet:", pairs.compute().tolist())
assert pairs.compute().tolist() == [[4, 5], [6, 5], [4, 5], [6, 5]]
END
