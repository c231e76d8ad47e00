#!/usr/bin/env bash
# scikit-learn 1.9.1: showing a fitted estimator in a notebook computes each of its properties, twice
#
# One would expect: the box that a notebook shows for an estimator lists parameters, and costs nothing; a property is
#   computed by who asks for it.
# What happens: since 1.9 the box has a table of fitted attributes, made from the values of all public names that end
#   in an underscore, properties as well; and dir(), thus completion by tab, asks for each once more.
# Seen: a property `weights_` is computed 2 times by _repr_html_() and once by dir(); never by repr(), clone or
#   pickle.
# Why it matters: n x n matrices (attention weights, hat matrices, kernel matrices) are properties just because they
#   are too large to keep. With them, ending a cell with the name of a model of 50 000 rows takes 20 GB. Such
#   attributes have to be lazy objects, or methods.
# Source: found here.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile 'scikit-learn==1.9.1' 'scipy==1.17.1' 'numpy==2.4.6'

"$folder/venv/bin/python" - <<'END'
import numpy as np
from sklearn.base import BaseEstimator, RegressorMixin, clone


class Mean(RegressorMixin, BaseEstimator):
    n_times = 0

    def fit(self, X, y):
        self.mean_ = np.mean(y)
        return self

    @property
    def weights_(self):
        Mean.n_times += 1
        return np.ones((3, 3)) / 3


model = Mean().fit(np.ones((3, 1)), np.ones(3))
times = {}
for name, show in {"_repr_html_": model._repr_html_, "dir": lambda: dir(model), "repr": lambda: repr(model),
                   "clone": lambda: clone(model)}.items():
    Mean.n_times = 0
    show()
    times[name] = Mean.n_times
print("times that the property was computed:", times)
assert times == {"_repr_html_": 2, "dir": 1, "repr": 0, "clone": 0}
END
