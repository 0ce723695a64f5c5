"""Helpers are not collected."""

collect_ignore = ["ranks.py"]
