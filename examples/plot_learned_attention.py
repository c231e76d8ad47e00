"""
What if the kernel is learned?
==============================

A hand-picked kernel looks at all features alike: samples (training rows) that differ in a feature without influence
seem far away. ``AttentionRegressor`` learns from the targets (the labels) what to look at.
"""

# %%
# One feature in ten makes a wave; nine are noise. To a kernel with one bandwidth for all features, hardly any sample is
# near, and those that are nearest have little to say: what it looks at is scattered. The learned one looks along the
# diagonal, at samples that are alike in the first feature. Rows and columns are ordered by that.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.metrics import r2_score

from sknw import AttentionDisplay, AttentionRegressor, NadarayaWatsonRegressor, ScaleDisplay

rng = np.random.default_rng(0)
X = rng.uniform(-3, 3, size=(150, 10))
y = np.sin(X[:, 0]) + 0.3 * rng.normal(size=150)
queries = rng.uniform(-3, 3, size=(1000, 10))
truth = np.sin(queries[:, 0])

models = {
    "picked by hand": NadarayaWatsonRegressor().fit(X, y),
    "learned": AttentionRegressor(degree=0, random_state=0).fit(X, y),
}
# sphinx_gallery_alt = "Two heatmaps of attention: a fog for the kernel picked by hand, a diagonal for the learned one."
fig, axes = plt.subplots(1, 2, figsize=(12, 5), layout="constrained")
for ax, (name, model) in zip(axes, models.items(), strict=True):
    AttentionDisplay.from_estimator(model, X, queries[:150], ax=ax, vmax=0.5)
    ax.set_title(f"{name}: R² against the truth {r2_score(truth, model.predict(queries)):.2f}")
plt.show()

# %%
# Each of five heads has learned scales of its own, without a fifth of the samples. Their spread tells how sure a scale
# is. Beside them the slopes that the prediction has in each feature. With local lines, the default, a feature with a
# small scale can still be important: it then has one slope everywhere.
model = AttentionRegressor(random_state=0).fit(X, y)
# sphinx_gallery_alt = "Scales and importances of ten features: the first stands out in both."
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
ScaleDisplay.from_estimator(model, ax=left)
left.set_title("Scales")
right.barh(range(10), model.feature_importances_, color="#0072B2")
right.set(title="Importances", xlabel="share of squared slopes", yticks=range(10))
right.invert_yaxis()
plt.show()

print(f"R² of samples that a head has not seen: {model.oof_score_:.2f}")
print(f"R² against the truth, on new samples:   {r2_score(truth, model.predict(queries)):.2f}")
