"""A page to look at box losses: one HTML file that computes them, value and gradient, by their own programs."""
