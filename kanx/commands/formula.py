"""`kanx formula`: what a saved model computes, as text."""

from __future__ import annotations

import sys
from argparse import Namespace

from kanx.commands.models import load_estimator, load_model, rows_over_ranges


def run(arguments: Namespace) -> None:
    """Print the formula of every output of a saved model.

    The rows it was fitted on are not in the file: how close a sketch comes is measured over rows
    spread evenly over the ranges that the model has seen. A symbolic estimator is its formula.
    """
    from kanx.explain import explain
    from kanx.explain.written import written_formulas, written_text

    model = load_model(arguments.model)
    if hasattr(model, "formula_"):
        formulas = model.formula_ if isinstance(model.formula_, list) else [model.formula_]
        lines = [formula.latex() if arguments.latex else str(formula) for formula in formulas]
        sys.stdout.write("\n".join(lines) + "\n")
        return
    model = load_estimator(arguments.model)
    view = explain(model, rows_over_ranges(model))
    if arguments.latex:
        text = "\n".join(formula.latex() for formula in written_formulas(view))
    else:
        text = written_text(view)
    sys.stdout.write(text + "\n")
