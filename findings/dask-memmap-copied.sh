#!/usr/bin/env bash
# dask 2026.8.0: from_array of a memory-mapped file reads the whole file at once
#
# One would expect: da.from_array(np.load(file, mmap_mode="r"), chunks=...) is lazy: blocks are read when computed.
#   That is what memory maps are for, and what from_array does for HDF5 and Zarr.
# What happens: a memory map is a numpy.ndarray, so every block is sliced and copied into the graph when the array is
#   made. inline_array=True and asarray=False do not help. The copy is also older than the file.
# Seen: 80 MB on disk, 80 MB allocated by from_array; the file is changed after, and compute() has the old number.
# Why it matters: more rows than memory is why one takes both. On workers the bytes travel in the graph as well. An
#   object with shape, dtype, ndim and __getitem__ that is no array stays lazy.
# Source: dask issue 11850.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile 'dask[array]==2026.8.0' 'numpy==2.4.6'
cd "$folder"

venv/bin/python - <<'END'
import tracemalloc

import dask.array as da
import numpy as np

file = np.lib.format.open_memmap("keys.npy", "w+", dtype=float, shape=(10_000_000,))
file[:] = 1
mapped = np.load("keys.npy", mmap_mode="r")

for options in ({}, {"inline_array": True}, {"asarray": False}):
    tracemalloc.start()
    array = da.from_array(mapped, chunks=1_000_000, **options)
    allocated = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    print(options, "allocates", allocated // 10**6, "MB")
    assert allocated >= mapped.nbytes

file[0] = 7
print("in the file:", mapped[0], " computed:", array[0].compute())
assert mapped[0] == 7 and array[0].compute() == 1
END
