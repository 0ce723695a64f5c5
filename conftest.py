"""The package is imported whole before doctests are collected from one of its files: no loss is registered twice."""

import loss_plugins  # noqa: F401
