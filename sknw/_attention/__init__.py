"""Attention: metrics that are learned, and the heads that predict with them."""
