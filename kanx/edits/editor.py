"""An expert's edits of a fitted estimator: each is scored, recorded and can be undone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike
from torch import Tensor

from kanx.edits.constraining import constrain
from kanx.edits.formulas import set_formula
from kanx.edits.pruning import prune_edges
from kanx.edits.rebuild import Edge
from kanx.edits.records import Edit
from kanx.edits.refitting import refitted, with_model
from kanx.edits.result import Edited
from kanx.edits.scaling import damp
from kanx.edits.smoothing import smooth
from kanx.edits.targets import checked_weight, encoded_target, scores
from kanx.edits.terms import Term, describe, edges_of_input, find_edge, find_input
from kanx.layers import Constraint
from kanx.model import Model
from kanx.network import KAN

if TYPE_CHECKING:
    from kanx.estimator_base import KANEstimator

Change = Callable[[KAN], Edited]


class Editor:
    """Edit the curves of a fitted estimator, made by `kanx.edit`.

    Every method edits one curve, fits everything else again with this curve and all those edited
    before held fixed, and leaves a new estimator in `model`. The estimator that was passed is never
    changed. Curves that the estimator was fitted with constraints on are held as well. An average
    of several networks becomes one network with the first edit.

    A term is named by its input (where one curve leaves it), by input and target, by
    ``(layer, input, output)`` or by a curve of ``kanx.explain(model, X).curves``.

    Attributes
    ----------
    model : KANRegressor or KANClassifier
        With all edits; `kanx.save` stores it with its history.
    """

    model: KANEstimator

    def __init__(
        self,
        model: KANEstimator,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        X_test: Any = None,
        y_test: ArrayLike | None = None,
    ) -> None:
        if not isinstance(getattr(model, "model_", None), Model):
            raise TypeError(
                f"only a fitted KANRegressor or KANClassifier can be edited, got "
                f"{type(model).__name__}; the functions of kanx.edits edit a KAN"
            )
        if (X_test is None) != (y_test is None):
            raise ValueError("X_test and y_test belong together; pass both or neither")
        self.model = model
        self._x: Tensor = model._matrix(X)
        self._y = encoded_target(model, y, len(self._x))
        self._weight = checked_weight(sample_weight, len(self._x))
        self._held_out = X_test is not None
        self._scored = (X, y, sample_weight) if X_test is None else (X_test, y_test, None)

    @property
    def history(self) -> list[Edit]:
        """The edits that the model has, oldest first, those of earlier sessions too."""
        return [Edit.from_dict(stored) for stored in self._model.history]

    @property
    def scores(self) -> dict[str, float]:
        """Scores of the present model on the rows for scoring."""
        return scores(self.model, *self._scored)

    # -- edits -------------------------------------------------------------------------------

    def set_formula(
        self,
        term: Term,
        function: str,
        constants: Mapping[str, float] | None = None,
        *,
        refit: bool = True,
    ) -> Edit:
        r"""Draw a curve by an elementary function, :math:`c\,F(a x + b) + d`.

        Parameters
        ----------
        term : see `Editor`
        function : str
            Name in `kanx.functions.FUNCTIONS`, such as ``"log"``.
        constants : mapping of str to float, optional
            ``a``, ``b``, ``c`` and ``d`` in the units of the input and of the target; fitted to
            the curve if left out.
        refit : bool, default=True
            Whether everything else is fitted again.

        Returns
        -------
        Edit

        Raises
        ------
        ValueError
            If the term or the function is unknown or a constant is missing.
        """
        edge = self._edge(term)
        own = None if constants is None else self._scaled(edge, constants)
        details = function
        if constants is not None:
            details += " with " + ", ".join(f"{k} = {v:g}" for k, v in constants.items())
        return self._apply(
            "set_formula",
            edge,
            details,
            lambda net: set_formula(net, edge, function, own, x=self._x),
            refit,
        )

    def constrain(
        self,
        term: Term,
        constraints: str | Constraint | Sequence[str | Constraint],
        *,
        refit: bool = True,
    ) -> Edit:
        """Force a curve to be monotone, convex or whatever `kanx.layers.Constraint` knows.

        Parameters
        ----------
        term : see `Editor`
        constraints : str, Constraint or sequence of these
            Such as ``"increasing"`` or ``["increasing", "concave"]``.
        refit : bool, default=True
            Whether everything else is fitted again.

        Returns
        -------
        Edit

        Raises
        ------
        ValueError
            If the term or a constraint is unknown, or no curve keeps them all.
        TypeError
            If the curve's family is not linear in its coefficients.
        """
        edge = self._edge(term)
        several = [constraints] if isinstance(constraints, str | Constraint) else constraints
        details = ", ".join(c if isinstance(c, str) else c.kind for c in several)
        return self._apply(
            "constrain",
            edge,
            details,
            lambda net: constrain(net, edge, constraints, x=self._x),
            refit,
        )

    def drop(self, term: Term, *, refit: bool = True) -> Edit:
        """Remove a curve, or by the name of an input all of its curves.

        Parameters
        ----------
        term : see `Editor`
        refit : bool, default=True
            Whether everything else is fitted again.

        Returns
        -------
        Edit

        Raises
        ------
        ValueError
            If the term is unknown or gone already.
        """
        network = self._model.network
        if isinstance(term, str):
            edges = edges_of_input(network, find_input(term, self._model.names))
            if not any(network.all_layers[k].mask[i, o] > 0 for k, i, o in edges):
                raise ValueError(f"the input {term!r} has no curves left to drop")
        else:
            edges = [self._edge(term)]
        label = term if isinstance(term, str) else self._describe(edges[0])
        return self._apply(
            "drop", edges, "", lambda net: prune_edges(net, edges, x=self._x), refit, label
        )

    def damp(self, term: Term, factor: float, *, refit: bool = True) -> Edit:
        """Pull a curve towards its mean by a factor.

        Parameters
        ----------
        term : see `Editor`
        factor : float
            Share of the curve that stays: 0 flattens it, above 1 it is amplified.
        refit : bool, default=True
            Whether everything else is fitted again.

        Returns
        -------
        Edit

        Raises
        ------
        ValueError
            If the term is unknown or the factor is no finite number.
        """
        if not np.isfinite(factor):
            raise ValueError(f"factor must be a finite number, got {factor}")
        edge = self._edge(term)
        return self._apply(
            "damp", edge, f"to {factor:g}", lambda net: damp(net, edge, factor, x=self._x), refit
        )

    def smooth(self, term: Term, roughness: float = 0.5, *, refit: bool = True) -> Edit:
        """Make a curve smoother.

        Parameters
        ----------
        term : see `Editor`
        roughness : float, default=0.5
            Share of the roughness that stays; see `kanx.edits.smooth`.
        refit : bool, default=True
            Whether everything else is fitted again.

        Returns
        -------
        Edit

        Raises
        ------
        ValueError
            If the term is unknown or the share is not between 0 and 1.
        TypeError
            If the curve's family cannot be smoothed.
        """
        edge = self._edge(term)
        return self._apply(
            "smooth",
            edge,
            f"to {roughness:g} of its roughness",
            lambda net: smooth(net, edge, roughness, x=self._x),
            refit,
        )

    def undo(self) -> Edit:
        """Take back the last edit, with the re-fit that came with it.

        Returns
        -------
        Edit
            The one that was taken back.

        Raises
        ------
        ValueError
            If there is none.
        """
        if self._model.previous is None:
            raise ValueError("there is no edit to undo")
        undone = self.history[-1]
        self.model = with_model(self.model, self._model.previous)
        return undone

    def forget(self) -> None:
        """Keep the present model and its history only: smaller files, and nothing to undo."""
        self.model = with_model(self.model, replace(self._model, previous=None))

    # -- details -----------------------------------------------------------------------------

    @property
    def _model(self) -> Model:
        return self.model.model_

    def _edge(self, term: Term) -> Edge:
        model = self._model
        return find_edge(model.network, term, model.names, model.target_names)

    def _describe(self, edge: Edge) -> str:
        return describe(self._model.network, edge, self._model.names, self._model.target_names)

    def _constrained(self) -> list[Edge]:
        """Return the curves that the fit kept constraints on; a re-fit holds them too."""
        model = self._model
        asked = getattr(self.model, "constraints", None) or {}
        columns = [find_input(c, model.names) if isinstance(c, str) else int(c) for c in asked]
        return [edge for column in columns for edge in edges_of_input(model.network, column)]

    def _scaled(self, edge: Edge, constants: Mapping[str, float]) -> dict[str, float]:
        """Return constants in the units of the network, whose outputs are standardised."""
        network = self._model.network
        layer, _, o = edge
        last = len(network.layers) - 1
        if layer < last or (layer == last and o >= network.nodes[-1].sums):
            return dict(constants)
        scale = float(self._model.target_scale[o])
        return {k: v / scale if k in ("c", "d") else v for k, v in constants.items()}

    def _apply(
        self,
        name: str,
        edges: Edge | list[Edge],
        details: str,
        change: Change,
        refit: bool,
        label: str | None = None,
    ) -> Edit:
        model = self._model
        own = edges if isinstance(edges, list) else [edges]
        before = self.scores
        network = change(copy.deepcopy(model.network).double()).network
        held = [edge for edit in self.history for edge in edit.edges] + own + self._constrained()
        data = (self._x, self._y, self._weight)
        fresh = refitted(model, network, data, held, still=not refit)
        candidate = with_model(self.model, fresh)
        edit = Edit(
            name,
            label or self._describe(own[0]),
            details,
            own,
            refit,
            (fresh.outputs(self._x) - model.outputs(self._x)).abs().max().item(),
            before,
            scores(candidate, *self._scored),
            len(np.asarray(self._scored[1])),
            self._held_out,
        )
        fresh.history = [*model.history, edit.to_dict()]
        self.model = candidate
        return edit

    def __repr__(self) -> str:
        lines = [f"Editor of a {type(self.model).__name__}, {len(self.history)} edits"]
        return "\n".join([*lines, *(f"  {k}. {e}" for k, e in enumerate(self.history, 1))])
