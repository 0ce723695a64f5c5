"""`loss-plugins bench`: time and memory of every loss that a peer has, ours beside theirs in one run."""
