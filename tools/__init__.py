"""What maintainers run: the pages and tables of the documentation, the stub, the layer rules, the version matrix."""
