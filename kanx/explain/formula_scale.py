"""On which scale a formula of a model is: the target itself, log-odds, or a logarithm of counts."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kanx.explain.subject import Subject


def formula_target(subject: Subject, output: int = 0) -> str:
    """Return what a formula of an output computes, such as ``y``, ``logit(y)`` or ``log(E[y])``."""
    name = subject.target_names[output]
    if subject.link != "identity":
        return f"logit({name})"
    return f"log(E[{name}])" if subject.counts else name


def scale_notes(subject: Subject, output: int = 0) -> list[str]:
    """Return how a formula of an output becomes a prediction; nothing where it is one."""
    name = subject.target_names[output]
    if subject.link == "logistic":
        return [f"The formula is the log-odds of {name}: its probability is 1/(1 + exp(-formula))."]
    if subject.link == "softmax":
        return [
            f"The formula is the logit of {name}: the probability of a class is exp of its own "
            "formula divided by the sum of these over all classes."
        ]
    if subject.counts:
        return [f"The formula is the logarithm of the expected {name}: exp(formula) is the count."]
    return []
