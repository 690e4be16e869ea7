"""The order in which curves become symbols: a beam over the forms, all constants re-fitted."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import sympy as sp

from kanx.explain.symbol_choices import Choice, EdgeChoices, Place, Writer, curve_function
from kanx.explain.symbol_refit import Draft, Refit, Rows, refit

BEAM = 2
_ROUNDS = 2
_MOST_FITS = 100
_NOTHING = Choice("nothing", sp.S.Zero, 0.0, 0.0)
_MOST_CURVES = 24  # beyond, the best form of every curve is taken
_STEPS = 12  # of a re-fit inside the search

Compose = Callable[[Mapping[Place, Choice]], sp.Expr]


@dataclass(frozen=True)
class State:
    """A network with a form for every curve, its constants fitted.

    Attributes
    ----------
    forms : mapping of (layer, input, output) to Choice
    fit : Refit
    """

    forms: Mapping[Place, Choice]
    fit: Refit

    @property
    def kept_coefficients(self) -> int:
        """Coefficients hidden in kept curves."""
        return sum(form.coefficients for form in self.forms.values())


def writers_of(edges: Sequence[EdgeChoices]) -> dict[str, Writer]:
    """Return what writes each kept curve, by the name of its function."""
    return {curve_function(edge.place).__name__: edge.writer for edge in edges}


def fitted(
    forms: Mapping[Place, Choice],
    compose: Compose,
    writers: Mapping[str, Writer],
    rows: Rows,
    steps: int = _STEPS,
) -> State | None:
    """Return the network with these forms, fitted; None where it is not finite on the rows."""
    kept = sum(form.coefficients for form in forms.values())
    found = refit(Draft.of(compose(forms), writers), rows, kept, steps)
    return None if found is None else State(forms, found)


def search(edges: Sequence[EdgeChoices], compose: Compose, rows: Rows) -> list[State]:
    """Return the networks that were tried, the shortest description first.

    Starts with the best form of every curve, and in a network with hidden nodes, where these may
    not fit together, with all curves as they are and with the plainest functions too. Then every
    curve in order of priority tries its other forms, curve included, with everything re-fitted; the
    best few networks go on, so that a choice is undone where another one turns out better.

    Parameters
    ----------
    edges : sequence of EdgeChoices
        In order of priority.
    compose : callable
        Forms to formula.
    rows : Rows

    Raises
    ------
    ValueError
        If not even the network itself is finite on the rows.
    """
    writers = writers_of(edges)
    tried: dict[tuple[str, ...], State] = {}

    def attempt(forms: Mapping[Place, Choice]) -> None:
        if _key(forms) not in tried and len(tried) < _MOST_FITS:
            state = fitted(forms, compose, writers, rows)
            if state is not None:
                tried[_key(forms)] = state

    best = {edge.place: edge.choices[0] for edge in edges}
    attempt(best)
    direct = {edge.place: _NOTHING for edge in edges if edge.is_direct}
    if direct:  # curves that go past the hidden nodes may only repeat what these say
        attempt({**best, **direct})
    if direct or not tried or any(edge.place[0] > 0 for edge in edges):
        curves = {edge.place: _curve(edge) for edge in edges}
        attempt(curves)
        attempt({**curves, **direct})
        plain = {edge.place: edge.plain for edge in edges if edge.plain is not None}
        attempt({**best, **plain, **direct})
    if not tried:
        raise ValueError("the network is not finite on the rows; pass rows that it was fitted to")
    for _ in range(_ROUNDS if len(edges) <= _MOST_CURVES else 0):
        before = len(tried)
        for edge in edges:
            for state in _shortest(tried)[:BEAM]:
                for choice in edge.choices:
                    attempt({**state.forms, edge.place: choice})
        if len(tried) == before:
            break
    return _shortest(tried)


def _shortest(tried: Mapping[tuple[str, ...], State]) -> list[State]:
    return sorted(tried.values(), key=lambda state: state.fit.bits)


def _curve(edge: EdgeChoices) -> Choice:
    """Return the curve itself, or the best form of an edge that has too few points for curves."""
    return next((form for form in edge.choices if form.name == "curve"), edge.choices[0])


def _key(forms: Mapping[Place, Choice]) -> tuple[str, ...]:
    return tuple(str(form.expr) for form in forms.values())
