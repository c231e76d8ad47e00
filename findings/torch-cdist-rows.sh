#!/usr/bin/env bash
# torch 2.13.0: the distance of two rows depends on how many other rows are in the call
#
# One would expect: torch.cdist(a, b)[i, j] is a function of a[i] and b[j], right to float32.
# What happens: beyond 25 rows on either side the default goes through a matrix product, |a|^2 + |b|^2 - 2 a.b, which
#   cancels for data away from zero.
# Seen: 3 features in [0, 1] + 1e4, float32: errors below 1e-6 with 25 rows, of 7 with 26, where the largest true
#   distance is sqrt(3); in float64 3e-4 with 26. The mode "donot_use_mm_for_euclid_dist" is exact.
# Why it matters: kernels of such distances pass on small examples and on batches of one query, and are noise in use.
#   It is not the device: this is the CPU, with no TF32 about.
# Source: pytorch issues 37734 and 42479; the default is told in the documentation, not what it costs.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile 'torch==2.13.0' 'numpy==2.4.6'

"$folder/venv/bin/python" - <<'END'
import torch

torch.manual_seed(0)
X = torch.rand(26, 3) + 1e4
Z = torch.rand(26, 3, dtype=torch.float64) + 1e4


def error(rows, **mode):
    true = (rows.double()[:, None] - rows.double()).norm(dim=-1)
    return (torch.cdist(rows, rows, **mode) - true).abs().max().item()


direct = error(X, compute_mode="donot_use_mm_for_euclid_dist")
print("largest error, 25 rows:", error(X[:25]), " 26 rows:", error(X), " without the product:", direct)
print("float64, 25 rows:", error(Z[:25]), " 26 rows:", error(Z))
assert error(X[:25]) < 1e-6 and direct < 1e-6 and error(X) > 1
assert error(Z[:25]) < 1e-14 and error(Z) > 1e-7
END
