"""How value and gradient are computed together: recorded, simplified, and run as a program or as machine code."""
