"""Explanation: the training rows that predictions rest on."""

from __future__ import annotations

import numpy as np
from sklearn.utils import Bunch

from sknw._heads import Head


def explain_rows(X, heads: list[Head], Z: np.ndarray, attention: np.ndarray, weight: np.ndarray, n_rows: int):
    """The training rows with the largest attention, as a frame of the kind of X, or a Bunch of arrays.

    Parameters
    ----------
    X : array-like or DataFrame
        The queries as they were given.
    heads : list of Head
    Z : ndarray of shape (n_queries, n_features)
        The queries, standardised.
    attention, weight : ndarray of shape (n_queries, n_keys)
    n_rows : int
        For each query.
    """
    y = heads[0].labels
    rows = np.argsort(-attention, axis=1, kind="stable")[:, :n_rows]
    distance = np.mean([np.take_along_axis(head.distances(Z), rows, axis=1) for head in heads], axis=0)
    columns = {
        "query": np.repeat(np.arange(len(rows)), rows.shape[1]),
        "row": rows.ravel(),
        "attention": np.take_along_axis(attention, rows, axis=1).ravel(),
        "weight": np.take_along_axis(weight, rows, axis=1).ravel(),
        "distance": distance.ravel(),
    }
    names = ["label"] if y.shape[1] == 1 else [f"label {k}" for k in range(y.shape[1])]
    columns |= {name: label[rows].ravel() for name, label in zip(names, y.T, strict=True)}
    return type(X)(columns) if hasattr(X, "columns") else Bunch(**columns)
