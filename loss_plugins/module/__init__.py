"""The nn.Module around a loss: weight, reduction, running statistics."""
