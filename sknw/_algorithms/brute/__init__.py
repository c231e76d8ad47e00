"""Brute force: all pairs of queries and keys."""
