"""What every curve of a network may be: a few named functions, or the curve itself."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

import numpy as np
import sympy as sp
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanx.explain.curves import node_names, sum_names
from kanx.explain.edge_evidence import EdgeEvidence, edge_evidence
from kanx.explain.edge_fit import EdgeFit, X
from kanx.explain.fitting import EdgeSymbols, fit_edge
from kanx.explain.importances import shares
from kanx.explain.nesting import nested
from kanx.explain.subject import Subject
from kanx.functions import FUNCTIONS
from kanx.layers import EdgeFamily, KANLayer

Array = NDArray[np.float64]
Place = tuple[int, int, int]  # layer, input, output
Writer = Callable[[sp.Expr], sp.Expr]

MOST_SYMBOLS = 3
_LARGEST_GAP = 60.0  # bits behind the best, beyond which a function is not tried
_LEAST_POINTS = 5  # different ones, to tell functions apart
_HIGHEST_DEGREE = 12
_SHORT = 5  # coefficients of a polynomial that is a formula and not a curve
_AGREEMENT = 1e-3  # of a curve's standard deviation, where its uncertainty is unknown
_COARSEST = 0.01  # of a curve's standard deviation, however uncertain it is
_FEW = 8  # curves, of which any may be left out
_MINOR = 0.05  # share of the variance below which leaving a curve out is tried
_MOST_PLAIN = 2  # of them tried behind the best fits
_PLAIN_BITS = 3.0  # price of the functions of school books
_PLAIN_ERROR = 0.1  # of a curve's standard deviation: a plain function this close may be the law


@dataclass(frozen=True)
class Choice:
    """One form of a curve: ``expr`` plus a constant.

    Attributes
    ----------
    name : str
        Name of the function; ``"curve"`` for the curve itself, ``"nothing"`` for none.
    expr : sympy.Expr
        In the symbol ``x``, without an additive constant.
    constant : float
        Mean over the rows of the network's curve minus ``expr``.
    bits : float
        Description length of the curve; only differences have a meaning.
    coefficients : int
        Number of coefficients hidden in a kept curve.
    """

    name: str
    expr: sp.Expr
    constant: float
    bits: float
    coefficients: int = 0


@dataclass(frozen=True)
class EdgeChoices:
    """The forms that one curve may take, the best first.

    Attributes
    ----------
    place : (int, int, int)
        Layer, input and output of the edge.
    title : str
        Names of the two nodes.
    share : float
        Share of the output's variance.
    choices : tuple of Choice
    writer : callable
        Writes the kept curve at an expression.
    is_exact : bool
        Whether what `writer` writes is the curve itself, and not a polynomial close to it.
    is_direct : bool
        Whether the curve leads past hidden nodes, from an input to the output.
    plain : Choice, optional
        The function of school books nearest to the curve, in a network with hidden nodes.
    """

    place: Place
    title: str
    share: float
    choices: tuple[Choice, ...]
    writer: Writer
    is_exact: bool
    is_direct: bool
    plain: Choice | None = None

    @property
    def priority(self) -> float:
        """Confidence in the best form times the importance of the curve."""
        if len(self.choices) < 2:
            return self.share * _LARGEST_GAP
        margin = self.choices[1].bits - self.choices[0].bits
        return self.share * float(np.clip(margin, 0.0, _LARGEST_GAP))


def curve_function(place: Place) -> sp.Expr:
    """Return the undefined function that stands for a kept curve."""
    return sp.Function("curve " + " ".join(map(str, place)))


def edge_choices(
    subject: Subject, rows: Tensor, output: int, functions: Collection[str] | None
) -> list[EdgeChoices]:
    """Return the forms of all living curves that reach an output, in order of priority.

    Parameters
    ----------
    subject : Subject
        With at most one member.
    rows : Tensor, (rows, in)
        Without missing values.
    output : int
    functions : collection of str, optional
        As in ``fit_edge``.
    """
    network = subject.network
    depth = len(network.layers)
    with torch.no_grad():
        entering = [*network.activations(rows)[:depth], rows]
    _, edge_shares = shares(network, rows)
    found = []
    for index, layer in enumerate(network.all_layers):
        names = node_names(subject, 0 if index == depth else index), sum_names(subject, index)
        for i, o in torch.nonzero(layer.mask).tolist():
            share = float(edge_shares[index][i, o, output])
            if share == 0:
                continue
            title = f"{names[0][i]} → {names[1][o]}"
            reader = _Reader(subject, index, layer, (i, o), entering[index])
            found.append(reader.choices(title, share, functions))
    return sorted(found, key=lambda edge: -edge.priority)


class _Reader:
    """Read one edge: its curve over the rows, and the forms it may take."""

    def __init__(
        self, subject: Subject, index: int, layer: KANLayer, edge: tuple[int, int], entering: Tensor
    ) -> None:
        self.subject = subject
        self.place: Place = (index, *edge)
        self.bundle, self.column = layer.edge(edge[0])
        self.entering = entering
        self.x = entering[:, edge[0]].double().numpy()
        with torch.no_grad():
            self.y = layer.curves(entering)[:, edge[0], edge[1]].double().numpy()
        at_input = index in (0, len(subject.network.layers))
        self.explained = False
        self.is_nested = len(subject.network.layers) > 1
        self.is_category = at_input and subject.columns[edge[0]].categories is not None

    def choices(self, title: str, share: float, functions: Collection[str] | None) -> EdgeChoices:
        """Return the forms of the edge, the best first."""
        fits, deviation = self._fits(functions)
        plain = self._plain_fits(functions) if self.is_nested and len(fits) > 1 else []
        fits = _followed_by(fits, plain[:_MOST_PLAIN])
        writer, coefficients, is_exact = self._writer(deviation)
        is_short = not is_exact and coefficients <= _SHORT
        kept = self._choice("curve", sp.Float(1.0) * curve_function(self.place)(X), np.inf, writer)
        kept = Choice("curve", kept.expr, kept.constant, np.inf, coefficients)
        symbols = [self._choice(fit.name, _without_constant(fit.expr), fit.bits) for fit in fits]
        forms = [form for form in symbols if np.isfinite(form.constant)]
        if self.is_category:
            forms = [kept]
        elif is_short and not self.explained:  # its constants are as free as any other's
            forms = [self._choice("polynomial", _without_constant(writer(X)), 0.0), *forms]
        elif not is_short:
            forms = [*forms, kept] if self.explained else [kept, *forms]
        if share < _MINOR or self.subject.network.n_edges <= _FEW:
            forms.append(Choice("nothing", sp.S.Zero, float(self.y.mean()), np.inf))
        is_direct = self.place[0] == len(self.subject.network.layers)
        plainest = next((form for form in forms if plain and form.name == plain[0].name), None)
        return EdgeChoices(
            self.place, title, share, tuple(forms), writer, is_exact, is_direct, plainest
        )

    def _fits(self, functions: Collection[str] | None) -> tuple[list[EdgeFit], Array | None]:
        """Return the best fits, and the curve's standard deviation over the rows if known."""
        distinct = len(np.unique(self.x))
        if self.is_category:
            return [], None
        if distinct < _LEAST_POINTS or np.ptp(self.y) <= 1e-12 * np.abs(self.y).max(initial=0.0):
            self.explained = True
            return [_through_points(self.x, self.y, distinct)], None
        found = fit_edge(self.x, self.y, functions=functions)
        self.explained = found.is_explained
        fits = _near_best(found)
        evidence = self._evidence()
        if evidence is None:
            return fits, None
        unshrunk = fit_edge(
            evidence.x,
            evidence.y,
            basis=evidence.basis,
            information=evidence.information,
            functions=functions,
        )
        self.explained = self.explained or unshrunk.is_explained
        covariance = np.linalg.pinv(evidence.information, rcond=1e-9, hermitian=True)
        variance = np.sum(evidence.basis @ covariance * evidence.basis, axis=1)
        return _united(_near_best(unshrunk), fits), np.sqrt(np.maximum(variance, 0.0))

    def _plain_fits(self, functions: Collection[str] | None) -> list[EdgeFit]:
        """Return the functions of school books that are close to the curve, the closest first.

        The curves of a network with hidden nodes share their errors: one may be bent where another
        makes up for it, so the law need not be among the best fits to each of them alone. All
        constants fitted together decide.
        """
        plain = [
            name
            for name, entry in FUNCTIONS.items()
            if entry.arity == 1 and entry.price_bits <= _PLAIN_BITS
        ]
        allowed = [name for name in plain if functions is None or name in functions]
        found = fit_edge(self.x, self.y, functions=allowed)
        most = _PLAIN_ERROR**2 * float(np.var(self.y))
        return [fit for fit in found.fits if np.mean((fit.predict(self.x) - self.y) ** 2) < most]

    def _evidence(self) -> EdgeEvidence | None:
        """Return the curve as the data alone would have it; None where they say nothing of it."""
        if not self.subject.members:
            return None
        layer, i, o = self.place
        found = edge_evidence(self.subject.members[0], self.entering, layer, (i, o))
        return None if found is None or not found.information.any() else found

    def _choice(
        self, name: str, expr: sp.Expr, bits: float, writer: Writer | None = None
    ) -> Choice:
        """Return a form with the constant that puts it at the height of the curve."""
        from kanx.explain.evaluate import evaluate

        written = expr if writer is None else writer(X)
        values = np.broadcast_to(evaluate(written, {"x": self.x}), self.x.shape)
        return Choice(name, expr, float(np.mean(self.y - values)), bits)

    def _writer(self, deviation: Array | None) -> tuple[Writer, int, bool]:
        """Return what writes the kept curve, its number of coefficients, and if it is exact."""
        bundle: EdgeFamily = self.bundle
        edge = (self.column, self.place[2])
        coefficients = int(bundle.parameters_per_edge)
        if bundle.sympy(edge, X) is not None:

            def exact(value: sp.Expr) -> sp.Expr:
                if value.is_Symbol:
                    return bundle.sympy(edge, value)
                return nested(bundle, edge, value)

            return exact, coefficients, True
        polynomial = _close_polynomial(self.x, self.y, deviation)
        power_basis = _in_powers(polynomial)
        return lambda value: power_basis.xreplace({X: value}), polynomial.degree() + 1, False


