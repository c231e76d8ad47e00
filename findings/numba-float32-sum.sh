#!/usr/bin/env bash
# numba 0.68.1: the sum and the mean of a float32 array are added up one number at a time
#
# One would expect: a.sum() in compiled code is a.sum(). NumPy adds in pairs, with errors that grow as log(n).
# What happens: numba compiles a.sum() to a loop with one float32, so that the sum stops growing where the next
#   number is half a step of it. fastmath=True happens to cure it on ones, by several sums side by side.
# Seen: 20 million ones have the sum 16777216 (2**24) and the mean 0.84; 20 million times 0.1 sum to 2097152, not
#   2000000.
# Why it matters: a weighted mean is two such sums. At 2e7 samples in float32 numerator and denominator stop at
#   different places, and the quotient is any number. Sums have to start in float64, or go by blocks.
# Source: numba issues 2855 and 3702.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile 'numba==0.68.1' 'numpy==2.4.6'

"$folder/venv/bin/python" - <<'END'
import numpy as np
from numba import njit

total = njit(lambda a: a.sum())
mean = njit(lambda a: a.mean())
ones = np.ones(20_000_000, np.float32)
tenths = np.full(20_000_000, 0.1, np.float32)

print("numba:", total(ones), mean(ones), total(tenths), " NumPy:", ones.sum(), ones.mean(), tenths.sum())
assert total(ones) == 2**24 and total(tenths) == 2**21
assert abs(mean(ones) - 2**24 / 20_000_000) < 1e-6
assert ones.sum() == 20_000_000 and abs(tenths.sum() - 2_000_000) < 1
END
