"""Arrays of other libraries: where they lie, and the ways to NumPy and back. They need array-api-compat."""

from __future__ import annotations

from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np


class Device(NamedTuple):
    """Where arrays lie that are not NumPy's: a library and one of its devices, by their names. It can be pickled.

    Parameters
    ----------
    library : str
        The module of its namespace.
    name : str
        What `str` gives for the device.
    """

    library: str
    name: str

    def __str__(self) -> str:
        return f"{self.library.removeprefix('array_api_compat.')} on {self.name}"

    @property
    def namespace(self) -> Any:
        """The library, as the standard for arrays has it."""
        return import_module(self.library)

    @property
    def accelerator(self) -> Device | None:
        """Itself, if it is one; None for a device of the processor, whose arrays NumPy has at no cost."""
        return None if "cpu" in self.name.lower() else self

    @property
    def has_float64(self) -> bool:
        """Whether the device knows double precision: some do not, nor does JAX unless it is told to."""
        return _has_float64(self)

    def put(self, array: np.ndarray) -> Any:
        """A copy of an array on the device, in its own dtype, or in single precision where there is no double."""
        if array.dtype == np.float64 and not _has_float64(self):
            array = array.astype(np.float32)
        # A copy in order: torch shares memory with NumPy, warns of what is read-only, and knows no negative strides.
        return self.namespace.asarray(np.array(array, order="C"), device=self.device)

    @property
    def device(self) -> Any:
        """The device as its library has it."""
        if self.library.endswith("torch"):  # takes names, and would try all that there could be to list devices
            return self.name
        for device in self.namespace.__array_namespace_info__().devices():
            if str(device) == self.name:
                return device
        raise ValueError(f"There is no device {self.name} of {self.library} here, where the model was fitted.")


def device_of(array) -> Device | None:
    """Where an array lies, if it is one of another library than NumPy; None stands for NumPy and all that becomes it.

    Raises
    ------
    ImportError
        If array-api-compat is not there.
    """
    if isinstance(array, np.ndarray | np.generic) or not _is_foreign(array):
        return None
    compat = _compat()
    if not compat.is_array_api_obj(array) or compat.is_dask_array(array) or compat.is_pydata_sparse_array(array):
        return None
    return Device(compat.array_namespace(array).__name__, str(compat.device(array)))


def to_numpy(array):
    """An array of another library as one of NumPy; anything else as it is."""
    device = device_of(array)
    if device is None:
        return array
    compat, xp = _compat(), device.namespace
    if compat.is_array_api_strict_namespace(xp):
        return np.asarray(compat.to_device(array, xp.__array_namespace_info__().default_device()))
    if not compat.is_jax_array(array):  # which NumPy takes from anywhere
        array = compat.to_device(array, "cpu")
    if compat.is_torch_array(array) and str(array.dtype) == "torch.bfloat16":  # which NumPy does not know
        array = xp.astype(array, xp.float32)
    return np.asarray(array)


def from_device(array, device: Device | None, estimator, method: str):
    """An array as one of NumPy, if it lies where that of `fit` did.

    method : str
        To which it was given.

    Raises
    ------
    ValueError
        If it lies elsewhere.
    """
    found = device_of(array)
    if found != device:
        fitted, given = ("NumPy" if each is None else str(each) for each in (device, found))
        remedy = " model.to_device(X) gives a fitted copy for arrays like X." if hasattr(estimator, "to_device") else ""
        raise ValueError(
            f"Inputs passed to {type(estimator).__name__}.{method}() must use the same namespace and the same device "
            f"as those passed to fit(). fit() got an array of {fitted}, and {method}() one of {given}.{remedy}"
        )
    return to_numpy(array)


@lru_cache
def _has_float64(device):
    info = device.namespace.__array_namespace_info__()
    return "float64" in info.dtypes(device=device.device, kind="real floating")


def _is_foreign(array):
    """Whether an object may be an array that NumPy has not made, without an import."""
    return hasattr(array, "__array_namespace__") or type(array).__module__ == "torch"


def _compat():
    try:
        return import_module("array_api_compat")
    except ImportError as error:
        raise ImportError(
            "With array_api_dispatch, arrays of other libraries than NumPy need the package array-api-compat: "
            "pip install 'scikit-nw[array-api]'."
        ) from error
