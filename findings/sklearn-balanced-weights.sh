#!/usr/bin/env bash
# scikit-learn 1.9.1: class_weight="balanced" with sample_weight has two meanings, by the classifier
#
# One would expect: balanced classes weigh the same in all. A row of weight 9 counts as nine rows, so both ways of
#   writing a sample are the same model.
# What happens: forests, LogisticRegression and LinearSVC balance the sums of weights. Decision trees, gradient
#   boosting and RidgeClassifier balance the numbers of rows, and multiply by the weights after: a class with ten
#   times the weight keeps ten times the weight. The documentation has one formula for all.
# Seen: features that tell nothing, 10 rows of weight 9 and 30 of weight 1 (3 to 1): P = 0.5 from a forest and a
#   logistic regression, 0.9 from a tree and gradient boosting. With rows repeated instead of weights: 0.5 from all
#   four.
# Why it matters: a classifier by kernel weights has to choose one meaning, and comparisons of two classifiers on
#   weighted data compare two problems. A tree and a forest of one such tree differ.
# Source: scikit-learn issue 16479 (open) has the tree; 30056 and 30057 brought sums of weights to LinearSVC.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install -q --no-compile 'scikit-learn==1.9.1' 'scipy==1.17.1' 'numpy==2.4.6'

"$folder/venv/bin/python" - <<'END'
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

X = np.zeros((40, 1))
y = np.repeat([0, 1], [10, 30])
weights = np.where(y == 0, 9, 1)

for classifier, expected in (
    (RandomForestClassifier(1, bootstrap=False), 0.5),
    (LogisticRegression(), 0.5),
    (DecisionTreeClassifier(), 0.9),
    (HistGradientBoostingClassifier(), 0.9),
):
    classifier.set_params(class_weight="balanced")
    weighted = classifier.fit(X, y, sample_weight=weights).predict_proba([[0]])[0, 0]
    repeated = classifier.fit(np.repeat(X, weights, axis=0), np.repeat(y, weights)).predict_proba([[0]])[0, 0]
    print(type(classifier).__name__, "weighted:", round(weighted, 3), "repeated:", round(repeated, 3))
    assert abs(weighted - expected) < 1e-3 and abs(repeated - 0.5) < 1e-3
END
