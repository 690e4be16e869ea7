"""A model written out: exactly where its curves have closed forms, else as a stated sketch."""

from __future__ import annotations

import numpy as np
import sympy as sp
from numpy.typing import NDArray

from kanx.explain.evaluate import evaluate
from kanx.explain.explanation import Explanation
from kanx.explain.fitting import fit_edge
from kanx.explain.formula import Formula
from kanx.explain.formula_scale import formula_target, scale_notes
from kanx.explain.subject import Subject

Array = NDArray[np.float64]

# plain functions that most readers can picture
PLAIN = (
    "identity",
    "square",
    "cube",
    "sqrt",
    "log",
    "exp",
    "reciprocal",
    "tanh",
    "sin",
    "gaussian",
    "power",
)
MOST_CURVES = 40  # of a formula that anybody would read: added up,
MOST_NESTED = 12  # or put into one another
# what something simpler may lose: of a curve's own variance, and of that of all at its node
TOLERANCE, TOLERANCE_OF_NODE = 1e-4, 1e-5


def written_formulas(view: Explanation) -> list[Formula]:
    """Write every output of an explained model as a formula in its columns.

    Exactly where all curves have a closed form (`Explanation.formulas`). Otherwise a sketch:
    curves without one, such as Gaussian processes, are written as the plain function or polynomial
    that follows them most closely over the rows, and the scores say how close the whole comes.

    Parameters
    ----------
    view : Explanation

    Returns
    -------
    list of Formula
        One per output: logits for a classifier. Empty if the model has more curves than anybody
        would read. The score ``r2_network`` is the share of the model's variance over the rows
        that the formula reproduces; ``largest_difference`` is that of the worst row.
    """
    subject = view.subject
    if subject.network.n_edges > (MOST_CURVES if subject.is_additive else MOST_NESTED):
        return []
    if view.formulas:
        return list(view.formulas)
    truth = subject.outputs(subject.x).numpy()
    inputs = {name: subject.x[:, j].numpy() for j, name in enumerate(subject.names)}
    ranges = {c.name: (c.lower, c.upper) for c in subject.columns if not c.is_categorical}
    found = []
    for k, expr in enumerate(_outputs(view)):
        values = np.broadcast_to(evaluate(expr, inputs), len(truth))
        known = np.isfinite(values)
        found.append(
            Formula(
                expr,
                subject.names,
                units=subject.units,
                ranges=ranges,
                target=formula_target(subject, k),
                scores=_scores(values[known], truth[known, k]),
                notes=[*scale_notes(subject, k), *_notes(subject, int((~known).sum()))],
            )
        )
    return found


def written_text(view: Explanation) -> str:
    """Return `written_formulas` as text, or a sentence that says why there are none."""
    formulas = written_formulas(view)
    if formulas:
        return "\n\n".join(str(formula) for formula in formulas)
    return (
        f"The model has {view.subject.network.n_edges} curves; written out they would be no "
        "formula that anybody reads."
    )


def _notes(subject: Subject, missing: int) -> list[str]:
    notes = ["a sketch: every curve is replaced by the plain function or cubic nearest to it"]
    for column in subject.columns:
        if column.categories is not None:
            codes = ", ".join(f"{k} = {value}" for k, value in enumerate(column.categories))
            notes.append(f"{column.name} is a code: {codes}")
    if missing:
        notes.append(f"{missing} rows with missing values are not covered")
    return notes


def _scores(values: Array, truth: Array) -> dict[str, float]:
    if len(values) == 0:
        return {}
    residual = truth - values
    spread = float(truth.var())
    return {
        "r2_network": 1 - float(residual.var() + residual.mean() ** 2) / spread if spread else 1.0,
        "largest_difference": float(np.abs(residual).max()),
    }


