"""Adapters: one package per framework; each imports the core and its own framework, never another adapter."""
