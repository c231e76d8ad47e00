"""
Which features matter?
======================

With one bandwidth for all, a feature that tells nothing of the targets (the labels) makes close samples (training rows)
look far apart. With one bandwidth a feature, found by ``bandwidth="ard"`` (automatic relevance determination), it is
dropped.
"""

# %%
# Friedman's first function depends on five features, the last of them linearly and weakly; here are ten more of noise.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_friedman1

from sknw import BandwidthDisplay, NadarayaWatsonRegressor

X, y = make_friedman1(n_samples=900, n_features=15, noise=1.0, random_state=0)
X, y, X_test, y_test = X[:400], y[:400], X[400:], y[400:]

alike = NadarayaWatsonRegressor(bandwidth="loo").fit(X, y)
model = NadarayaWatsonRegressor(bandwidth="ard").fit(X, y)
print(f"one multiple of the spreads: R2 {alike.score(X_test, y_test):.2f}")
print(f"one bandwidth a feature:     R2 {model.score(X_test, y_test):.2f}")
print(model.bandwidth_search_.message)

# %%
# The narrower the bandwidth, the more a feature matters: attention fades over a shorter stretch of it. The inverse is
# the relevance, in units of the feature's spread; zero is a feature that was dropped. To the right, all bandwidths that
# were tried, from several starts.

# sphinx_gallery_alt = "Left: bars of relevance, most of them zero. Right: scores of all bandwidths that were tried."
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
left.bar(np.arange(15), X.std(axis=0) / model.bandwidth_)
left.set(xlabel="feature", ylabel="spread / bandwidth", xticks=np.arange(15))
BandwidthDisplay.from_estimator(model, ax=right)
plt.show()

# %%
# The search follows the gradient of the leave-one-out error, drawn a little to equal multiples of the spreads, which
# keeps it honest where samples are few. Kernels of compact support (those that end) have no useful gradient: they are
# searched along one feature after the other, which takes longer.
