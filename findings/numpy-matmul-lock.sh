#!/usr/bin/env bash
# NumPy 2.4.6: a matrix product with a small result keeps the interpreter's lock, however long it takes
#
# One expects that NumPy lets other threads run while BLAS works, as it does for a product of large matrices. For `a @ b`
# it does so only if the result has more than 500 numbers. Sums of a few columns, weighed by a tile of kernel weights,
# are products with small results and many terms: threads that share such work take turns. `a.dot(b)` is the same
# product and lets the others run.
#
# Seen: while 448 numbers are computed, which takes a second or so, another thread wakes up once or twice; while 512 are,
# some thousand times; and hundreds of times during a `dot` with 16 results.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q 'numpy==2.4.6'
cat > "$folder/try.py" <<'PY'
import threading
import time

import numpy as np

rng = np.random.default_rng(0)
left, right = rng.normal(size=(8, 3_000_000)), rng.normal(size=(3_000_000, 64))
few = np.ascontiguousarray(right[:, :2])


def wakes(product):
    """How often a thread that sleeps for a tenth of a millisecond wakes up during a product."""
    count, done = [0], threading.Event()

    def sleep():
        while not done.is_set():
            time.sleep(1e-4)
            count[0] += 1

    thread = threading.Thread(target=sleep)
    thread.start()
    time.sleep(0.05)
    before = count[0]
    product()
    after = count[0]
    done.set()
    thread.join()
    return after - before


print("NumPy", np.__version__)
small, large = wakes(lambda: left[:7] @ right), wakes(lambda: left @ right)
matmul, dot = wakes(lambda: left @ few), wakes(lambda: left.dot(few))
print("a @ b with 448 results:", small, "wakes; with 512:", large)
print("a @ b with 16 results:", matmul, "wakes; a.dot(b):", dot)
assert small <= 3 and large > 50, "448 results no longer keep the lock"
assert matmul <= 3 and dot > 20, "16 results no longer keep the lock"
PY
OPENBLAS_NUM_THREADS=1 "$folder/venv/bin/python" "$folder/try.py"
