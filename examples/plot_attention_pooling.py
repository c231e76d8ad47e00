"""
What does attention pooling predict?
====================================

Nadaraya-Watson regression predicts the mean of the targets (the labels), weighted by attention: a kernel of the
distance between the query and each sample (a training row). This example follows the textbook (Dive into Deep Learning,
section 11.2): 40 noisy observations of 2 sin(x) + x, and four kernels picked by hand.
"""

# %%
# One prediction first, at x = 3. The larger and brighter a sample, the more attention the query pays to it; the
# prediction, the star, is the mean of the targets with these weights. On the right the attention of all queries: each
# row of the heatmap is a query, each column a sample, and each row sums to one.
import matplotlib.pyplot as plt
import numpy as np

from sknw import AttentionDisplay, NadarayaWatsonRegressor, RegressionDisplay
from sknw.datasets import make_sine


def truth(x):
    return 2 * np.sin(x) + x


X, y = make_sine(n_samples=40, random_state=1)
grid = np.linspace(0, 5, 50)[:, None]
query = np.array([[3.0]])

model = NadarayaWatsonRegressor(bandwidth=0.4).fit(X, y)
weights = model.attention_weights(query)[0]
# sphinx_gallery_alt = "Left: data and fit, samples near the query large and bright. Right: a heatmap with a diagonal."
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
RegressionDisplay.from_estimator(
    model, X, y, ax=left, color="0.4", scatter_kwargs={"c": weights, "s": 15 + 1000 * weights, "edgecolors": "0.3"}
)
left.plot(query[0], model.predict(query), "*", markersize=18, color="tab:red", markeredgecolor="white")
left.get_legend().remove()
AttentionDisplay.from_estimator(model, X, grid, ax=right)
plt.show()

# %%
# The four kernels, with the textbook's bandwidth of 1.
kernels = ["gaussian", "boxcar", "constant", "triangular"]
models = {kernel: NadarayaWatsonRegressor(kernel, bandwidth=1.0).fit(X, y) for kernel in kernels}

# %%
# ``predict(None)`` predicts each sample from all others. The leave-one-out error is an honest estimate of the error on
# new data; here the truth is known, and the two can be compared. (The noise alone has a variance of 1.)
print(f"{'kernel':<12} {'bandwidth':>9} {'leave-one-out error':>20} {'error against truth':>20}")
for kernel, model in models.items():
    left_out = np.mean((model.predict(None) - y) ** 2)
    against_truth = np.mean((model.predict(grid) - truth(grid[:, 0])) ** 2)
    print(f"{kernel:<12} {model.bandwidth_:>9.2f} {left_out:>20.3f} {against_truth:>20.3f}")

# %%
# The fits. The constant kernel gives every query the mean of all targets; the other three find the shape.

# sphinx_gallery_alt = "Four fits: smooth and too flat, with steps, level, and near the truth."
fig, axes = plt.subplots(1, 4, figsize=(11, 3.2), sharey=True, layout="constrained")
for ax, (kernel, model) in zip(axes, models.items(), strict=True):
    RegressionDisplay.from_estimator(model, X, y, truth=truth, ax=ax)
    ax.set_title(kernel)
    ax.get_legend().set_visible(ax is axes[0])
plt.show()

# %%
# The attention behind them. The three pay attention to samples nearby, along the diagonal; the constant kernel to all
# alike.

# sphinx_gallery_alt = "Four heatmaps of attention: three bright along the diagonal, that of the constant kernel even."
fig, axes = plt.subplots(1, 4, figsize=(11, 3.2), sharey=True, layout="constrained")
highest = max(model.attention_weights(grid).max() for model in models.values())
for ax, (kernel, model) in zip(axes, models.items(), strict=True):
    AttentionDisplay.from_estimator(model, X, grid, ax=ax, vmax=highest, colorbar=ax is axes[-1])
    ax.set_title(kernel)
plt.show()

# %%
# A bandwidth of 1 means more for the Gaussian kernel, whose standard deviation it is, than for those of compact
# support, which end there. If each finds its own bandwidth by leave-one-out, their attention is nearly the same, and so
# are their predictions: the choice of the kernel matters little.
tuned = {kernel: NadarayaWatsonRegressor(kernel).fit(X, y) for kernel in ("gaussian", "boxcar", "triangular")}
# sphinx_gallery_alt = "Three heatmaps of attention, each a diagonal of about the same width."
fig, axes = plt.subplots(1, 3, figsize=(11, 3.5), sharey=True, layout="constrained")
highest = max(model.attention_weights(grid).max() for model in tuned.values())
for ax, (kernel, model) in zip(axes, tuned.items(), strict=True):
    AttentionDisplay.from_estimator(model, X, grid, ax=ax, vmax=highest, colorbar=ax is axes[-1])
    ax.set_title(f"{kernel}, bandwidth {model.bandwidth_[0]:.2f}")
plt.show()

gaussian = tuned["gaussian"].attention_weights(grid)
for kernel, model in tuned.items():
    correlation = np.corrcoef(gaussian.ravel(), model.attention_weights(grid).ravel())[0, 1]
    print(f"{kernel:<12} correlation of its attention with the Gaussian's: {correlation:.3f}")
