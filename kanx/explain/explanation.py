"""`explain`: everything that can be read from a fitted model, as data first."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any


from kanx.explain.curves import Curves, read_curves
from kanx.explain.importances import Importances, read_importances
from kanx.explain.subject import Subject, subject_of


class Explanation:
    """What a model has learned, computed over given rows when first asked for.

    Made by `kanx.explain`. Scaling and encoding are undone: inputs are in the user's units,
    outputs in those of the target; for a classifier they are log-odds (of the second of two
    classes, or the logit of every class).

    Attributes
    ----------
    subject : Subject
        The model and the encoded rows.
    random_state : int
        Seed of everything that is estimated by sampling.
    """

    def __init__(self, subject: Subject, random_state: int = 0) -> None:
        self.subject = subject
        self.random_state = random_state

    @property
    def names(self) -> list[str]:
        """Names of the inputs."""
        return self.subject.names

    @property
    def target_names(self) -> list[str]:
        """Names of the targets, or of the classes that the outputs stand for."""
        return self.subject.target_names

    @property
    def link(self) -> str:
        """``"identity"``, ``"logistic"`` or ``"softmax"``: outputs are logits in the latter two."""
        return self.subject.link

    @property
    def n_rows(self) -> int:
        """Number of rows that the explanation was computed over."""
        return len(self.subject.x)

    @cached_property
    def curves(self) -> Curves:
        """Every curve with its band and its support."""
        return read_curves(self.subject)

    @cached_property
    def importances(self) -> Importances:
        """Shares of inputs, nodes and edges in the variance of the outputs."""
        return read_importances(self.subject, self.random_state)

    def __repr__(self) -> str:
        network = self.subject.network
        kind = "additive" if self.subject.is_additive else f"{len(network.layers)} layers"
        return (
            f"Explanation({kind}, {len(self.names)} inputs, {network.n_edges} curves, "
            f"over {self.n_rows} rows)"
        )


def explain(
    model: Any,
    X: Any,
    *,
    units: Mapping[str, str] | None = None,
    max_rows: int = 2000,
    random_state: int = 0,
) -> Explanation:
    """Explain a fitted model on the rows of a table.

    Parameters
    ----------
    model : KANRegressor, KANClassifier, Model or KAN
    X : array, DataFrame or dict of columns, (rows, features)
        The rows that averages, supports and importances are computed over; usually the training
        table.
    units : mapping of str to str, optional
        Unit of the columns and of the target, shown on axes.
    max_rows : int, default=2000
        A larger table is thinned to so many rows, drawn at random.
    random_state : int, default=0
        Seed of that draw and of everything that is estimated by sampling.

    Returns
    -------
    Explanation

    Raises
    ------
    TypeError
        If the model is no fitted model of kanx.
    ValueError
        If X does not fit the model.
    """
    return Explanation(subject_of(model, X, units, max_rows, random_state), random_state)