def _near_best(found: EdgeSymbols) -> list[EdgeFit]:
    """Return the best fits, with bits counted from the best one's."""
    behind = [replace(fit, bits=fit.bits - found.fits[0].bits) for fit in found.fits]
    return [fit for fit in behind if fit.bits < _LARGEST_GAP][:MOST_SYMBOLS]


def _united(first: list[EdgeFit], second: list[EdgeFit]) -> list[EdgeFit]:
    """Return fits to the evidence and to the curve, in turn, each function once.

    The evidence of a single edge is weak where other edges can stand in for it, as they can in a
    network with hidden nodes; the curve itself has the prior's bend. Either may name it.
    """
    found: dict[tuple[str, int], EdgeFit] = {}
    for fit in sorted([*first, *second], key=lambda fit: fit.bits):
        found.setdefault((fit.name, len(fit.constants)), fit)
    return list(found.values())


def _followed_by(fits: list[EdgeFit], others: list[EdgeFit]) -> list[EdgeFit]:
    """Return fits and, behind them, those of the others whose function is not there yet."""
    last = fits[-1].bits if fits else 0.0
    behind = [replace(fit, bits=last + 1 + k) for k, fit in enumerate(others)]
    return _united(fits, behind)


def _without_constant(expr: sp.Expr) -> sp.Expr:
    return expr.as_independent(X, as_Add=True)[1]


