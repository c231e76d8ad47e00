"""
3. Learning the kernel
======================

In a transformer, attention is learned: the network finds out what makes a key worth looking at. A kernel that was
picked by hand measures the distance in all features alike. This lesson lets the data weigh the features.
"""

# %%
# Features that tell nothing
# --------------------------
#
# Friedman's function depends on five features. Here are five more that are noise, and a hundred samples to test on.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import make_friedman1

from sknw import AttentionRegressor, NadarayaWatsonRegressor

X, y = make_friedman1(n_samples=500, n_features=10, noise=1.0, random_state=0)
X, y, X_test, y_test = X[:400], y[:400], X[400:], y[400:]

by_hand = NadarayaWatsonRegressor(bandwidth="loo").fit(X, y)
print(f"one bandwidth for all features: R2 {by_hand.score(X_test, y_test):.2f}")

# %%
# A bandwidth for each feature
# ----------------------------
#
# With one bandwidth a feature,
#
# .. math::
#
#     a_i(q) \propto K\left(\sqrt{\sum_k (q_k - x_{ik})^2 / h_k^2}\right),
#
# a feature with a huge bandwidth has no influence. There are now ten numbers to find, too many for a grid. But the
# leave-one-out error has a gradient, and ``bandwidth="ard"`` (automatic relevance determination) follows it: this is
# gradient descent on the parameters of attention.
learned = NadarayaWatsonRegressor(bandwidth="ard").fit(X, y)
print(f"one bandwidth a feature:        R2 {learned.score(X_test, y_test):.2f}")
print(learned.bandwidth_search_.message)

# %%
# What was learned can be read off: the narrower the bandwidth, the more a feature matters. Zero is a feature that was
# dropped. Not every feature of noise is: one that happens to help in these four hundred samples (the training rows)
# stays.

# sphinx_gallery_alt = "Bars of the relevance of ten features: the first four are high, the others low or zero."
fig, ax = plt.subplots(figsize=(6.5, 3.5), layout="constrained")
ax.bar(np.arange(10), X.std(axis=0) / learned.bandwidth_)
ax.set(xlabel="feature", ylabel="spread / bandwidth", xticks=np.arange(10))
plt.show()

# %%
# Attention, before and after
# ---------------------------
#
# With one bandwidth for all features, a query spreads its attention over many samples, most of which are near in
# features that do not matter. With what was learned it looks at fewer, and at better ones: the targets (the labels) of
# the samples that it looks at are closer to its own.
for name, model in (("one bandwidth", by_hand), ("one a feature", learned)):
    weights = model.attention_weights(X_test)
    distance = np.average(np.abs(y_test[:, None] - y), weights=weights)
    n_samples = model.effective_sample_size(X_test).mean()
    print(f"{name}: looks at {n_samples:5.1f} samples, whose targets are off by {distance:.2f}")

# %%
# Several heads, and lines
# ------------------------
#
# :class:`sknw.AttentionRegressor` goes two steps further. Where all means lag behind a slope, it fits a line about each
# query, with the attention as its weights. And like a transformer it has several heads: five metrics, each learned
# without a fifth of the samples, whose mean is steadier than one. Those left-out samples tell how well it does.
heads = AttentionRegressor(random_state=0).fit(X, y)
print(f"five heads of local lines:      R2 {heads.score(X_test, y_test):.2f}")
print(f"expected from left-out samples:    {heads.oof_score_:.2f}")
print("importances of the features:", heads.feature_importances_.round(2))

# %%
# What comes next
# ---------------
#
# The :doc:`user guide </guide/index>` has the reasons behind all this, and :doc:`the how-to pages </how_to/index>` the
# recipes. In the gallery, :ref:`sphx_glr_gallery_plot_learned_attention.py` looks at the heads one by one, and
# :ref:`sphx_glr_gallery_plot_diabetes.py` puts learned attention beside other learners.
