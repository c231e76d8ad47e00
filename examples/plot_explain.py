"""
Which rows does a prediction rest on?
=====================================

On those that it pays attention to. A prediction is a weighted mean of training labels, and the weights are an
explanation that leaves nothing out: with them anyone can compute the prediction again.
"""

# %%
# The progression of diabetes in 442 patients, a year after ten measurements. One bandwidth for each feature says which
# measurements count; the last patient is the one to explain.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from sknw import NadarayaWatsonRegressor

X, y = load_diabetes(return_X_y=True, as_frame=True, scaled=False)
X_train, y_train, query = X[:-1], y[:-1], X[-1:]
model = NadarayaWatsonRegressor(bandwidth="ard").fit(X_train, y_train)
matter = [name for name, width in zip(X.columns, model.bandwidth_, strict=True) if np.isfinite(width)]
print("what counts:", ", ".join(matter))

# %%
# The five patients that the prediction looks at most, and the query in the last line.
weights = model.attention_weights(query)[0]
order = np.argsort(-weights)
table = X_train.iloc[order[:5]][matter].assign(weight=weights[order[:5]].round(3), label=y_train.iloc[order[:5]])
print(table.to_string())
print(query[matter].to_string(header=False))
print(f"\nprediction {model.predict(query)[0]:.1f}, the weighted mean: {weights @ y_train:.1f}")

# %%
# How many rows does it rest on? As many as the effective sample size says; and the curve of the cumulative weight. How
# far can it be trusted? The standard error is that of the mean; the interval is for the patient's own label.
fit, std = model.predict(query, return_std=True)
low, high = model.predict_interval(query, coverage=0.9)[0]
print(f"effective sample size: {model.effective_sample_size(query)[0]:.0f} of {len(X_train)}")
print(f"prediction {fit[0]:.0f}, standard error {std[0]:.0f}; nine in ten labels between {low:.0f} and {high:.0f}")
print(f"far from all training rows: {model.extrapolates(query)[0]}")

# sphinx_gallery_alt = "Left: stems, weights over labels. Right: the cumulative weight by rank."
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
left.vlines(y_train, 0, weights, linewidth=1)
left.axvline(fit[0], color="C1", label=f"prediction {fit[0]:.0f}")
left.axvline(y.iloc[-1], color="0.3", linestyle="--", label=f"label {y.iloc[-1]:.0f}")
left.set(xlabel="label of a training row", ylabel="its weight", ylim=(0, None))
left.legend()
right.plot(np.arange(1, len(weights) + 1), np.cumsum(weights[order]))
right.set(xscale="log", xlabel="rows, by weight", ylabel="cumulative weight", ylim=(0, 1.02))
plt.show()

# %%
# What if a row were not there? For a weighted mean that needs no second fit: the prediction moves away from the label
# of the row, the more the greater its weight.
without = (fit[0] - weights * y_train) / (1 - weights)
strongest = np.abs(without - fit[0]).to_numpy().argmax()
print(f"without patient {strongest}: {without.iloc[strongest]:.1f} instead of {fit[0]:.1f}")
again = NadarayaWatsonRegressor(bandwidth=model.bandwidth_).fit(X_train.drop(strongest), y_train.drop(strongest))
print(f"fitted again:  {again.predict(query)[0]:.1f}")
