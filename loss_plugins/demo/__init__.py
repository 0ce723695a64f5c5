"""A small real data set of handwritten digits, and pictures of what was detected."""
