"""
What does the bandwidth do?
===========================

The bandwidth is the distance at which attention fades: the standard deviation of the Gaussian kernel. It decides more
than the kernel does.
"""

# %%
# The textbook's four widths. A narrow kernel follows the noise, a wide one flattens the truth.
import matplotlib.pyplot as plt
import numpy as np

from sknw import AttentionDisplay, NadarayaWatsonRegressor, RegressionDisplay
from sknw.datasets import make_sine


def truth(x):
    return 2 * np.sin(x) + x


X, y = make_sine(n_samples=40, random_state=1)
models = [NadarayaWatsonRegressor(bandwidth=bandwidth).fit(X, y) for bandwidth in (0.1, 0.2, 0.5, 1.0)]

# sphinx_gallery_alt = "Four fits: the narrowest is jagged, the widest is too flat."
fig, axes = plt.subplots(1, 4, figsize=(11, 3.2), sharey=True, layout="constrained")
for ax, model in zip(axes, models, strict=True):
    RegressionDisplay.from_estimator(model, X, y, truth=truth, ax=ax)
    ax.set_title(f"bandwidth {model.bandwidth}")
    ax.get_legend().set_visible(ax is axes[0])
plt.show()

# %%
# The attention of 50 queries. The narrower the kernel, the sharper the attention; where samples (training rows) are
# sparse, a narrow kernel looks at one only.
grid = np.linspace(0, 5, 50)[:, None]
# sphinx_gallery_alt = "Four heatmaps of attention along a diagonal that widens from left to right."
fig, axes = plt.subplots(1, 4, figsize=(11, 3.2), sharey=True, layout="constrained")
for ax, model in zip(axes, models, strict=True):
    AttentionDisplay.from_estimator(model, X, grid, ax=ax)
    ax.set_title(f"bandwidth {model.bandwidth}")
plt.show()

# %%
# How many parameters would a linear model need to be as flexible? The leverages tell, which are what each target
# (label) weighs in the fit to its own sample. Their sum, the trace of the matrix of weights, is called the effective
# degrees of freedom.
for model in models:
    print(f"bandwidth {model.bandwidth}: {model.attention_weights_.trace():4.1f} degrees of freedom")

# %%
# At the extremes: a bandwidth near zero predicts the target of the nearest sample, also far from all of them; a huge
# one predicts the mean.
for bandwidth in (1e-9, 1e9):
    model = NadarayaWatsonRegressor(bandwidth=bandwidth).fit(X, y)
    print(f"bandwidth {bandwidth:g}: f(1000) = {model.predict([[1000.0]])[0]:.4f}")
print(f"the last target: {y[-1]:.4f}, the mean of all: {y.mean():.4f}")
