"""Tree: few features, in leaves of neighbouring keys, of which each query meets only those in reach."""
