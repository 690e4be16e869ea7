"""`explain`: everything that can be read from a fitted model, as data first."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from kanx.explain.anova import Anova, anova_of
from kanx.explain.cancellation import cancellation_notes, share_notes
from kanx.explain.counterfactual import Counterfactuals, find_counterfactuals
from kanx.explain.curves import Curves, read_curves
from kanx.explain.effects import read_effects
from kanx.explain.importances import Importances, read_importances
from kanx.explain.interactions import Interactions, Surface, read_interactions, read_surface
from kanx.explain.local import Contributions, read_contributions
from kanx.explain.marginals import Marginal, marginals_of
from kanx.explain.subject import Subject, subject_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure, SubFigure

    from kanx.explain.edge_formulas import EdgeFormula
    from kanx.explain.formula import Formula


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

    # -- global ------------------------------------------------------------------------------

    @cached_property
    def curves(self) -> Curves:
        """Every edge of the network as a curve, with its band and its support."""
        return read_curves(self.subject)

    @cached_property
    def effects(self) -> Curves:
        """The average effect of every input on every output; the curves of an additive model."""
        return read_effects(
            self.subject, self.curves, self._anova, self._marginals, self.random_state
        )

    @cached_property
    def importances(self) -> Importances:
        """Shares of inputs, nodes and edges in the variance of the outputs."""
        return read_importances(self.subject, self.random_state)

    @cached_property
    def interactions(self) -> Interactions:
        """Main effects and pairs of inputs as shares of the variance."""
        ranking = self.importances.ranking()
        return read_interactions(self.subject, self._anova, self._marginals, ranking)

    def surface(self, first: str, second: str, output: int = 0) -> Surface:
        """Return the joint effect of two inputs on a grid over their data."""
        i, j = (self._index(name) for name in (first, second))
        if i == j:
            raise ValueError(f"a surface needs two inputs, got {first!r} twice")
        return read_surface(self.subject, self._anova, i, j, self._output(output))

    def to_frames(self) -> dict[str, Any]:
        """Return all global numbers as tables: curves, effects, importances, edges, interactions.

        Frames of pandas, or dicts of arrays where it is not installed.
        """
        return {
            "curves": self.curves.to_frame(),
            "effects": self.effects.to_frame(),
            "importances": self.importances.to_frame(),
            "edges": self.importances.edges_to_frame(),
            "interactions": self.interactions.to_frame(),
        }

    @cached_property
    def notes(self) -> list[str]:
        """What a reader of the importances must know, in sentences; empty as a rule."""
        found = cancellation_notes(self.subject)
        if not self.subject.is_additive:
            found += share_notes(self.importances, self.interactions)
        return found

    # -- formulas ----------------------------------------------------------------------------

    @cached_property
    def edge_formulas(self) -> list[EdgeFormula]:
        """Exact expressions of the edges whose family has a closed form."""
        from kanx.explain.edge_formulas import edge_formulas

        return edge_formulas(self.subject)

    @cached_property
    def formulas(self) -> tuple[Formula, ...]:
        """The network written out, one formula per output.

        Empty where an edge has no closed form; `kanx.symbolify` then finds an approximate one.
        """
        from kanx.explain.edge_formulas import network_formulas

        return network_formulas(self.subject)

    @property
    def formula(self) -> Formula | None:
        """The network of one output written out; None where an edge has no closed form.

        Raises
        ------
        ValueError
            If there are several outputs; see `formulas`.
        """
        if self.subject.n_outputs != 1:
            raise ValueError(
                f"the model has {self.subject.n_outputs} outputs {self.target_names}; read "
                "`formulas`"
            )
        return self.formulas[0] if self.formulas else None

    # -- single rows -------------------------------------------------------------------------

    def local(self, X: Any = None) -> Contributions:
        """Split predictions into the inputs' contributions; those of the own rows by default."""
        return read_contributions(self.subject, self._rows(X), self.random_state)

    def out_of_range(self, X: Any = None) -> NDArray[np.bool_]:
        """Say which values the model has never seen the like of, ``(rows, in)``."""
        return self.subject.outside(self._rows(X)).numpy()

    def counterfactuals(
        self,
        X: Any,
        wanted: float | str | None = None,
        *,
        output: int = 0,
        fixed: Sequence[str] = (),
    ) -> Counterfactuals:
        """Find the smallest changes of one row that flip the decision or reach a value.

        Parameters
        ----------
        X : table of one row, (1, features)
        wanted : float or class, optional
            The class that must win (by default the other one, or the runner-up), or the value
            that a regression must cross.
        output : int, default=0
            Which target of a regression.
        fixed : sequence of str
            Inputs that cannot change.

        Raises
        ------
        ValueError
            If X has not exactly one row, or `wanted` or `fixed` makes no sense.
        """
        x = self._rows(X)
        if len(x) != 1:
            raise ValueError(f"counterfactuals are found for one row at a time, got {len(x)}")
        return find_counterfactuals(self.subject, x[0], wanted, self._output(output), fixed)

    # -- pictures ----------------------------------------------------------------------------

    def plot(self, output: int = 0, *, most: int = 20, least: float = 1e-3) -> Figure | SubFigure:
        """Draw the effects of the most important inputs on an output, with one scale.

        Parameters
        ----------
        output : int, default=0
        most : int, default=20
            Largest number of inputs.
        least : float, default=0.001
            Inputs of a smaller share of the variance are left out.

        Returns
        -------
        matplotlib.figure.Figure
        """
        from kanx.explain.plots import plot_curves

        name = self.target_names[self._output(output)]
        by_source = {c.source: c for c in self.effects.select(target=name) if c.is_alive}
        share = self.importances.features[:, output]
        ranking = self.importances.ranking(output)
        ranked = [self.names[j] for j in ranking if share[j] >= min(least, share.max())]
        return plot_curves([by_source[n] for n in ranked if n in by_source][:most])

    def plot_network(self, ax: Axes | None = None, **options: Any) -> Axes:
        """Draw the network; see `kanx.explain.plots.plot_network`."""
        from kanx.explain.plots import plot_network

        return plot_network(self, ax, **options)

    def plot_importances(self, output: int | None = None, ax: Axes | None = None) -> Axes:
        """Draw the inputs' shares of the variance."""
        from kanx.explain.plots import plot_importances

        return plot_importances(self.importances, output, ax)

    def plot_surface(
        self, first: str, second: str, output: int = 0, ax: Axes | None = None, **options: Any
    ) -> Axes:
        """Draw what two inputs do together; see `kanx.explain.plots.plot_surface`."""
        from kanx.explain.plots import plot_surface

        return plot_surface(self.surface(first, second, output), ax, **options)

    def plot_local(self, X: Any, row: int = 0, output: int = 0, ax: Axes | None = None) -> Axes:
        """Draw how the prediction of one row of a table comes about."""
        from kanx.explain.plots import plot_waterfall

        return plot_waterfall(self.local(X), row, self._output(output), ax)

    def to_html(self, path: str | os.PathLike[str], **options: Any) -> None:
        """Write the report: one HTML file that needs nothing but itself.

        A file that was there is replaced only when the new one is complete.

        Parameters
        ----------
        path : str or path
        **options
            See `kanx.explain.report.render`.
        """
        from kanx.atomic import write_text
        from kanx.explain.report import render

        write_text(path, render(self, **options))

    # -- details -----------------------------------------------------------------------------

    @cached_property
    def _marginals(self) -> list[Marginal]:
        return marginals_of(self.subject.x, self.subject.columns)

    @cached_property
    def _anova(self) -> Anova:
        return anova_of(self.subject, self._marginals, self.random_state)

    def _rows(self, X: Any) -> Tensor:
        return self.subject.x if X is None else self.subject.encode(X)

    def _index(self, name: str) -> int:
        if name not in self.names:
            raise ValueError(f"there is no input {name!r}; the inputs are {self.names}")
        return self.names.index(name)

    def _output(self, output: int) -> int:
        if not 0 <= output < self.subject.n_outputs:
            raise ValueError(
                f"output must be below {self.subject.n_outputs}, the number of outputs, got "
                f"{output}"
            )
        return output

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
        Unit of the columns and of the target, shown on axes. Columns that the model was not
        given are left alone, so the units of a whole table will do.
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

    Examples
    --------
    >>> import numpy as np
    >>> import kanx
    >>> X = np.random.default_rng(0).uniform(-1, 1, (100, 2))
    >>> model = kanx.KANRegressor(random_state=0).fit(X, X[:, 0] ** 2 + X[:, 1])
    >>> view = kanx.explain(model, X)
    >>> view.importances.features[:, 0].round(2)
    array([0.2, 0.8])
    """
    return Explanation(subject_of(model, X, units, max_rows, random_state), random_state)
