"""
Which kernels are there?
========================

A kernel says how much attention a query pays to a sample (a training row) at a certain distance. It is a function of
u = distance / bandwidth that is 1 at zero and falls from there.
"""

# %%
# The textbook's four kernels. The Gaussian is positive everywhere: a query pays at least a little attention to every
# sample. The boxcar and the triangular kernel end at one bandwidth: they have compact support. The constant kernel does
# not look at the distance.
import matplotlib.pyplot as plt

from sknw import KERNELS, KernelDisplay

# sphinx_gallery_alt = "Four kernels: a bell, a box, a level line and a triangle."
textbook = ["gaussian", "boxcar", "constant", "triangular"]
fig, axes = plt.subplots(1, 4, figsize=(12, 3), sharey=True, layout="constrained")
for ax, name in zip(axes, textbook, strict=True):
    KernelDisplay.from_kernels(KERNELS[name], ax=ax)
fig.suptitle("The textbook's four kernels")
plt.show()

# %%
# There are more. Those of compact support need only the samples nearby, and give exact zeros to all others. Those that
# are positive everywhere differ in their tails: heavy tails, the Cauchy kernel's above all, keep listening to samples
# far away.

# sphinx_gallery_alt = "Left: seven kernels that are zero beyond one bandwidth. Right: six with tails that fade."
fig, (left, right) = plt.subplots(1, 2, figsize=(12, 4), sharey=True, layout="constrained")
ending = ["boxcar", "triangular", "epanechnikov", "biweight", "triweight", "tricube", "cosine"]
KernelDisplay.from_kernels([KERNELS[name] for name in ending], ax=left)
left.set_title("kernels of compact support")
endless = ["gaussian", "exponential", "matern32", "logistic", "sigmoid", "cauchy"]
KernelDisplay.from_kernels([KERNELS[name] for name in endless], ax=right)
right.set_title("kernels that are positive everywhere")
plt.show()

# %%
# A function of your own is a kernel too, as long as it returns non-negative numbers. It gets an array of u >= 0.
import numpy as np

# sphinx_gallery_alt = "A triangle, and the same with a flat top, twice as steep."


def flat_top(u):
    return np.clip(2 - 2 * u, 0, 1)


KernelDisplay.from_kernels([flat_top, KERNELS["triangular"]])
plt.show()
