"""Comparisons with others: who is audited, and the page that says how they fare."""
