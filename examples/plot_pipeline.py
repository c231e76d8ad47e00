"""
How does it work in a pipeline?
===============================

As any regressor of scikit-learn does. This example predicts the progression of diabetes from ten measurements of 442
patients, and asks which patients a prediction rests on.
"""

# %%
# One bandwidth for all features makes sense only where the features have one scale: standardise them first. (With
# ``bandwidth="loo"`` each feature's spread is taken into account, and scaling changes nothing; in a grid of numbers it
# does.)
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes
from sklearn.linear_model import RidgeCV
from sklearn.metrics import PredictionErrorDisplay
from sklearn.model_selection import GridSearchCV, KFold, cross_val_predict, cross_val_score
from sklearn.neighbors import KNeighborsRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sknw import BandwidthDisplay, NadarayaWatsonRegressor

X, y = load_diabetes(return_X_y=True, scaled=False)
folds = KFold(5, shuffle=True, random_state=0)
pipeline = make_pipeline(StandardScaler(), NadarayaWatsonRegressor())
grid = {
    "nadarayawatsonregressor__kernel": ["gaussian", "exponential"],
    "nadarayawatsonregressor__bandwidth": np.geomspace(0.1, 10, 9),
}
search = GridSearchCV(pipeline, grid, cv=folds).fit(X, y)
chosen = search.best_estimator_[-1]
print(f"{chosen.kernel}, {chosen.bandwidth:.3f}: R2 {search.best_score_:.3f}")

# %%
# The score of every candidate, averaged over the folds:

# sphinx_gallery_alt = "The mean test score over the bandwidth for two kernels, each with a peak; the higher is marked."
fig, ax = plt.subplots(figsize=(9, 3.6), layout="constrained")
BandwidthDisplay.from_cv_results(search, ax=ax)
plt.show()

# %%
# In comparison, tuned alike, by nested cross-validation. Averages of neighbours flatten the linear trend of these data,
# and a linear model does better: a bandwidth for each feature or a local line, rather than a local mean, would help.
neighbours = GridSearchCV(
    make_pipeline(StandardScaler(), KNeighborsRegressor()),
    {"kneighborsregressor__n_neighbors": [2, 3, 5, 8, 12, 18, 27, 40]},
    cv=folds,
)
contenders = {
    "attention, bandwidth by leave-one-out": pipeline,
    "attention, kernel and bandwidth by grid search": search,
    "nearest neighbours": neighbours,
    "ridge": make_pipeline(StandardScaler(), RidgeCV(np.geomspace(0.1, 1000, 20))),
}
for name, contender in contenders.items():
    scores = cross_val_score(contender, X, y, cv=folds)
    print(f"{name:<48} R2 {scores.mean():.3f}")

# %%
# Predictions from the other folds, against the targets (the labels): the highest are predicted too low.

# sphinx_gallery_alt = "A cloud of points along the diagonal, flatter than it."
PredictionErrorDisplay.from_predictions(y, cross_val_predict(pipeline, X, y, cv=folds), kind="actual_vs_predicted")
plt.show()

# %%
# Which patients does the prediction for the first one rest on? The attention weights say: here are the five that it
# looks at most, with their targets. The prediction is the weighted mean of all 442.
pipeline.fit(X, y)
scaled = pipeline[:-1].transform(X)
weights = pipeline[-1].attention_weights(scaled[:1])[0]
print(f"prediction {weights @ y:.1f}, target {y[0]:.0f}")
for row in np.argsort(-weights)[:5]:
    print(f"patient {row:3d}: weight {weights[row]:.3f}, target {y[row]:.0f}")
