"""Validation: the only file that checks what users give. It raises or converts, and decides nothing.

An error says what was wanted and what was got.
"""

from __future__ import annotations

import numbers
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from sklearn import get_config
from sklearn.utils import check_array, check_consistent_length
from sklearn.utils.validation import validate_data

from sknw._arrays import Device, from_device, to_numpy
from sknw._kernels import KERNELS, Kernel
from sknw._problem._bases import BASES
from sknw._problem._distances import DISTANCES, Distance, Scipy
from sknw._problem._rows import are_counts, counts_of
from sknw._tables import as_numbers, check_columns, check_gaps

_MAX_FEATURES_OF_PARABOLA = 30

_INVERSE_DISTANCE = (
    " An inverse distance is infinite at a sample: take KNeighborsRegressor(n_neighbors, weights='distance') of "
    "scikit-learn, which is exact there, or lambda u: 1 / (1e-6 + u), which is nearly."
)

# What features are kept in.
_FLOATS = [np.float64, np.float32]


def check_training_data(X, y, sample_weight, distance: type[Distance], estimator=None):
    """X in float32 or float64, y of shape (n_samples,) or (n_samples, n_outputs) in float64, and weights.

    The estimator, if there is one, remembers the features. Arrays of other libraries become NumPy's, with dispatch.
    """
    if get_config()["array_api_dispatch"]:
        X, y, sample_weight = map(to_numpy, (X, y, sample_weight))
    if getattr(X, "dtype", None) not in _FLOATS:
        check_columns(X)
    if getattr(y, "dtype", None) not in _FLOATS:
        y = as_numbers(y, "y")
    wanted = {"dtype": _FLOATS}, {"dtype": np.float64, "ensure_2d": False, "ensure_all_finite": False}
    try:
        if estimator is None:
            X, y = check_array(X, input_name="X", **wanted[0]), check_array(y, input_name="y", **wanted[1])
        else:
            X, y = validate_data(estimator, X, y, validate_separately=wanted)
    except ValueError:
        check_gaps(X)
        raise
    check_consistent_length(X, y)
    if distance.pairwise:
        _check_distances(X)
        if X.shape[0] != X.shape[1]:
            raise ValueError(
                "metric='precomputed' needs the square matrix of distances between the training rows to fit; "
                f"got X of shape {X.shape}."
            )
    sample_weight = _check_sample_weight(sample_weight, len(X))
    there = sample_weight > 0
    targets = check_array(y[there], dtype=np.float64, ensure_2d=False, input_name="y")
    # A row without weight is as good as absent, and so is its target: any number stands in for one that is missing.
    filled = np.where(np.isfinite(y), y, targets[0])
    return X.copy(), filled, sample_weight


def check_coordinates(distance: Distance | type[Distance], metric, purpose: str) -> None:
    if not distance.has_coordinates:
        raise ValueError(
            f"{purpose} needs features with metric='euclidean'; got metric={metric!r}. Slopes are along coordinates, "
            "which the Euclidean metric alone has; a weighted mean, of degree 0, has no need of them."
        )


def check_n_features(n_features: int, degree: int) -> None:
    if degree == 2 and n_features > _MAX_FEATURES_OF_PARABOLA:
        raise ValueError(
            f"degree=2 needs at most {_MAX_FEATURES_OF_PARABOLA} features, for the number of sums grows with the "
            f"fourth power of theirs; got {n_features}. Take degree=1, or fewer features."
        )


def check_queries(estimator, X, distance: Distance | type[Distance], method: str, device: Device | None = None):
    """X with the features that `fit` saw, by number and name.

    method : str
        To which X was given.
    device : Device, default=None
        Where the samples came from, and queries are to come from.
    """
    if get_config()["array_api_dispatch"]:
        X = from_device(X, device, estimator, method)
    if getattr(X, "dtype", None) not in _FLOATS:
        check_columns(X)
    try:
        X = validate_data(estimator, X, dtype=_FLOATS, reset=False)
    except ValueError:
        check_gaps(X)
        raise
    if distance.pairwise:
        _check_distances(X)
    return X


def _check_distances(X):
    if X.min() < 0:
        raise ValueError(
            f"Negative values in data passed to metric='precomputed', which needs distances in X; got {X.min()}."
        )


