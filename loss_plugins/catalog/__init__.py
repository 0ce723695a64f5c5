"""What is said of a loss: names, formulas, sources, parameters, traits, dialects."""
