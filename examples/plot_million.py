"""
Can a million points be predicted in a second?
==============================================

With one feature, yes, exactly, by most kernels. A million queries and a million samples (training rows) make 10¹²
pairs. None of them is looked at: samples are sorted, and each stretch of them is summed once for all queries.
"""

# %%
# A million observations of a function with a lot of detail.
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np

from sknw import NadarayaWatsonRegressor

rng = np.random.default_rng(0)
n = 1_000_000
X = rng.uniform(size=(n, 1))
queries = rng.uniform(size=(n, 1))


def truth(x):
    return np.sin(40 * x**2) + 0.5 * np.cos(300 * x)


y = truth(X[:, 0]) + rng.normal(size=n)

# %%
# The time of fit and predict together, by one thread, on the machine that built this page. (``bandwidth="loo"`` would
# take some seconds more, to find the bandwidth.)
models = {}
for kernel in ("gaussian", "exponential", "epanechnikov"):
    start = perf_counter()
    models[kernel] = NadarayaWatsonRegressor(kernel, bandwidth=0.001).fit(X, y)
    predictions = models[kernel].predict(queries)
    seconds = perf_counter() - start
    error = np.sqrt(np.mean((predictions - truth(queries[:, 0])) ** 2))
    print(f"{kernel:<13} {seconds:.1f} s by {models[kernel].algorithm_!r}, off from the truth by {error:.3f}")

# %%
# Exactly? A hundred of the queries, by all pairs:
definition = NadarayaWatsonRegressor("gaussian", bandwidth=0.001, algorithm="brute").fit(X, y)
difference = np.abs(definition.predict(queries[:100]) - models["gaussian"].predict(queries[:100])).max()
print(f"largest difference between 'cells' and all pairs: {difference:.0e}")

# %%
# The noise has a standard deviation of 1; one in five hundred of the observations is drawn.

# sphinx_gallery_alt = "A cloud of grey points, and through it a curve that waves faster to the right."
some = np.linspace(0.3, 0.7, 1000)[:, None]
fig, ax = plt.subplots(figsize=(9, 4), layout="constrained")
ax.scatter(X[::500, 0], y[::500], s=3, color="0.75", label="one in 500 observations")
ax.plot(some, truth(some), color="0.3", linestyle="--", label="truth")
ax.plot(some, models["gaussian"].predict(some), label="fit")
ax.set(xlim=(0.3, 0.7), ylim=(-3.5, 3.5), xlabel="x", ylabel="y")
ax.legend(loc="upper right")
plt.show()