def _check_sample_weight(sample_weight, n_samples: int) -> np.ndarray:
    if sample_weight is None or isinstance(sample_weight, numbers.Real):
        sample_weight = np.full(n_samples, 1.0 if sample_weight is None else float(sample_weight))
    if getattr(sample_weight, "dtype", None) not in _FLOATS:
        sample_weight = as_numbers(sample_weight, "sample_weight")
    weight = check_array(sample_weight, dtype=np.float64, ensure_2d=False, copy=True, input_name="sample_weight")
    if weight.ndim != 1:
        raise ValueError(f"sample_weight must be 1D array or scalar, got {weight.ndim}D array.")
    if weight.shape != (n_samples,):
        raise ValueError(f"sample_weight.shape == {weight.shape}, expected {(n_samples,)}!")
    if weight.min() < 0:
        raise ValueError(f"Negative values in data passed to `sample_weight`: got {weight.min()}.")
    if weight.max() == 0:
        raise ValueError("sample_weight has only zero weights: at least one has to be positive.")
    return weight


def check_counts(sample_weight: np.ndarray, sample_weight_type) -> np.ndarray:
    """How many samples each row stands for."""
    check_name(sample_weight_type, ("auto", "frequency", "importance"), "sample_weight_type")
    if sample_weight_type == "frequency" and not are_counts(sample_weight):
        wrong = sample_weight[sample_weight != np.round(sample_weight)][0]
        raise ValueError(
            "sample_weight_type='frequency' needs integers in sample_weight: how many samples each row stands for; got "
            f"{wrong}. Weights that tell how important rows are need 'importance'."
        )
    return counts_of(sample_weight, sample_weight_type)


def check_name(value, known: Collection[str], parameter: str, hint: str = "") -> str:
    if not isinstance(value, str) or value not in known:
        raise ValueError(f"{parameter} must be one of {', '.join(map(repr, sorted(known)))}; got {value!r}.{hint}")
    return value


def check_metric(metric, metric_params) -> tuple[type[Distance], str | Callable, dict]:
    """The distance that serves a metric, the metric and its parameters."""
    if not callable(metric):
        check_name(
            metric,
            DISTANCES,
            "metric",
            " A function of two rows serves too; with 'precomputed', X holds distances of any kind. Places on a circle "
            "or a sphere need no metric of their own: give their coordinates as features.",
        )
    if metric_params is not None and not isinstance(metric_params, dict):
        raise TypeError(f"metric_params must be a dict or None, got {metric_params!r}.")
    params, distance = dict(metric_params or {}), Scipy if callable(metric) else DISTANCES[metric]
    if params and not distance.takes_params:
        raise ValueError(f"metric={metric!r} takes no metric_params; got {params}.")
    required = distance.required_params.get(metric) if isinstance(metric, str) else None
    if required is not None and required not in params:
        raise ValueError(
            f"metric={metric!r} needs metric_params={{{required!r}: ...}}: scipy would estimate it from the queries "
            "of each call."
        )
    return distance, metric, params


def check_bandwidth(
    bandwidth, distance: type[Distance], metric, features: Sequence, rules: Mapping
) -> str | float | np.ndarray:
    """The name of one of the rules, a float, or an array of one bandwidth a feature; messages name the features."""
    if isinstance(bandwidth, str):
        check_name(bandwidth, rules, "bandwidth, where it names a rule,")
        if rules[bandwidth].by_feature and not distance.has_coordinates:
            raise ValueError(
                f"bandwidth={bandwidth!r} multiplies the spreads of features and needs metric='euclidean'; got "
                f"metric={metric!r}. Give a number, or 'loo'."
            )
        return bandwidth
    values = np.asarray(bandwidth)
    if values.dtype.kind not in "iuf":
        raise TypeError(
            f"bandwidth must be a positive number, one for each feature, or one of {', '.join(map(repr, rules))}; "
            f"got {bandwidth!r}."
        )
    if not (values > 0).all():
        named = zip(features, values, strict=True) if values.shape == (len(features),) else ()
        bad = ", ".join(repr(name) for name, value in named if not value > 0)
        raise ValueError(f"bandwidth must be positive, got {bandwidth!r}{bad and f', for feature {bad}'}.")
    if values.ndim == 0:
        return float(values)
    if not distance.has_coordinates:
        raise ValueError(f"One bandwidth a feature needs metric='euclidean'; got metric={metric!r}.")
    if values.shape != (len(features),):
        raise ValueError(
            f"bandwidth must have one value or one per feature ({len(features)}); got an array of shape {values.shape}."
        )
    return values.astype(np.float64)


