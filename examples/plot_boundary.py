"""
Why fit a line instead of a mean?
=================================

At the edge of the data all samples (training rows) in reach lie on one side. Their mean lags behind a trend, however
many there are; a line that is fitted to them does not. ``LocalPolynomialRegressor`` fits one about each query.
"""

# %%
# A weighted mean, a line and a parabola, each with the bandwidth of the lowest leave-one-out error, on forty points of
# the textbook's function. At both edges the mean is drawn level.
import matplotlib.pyplot as plt
import numpy as np

from sknw import LocalPolynomialRegressor, RegressionDisplay
from sknw.datasets import make_sine

X, y = make_sine(n_samples=40, random_state=1)
grid = np.linspace(0, 5, 200)[:, None]
truth = 2 * np.sin(grid[:, 0]) + grid[:, 0]

# sphinx_gallery_alt = "Three fits beside the truth: the mean bends away at both edges, line and parabola do not."
fig, axes = plt.subplots(1, 3, figsize=(12, 4), sharey=True, layout="constrained")
for degree, (ax, name) in enumerate(zip(axes, ("mean", "line", "parabola"), strict=True)):
    model = LocalPolynomialRegressor(degree=degree).fit(X, y)
    RegressionDisplay.from_estimator(model, X, y, ax=ax)
    ax.plot(grid, truth, color="black", linestyle=":", label="truth")
    error = np.sqrt(np.mean((model.predict(grid) - truth) ** 2))
    ax.set_title(f"degree {degree}, a {name}: off by {error:.2f}")
axes[0].legend()
plt.show()

# %%
# The error by the place of the query, over two hundred draws of the noise, with the bandwidths 0.3, 0.3 and 0.5. In the
# middle, the mean and the line are alike; at the edge, the mean is off in one direction. The price of a higher degree
# is scatter there.

# sphinx_gallery_alt = "Bias and scatter over x: the mean's bias is large at the edges, the parabola's scatter is."
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), sharex=True, layout="constrained")
rng = np.random.default_rng(0)
x = np.linspace(0, 5, 40)[:, None]
signal = 2 * np.sin(x[:, 0]) + x[:, 0]
for degree, color in enumerate(("#0072B2", "#D55E00", "#009E73")):
    model = LocalPolynomialRegressor(degree=degree, bandwidth=(0.3, 0.3, 0.5)[degree])
    targets = signal[:, None] + 0.5 * rng.normal(size=(40, 200))
    errors = model.fit(x, targets).predict(grid) - truth[:, None]
    left.plot(grid, errors.mean(axis=1), color=color, label=f"degree {degree}")
    right.plot(grid, errors.std(axis=1), color=color, label=f"degree {degree}")
left.set(title="Bias", xlabel="x", ylabel="mean error")
right.set(title="Scatter", xlabel="x", ylabel="standard deviation")
left.axhline(0, color="black", linewidth=0.5)
left.legend()
plt.show()