def _through_points(x: Array, y: Array, distinct: int) -> EdgeFit:
    """Return the polynomial through a few different points, or a constant."""
    degree = distinct - 1 if np.ptp(y) > 0 else 0
    fitted = np.polynomial.Polynomial.fit(x, y, degree) if degree else None
    expr = sp.Float(float(y.mean())) if fitted is None else _in_powers(fitted)
    name = {0: "constant", 1: "identity", 2: "square"}.get(degree, "polynomial")
    return EdgeFit(name, expr, (), 0.0, 0.0, None, 0.0)


def _close_polynomial(x: Array, y: Array, deviation: Array | None) -> np.polynomial.Polynomial:
    """Return the lowest polynomial within the uncertainty of a curve, or the best one allowed."""
    allowed = _AGREEMENT * float(y.std())
    if deviation is not None:
        band = 0.5 * float(np.sqrt(np.mean(deviation**2)))
        allowed = float(np.clip(band, allowed, _COARSEST * y.std()))
    highest = min(_HIGHEST_DEGREE, len(np.unique(x)) - 1)
    fitted = np.polynomial.Polynomial.fit(x, y, 0)
    for degree in range(1, highest + 1):
        fitted = np.polynomial.Polynomial.fit(x, y, degree)
        if np.sqrt(np.mean((fitted(x) - y) ** 2)) <= allowed:
            break
    return fitted


def _in_powers(polynomial: np.polynomial.Polynomial) -> sp.Expr:
    """Write a polynomial in powers of x, or of x from the middle where 0 is outside the data."""
    low, high = polynomial.domain
    middle, half = (low + high) / 2, (high - low) / 2
    if abs(middle) <= half:
        base, coefficients = X, polynomial.convert().coef
    else:
        base = (X - sp.Float(middle)) / sp.Float(half)
        coefficients = polynomial.coef
    return sp.Add(*(sp.Float(float(c)) * base**k for k, c in enumerate(coefficients)))
