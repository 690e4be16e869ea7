"""The report's sentences: what was fitted, how well, what matters, and what to beware of."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kanx.explain.curves import Curve
from kanx.explain.explanation import Explanation
from kanx.explain.report.scales import number, score
from kanx.explain.report.shares import Shares
from kanx.explain.report.trial import Trial

HIGH_CORRELATION = 0.9
FEW_ROWS_PER_PARAMETER = 5
MOST_NAMED = 8
FLAT = 0.02  # of a curve's range: a smaller way back does not count as a turn


def summary(view: Explanation, target_name: str, trial: Trial | None, shares: Shares) -> list[str]:
    """Return what a reader in a hurry must know, in sentences."""
    sentences = [_what(view, target_name)]
    if trial is not None:
        sentences.append(_how_well(trial))
    sentences.append(_what_matters(view, shares))
    if view.subject.is_additive and view.subject.n_outputs == 1:
        sentences += _shapes(view, target_name, shares)
        sentences += _straight(view)
    pruned = pruned_inputs(view)
    if pruned:
        one = len(pruned) == 1
        sentences.append(
            f"{'One input was' if one else f'{len(pruned)} inputs were'} pruned, since the data do "
            f"not call for {'it' if one else 'them'}: {listed(pruned)}."
        )
    return [sentence.replace(" %", "\u00a0%") for sentence in sentences]


def pruned_inputs(view: Explanation) -> list[str]:
    """Return the names of the inputs that no living path leads from."""
    return [view.names[j] for j in pruned_places(view)]


def pruned_places(view: Explanation) -> list[int]:
    """Return the inputs that no living path leads from, in the order of the columns."""
    share = view.importances.features.sum(1)
    alive = {c.edge[0] for c in view.curves if c.starts_at_input and c.is_alive}
    return [j for j in range(len(view.names)) if j not in alive or share[j] == 0]


def limits(view: Explanation) -> list[str]:
    """Return what the explanation cannot say, and where the model must not be trusted."""
    found = [
        "The model describes how columns go together in these rows. It does not say that changing "
        "one of them would change the target."
    ]
    model = view.subject.model
    if model is not None:
        found.append(
            "Bands hold 95 % of what the data leave open about a curve, given the others and the "
            "model's form. They widen where there are few rows."
        )
    found.append(
        "Outside the range of the rows (see the table) curves are continued, not learned: "
        "predictions there are guesses."
    )
    pairs = correlated_pairs(view)
    if pairs:
        named = "; ".join(f"{a} and {b} ({number(r, 2)})" for a, b, r in pairs[:MOST_NAMED])
        more = f" and {len(pairs) - MOST_NAMED} more pairs" if len(pairs) > MOST_NAMED else ""
        found.append(
            f"Some inputs are nearly copies of each other (rank correlation): {named}{more}. How "
            "an effect is divided between them is not determined by the data."
        )
    found += view.notes
    parameters = view.subject.network.n_parameters
    if view.n_rows < FEW_ROWS_PER_PARAMETER * parameters:
        found.append(
            f"There are {view.n_rows} rows for {parameters} parameters; the evidence keeps them in "
            "check, but small details of the curves are not to be relied on."
        )
    if view.subject.members and not all(member.converged for member in view.subject.members):
        found.append("The fit stopped before it had converged; more rounds may change the curves.")
    return found


def correlated_pairs(view: Explanation) -> list[tuple[str, str, float]]:
    """Return pairs of living numeric inputs of high rank correlation, the highest first."""
    from scipy.stats import rankdata

    gone = set(pruned_inputs(view))
    places = [
        j
        for j, column in enumerate(view.subject.columns)
        if not column.is_categorical and column.name not in gone
    ]
    x = view.subject.x.numpy()[:, places]
    x = x[~np.isnan(x).any(1)]
    keep = [k for k in range(x.shape[1]) if len(x) > 2 and np.ptp(x[:, k]) > 0]
    if len(keep) < 2:
        return []
    matrix = np.corrcoef(rankdata(x[:, keep], axis=0).T)
    first, second = np.nonzero(np.triu(np.abs(matrix) > HIGH_CORRELATION, 1))
    names = [view.names[places[k]] for k in keep]
    pairs = [(names[a], names[b], float(matrix[a, b])) for a, b in zip(first, second, strict=True)]
    return sorted(pairs, key=lambda pair: -abs(pair[2]))


def listed(names: Sequence[str]) -> str:
    """Return names as in a sentence, the last few counted where there are many."""
    shown = list(names[:MOST_NAMED])
    if len(names) > MOST_NAMED:
        shown.append(f"{len(names) - MOST_NAMED} others")
    if len(shown) == 1:
        return shown[0]
    return ", ".join(shown[:-1]) + " and " + shown[-1]


def quantity(view: Explanation, target_name: str) -> str:
    """Name what curves add up to."""
    if view.link == "logistic":
        return f"log-odds of {positive(view, target_name)}"
    if view.link == "softmax":
        return f"logits of the classes of {target_name}"
    if view.subject.n_outputs == 1:
        return view.subject.output_label(0)
    return "the target"


def is_plain(view: Explanation) -> bool:
    """Say whether curves add up to the target itself, not to logits or logarithms."""
    return view.link == "identity" and not view.subject.counts


def positive(view: Explanation, target_name: str) -> str:
    """Name the class that log-odds are those of; a number says nothing without its column."""
    name = view.target_names[0]
    is_number = name.lstrip("-").replace(".", "", 1).isdecimal()
    return f"{target_name} = {name}" if is_number or name in ("True", "False") else name


def _what(view: Explanation, target_name: str) -> str:
    network = view.subject.network
    if view.link == "identity":
        task = f"predicts {target_name}"
    elif view.link == "logistic":
        task = f"gives the probability that {target_name} is {view.target_names[0]}"
    else:
        task = f"tells {len(view.target_names)} classes of {target_name} apart"
    total = sum(layer.mask.numel() for layer in network.all_layers)
    alive = network.n_edges
    if view.subject.is_additive:
        the = "" if is_plain(view) else "the "
        form = f"It adds up one curve per input: {the}{quantity(view, target_name)} is their sum."
    else:
        widths = [nodes.width for nodes in network.nodes[:-1]]
        hidden = " and ".join(str(width) for width in widths)
        direct = ", beside direct curves from the inputs" if network.skip is not None else ""
        form = f"Its curves run through {hidden} hidden nodes{direct}."
    count = f"{alive} of {total} curves are in use" if alive < total else f"It has {alive} curves"
    return f"The model {task} from {len(view.names)} inputs. {form} {count}."


def _how_well(trial: Trial) -> str:
    own = trial.scores[trial.model]
    parts = [f"On {trial.n_held_out} rows that it was not fitted on, {_scores_text(own)}"]
    for rival in trial.rivals:
        parts.append(f"{rival}: {_scores_text(trial.scores[rival], short=True)}")
    text = "; ".join(parts) + "."
    if trial.refitted:
        text += " The model shown here was then fitted again on all rows."
    return text


def _scores_text(scores: object, short: bool = False) -> str:
    assert hasattr(scores, "items")
    words = []
    for name, value in scores.items():
        if name == "accuracy":
            words.append(f"{'' if short else 'it is right in '}{number(100 * value, 4)} %")
        elif np.isfinite(value):
            words.append(f"{name} {score(value)}")
    return ", ".join(words)


def _what_matters(view: Explanation, shares: Shares) -> str:
    share = shares.values
    top = [j for j in shares.ranking[:3] if share[j] > 0]
    if not top:
        return "No input has any effect: the model is a constant."
    named = [f"{view.names[j]} ({shares.text(j, 0)})" for j in top]
    lead = "Most" if share[top].sum() > 0.5 else "The largest parts"
    verb = "comes" if lead == "Most" else "come"
    return f"{lead} of the predictions' variance {verb} in through {listed(named)}."


def _shapes(view: Explanation, target_name: str, shares: Shares) -> list[str]:
    """Describe the curves of the three most important inputs, in one paragraph."""
    found = []
    for j in shares.ranking[:3]:
        curves = view.curves.select(source=view.names[j], alive=True)
        if len(curves) == 1:
            found.append(shape(curves[0]))
    what = quantity(view, target_name)
    # a column's name stays as it is written, even at the start of a sentence
    start = what if is_plain(view) else what[0].upper() + what[1:]
    return [f"{start} {listed(found)}."] if found else []


def _straight(view: Explanation) -> list[str]:
    """Say so where nothing in the model bends."""
    curves = view.curves.select(alive=True)
    if len(curves) < 2 or not all(is_straight(curve) for curve in curves):
        return []
    kind = "a linear model" if is_plain(view) else "a generalised linear model"
    kind = "a logistic regression" if view.link == "logistic" else kind
    return [f"All {len(curves)} curves are straight lines: the data call for no more than {kind}."]


def is_straight(curve: Curve) -> bool:
    """Say whether a curve is a straight line, up to a small part of the error band."""
    if curve.labels is not None or len(curve.grid) < 3:
        return False
    line = np.polynomial.Polynomial.fit(curve.grid, curve.value, 1)(curve.grid)
    allowed = FLAT * np.maximum(np.ptp(curve.value), np.nan_to_num(3.92 * curve.std))
    return bool((np.abs(curve.value - line) <= allowed).all())


def shape(curve: Curve) -> str:
    """Say how a curve runs, such as ``rises with age``: the end of a sentence."""
    name = curve.source
    if curve.labels is not None:
        high, low = int(curve.value.argmax()), int(curve.value.argmin())
        labels = curve.labels
        return f"is highest where {name} is {labels[high]} and lowest where it is {labels[low]}"
    low, high = np.quantile(curve.support.rug, [0.01, 0.99]) if len(curve.support.rug) else (0, 0)
    inner = (curve.grid >= low) & (curve.grid <= high)
    if inner.sum() < 3:
        return f"depends on {name}"
    value, grid = curve.value[inner], curve.grid[inner]
    # a way back counts as a turn only where the error band does not explain it
    allowed = np.maximum(FLAT * np.ptp(value), np.nan_to_num(1.96 * curve.std[inner]))
    below = np.maximum.accumulate(value) - value
    above = value - np.minimum.accumulate(value)
    rises, falls = bool((below <= allowed).all()), bool((above <= allowed).all())
    if rises and falls:
        return f"has a direction in {name} that the error band leaves open"
    if rises or falls:
        return f"{'rises' if rises else 'falls'} with {name}"
    top, bottom = int(value.argmax()), int(value.argmin())
    places = range(len(value) // 20, len(value) - len(value) // 20)
    if top in places and bottom not in places:
        return f"is highest where {name} is about {number(float(grid[top]), 2)}"
    if bottom in places and top not in places:
        return f"is lowest where {name} is about {number(float(grid[bottom]), 2)}"
    return f"goes up and down with {name}"
