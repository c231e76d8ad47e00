"""The error budget: how much each step of a fast sum may spend of what a prediction promises.

A share s of a query's kernel sum that is left out, or wrong, moves a weighted mean by at most s ranges of the targets.
So each step is given a share of the promise, and a query for which it would spend more is summed again, slower, by a
step that spends less. The steps of one algorithm stand together, for they add up.
"""

import numpy as np

# What fast sums may differ by from the definition: in ranges of the targets, for samples in float64; in float32.
PROMISE = 1e-10
PROMISE_SINGLE = 1e-4

# Weights that sum to less than the smallest normal float have lost their digits, and are as good as none.
MIN_WEIGHT = float(np.finfo(np.float64).tiny)

# Squared distances that differ by less, in relation to the least, differ by rounding: their keys are equally near.
TIED = PROMISE / 1000

# ---- brute: a squared distance, and so log K, from a matrix product
PRODUCT = PROMISE / 5
PRODUCT_SINGLE = PROMISE_SINGLE
# Sums of a kernel that is positive everywhere may have lost keys to underflow below these.
PRODUCT_UNDERFLOW = 1e-280
PRODUCT_UNDERFLOW_SINGLE = 1e-24
# Sums of a compact kernel, to which the error of a product is absolute, are summed again below these.
PRODUCT_BORDERLINE = 1e-2
PRODUCT_BORDERLINE_SINGLE = 1.0

# ---- brute, on a device: differences in single precision
# Sums below this hang by squared distances so large that their logarithms have lost digits; those of a compact kernel,
# whose errors are absolute, matter below the second.
DEVICE_SINGLE = 1e-3
DEVICE_BORDERLINE_SINGLE = 1.0

# ---- tree: leaves far from a tile that are left out, keys far from a group of queries, what single precision loses
TREE_FAR_LEAVES = PROMISE / 10
TREE_FAR_KEYS = 4 * PROMISE / 10
TREE_SINGLE = PROMISE / 2
# A squared distance from a matrix product. It is no share that is lost: it errs either way, and a mean averages it.
TREE_PRODUCT = PROMISE / 10
# Kernel sums below this are summed again, in units of the nearest key.
TREE_UNDERFLOW = 1e-30
# What keys far from a query that is summed so may weigh.
TREE_EXACT_SUMS = PROMISE / 1000

# ---- cells: prefix sums, Chebyshev series and what is left of these in two features
PREFIX_SUMS = PROMISE / 100
CHEBYSHEV = PROMISE / 200
# The error of a series, which many cells add up, in units of K(0).
KERNEL_SERIES = 6 * PROMISE / 10_000
# Keys beyond the window of a query that is summed key by key.
WINDOW = PROMISE / 1000
# Recurrences lose keys to underflow where a sum, in units of the nearest key's kernel, is below this.
RECURRENCE_UNDERFLOW = 1e-250

# ---- polynomials: what rounding may be of a variance among the keys in reach, to the power of the degree
VARIANCE = PROMISE / 100
# In one feature there are few powers, and summing key by key takes long.
VARIANCE_1D = PROMISE
# The rounding error of a mean square.
MEAN_SQUARE = 2.0**-51
# What weights tail keys at most by which a slope may hang: they are strong levers, and steps that leave keys out are
# this much more careful.
TAIL = 1e-5
# Weights below this, in relation to the largest of their row, are nothing to a polynomial.
MIN_SHARE = 1e-24
# Below this variance of a feature among the keys in reach, in squares of the lesser of bandwidth and range, a slope
# hangs by keys of hardly any weight: fast sums may have left them out, and the keys themselves are looked at.
FAINT_VARIANCE = 1e-10
# Eigenvalues of a correlation matrix below this tell of terms that nearly depend on each other; rounding in fast sums
# would decide.
MIN_EIGENVALUE = 1e-6
# About and below this, terms do depend on each other, and the direction is left out: of sums of the keys themselves,
# and of fast sums. What of the latter may be neither is looked at again.
NO_EIGENVALUE, NO_EIGENVALUE_OF_FAST_SUMS = 1e-9, 1e-7
# Keys of less than this share of the lightest weight that a slope hangs by are nothing to it.
FAINT_SHARE = 1e-20
