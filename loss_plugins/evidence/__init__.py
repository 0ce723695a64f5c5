"""What a loss does, before and after a training: experiments, pictures and comparisons."""
