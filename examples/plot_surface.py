"""
What does a fit in two features look like?
==========================================

A surface. With two features, attention is a hill about the query: round with one bandwidth, stretched with one a
feature.
"""

# %%
# Six hundred noisy observations of a ridge that runs along the second feature.
import matplotlib.pyplot as plt
import numpy as np

from sknw import NadarayaWatsonRegressor

rng = np.random.default_rng(0)
X = rng.uniform(-2, 2, size=(600, 2))


def truth(X):
    return np.sin(2 * X[:, 0]) + 0.3 * X[:, 1]


y = truth(X) + 0.3 * rng.normal(size=600)
model = NadarayaWatsonRegressor(bandwidth="ard").fit(X, y)
print(f"bandwidths {model.bandwidth_.round(2)}, by {model.algorithm_!r}")

# %%
# The truth and the fit, at ten thousand queries. The fit is flatter at the edges, where all samples (training rows) in
# reach lie on one side.

# sphinx_gallery_alt = "Two maps of waves along the first feature: the truth, and a fit that is nearly the same."
axis = np.linspace(-2, 2, 100)
grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
surfaces = {"truth": truth(grid), "fit": model.predict(grid)}
fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for ax, (name, surface) in zip(axes, surfaces.items(), strict=True):
    image = ax.contourf(axis, axis, surface.reshape(100, 100), levels=np.linspace(-2, 2, 17), extend="both")
    ax.scatter(*X.T, c="white", s=2, alpha=0.6)
    ax.set(title=name, xlabel="feature 0", aspect="equal")
axes[0].set_ylabel("feature 1")
fig.colorbar(image, ax=axes, label="y")
plt.show()

# %%
# Which samples does the query in the middle look at? With one bandwidth a feature, at those of a narrow strip: along
# feature 1 little changes, so that samples further away are welcome.

# sphinx_gallery_alt = "Samples, larger with more weight: a round cloud on the left, an upright strip on the right."
query = np.array([[0.0, 0.0]])
fig, axes = plt.subplots(1, 2, figsize=(10, 4), sharey=True, layout="constrained")
for ax, bandwidth in zip(axes, ("loo", "ard"), strict=True):
    model = NadarayaWatsonRegressor(bandwidth=bandwidth).fit(X, y)
    weights = model.attention_weights(query)[0]
    ax.scatter(*X.T, c=weights, s=4 + 4000 * weights, edgecolors="0.5", linewidths=0.3)
    ax.plot(*query[0], "*", markersize=14, color="C1", markeredgecolor="white")
    ax.set(title=f"bandwidth={bandwidth!r}", xlabel="feature 0", aspect="equal")
axes[0].set_ylabel("feature 1")
plt.show()
