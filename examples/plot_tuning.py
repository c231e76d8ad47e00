"""
How is the bandwidth tuned?
===========================

By its errors on samples (training rows) that were left out: by the estimator itself, leaving out one at a time, or by a
grid search.
"""

# %%
# By itself: ``bandwidth="loo"``, the default, takes the bandwidth with the lowest squared leave-one-out error. It
# searches six decades, in units of the spread of the data. `bandwidth_search_` reports.
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.model_selection import GridSearchCV, KFold, LeaveOneOut

from sknw import BandwidthDisplay, NadarayaWatsonRegressor, RegressionDisplay, bandwidth_path
from sknw.datasets import make_sine

X, y = make_sine(n_samples=40, random_state=1)
model = NadarayaWatsonRegressor().fit(X, y)
print(f"bandwidth {model.bandwidth_[0]:.3f}: {model.bandwidth_search_.status}")
print(model.bandwidth_search_.message)

# sphinx_gallery_alt = "Left: the leave-one-out error with its minimum marked. Right: the fit with that bandwidth."
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
BandwidthDisplay.from_estimator(model, ax=left)
RegressionDisplay.from_estimator(model, X, y, truth=lambda x: 2 * np.sin(x) + x, ax=right)
plt.show()

# %%
# A grid search that leaves out one sample at a time fits a model for each sample and each bandwidth, to the same end.
# `bandwidth_path` has the same errors from one pass over the data.
bandwidths = np.geomspace(0.02, 5, 25)
start = perf_counter()
search = GridSearchCV(
    NadarayaWatsonRegressor(), {"bandwidth": bandwidths}, scoring="neg_mean_squared_error", cv=LeaveOneOut()
).fit(X, y)
refitted = perf_counter() - start
start = perf_counter()
path = bandwidth_path(X, y, bandwidths)
at_once = perf_counter() - start
print(f"largest difference of the errors: {abs(path.scores + search.cv_results_['mean_test_score']).max():.1e}")
print(f"both take {path.best_bandwidth:.3f}; at once {refitted / at_once:.0f} times faster")

# %%
# By a grid search, over kernels too. **Shuffle the folds**: X is sorted here, and unshuffled folds would ask each model
# to predict a stretch of the axis from which it has seen nothing.
grid = {"kernel": ["gaussian", "exponential", "cauchy"], "bandwidth": bandwidths}
folds = KFold(5, shuffle=True, random_state=0)
search = GridSearchCV(NadarayaWatsonRegressor(), grid, scoring="neg_mean_squared_error", cv=folds)
try:  # a progress bar: scikit-learn 1.9, with the package rich
    from sklearn.callback import ProgressBar

    search.set_callbacks(ProgressBar(0))
except ImportError:
    pass
search.fit(X, y)
print(f"{search.best_estimator_.kernel}, {search.best_estimator_.bandwidth:.3f}: error {-search.best_score_:.3f}")

# sphinx_gallery_alt = "Left: test scores of three kernels over the bandwidth, the best marked. Right: its fit."
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
BandwidthDisplay.from_cv_results(search, ax=left)
RegressionDisplay.from_estimator(search.best_estimator_, X, y, truth=lambda x: 2 * np.sin(x) + x, ax=right)
plt.show()

# %%
# What unshuffled folds would have said of the same candidates:
search.set_params(cv=KFold(5)).fit(X, y)
print(f"{search.best_estimator_.kernel}, {search.best_estimator_.bandwidth:.3f}: error {-search.best_score_:.3f}")
