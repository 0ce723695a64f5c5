"""What works with the installed libreyolo: its adapter's doctor plugs a loss into each criterion."""

from __future__ import annotations

from loss_plugins.adapters.libreyolo.doctor import report

from .found import tell_of_adapter

if __name__ == "__main__":
    tell_of_adapter("libreyolo", report)
