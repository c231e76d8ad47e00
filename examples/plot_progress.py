"""
How far is the search?
======================

A search for a bandwidth, or over a grid, may take a while. From scikit-learn 1.9 on, estimators tell how far they are
to callbacks; one of them draws a progress bar.
"""

# %%
# The progress bar of scikit-learn needs the package ``rich``. Its callbacks are experimental: they may change.
import matplotlib.pyplot as plt
from sklearn.model_selection import GridSearchCV, KFold

from sknw import BandwidthDisplay, NadarayaWatsonRegressor
from sknw.datasets import make_sine


def with_progress(estimator):
    try:
        from sklearn.callback import ProgressBar

        return estimator.set_callbacks(ProgressBar(0))
    except ImportError:
        print("no progress bar: scikit-learn 1.9 or later, and rich, are needed")
        return estimator


X, y = make_sine(n_samples=2000, random_state=1)

# %%
# The search of the estimator itself, with one step for each bandwidth, and what it found there:
model = with_progress(NadarayaWatsonRegressor()).fit(X, y)
print(f"bandwidth {model.bandwidth_[0]:.3f}, after {model.bandwidth_search_.n_evaluations} were tried")

# sphinx_gallery_alt = "The leave-one-out error over the bandwidths that were tried, with its minimum marked."
fig, ax = plt.subplots(figsize=(9, 3.6), layout="constrained")
BandwidthDisplay.from_estimator(model, ax=ax)
plt.show()

# %%
# A grid search, with one for each candidate and fold:
grid = {"kernel": ["gaussian", "epanechnikov"], "bandwidth": [0.05, 0.1, 0.2, 0.4]}
search = GridSearchCV(NadarayaWatsonRegressor(), grid, cv=KFold(5, shuffle=True, random_state=0))
with_progress(search).fit(X, y)
print(search.best_params_)
