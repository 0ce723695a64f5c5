"""`python -m loss_plugins` is `loss-plugins`."""

from .cli import main

main()
