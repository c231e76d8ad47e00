"""
1. Attention pooling
====================

Somebody asks you to predict a number, and shows you forty observations. What would you answer? This lesson goes from
the mean of all targets (the labels) to a mean that pays attention.
"""

# %%
# Data
# ----
#
# The textbook's: x is uniform between 0 and 5, and y is 2 sin(x) + x, with noise whose standard deviation is 1. Nobody
# would see that formula in practice; here it is the truth that predictions are compared with.
import matplotlib.pyplot as plt
import numpy as np

from sknw import KERNELS, AttentionDisplay, KernelDisplay, NadarayaWatsonRegressor, RegressionDisplay
from sknw.datasets import make_sine


def truth(x):
    return 2 * np.sin(x) + x


X, y = make_sine(n_samples=40, random_state=1)
grid = np.linspace(0, 5, 50)[:, None]
print(X.shape, y.shape)

# %%
# The mean
# --------
#
# Without looking at x, the best single answer is the mean of the targets. It ignores all that x could tell.

# sphinx_gallery_alt = "Forty points about a rising wave, the wave as a dashed line, and the mean as a level line."
fig, ax = plt.subplots(figsize=(6, 4), layout="constrained")
ax.scatter(X[:, 0], y, s=15, color="0.5", label="data")
ax.plot(grid, truth(grid), color="0.3", linestyle="--", label="truth")
ax.axhline(y.mean(), label="mean")
ax.set(xlabel="x", ylabel="y")
ax.legend()
plt.show()

# %%
# Kernels
# -------
#
# If you are asked for y at x = 3, an observation at 2.9 ought to count for more than one at 0.5. In 1964, E. A.
# Nadaraya and G. S. Watson each proposed a weighted mean,
#
# .. math::
#
#     f(q) = \sum_i a_i(q) \, y_i, \qquad a_i(q) = \frac{K(|q - x_i| / h)}{\sum_j K(|q - x_j| / h)}.
#
# :math:`K` is the **kernel**: a function of the distance that is 1 at zero and falls from there. :math:`h` is the
# **bandwidth**, the unit of that distance. Today one says: the **query** :math:`q` is compared with the **keys**
# :math:`x_i`, and gets a mean of the **values** :math:`y_i` with **attention weights** :math:`a_i(q)`, which are not
# negative and sum to one.
#
# The textbook has four kernels:

# sphinx_gallery_alt = "Four kernels: a bell, a box, a level line, and a triangle, each 1 at distance zero."
names = ["gaussian", "boxcar", "constant", "triangular"]
fig, axes = plt.subplots(1, 4, figsize=(10, 2.6), sharey=True, layout="constrained")
for ax, name in zip(axes, names, strict=True):
    KernelDisplay.from_kernels(KERNELS[name], ax=ax)
    ax.get_legend().remove()
    ax.set(title=name, xlabel="u")
plt.show()

# %%
# Pooling
# -------
#
# One prediction by hand, with the Gaussian kernel and a bandwidth of 1: compare, weigh, divide, average.
query, bandwidth = 3.0, 1.0
u = np.abs(query - X[:, 0]) / bandwidth
weights = KERNELS["gaussian"](u)
weights = weights / weights.sum()
print(f"sum of the weights: {weights.sum():.6f}")
print(f"by hand:   {weights @ y:.6f}")

# %%
# An estimator of scikit-learn does the same, for as many queries as you like:
model = NadarayaWatsonRegressor("gaussian", bandwidth=1.0).fit(X, y)
print(f"estimator: {model.predict([[query]])[0]:.6f}")

# %%
# The four fits. With the constant kernel every sample (training row) counts alike, and the answer is the mean again.
# The other three find the shape of the truth, and none of them finds all of it: a bandwidth of 1 is too wide, as we
# shall see.

# sphinx_gallery_alt = "Four fits: the Gaussian, boxcar and triangular kernels follow the wave, the constant is level."
models = {name: NadarayaWatsonRegressor(name, bandwidth=1.0).fit(X, y) for name in names}
fig, axes = plt.subplots(1, 4, figsize=(10, 3), sharey=True, layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    RegressionDisplay.from_estimator(model, X, y, truth=truth, ax=ax)
    ax.set_title(name)
    ax.get_legend().remove()
plt.show()

for name, model in models.items():
    error = np.mean((model.predict(grid) - truth(grid[:, 0])) ** 2)
    print(f"{name:<12} mean squared error against the truth: {error:.3f}")

# %%
# Heatmaps
# --------
#
# Attention is something to look at. Each row of a heatmap is a query, each column a key, and each row sums to one. The
# keys are sorted, so that attention to what is near lies on the diagonal.

# sphinx_gallery_alt = "Four heatmaps of attention: three are bright along the diagonal, the constant is even."
fig, axes = plt.subplots(1, 4, figsize=(10, 3), sharey=True, layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    AttentionDisplay.from_estimator(model, X, grid, ax=ax, vmax=0.15, colorbar=ax is axes[-1])
    ax.set_title(name)
for ax in axes[1:]:
    ax.set_ylabel("")
plt.show()

# %%
# Widths
# ------
#
# The kernel's shape matters little. Its width matters much: a narrow kernel follows every observation, noise included;
# a wide one sees little but the mean.

# sphinx_gallery_alt = "Four fits by a Gaussian kernel, from a jagged line at bandwidth 0.1 to a flat curve at 1."
widths = (0.1, 0.2, 0.5, 1.0)
fig, (fits, maps) = plt.subplots(2, 4, figsize=(10, 5.4), sharey="row", layout="constrained")
for above, below, width in zip(fits, maps, widths, strict=True):
    model = NadarayaWatsonRegressor(bandwidth=width).fit(X, y)
    RegressionDisplay.from_estimator(model, X, y, truth=truth, ax=above)
    above.get_legend().remove()
    above.set_title(f"bandwidth {width}")
    AttentionDisplay.from_estimator(model, X, grid, ax=below, vmax=0.5, colorbar=width == widths[-1])
for ax in (*fits[1:], *maps[1:]):
    ax.set_ylabel("")
plt.show()

# %%
# In the narrowest heatmap, a query looks at about three keys; in the widest, at half of them. Which width is best? The
# truth would tell, but nobody has it. :ref:`The next lesson <sphx_glr_tutorial_plot_2_bandwidth.py>` asks the data.
