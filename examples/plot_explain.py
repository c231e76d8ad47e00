"""
How is one prediction explained?
================================

By the samples (training rows) that it pays attention to. A prediction is a weighted mean of their targets (the labels),
and the weights are an explanation that leaves nothing out: with them anyone can compute the prediction again.
"""

# %%
# The progression of diabetes in 442 patients, a year after ten measurements. One bandwidth for each feature says which
# measurements count; the last patient is the one to explain.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_diabetes

from sknw import NadarayaWatsonRegressor

data = load_diabetes(scaled=False)
X, y, query, target = data.data[:-1], data.target[:-1], data.data[-1:], data.target[-1]
model = NadarayaWatsonRegressor(bandwidth="ard").fit(X, y)
matter = np.isfinite(model.bandwidth_)
names = np.array(data.feature_names)[matter]
print("what counts:", ", ".join(names))

# %%
# The five patients that the prediction looks at most, and the query in the last line.
weights = model.attention_weights(query)[0]
order = np.argsort(-weights)
print("patient", *(f"{name:>6}" for name in names), "weight target")
for row in order[:5]:
    print(f"{row:7d}", *(f"{value:6.1f}" for value in X[row, matter]), f"{weights[row]:6.3f} {y[row]:6.0f}")
print("  query", *(f"{value:6.1f}" for value in query[0, matter]))
print(f"prediction {model.predict(query)[0]:.1f}, the weighted mean: {weights @ y:.1f}")

# %%
# How many samples does it rest on? As many as the effective sample size says; and the curve of the cumulative weight.
# How far can it be trusted? The standard error is that of the mean; the interval is for the patient's own target.
fit, std = model.predict(query, return_std=True)
low, high = model.predict_interval(query, coverage=0.9)[0]
print(f"effective sample size: {model.effective_sample_size(query)[0]:.0f} of {len(X)}")
print(f"prediction {fit[0]:.0f}, standard error {std[0]:.0f}; nine in ten targets between {low:.0f} and {high:.0f}")
print(f"far from all samples: {model.extrapolates(query)[0]}")

# sphinx_gallery_alt = "Left: stems, weights over targets. Right: the cumulative weight by rank."
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 3.8), layout="constrained")
left.vlines(y, 0, weights, linewidth=1)
left.axvline(fit[0], color="C1", label=f"prediction {fit[0]:.0f}")
left.axvline(target, color="0.3", linestyle="--", label=f"target {target:.0f}")
left.set(xlabel="target of a sample", ylabel="its weight", ylim=(0, None))
left.legend()
right.plot(np.arange(1, len(weights) + 1), np.cumsum(weights[order]))
right.set(xscale="log", xlabel="samples, by weight", ylabel="cumulative weight", ylim=(0, 1.02))
plt.show()

# %%
# What if a sample were not there? For a weighted mean that needs no second fit: the prediction moves away from the
# target of the sample, the more the greater its weight.
without = (fit[0] - weights * y) / (1 - weights)
strongest = np.abs(without - fit[0]).argmax()
print(f"without patient {strongest}: {without[strongest]:.1f} instead of {fit[0]:.1f}")
others = np.arange(len(X)) != strongest
again = NadarayaWatsonRegressor(bandwidth=model.bandwidth_).fit(X[others], y[others])
print(f"fitted again:  {again.predict(query)[0]:.1f}")
