"""Adapters: one package per framework; each imports the core, its own framework, and `detr`, which several share."""
