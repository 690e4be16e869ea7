"""`kanx formula`: what a saved model computes, as text."""

from __future__ import annotations

import sys
from argparse import Namespace


def run(arguments: Namespace) -> None:
    """Print the formula of every output of a saved model."""
    from kanx.explain.written import written_formulas
    from kanx.persistence import load

    formulas = written_formulas(load(arguments.model))
    if arguments.latex:
        text = "\n".join(formula.latex() for formula in formulas)
    else:
        text = "\n\n".join(str(formula) for formula in formulas)
    sys.stdout.write(text + "\n")
