"""
Which patients does a prediction rest on?
=========================================

A learned attention is compared with other learners on a real table, the progress of diabetes in 442 patients, and asked
for the samples behind a prediction: a thing that an ensemble of trees does not tell.
"""

# %%
# Five folds, the same for all. Every contender but the learned attention has its parameters chosen by a grid search
# within the samples (training rows) of a fold. On these data a straight line does about as well as anything, and the
# learned attention finds that out by itself. All work with one thread, so that the times can be compared.
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
from sklearn.kernel_ridge import KernelRidge
from sklearn.model_selection import GridSearchCV, KFold, cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from sknw import AttentionRegressor, NadarayaWatsonRegressor

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
folds = KFold(5, shuffle=True, random_state=0)


def tuned(model, **grid):
    """A model in a grid search over parameters of its own."""
    return make_pipeline(StandardScaler(), GridSearchCV(model, grid, cv=3))


models = {
    "AttentionRegressor": AttentionRegressor(random_state=0),
    "NadarayaWatsonRegressor": NadarayaWatsonRegressor(),
    "KNeighborsRegressor": tuned(KNeighborsRegressor(), n_neighbors=[5, 10, 20, 40]),
    "KernelRidge": tuned(KernelRidge(kernel="rbf"), alpha=[0.03, 0.1, 0.3, 1], gamma=[0.003, 0.01, 0.03]),
    "RandomForest": tuned(RandomForestRegressor(100, random_state=0), min_samples_leaf=[1, 5]),
    "HistGradientBoosting": tuned(HistGradientBoostingRegressor(random_state=0), max_leaf_nodes=[6, 31]),
}
print(f"{'':26s}{'R²':>6}{'seconds a fit':>16}")
for name, model in models.items():
    start = perf_counter()
    with threadpool_limits(1):
        scores = cross_val_score(model, X, y, cv=folds)
    print(f"{name:26s}{scores.mean():6.2f}{(perf_counter() - start) / 5:16.1f}")

# %%
# The patients with the largest attention for one prediction, of a model that has not seen the patient. `weight` is
# their effective weight, what their targets (the labels) weigh in the prediction; that of a local line can be negative.
patient, others, targets = X[:1], X[1:].reset_index(drop=True), y[1:]
model = models["AttentionRegressor"].fit(others, targets)
print(f"predicted {model.predict(patient)[0]:.0f}, in fact {y[0]:.0f}")
explanation = model.explain(patient, n_rows=5)
print(explanation.round(3).to_string(index=False))
print(others.iloc[explanation["row"]].round(1).to_string())

# %%
# All targets and their weights. Some samples carry much, and most carry a little: the prediction is a line through a
# wide neighbourhood.
weights = model.attention_weights(patient)[0]
# sphinx_gallery_alt = "Left: weights of all targets, most near zero, some negative. Right: ten importances."
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
left.scatter(targets, weights, s=12, color="#0072B2")
left.axhline(0, color="black", linewidth=0.5)
left.axvline(model.predict(patient)[0], color="#D55E00", label="prediction")
left.set(title="Weights of the targets", xlabel="progress of the disease", ylabel="weight")
left.legend()
order = np.argsort(model.feature_importances_)
right.barh(X.columns[order], model.feature_importances_[order], color="#0072B2")
right.set(title="Importances", xlabel="share of squared slopes")
plt.show()
