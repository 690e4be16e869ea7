"""What is said of a symbolic formula: its fidelity, and whether a simpler model does as well."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from kanx.explain.evaluate import evaluate
from kanx.explain.formula import Formula
from kanx.explain.formula_scale import formula_target, scale_notes
from kanx.explain.subject import Subject
from kanx.explain.symbol_likelihood import Bernoulli, Counts
from kanx.explain.symbol_polish import constants_of
from kanx.explain.symbol_refit import Draft, Refit, Rows, refit, write_curves

Array = NDArray[np.float64]

_AS_WELL = 1.05  # ratio of errors up to which two models are called equal
_FAITHFUL = 0.99  # share of the network's variance below which a reader is warned
_UNEXPLAINED = 0.1  # share of the target's variance above which a reader is told
_EXACT = 1e-9  # relative error of a formula that is thought to be the law


@dataclass
class Report:
    """The rows that formulas are judged on.

    Attributes
    ----------
    subject : Subject
    output : int
    network_values : ndarray, (rows,)
    train : Rows
    test : Rows or None
        Held out from the fit of constants.
    train_rows, test_rows : ndarray of int
    has_target : bool
        Whether the rows hold the target, or what the network says.
    """

    subject: Subject
    output: int
    network_values: Array
    train: Rows
    test: Rows | None
    train_rows: NDArray[np.intp]
    test_rows: NDArray[np.intp]
    has_target: bool

    def formula(self, found: Refit) -> Formula:
        """Return a fitted draft as a formula with its scores."""
        subject = self.subject
        expr = write_curves(found.draft.written, found.draft.writers)
        scores = self._scores(expr)
        error = scores.get("nrmse_test", np.inf)
        return Formula(
            expr,
            subject.names,
            constants=constants_of(found),
            units=subject.units,
            ranges={c.name: (c.lower, c.upper) for c in subject.columns if c.categories is None},
            target=formula_target(subject, self.output),
            scores=scores,
            status="exact" if self.has_target and error < _EXACT else "approximate",
            notes=[*scale_notes(subject, self.output), *self._coverage],
        )

    def notes(self, formula: Formula) -> list[str]:
        """Return how the formula compares with the network and with a linear model."""
        judged = "held-out rows" if self.test is not None else "rows it was fitted to"
        rows, chosen = self._judged
        own = rows.error(self._values(formula.expr, rows))
        notes = []
        share = formula.scores["r2_network"]
        if share < _FAITHFUL:
            notes.append(
                f"The formula reproduces {100 * max(share, 0):.1f} % of the network's variance: it "
                "is not what the network has learned."
            )
        left = (own / max(self._spread, 1e-300)) ** 2
        if self.has_target and rows.likelihood.has_noise and left > _UNEXPLAINED:
            notes.append(
                f"{100 * left:.0f} % of the target's variance on the {judged} is left unexplained."
            )
        if self.has_target:
            network = rows.error(self.network_values[chosen])
            if own > _AS_WELL * network and own > _EXACT * self._spread:
                notes.append(
                    f"The formula is worse than the network: its {self._kind} on the {judged} is "
                    f"{own:.3g}, the network's {network:.3g} ({own / network:.2g} times)."
                )
            notes.append(
                "The rows held out from the fit of constants may have been seen by the network."
            )
        else:
            notes.append("Constants were fitted to the network, not to measured values.")
        linear = self._linear_error
        if linear <= _AS_WELL * own and linear < rows.error(self._flat) / _AS_WELL:
            notes.append(
                f"A linear model does as well: its {self._kind} on the {judged} is {linear:.3g}, "
                f"the formula's {own:.3g}."
            )
        if len(self.subject.members) > 1:
            notes.append(
                f"Read from the best of the {len(self.subject.members)} networks that the model "
                "averages; scores compare with the average."
            )
        return notes

    # -- parts -------------------------------------------------------------------------------

    @property
    def _judged(self) -> tuple[Rows, NDArray[np.intp]]:
        if self.test is None:
            return self.train, self.train_rows
        return self.test, self.test_rows

    @property
    def _kind(self) -> str:
        return self.train.likelihood.error

    @cached_property
    def _spread(self) -> float:
        return float(np.std(self._judged[0].target))

    @property
    def _flat(self) -> Array:
        """The best constant, for the rows that formulas are judged on."""
        level = self.train.likelihood.link(float(np.mean(self.train.target)))
        return np.full(len(self._judged[0].target), level)

    @cached_property
    def _linear_error(self) -> float:
        """Error of the linear model in all numeric columns; infinite where there is none."""
        names = [column.name for column in self.subject.columns if column.categories is None]
        size = float(np.abs(self.train.target).max(initial=0.0)) or 1.0
        expr = sp.Add(
            sp.Float(size * 1e-3),
            *(sp.Float(size * 1e-3 * (k + 1)) * sp.Symbol(n) for k, n in enumerate(names)),
        )
        found = refit(Draft.of(expr, {}), self.train)
        if found is None:
            return np.inf
        rows = self._judged[0]
        return rows.error(self._values(found.draft.written, rows))

    @property
    def _coverage(self) -> list[str]:
        """Say what the formula does not cover, and how categories enter it."""
        notes = []
        for name, column in zip(self.subject.names, self.subject.columns, strict=True):
            if column.categories is not None:
                codes = ", ".join(f"{k} = {value}" for k, value in enumerate(column.categories))
                notes.append(f"{name} is a code: {codes}.")
            if column.missing:
                notes.append(f"Rows where {name} is missing are not covered.")
        return notes

    def _values(self, expr: sp.Expr, rows: Rows) -> Array:
        return np.broadcast_to(evaluate(expr, rows.columns), len(rows.target))

    def _scores(self, expr: sp.Expr) -> dict[str, float]:
        unit = self.subject.target_scale[self.output].item()
        parts = {"train": (self.train, self.train_rows)}
        if self.test is not None:
            parts["test"] = (self.test, self.test_rows)
        values = {name: self._values(expr, rows) for name, (rows, _) in parts.items()}
        everywhere = np.concatenate(list(values.values()))
        network = np.concatenate([self.network_values[chosen] for _, chosen in parts.values()])
        scores = {"r2_network": _r2(network, everywhere, unit)}
        for name, (rows, chosen) in parts.items():
            if not self.has_target:
                scores[f"r2_network_{name}"] = _r2(rows.target, values[name], unit)
            elif isinstance(rows.likelihood, Bernoulli):
                scores[f"log_loss_{name}"] = rows.error(values[name]) ** 2 / 2
                scores[f"accuracy_{name}"] = float(np.mean((values[name] > 0) == rows.target))
                network_error = rows.error(self.network_values[chosen])
                scores[f"network_log_loss_{name}"] = network_error**2 / 2
            elif isinstance(rows.likelihood, Counts):
                empty = rows.error(np.full(len(rows.target), self._flat[0]))
                scores[f"d2_{name}"] = 1 - (rows.error(values[name]) / max(empty, 1e-300)) ** 2
                network_error = rows.error(self.network_values[chosen])
                scores[f"network_d2_{name}"] = 1 - (network_error / max(empty, 1e-300)) ** 2
            else:
                scores[f"r2_{name}"] = _r2(rows.target, values[name], unit)
                scores[f"network_r2_{name}"] = _r2(rows.target, self.network_values[chosen], unit)
                scores[f"nrmse_{name}"] = rows.error(values[name]) / max(
                    float(np.std(rows.target)), 1e-300
                )
        return scores


def _r2(truth: Array, values: Array, unit: float) -> float:
    """Return the share of variance; minus infinity where a value is not finite.

    Variations below ``1e-9 * unit`` are rounding errors of a constant.
    """
    if not np.isfinite(values).all():
        return -np.inf
    spread = float(np.sum((truth - truth.mean()) ** 2))
    left = float(np.sum((truth - values) ** 2))
    rounding = len(truth) * (_EXACT * unit) ** 2
    if spread <= rounding:
        return 1.0 if left <= rounding else 0.0
    return 1 - left / spread
