"""The checks of the audit, one file an idea."""
