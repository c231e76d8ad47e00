"""Distances by the name of their metric, in one table."""

from sknw._problem._distances._distance import Distance
from sknw._problem._distances._euclidean import Euclidean
from sknw._problem._distances._precomputed import Precomputed
from sknw._problem._distances._scipy import METRICS, Scipy

#: Distances by the name of their metric. For a function of two rows it is `Scipy` too.
DISTANCES: dict[str, type[Distance]] = {
    "euclidean": Euclidean,
    "precomputed": Precomputed,
    **dict.fromkeys(METRICS, Scipy),
}
