"""The figure of the first page: one prediction, and the attention of fifty queries."""

import matplotlib.pyplot as plt
import numpy as np

from sknw import AttentionDisplay, NadarayaWatsonRegressor, RegressionDisplay
from sknw.datasets import make_sine

X, y = make_sine(n_samples=40, random_state=1)
query = np.array([[3.0]])
model = NadarayaWatsonRegressor(bandwidth=0.4).fit(X, y)
weights = model.attention_weights(query)[0]

fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
points = {"c": weights, "s": 15 + 1000 * weights, "edgecolors": "0.3"}
RegressionDisplay.from_estimator(model, X, y, ax=left, color="0.4", scatter_kwargs=points)
left.plot(query[0], model.predict(query), "*", markersize=18, color="C1", markeredgecolor="white")
left.get_legend().remove()
AttentionDisplay.from_estimator(model, X, np.linspace(0, 5, 50)[:, None], ax=right)
plt.show()
