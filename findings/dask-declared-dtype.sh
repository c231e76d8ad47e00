#!/usr/bin/env bash
# dask 2026.8.0: a declared dtype is believed, and astype to it does nothing
#
# One would expect: map_blocks(f, dtype="float32") casts, or .astype("float32") after it does at the latest.
# What happens: the dtype is a note on the array. Blocks keep what f returns, and astype to the noted dtype gives
#   back the very same array, so the one line that would repair it is the one that is skipped.
# Seen: an array that says float32 computes to float64, before and after .astype("float32").
# Why it matters: distances and kernels turn float32 into float64 easily (SciPy's cdist always does), at twice the
#   memory of each block, and the array that the caller checks says otherwise. Cast within the function of the block.
# Source: found here.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile 'dask[array]==2026.8.0' 'numpy==2.4.6'

"$folder/venv/bin/python" - <<'END'
import dask.array as da
import numpy as np

X = da.ones(4, chunks=2, dtype="float32")
lazy = X.map_blocks(lambda block: np.exp(block.astype(float)), dtype="float32")
cast = lazy.astype("float32")

print("says", lazy.dtype, "computes to", lazy.compute().dtype, "; after astype:", cast.compute().dtype)
assert lazy.dtype == "float32" and lazy.compute().dtype == "float64"
assert cast is lazy and cast.compute().dtype == "float64"
assert lazy.astype("float64").astype("float32").compute().dtype == "float32"
END