def check_bandwidths(bandwidths, distance: type[Distance], metric, features: Sequence) -> np.ndarray:
    """Numbers, or rows of one bandwidth a feature."""
    values = np.asarray(bandwidths)
    if values.ndim not in (1, 2) or len(values) == 0 or values.dtype.kind not in "iuf":
        raise ValueError(
            "bandwidths must be numbers, at least one, of shape (n_bandwidths,) or (n_bandwidths, n_features); got "
            f"{bandwidths!r}."
        )
    return np.array([check_bandwidth(bandwidth, distance, metric, features, {}) for bandwidth in values.tolist()])


def check_degree(degree, allowed: Collection[int] = BASES) -> int:
    if isinstance(degree, bool) or not isinstance(degree, numbers.Integral) or degree not in allowed:
        *others, highest = map(str, allowed)
        raise ValueError(f"degree must be {', '.join(others)} or {highest}; got {degree!r}.")
    return int(degree)


def check_ridge(ridge, degree) -> float | str:
    if isinstance(ridge, str) and ridge == "auto" and degree == 1:
        return ridge
    if isinstance(ridge, bool) or not isinstance(ridge, numbers.Real) or not float(ridge) >= 0:
        raise ValueError(f"ridge must be a number that is not negative, or 'auto' for degree=1; got {ridge!r}.")
    if float(ridge) > 0 and degree != 1:
        raise ValueError(f"ridge={ridge!r} needs degree=1, whose slopes it shrinks; got degree={degree!r}.")
    return float(ridge)


def check_limit(limit) -> float:
    """The limit of absolute weights, inf for none, as for "auto" before a rule has found a bandwidth."""
    if limit is None or (isinstance(limit, str) and limit == "auto"):
        return np.inf
    if isinstance(limit, bool) or not isinstance(limit, numbers.Real) or not float(limit) >= 1:
        raise ValueError(f"limit must be a number, at least 1, or None or 'auto'; got {limit!r}.")
    return float(limit)


def check_clip(clip, distance: type[Distance]) -> None:
    if clip and distance.pairwise:
        raise ValueError("clip=True needs features, and metric='precomputed' has none.")


def check_count(count, name: str) -> int:
    if isinstance(count, bool) or not isinstance(count, numbers.Integral) or count < 1:
        raise ValueError(f"{name} must be an integer, at least 1; got {count!r}.")
    return int(count)


def check_smooth_kernel(kernel) -> Kernel:
    """A kernel whose distances can be learned by its slope."""
    kernel = check_kernel(kernel)
    if kernel.log_ratio is None or kernel.name == "constant":
        raise ValueError(
            "AttentionRegressor needs a kernel that falls and is positive everywhere ('exponential', 'gaussian', "
            f"'matern32', 'logistic', 'sigmoid', 'cauchy', or a Kernel with log_ratio); got {kernel.name!r}."
        )
    return kernel


def check_n_rounds(n_rounds, kernel: Kernel, degree: int) -> int | str:
    """Rounds of boosting, or "gcv"."""
    if isinstance(n_rounds, str):
        check_name(n_rounds, ("gcv",), "n_rounds, where it is a name,")
    elif isinstance(n_rounds, bool) or not isinstance(n_rounds, numbers.Integral) or n_rounds < 1:
        raise ValueError(f"n_rounds must be an integer, at least 1, or 'gcv'; got {n_rounds!r}.")
    if n_rounds != 1 and degree > 0:
        raise ValueError(f"n_rounds={n_rounds!r} needs degree=0; got degree={degree}.")
    if n_rounds != 1 and not kernel.positive_definite:
        raise ValueError(f"n_rounds={n_rounds!r} needs a positive definite kernel; got {kernel.name!r}.")
    return n_rounds