def _outputs(view: Explanation) -> list[sp.Expr]:
    """Return the expressions of all outputs."""
    subject = view.subject
    network = subject.network
    inputs: list[sp.Expr] = [sp.Symbol(name) for name in subject.names]
    values = inputs
    for layer, nodes in enumerate(network.nodes):
        sums = _sums(view, layer, values)
        values = nodes.combine(sums)
    if network.skip is not None:
        direct = _sums(view, len(network.layers), inputs)
        values = [a + b for a, b in zip(values, direct, strict=True)]
    pairs = zip(values, subject.target_mean.tolist(), subject.target_scale.tolist(), strict=True)
    return [_scaled(expr, scale) + _float(mean) for expr, mean, scale in pairs]


def _scaled(expr: sp.Expr, scale: float) -> sp.Expr:
    if scale == 1:
        return expr
    return sp.Add(*(_float(scale) * term for term in sp.Add.make_args(expr)))


def _sums(view: Explanation, index: int, entering: list[sp.Expr]) -> list[sp.Expr]:
    """Return the sums that a layer of ``network.all_layers`` computes."""
    layer = view.subject.network.all_layers[index]
    bias = [0.0] * layer.out_features if layer.bias is None else layer.bias.tolist()
    sums = [_float(value) for value in bias]
    data = view.subject.entering(index)
    data = data[~data.isnan().any(1)]
    values = layer.curves(data).detach()  # (rows, in, out)
    variances = values.var(0, correction=0) if len(data) else values.new_zeros(values.shape[1:])
    allowed = (TOLERANCE * variances).maximum(TOLERANCE_OF_NODE * variances.sum(0)).numpy()
    for curve in view.curves.select(layer=index, alive=True):
        i, o = curve.edge
        bundle, place = layer.edge(i)
        x = sp.Dummy("x")
        expr = bundle.sympy((place, o), x)
        if expr is None:
            points = data[:, i].numpy(), values[:, i, o].numpy()
            expr = _sketch(*points, len(curve.grid), float(allowed[i, o]), x)
        sums[o] = sums[o] + expr.xreplace({x: entering[i]})
    return sums


def _sketch(x: Array, y: Array, points: int, allowed: float, symbol: sp.Symbol) -> sp.Expr:
    """Return a plain function near a curve; something simpler may be worse by `allowed`."""
    if len(x) < 3 or np.ptp(x) == 0 or np.ptp(y) == 0:
        return _float(float(y.mean()) if len(y) else 0.0)
    grid = np.linspace(x.min(), x.max(), points)
    on_grid = np.interp(grid, *_distinct(x, y))
    fits = fit_edge(grid, on_grid, functions=PLAIN).fits[:3]
    candidates = [(fit.in_terms_of(symbol), fit.predict(x)) for fit in fits]
    # the polynomial first: a function must do better than what is simpler to read
    candidates.insert(0, _polynomial(x, y, allowed, symbol))
    errors = np.array([np.mean((y - values) ** 2) for _, values in candidates])
    errors[1:] += allowed
    return candidates[int(np.argmin(np.where(np.isfinite(errors), errors, np.inf)))][0]


def _polynomial(x: Array, y: Array, allowed: float, symbol: sp.Symbol) -> tuple[sp.Expr, Array]:
    """Return the lowest polynomial that does nearly as well as a cubic, and its values."""
    highest = min(3, len(np.unique(x)) - 1)
    fits = [np.polynomial.Polynomial.fit(x, y, degree) for degree in range(1, highest + 1)]
    errors = [float(np.mean((fitted(x) - y) ** 2)) for fitted in fits]
    near = (f for f, error in zip(fits, errors, strict=True) if error <= errors[-1] + allowed)
    fitted = next(near)
    terms = [_float(float(c)) * symbol**k for k, c in enumerate(fitted.convert().coef)]
    return sp.Add(*terms), fitted(x)


def _distinct(x: Array, y: Array) -> tuple[Array, Array]:
    places, first = np.unique(x, return_index=True)
    return places, y[first]


def _float(value: float) -> sp.Float:
    return sp.Float(value, 17)
