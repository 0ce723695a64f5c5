"""Forward-mode derivatives are loaded before any test runs.

torch loads its table of them at the first dual number, from another table that a long run of tests was seen to leave
without one of its entries; then it cannot be loaded any more.
"""

from __future__ import annotations

import torch._decomp.decompositions_for_jvp  # noqa: F401  (for what its import does)
