"""How pictures look, and what each says of its own making."""
