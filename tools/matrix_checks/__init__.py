"""The programs that the version matrix runs in its environments."""
