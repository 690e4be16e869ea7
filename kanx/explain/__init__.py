"""Read a fitted model: its curves, what matters in it, and the formula it has found."""
