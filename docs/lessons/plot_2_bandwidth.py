"""
2. Choosing the bandwidth
=========================

The bandwidth decides more than the kernel. This lesson finds it from the data, and says how far to trust what is found.
"""

# %%
# The error on samples that were fitted
# -------------------------------------
#
# A first idea: take the bandwidth with the smallest error on the samples (the training rows). It fails. The narrower
# the kernel, the more each sample looks at itself (its leverage grows), and the error goes to zero while the fit gets
# worse.
import matplotlib.pyplot as plt
import numpy as np

from sknw import BandwidthDisplay, NadarayaWatsonRegressor, RegressionDisplay, bandwidth_path
from sknw.datasets import make_sine


def truth(x):
    return 2 * np.sin(x) + x


X, y = make_sine(n_samples=40, random_state=1)
grid = np.linspace(0, 5, 200)[:, None]

bandwidths = np.geomspace(0.02, 3, 40)
on_fitted, against_truth = [], []
for bandwidth in bandwidths:
    model = NadarayaWatsonRegressor(bandwidth=bandwidth).fit(X, y)
    on_fitted.append(np.mean((model.predict(X) - y) ** 2))
    against_truth.append(np.mean((model.predict(grid) - truth(grid[:, 0])) ** 2))

# %%
# The error on samples that were left out
# ---------------------------------------
#
# A second idea: predict each sample from all others, and look at that error. This is leave-one-out. For a weighted mean
# it costs no more than fitting once: the sample's own weight is left out of the sums. ``predict(None)`` has the
# predictions, and :func:`sknw.bandwidth_path` the errors for many bandwidths at once.
path = bandwidth_path(X, y, bandwidths)

# sphinx_gallery_alt = "Three errors over the bandwidth: on fitted samples it rises from zero, the others dip."
fig, ax = plt.subplots(figsize=(6.5, 4), layout="constrained")
ax.plot(bandwidths, on_fitted, label="on the samples that were fitted")
ax.plot(bandwidths, path.scores, label="leave-one-out")
ax.plot(bandwidths, against_truth, color="0.3", linestyle="--", label="against the truth")
ax.set(xscale="log", xlabel="bandwidth", ylabel="mean squared error", ylim=(0, None))
ax.legend()
plt.show()

# %%
# The leave-one-out error lies above the error against the truth, for it contains the noise of the targets (the labels);
# but it falls and rises with it. The two minima are not at the same bandwidth, for forty samples are few. What is
# chosen without the truth is not the best, but good beside most other bandwidths.
print(f"lowest leave-one-out error at a bandwidth of {path.best_bandwidth:.2f}")
print(f"lowest error against the truth at            {bandwidths[np.argmin(against_truth)]:.2f}")
print(f"error against the truth by the first: {against_truth[path.best_index]:.2f}")
print(f"by all bandwidths: from {min(against_truth):.2f} to {max(against_truth):.2f}")

# %%
# Let the estimator do it
# -----------------------
#
# ``bandwidth="loo"`` is the default: ``fit`` searches six decades of bandwidths, and reports what it tried.
model = NadarayaWatsonRegressor().fit(X, y)
search = model.bandwidth_search_
print(f"bandwidth {model.bandwidth_[0]:.3f}, {search.n_evaluations} tried: {search.status}")
print(search.message)

# %%

# sphinx_gallery_alt = "Left: the leave-one-out error with its minimum marked. Right: the fit with that bandwidth."
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
BandwidthDisplay.from_estimator(model, ax=left)
RegressionDisplay.from_estimator(model, X, y, truth=truth, ax=right)
plt.show()

# %%
# How sure is the choice?
# -----------------------
#
# Not very, with forty samples. Here are the bandwidths for a hundred other data sets of the same truth, by
# leave-one-out and by two other criteria. The corrected Akaike criterion, ``bandwidth="aicc"``, strays least towards
# narrow ones. (Now and then a search ends at its largest bandwidth. A warning says so; here it is silenced.)
import warnings

warnings.filterwarnings("ignore", message="The search for bandwidth")
rules = ("loo", "gcv", "aicc")
found = {rule: [] for rule in rules}
for seed in range(100):
    data = make_sine(n_samples=40, random_state=seed)
    for rule in rules:
        found[rule].append(NadarayaWatsonRegressor(bandwidth=rule).fit(*data).bandwidth_[0])
for rule in rules:
    low, middle, high = np.quantile(found[rule], (0.05, 0.5, 0.95))
    print(f"{rule:<5} median {middle:.2f}, nine in ten from {low:.2f} to {high:.2f}")

# %%
# Now and then, generalised cross-validation takes a bandwidth near zero, and the fit goes through every target. The
# others differ less than it seems: near the minimum the error is flat, and bandwidths a third apart predict nearly
# alike.
#
# What a sample may be
# --------------------
#
# Leaving out one sample is honest only where samples are independent. Those that repeat each other, or that belong to
# one patient, have to be left out together: :doc:`/how_to/tune` shows how. And a fit is not its expectation: how far it
# may be off is told in :doc:`/guide/uncertainty`.
#
# Up to here the kernel looked at one distance. :ref:`The last lesson <sphx_glr_tutorial_plot_3_learning.py>` lets the
# data decide what "near" means.
