"""Cells: sums over one or two features, whose keys are sorted or in cells."""
