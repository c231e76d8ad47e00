#!/usr/bin/env bash
# statsmodels 0.15.0: the tricube kernel of KernelReg has its largest value outside its support
#
# One would expect: KernelReg(..., ckertype="tricube") weighs samples within one bandwidth, none beyond.
# What happens: scaled distances above 1 are set to 0 before the formula, not weights after it, so every sample
#   beyond the bandwidth weighs 70/81, as much as one at distance 0.
# Seen: weights at 0, 0.5, 1, 2, 100 bandwidths: .864 .579 0 .864 .864. Bandwidths of 0.001 and of 1e6 both answer
#   the mean of all samples, and one of 0.3 nearly so.
# Why it matters: it is the kernel of loess, and the only one that ends in KernelReg. The fit has no error and no
#   warning, just hardly any shape, and its numbers cannot be used as reference.
# Source: came with pull request 6375; found here.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile 'statsmodels==0.15.0' 'scipy==1.17.1' 'numpy==2.4.6' 'pandas==3.1.1'

"$folder/venv/bin/python" -W ignore - <<'END'
import numpy as np
from statsmodels.nonparametric.kernel_regression import KernelReg
from statsmodels.nonparametric.kernels import tricube

u = np.array([0, 0.5, 1, 2, 100.0])
weights = tricube(1.0, u, 0.0)
print("weights at", u, ":", weights.round(3))
assert np.allclose(weights, [70 / 81, 70 / 81 * 0.875**3, 0, 70 / 81, 70 / 81])

x = np.linspace(0, 5, 60)
y = 2 * np.sin(x) + x
at = np.array([1.0, 2.5])
w = np.maximum(1 - (abs(at[:, None] - x) / 0.3) ** 3, 0) ** 3
print("by the formula:", w @ y / w.sum(1), " mean of all:", y.mean())
for bandwidth in (1e-3, 0.3, 1e6):
    fit = KernelReg(y, x, "c", "lc", bw=[bandwidth], ckertype="tricube").fit(at)[0]
    print("bandwidth", bandwidth, ":", fit)
    assert np.allclose(fit, y.mean(), atol=0.2 if bandwidth == 0.3 else 1e-6)
END
