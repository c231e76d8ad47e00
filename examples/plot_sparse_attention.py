"""
When is attention sparse?
=========================

When the kernel has compact support: when it ends. A Gaussian pays at least a little attention to every sample (training
row); a kernel that ends at one bandwidth gives exact zeros to all samples beyond. Predictions are hardly different, and
what each rests on is a short list.
"""

# %%
# Two kernels, each with the bandwidth that leave-one-out finds. The Gaussian's attention fades, Epanechnikov's stops.
# (Colours are logarithmic; white is exactly zero.)
import matplotlib.pyplot as plt
import numpy as np

from sknw import AttentionDisplay, NadarayaWatsonRegressor, RegressionDisplay
from sknw.datasets import make_sine

X, y = make_sine(n_samples=40, random_state=1)
grid = np.linspace(0, 5, 50)[:, None]
models = {name: NadarayaWatsonRegressor(name).fit(X, y) for name in ("gaussian", "epanechnikov")}

# sphinx_gallery_alt = "Two heatmaps: the Gaussian's attention fills all of it, Epanechnikov's is a band, white beside."
fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    AttentionDisplay.from_estimator(model, X, grid, ax=ax, scale="log")
    ax.set_title(f"{name}, bandwidth {model.bandwidth_[0]:.2f}")
plt.show()

# %%
# ``sparse=True`` makes a sparse array of the weights, without a dense one on the way: here for twenty thousand queries
# by as many samples.
X_many, y_many = make_sine(n_samples=20_000, random_state=0)
model = NadarayaWatsonRegressor("epanechnikov", bandwidth=0.05).fit(X_many, y_many)
weights = model.attention_weights(X_many, sparse=True)
print(f"{weights.shape}: {weights.nnz / weights.shape[0]:.0f} samples in reach of an average query")
print(f"sparse {weights.data.nbytes / 1e6:.0f} MB, dense {np.prod(weights.shape) * 8 / 1e6:.0f} MB")
print("the prediction is still the product:", np.allclose(weights @ y_many, model.predict(X_many)))

# %%
# The price: a query may have no sample in reach at all. What it gets then is yours to say, with ``fallback``.
# "nearest", the default, continues what a narrow kernel does; "mean" is the mean of all targets (the labels); "nan" and
# "raise" refuse. A warning tells of it.
import warnings

warnings.filterwarnings("ignore", message=".*no training row in reach")
gap = (X[:, 0] < 2) | (X[:, 0] > 3.2)

# sphinx_gallery_alt = "Three fits across a gap in the data: a step, a jump to the mean, and a hole."
fig, axes = plt.subplots(1, 3, figsize=(10, 3.4), sharey=True, layout="constrained")
for ax, fallback in zip(axes, ("nearest", "mean", "nan"), strict=True):
    model = NadarayaWatsonRegressor("epanechnikov", bandwidth=0.4, fallback=fallback).fit(X[gap], y[gap])
    RegressionDisplay.from_estimator(model, X[gap], y[gap], ax=ax)
    ax.set_title(f"fallback={fallback!r}")
    ax.get_legend().remove()
plt.show()
