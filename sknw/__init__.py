"""Nadaraya-Watson kernel regression, also known as attention pooling, for scikit-learn."""

import warnings
from pathlib import Path

from sknw import datasets
from sknw._attention_regressor import AttentionRegressor
from sknw._bandwidth_path import bandwidth_path
from sknw._displays import AttentionDisplay, BandwidthDisplay, KernelDisplay, RegressionDisplay, ScaleDisplay
from sknw._kernels import KERNELS, Kernel
from sknw._local_polynomial import LocalPolynomialRegressor
from sknw._nadaraya_watson import NadarayaWatsonRegressor

__version__ = "0.1.0"

__all__ = [
    "AttentionDisplay",
    "AttentionRegressor",
    "BandwidthDisplay",
    "KERNELS",
    "Kernel",
    "KernelDisplay",
    "LocalPolynomialRegressor",
    "NadarayaWatsonRegressor",
    "RegressionDisplay",
    "ScaleDisplay",
    "bandwidth_path",
    "datasets",
]

if Path(__file__).with_name("sknw.py").exists():
    warnings.warn(
        "The files of scikit-nw are mixed with those of an unrelated package that is also called sknw. "
        "Run `pip uninstall sknw scikit-nw`, then `pip install scikit-nw`.",
        ImportWarning,
        stacklevel=2,
    )
