"""Selection: bandwidths and ridges that are found from the samples."""
