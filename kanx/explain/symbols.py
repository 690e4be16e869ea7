"""`symbolify`: a fitted network as a formula that a reader may believe, or is told not to."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch import Tensor

from kanx.explain.formula import Formula
from kanx.explain.formula_text import plain_text
from kanx.explain.subject import Subject, subject_of
from kanx.explain.symbol_choices import EdgeChoices, edge_choices
from kanx.explain.symbol_compose import compose
from kanx.explain.symbol_likelihood import Bernoulli, Counts, Likelihood, Normal
from kanx.explain.symbol_polish import polished
from kanx.explain.symbol_refit import Refit, Rows
from kanx.explain.symbol_report import Report
from kanx.explain.symbol_search import State, fitted, search, writers_of

Array = NDArray[np.float64]

_MOST_ROWS = 2000  # used for the constants
_ROWS_IN_SEARCH = 600
_MOST_CURVES = 100
_LEAST_HELD_OUT = 5
_EVERY_ROW = 2**62
_ALIKE_BITS = 4.3  # log2(20): formulas closer than this cannot be told apart
_ROUNDING = 1e-9  # relative residual that is as good as none
_LONGEST_FRONT = 6
# a formula of the network follows it to a share of its variance, however uncertain it is
_LEAST_ERROR, _MOST_ERROR = 1e-10, 1e-2
_LEAST_FREEDOM = 20


def symbolify(
    model: Any,
    X: Any,
    y: ArrayLike | None = None,
    *,
    output: int | None = None,
    functions: Collection[str] | None = None,
    units: Mapping[str, str] | None = None,
    random_state: int = 0,
) -> Formula:
    r"""Turn the curves of a fitted network into symbols, and the network into a formula.

    Every living curve gets a few candidate functions, ranked by description length with the
    curve's own uncertainty as noise. Starting from the best of each, the curves try their other
    candidates in order of confidence times importance, with all constants re-fitted together, and
    the formula with the shortest description

    .. math:: \tfrac{N}{2}\log_2 \mathrm{MSE} + \tfrac{k}{2}\log_2 N + \mathrm{bits(structure)}

    is kept. Constants are then dropped or given exact names where their standard errors allow. A
    curve that no function explains stays what it is.

    Parameters
    ----------
    model : KANRegressor, KANClassifier, Model or KAN
        Of several averaged networks the one of highest evidence is read.
    X : array, DataFrame or dict of columns, (rows, features)
        Rows of the kind the model was fitted to. Rows with missing values are left out.
    y : array, (rows,) or (rows, targets), optional
        The target, or the labels of a classifier. With it constants are fitted to the target on
        three quarters of the rows and checked on the others; without it, to the network.
    output : int, optional
        Which target or class, where there are several. The logit of one of several classes is
        always fitted to the network.
    functions : collection of str, optional
        Names of the functions allowed; all of ``kanx.functions`` by default.
    units : mapping of str to str, optional
        Unit of the columns and of the target.
    random_state : int
        Seed of the choice of held-out rows.

    Returns
    -------
    Formula
        Of the target in its own units, or of the log-odds. ``scores`` compare it with the
        network (``r2_network``) and with the target on the rows fitted to and on those held out;
        ``notes`` say what a reader must know; ``front`` trades accuracy against complexity.

    Raises
    ------
    TypeError
        If the model is no fitted model of kanx.
    ValueError
        If X or y do not fit the model, there are several outputs and none is chosen, or the
        network has more than 100 living curves.

    References
    ----------
    Udrescu et al.: AI Feynman 2.0, NeurIPS 2020 (description length, snapping); Rissanen: A
    universal prior for integers, Annals of Statistics 11, 1983.

    Examples
    --------
    >>> import numpy as np
    >>> import kanx
    >>> X = np.random.default_rng(0).uniform(-2, 2, (300, 1))
    >>> model = kanx.KANRegressor(hidden="additive", random_state=0).fit(X, X[:, 0] ** 2)
    >>> kanx.symbolify(model, X, X[:, 0] ** 2)
    Formula(y = x0**2)
    """
    subject = subject_of(model, X, units, _EVERY_ROW, random_state)
    chosen = _chosen_output(subject, output)
    target = None if y is None else _target(subject, y, chosen)
    task = _Task.of(subject, chosen, target, random_state)
    edges = task.edges(functions)
    if len(edges) > _MOST_CURVES:
        raise ValueError(
            f"the network has {len(edges)} living curves, which make no formula that anybody "
            f"reads; prune it to at most {_MOST_CURVES}, or fit an additive model"
        )
    write = partial(
        compose,
        task.member.network,
        subject.names,
        output=chosen,
        mean=subject.target_mean[chosen].item(),
        scale=subject.target_scale[chosen].item(),
    )
    tried = search(edges, write, task.rows(task.train[:_ROWS_IN_SEARCH]))
    rows = task.rows(task.train[:_MOST_ROWS])
    best = fitted(tried[0].forms, write, writers_of(edges), rows, steps=60) or tried[0]
    final = polished(best.fit, rows, best.kept_coefficients)
    return _formula(task, edges, best, final, tried)


def _formula(
    task: _Task, edges: list[EdgeChoices], best: State, final: Refit, tried: list[State]
) -> Formula:
    """Return the formula with its rivals, its scores and its notes."""
    report = task.report
    formula = report.formula(final)
    rivals: dict[str, Formula] = {}
    for state in tried[1:]:
        if state.fit.bits - tried[0].fit.bits < _ALIKE_BITS:
            rival = report.formula(state.fit)
            rivals.setdefault(plain_text(rival.expr, 2), rival)
    rivals.pop(plain_text(formula.expr, 2), None)
    front = [report.formula(state.fit) for state in _front(tried)]
    front = [row for row in front if row.complexity < formula.complexity] + [formula]
    return replace(
        formula,
        alternatives=list(rivals.values())[:_LONGEST_FRONT],
        front=sorted(front, key=lambda row: row.complexity),
        notes=[*report.notes(formula), *_kept_notes(edges, best), *formula.notes],
    )


def _front(tried: list[State]) -> list[State]:
    """Return the networks that none with a smaller loss is shorter than, at most a few."""
    front: list[State] = []
    by_length = sorted(
        tried, key=lambda s: (len(s.fit.draft.free) + s.kept_coefficients, s.fit.loss)
    )
    for state in by_length:
        if not front or state.fit.loss < 0.9 * front[-1].fit.loss:
            front.append(state)
    return front[:_LONGEST_FRONT]


def _kept_notes(edges: list[EdgeChoices], best: State) -> list[str]:
    """Say which curves are no elementary functions."""
    notes = []
    for edge in edges:
        form = best.forms[edge.place]
        if form.name != "curve":
            continue
        if edge.is_exact:
            notes.append(f"No formula for the curve {edge.title}: it is kept as it is.")
        else:
            notes.append(
                f"No formula for the curve {edge.title}, whose family has no closed form: it is "
                f"kept as a polynomial of degree {form.coefficients - 1} close to it."
            )
    return notes


def _chosen_output(subject: Subject, output: int | None) -> int:
    if output is None:
        if subject.n_outputs > 1:
            raise ValueError(
                f"the model has {subject.n_outputs} outputs {subject.target_names}; choose one "
                "with output=0, 1, ..."
            )
        return 0
    if not 0 <= output < subject.n_outputs:
        raise ValueError(f"output must be 0 to {subject.n_outputs - 1}, got {output!r}")
    return output


def _target(subject: Subject, y: ArrayLike, output: int) -> Array | None:
    """Return the target as numbers, (rows,); None where it cannot be fitted output by output."""
    values = np.asarray(y)
    if len(values) != len(subject.x):
        raise ValueError(f"y has {len(values)} values, X has {len(subject.x)} rows")
    if subject.link == "softmax":
        return None
    if subject.link == "logistic":
        classes = getattr(subject.estimator, "classes_", np.array([0, 1]))
        strangers = sorted(set(values.ravel().tolist()) - set(classes.tolist()))
        if strangers:
            raise ValueError(f"y holds {strangers}; the classes are {classes.tolist()}")
        return np.asarray(values.ravel() == classes[1], dtype=float)
    table = values.astype(float).reshape(len(values), -1)
    if table.shape[1] != subject.n_outputs:
        raise ValueError(f"y has {table.shape[1]} columns, the model {subject.n_outputs} targets")
    if not np.isfinite(table[:, output]).all():
        raise ValueError("y must be finite; leave out rows without a target")
    if subject.counts and (table[:, output] < 0).any():
        raise ValueError("the model is one of counts; y must not be negative")
    return table[:, output]


@dataclass
class _Task:
    """The rows, and what is fitted to them.

    Attributes
    ----------
    subject, member : Subject
        The model, and its network of highest evidence alone.
    output : int
    network_values : ndarray, (rows,)
        What the model says, in the target's units.
    target : ndarray, (rows,), or None
        What the constants are fitted to instead.
    train, test : ndarray of int
        Complete rows.
    """

    subject: Subject
    member: Subject
    output: int
    network_values: Array
    target: Array | None
    train: NDArray[np.intp]
    test: NDArray[np.intp]

    @classmethod
    def of(cls, subject: Subject, output: int, target: Array | None, random_state: int) -> _Task:
        """Return the task; a quarter of the rows is held out."""
        complete = np.flatnonzero(~torch.isnan(subject.x).any(1).numpy())
        if len(complete) < _LEAST_HELD_OUT:
            raise ValueError(
                f"X has {len(complete)} rows without missing values; at least {_LEAST_HELD_OUT} "
                "are needed"
            )
        order = np.random.default_rng(random_state).permutation(complete)
        held_out = len(order) // 4
        held_out = held_out if held_out >= _LEAST_HELD_OUT else 0
        values = subject.outputs(subject.x)[:, output].double().numpy()
        return cls(
            subject,
            _best_member(subject),
            output,
            values,
            target,
            order[held_out:],
            order[:held_out],
        )

    @property
    def likelihood(self) -> Likelihood:
        """How the rows are spread around the formula; squares where it follows the network."""
        if self.target is None:
            return Normal()
        if self.subject.link == "logistic":
            return Bernoulli()
        return Counts() if self.subject.counts else Normal()

    def edges(self, functions: Collection[str] | None) -> list[EdgeChoices]:
        """Return the curves of the network and what they may be."""
        rows = self.member.x[torch.from_numpy(np.sort(self.train[:_MOST_ROWS]))]
        return edge_choices(self.member, rows, self.output, functions)

    def rows(self, chosen: NDArray[np.intp]) -> Rows:
        """Return some rows to fit to, or to be judged on."""
        x: Tensor = self.subject.x[torch.from_numpy(chosen)].double()
        columns = {name: x[:, j].numpy() for j, name in enumerate(self.subject.names)}
        if self.target is not None:
            values = self.target[chosen]
            floor = _ROUNDING**2 * float(np.mean(values**2))
            return Rows(columns, values, self.likelihood, floor, len(chosen))
        values = self.network_values[chosen]
        return Rows(
            columns,
            values,
            self.likelihood,
            self._uncertainty,
            min(len(chosen), max(_LEAST_FREEDOM, self._freedom)),
        )

    @cached_property
    def _uncertainty(self) -> float:
        """Variance of what the network says, over its posterior, in the target's units."""
        few = self.train[:_ROWS_IN_SEARCH]
        spread = float(np.var(self.network_values[few]))
        least, most = _LEAST_ERROR * spread, _MOST_ERROR * spread
        model = self.subject.model
        if model is None:
            return least
        x = self.subject.x[torch.from_numpy(few)]
        posterior = float(model.variance(x, noise=False)[:, self.output].mean())
        return float(np.clip(posterior, least, most))

    @property
    def _freedom(self) -> int:
        """Number of parameters that the network's output depends on."""
        if self.member.members:
            return int(self.member.members[0].posterior.living.sum())
        return self.member.network.n_parameters

    @cached_property
    def report(self) -> Report:
        """What is said of a formula."""
        return Report(
            self.subject,
            self.output,
            self.network_values,
            self.rows(self.train),
            self.rows(self.test) if len(self.test) else None,
            self.train,
            self.test,
            self.target is not None,
        )


def _best_member(subject: Subject) -> Subject:
    """Return the network of highest evidence alone; the network itself where there is one."""
    if subject.model is None:
        return subject
    member = subject.model.members[0]
    network = member.network
    if any(parameter.dtype != torch.float64 for parameter in network.parameters()):
        network = copy.deepcopy(network).double()
    return replace(subject, network=network, model=replace(subject.model, members=[member]))