def check_metric_to_learn(metric, n_features: int, metrics: Collection[str]) -> str | np.ndarray:
    """The name of one of the metrics, or a matrix with a column for each feature."""
    if isinstance(metric, str):
        return check_name(metric, metrics, "metric, where it is a name,")
    matrix = check_array(metric, dtype=np.float64, input_name="metric")
    if matrix.shape[1] != n_features:
        raise ValueError(
            f"metric must be a name or a matrix with one column for each of {n_features} features; got one of shape "
            f"{matrix.shape}."
        )
    return matrix


def check_slopes(metric, n_varying: int, most: int) -> None:
    if isinstance(metric, str) and metric == "opg" and n_varying > most:
        raise ValueError(
            f"metric='opg' needs the slopes of local lines, for at most {most} features that vary; got {n_varying}. "
            "Take metric='ard'."
        )


def check_share(value, name: str) -> float:
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not 0 < float(value) < 1:
        raise ValueError(f"{name} must be a number between 0 and 1, without these; got {value!r}.")
    return float(value)


def check_quantiles(quantiles) -> np.ndarray:
    """Levels, (n_quantiles,), from 0 to 1."""
    values = np.asarray(quantiles)
    if (
        values.ndim != 1
        or len(values) == 0
        or values.dtype.kind not in "iuf"
        or not ((values >= 0) & (values <= 1)).all()
    ):
        raise ValueError(
            f"quantiles must be numbers from 0 to 1, at least one, of shape (n_quantiles,); got {quantiles!r}."
        )
    return values.astype(np.float64)


def check_kernel(kernel) -> Kernel:
    """The kernel that a name, a `Kernel` or a function of u stands for."""
    if isinstance(kernel, str):
        return KERNELS[check_name(kernel, KERNELS, "kernel, where it is a name,")]
    if isinstance(kernel, Kernel):
        if kernel in KERNELS.values():
            return kernel
        checked = replace(kernel, profile=_CheckedProfile(kernel.name, kernel.profile))
    elif callable(kernel):
        name = getattr(kernel, "__name__", type(kernel).__name__)
        checked = Kernel(name, _CheckedProfile(name, kernel))
    else:
        raise TypeError(f"kernel must be a name, a Kernel or a callable; got {kernel!r}.")
    checked(np.linspace(0, 3, 7))
    _check_facts(checked)
    return checked


def _check_facts(kernel: Kernel) -> None:
    """Compare what a user's kernel states of itself with its profile, for algorithms rely on it."""
    u = np.linspace(0, 3, 61)
    k, inside = kernel(u), u <= kernel.support
    stated: dict[str, tuple] = {"support": (~inside * k, 0)}
    if kernel.polynomial is not None:
        polynomial = np.polynomial.Polynomial(kernel.polynomial)
        stated["polynomial"] = (k[inside], (np.exp(-kernel.rate * u) * polynomial(u))[inside])
    if kernel.log_ratio is not None:
        stated["log_ratio"] = (np.minimum.accumulate(k), k[0] * np.exp(kernel.log_profile(u)))
    for fact, (got, want) in stated.items():
        if not np.allclose(got, want, rtol=1e-7, atol=1e-12):
            raise ValueError(f"The {fact} that kernel {kernel.name!r} states is not that of its profile.")


@dataclass(frozen=True)
class _CheckedProfile:
    """A user's kernel function, which is not believed: each of its answers is checked."""

    name: str
    function: Callable

    def __call__(self, u):
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):  # what comes of it is checked
            answer = np.asarray(self.function(u))
        if answer.shape != u.shape:
            raise ValueError(
                f"kernel {self.name!r} must return an array of the shape that it gets; got {answer.shape} "
                f"for {u.shape}."
            )
        if not np.can_cast(answer.dtype, np.float64, "same_kind"):
            raise TypeError(f"kernel {self.name!r} must return real numbers; got {answer.dtype}.")
        answer = answer.astype(np.float64, copy=False)
        lowest, highest = answer.min(initial=0.0), answer.max(initial=0.0)
        if not (lowest >= 0 and highest < np.inf):
            worst = lowest if not lowest >= 0 else highest
            hint = _INVERSE_DISTANCE if worst == np.inf else ""
            raise ValueError(f"kernel {self.name!r} must return finite, non-negative numbers; got {worst}.{hint}")
        return answer
