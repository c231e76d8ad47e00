#!/usr/bin/env bash
# numba 0.68.1: a function that asks for no fast math gets the fast math of the caller that compiles it first
#
# One would expect: `fastmath` belongs to the function it is written at. A helper under a plain @njit rounds as IEEE
#   says, whoever calls it.
# What happens: options that a function leaves out are inherited from the caller whose call compiles it, and one
#   compiled version serves everybody from then on. So the same call gives other numbers after a fast caller ran, and
#   with cache=True the fast version is written to disk: a later process that has no fast math anywhere loads it.
#   error_model travels the same way. An option that is written out, fastmath=False too, is not inherited.
# Seen: (x + M) - M, which rounds 0.3 to 0, gives 0.3 after a fast caller, in this process and in the next.
# Why it matters: an exponential by powers of two rounds in this way, and the loop that adds up kernel weights is the
#   one that wants fast math (it has to reassociate to use vectors). Errors of 0.4, silently, by the order of calls.
# Source: numba issue 7168 has the inheritance, as a question of design; the kept version was found here.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile 'numba==0.68.1' 'numpy==2.4.6'
cd "$folder"

cat > helper.py <<'END'
from numba import njit

M = 6755399441055744.0  # 1.5 * 2**52: what is added to it becomes an integer


@njit(cache=True)
def rounded(x):
    return (x + M) - M


@njit(fastmath=False)
def rounded_by_word(x):
    return (x + M) - M


@njit(fastmath=True)
def fast_caller(x):
    return rounded(x), rounded_by_word(x)
END

show() {
    venv/bin/python -c "from helper import *; print('$1:', $1, 'from the cache:', bool(rounded.stats.cache_hits))"
}

show "rounded(0.3)" | tee first
rm -r __pycache__
show "fast_caller(0.3)" | tee fast
show "rounded(0.3)" | tee second
grep -q "0.3): 0.0 from the cache: False" first
grep -q "0.3): (0.3, 0.0) from the cache: False" fast
grep -q "0.3): 0.3 from the cache: True" second
