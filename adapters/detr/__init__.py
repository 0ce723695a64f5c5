"""What adapters share that put a loss into others' code: a criterion with `loss_boxes`, a head with `compute_loss`."""
