"""Displays: figures of fitted estimators, drawn from their public methods."""

from sknw._displays._attention import AttentionDisplay
from sknw._displays._bandwidth import BandwidthDisplay
from sknw._displays._kernel import KernelDisplay
from sknw._displays._regression import RegressionDisplay
from sknw._displays._scale import ScaleDisplay

__all__ = ["AttentionDisplay", "BandwidthDisplay", "KernelDisplay", "RegressionDisplay", "ScaleDisplay"]
