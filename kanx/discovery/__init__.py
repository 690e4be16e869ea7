"""The search for a law: reductions by symmetry, ridge units, sparse sums, polish and front."""
