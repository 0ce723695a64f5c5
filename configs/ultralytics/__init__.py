"""Ready-made losses for Ultralytics: `losses=alpha_ciou` on the shell, `config="alpha_ciou"` in Python."""
