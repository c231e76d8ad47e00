"""
How far can a prediction be trusted?
====================================

A curve is known better at some places than at others; a new target (a label) is less certain than the curve; and beyond
the last sample (training row) nothing is known at all. Three methods tell the three apart.
"""

# %%
# The data are made to look like a classic of statistics, the head of a dummy in a motorcycle crash: still at first,
# then jerked to and fro, each time differently. ``predict(X, return_std=True)`` gives the standard errors of the fit,
# drawn as a band; they shrink with more samples. ``predict_interval`` says where nine of ten new targets are to be
# expected, and with ``scaled=True`` it follows the noise: at rest it is narrow. Where ``extrapolates`` says that the
# samples are too far away, the picture is grey.
import matplotlib.pyplot as plt
import numpy as np

from sknw import LocalPolynomialRegressor, RegressionDisplay


def expected(t):
    """Acceleration in units of gravity, t milliseconds after the crash."""
    return -110 * np.exp(-(((t - 21) / 5) ** 2)) + 45 * np.exp(-(((t - 33) / 4) ** 2))


def draw(rng, n):
    """Times and targets, whose scatter sets in with the crash."""
    t = np.sort(rng.uniform(2, 55, n))
    return t[:, None], expected(t) + (2 + 20 / (1 + np.exp(13 - t))) * rng.normal(size=n)


X, y = draw(np.random.default_rng(0), 150)
model = LocalPolynomialRegressor(degree=2).fit(X, y)

grid = np.linspace(-3, 60, 400)[:, None]
fit, std = model.predict(grid, return_std=True)
interval = model.predict_interval(grid, coverage=0.9, scaled=True)
display = RegressionDisplay(X[:, 0], y, grid[:, 0], fit, std=std, interval=interval, truth=expected(grid[:, 0]))

# sphinx_gallery_alt = "A curve that dips and rises, a narrow band of standard errors, and intervals that widen."
fig, ax = plt.subplots(figsize=(10, 4), layout="constrained")
far = model.extrapolates(grid)
ax.fill_between(grid[:, 0], -200, 120, where=far, color="0.85", linewidth=0, zorder=0, label="extrapolation")
display.plot(ax=ax, interval_kwargs={"label": "90% interval"})
ax.set(xlabel="milliseconds after the crash", ylabel="acceleration in g", ylim=(-200, 120))
ax.legend(loc="lower right")
plt.show()

# %%
# Is nine of ten true? On new data it can be counted. Without ``scaled``, the interval is as wide at rest as after the
# crash: right on average only. With it, the interval follows; from 150 samples it is wider than it need be.
fresh, fresh_y = draw(np.random.default_rng(1), 5000)
early = fresh[:, 0] < 10
print("interval    all   before 10 ms   after")
for scaled in (False, True):
    low, high = model.predict_interval(fresh, coverage=0.9, scaled=scaled).T
    inside = (low <= fresh_y) & (fresh_y <= high)
    shares = inside.mean(), inside[early].mean(), inside[~early].mean()
    print(("scaled  " if scaled else "even    "), "  ".join(f"{share:8.1%}" for share in shares))

# %%
# ``predict_quantiles`` adds to the fit the quantiles of the leave-one-out errors nearby. No curve can cross another.
# ``effective_sample_size`` is the number of equally weighted samples that would tell as much.

# sphinx_gallery_alt = "Left: five quantiles of the targets, which never cross. Right: the effective sample size."
fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4), sharex=True, layout="constrained")
inner = np.linspace(2, 55, 300)[:, None]
levels = (0.1, 0.25, 0.5, 0.75, 0.9)
left.scatter(X, y, s=8, color="0.6")
for level, curve in zip(levels, model.predict_quantiles(inner, levels).T, strict=True):
    left.plot(inner, curve, label=f"{level:.0%}", color=plt.get_cmap("viridis")(level))
left.set(title="Quantiles of the targets", xlabel="milliseconds after the crash", ylabel="acceleration in g")
left.legend()
right.plot(grid, model.effective_sample_size(grid), color="#0072B2")
right.set(title="Effective sample size", xlabel="milliseconds after the crash", ylabel="samples", ylim=(0, None))
plt.show()
