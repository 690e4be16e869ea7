"""`kanx fit`: from a table to a model, its held-out scores, a formula and a report."""

from __future__ import annotations

import os
import sys
import time
import warnings
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kanx.atomic import write_text
from kanx.commands.data import Data, read_data, split
from kanx.commands.progress import progress_callbacks
from kanx.commands.scores import fit_rival, model_scores, score_table

NAME = "kanx"


def run(arguments: Namespace) -> None:
    """Fit, score on held-out rows beside a simple rival, and write model, formula and report."""
    folder = Path(arguments.out)
    _check_folder(folder)
    hidden = parse_hidden(arguments.hidden)
    _check_edge(arguments.edge)
    data = read_data(
        arguments.file,
        arguments.target,
        arguments.task,
        arguments.categorical,
        arguments.drop,
        arguments.header,
    )
    _say(_described(data))
    train, held = split(data, arguments.seed)
    model, seconds, notes = _fit(data, train, arguments.edge, hidden, arguments.seed)
    _say(f"fitted on {len(train)} rows in {seconds:.1f} s; {len(held)} rows held out\n")
    rival_name, rival = fit_rival(*data.take(train), data.task)
    X_held, y_held = data.take(held)
    scores = {
        NAME: model_scores(model, X_held, y_held),
        rival_name: model_scores(rival, X_held, y_held),
    }
    _say(score_table("held-out scores", scores) + "\n")
    rows = train
    if arguments.refit:
        rows = np.arange(data.n_rows)
        model, seconds, notes = _fit(data, rows, arguments.edge, hidden, arguments.seed)
        _say(f"fitted again on all {len(rows)} rows in {seconds:.1f} s")
    written = _write(folder, model, data, rows, held, scores, notes, arguments)
    _say("wrote " + ", ".join(str(path) for path in written))


def parse_hidden(text: str) -> str | tuple[Any, ...]:
    """Turn the option's text into the estimator's `hidden`.

    ``auto``, ``additive``, widths such as ``5`` or ``3,3``, or ``kst:7``.

    Raises
    ------
    ValueError
        If the text is none of these.
    """
    if text in ("auto", "additive"):
        return text
    kst = text.startswith("kst:")
    parts = text.removeprefix("kst:").split(",")
    if all(part.strip().isdecimal() and int(part) > 0 for part in parts) and not (
        kst and len(parts) > 1
    ):
        widths = tuple(int(part) for part in parts)
        return ("kst", *widths) if kst else widths
    raise ValueError(
        f"--hidden {text!r} is not understood; use auto, additive, widths such as 5 or 3,3, or "
        "kst:7 for the Kolmogorov superposition with 7 outer functions"
    )


def _fit(
    data: Data, rows: np.ndarray, edge: str, hidden: str | tuple[Any, ...], seed: int
) -> tuple[Any, float, list[str]]:
    """Return a fitted estimator, the seconds it took and what it warned of."""
    from kanx.estimators import KANClassifier, KANRegressor

    kind = KANClassifier if data.task == "classification" else KANRegressor
    model = kind(edge=edge, hidden=hidden, random_state=seed)
    model.set_callbacks(*progress_callbacks())
    X, y = data.take(rows)
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        model.fit(X, y)
    if data.task == "regression":
        model.model_.target_names = [data.target_name]
    notes = [str(w.message) for w in caught if issubclass(w.category, UserWarning)]
    return model, time.perf_counter() - start, notes


def _write(
    folder: Path,
    model: Any,
    data: Data,
    rows: np.ndarray,
    held: np.ndarray,
    scores: dict[str, dict[str, float]],
    notes: Sequence[str],
    arguments: Namespace,
) -> list[Path]:
    """Build everything, then write: a failure on the way leaves earlier results alone."""
    from kanx.explain import explain
    from kanx.explain.report import Trial, render
    from kanx.explain.written import written_text
    from kanx.persistence import save

    X, y = data.take(rows)
    _working("explaining")
    view = explain(model, X, units=data.units)
    trial = Trial(
        scores, n_train=data.n_rows - len(held), n_held_out=len(held), refitted=arguments.refit
    )
    settings = {
        "data": data.name,
        "target": data.target_name,
        "edge": arguments.edge,
        "hidden": arguments.hidden,
        "seed": arguments.seed,
    }
    page = render(
        view,
        title=f"{data.target_name} from {Path(data.name).name}",
        target_name=data.target_name,
        trial=trial,
        y=y,
        notes=[*data.notes, *notes],
        settings=settings,
    )
    formulas = written_text(view)
    _working("")
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in ("model.kanx", "formula.txt", "report.html")]
    save(model, paths[0])
    write_text(paths[1], formulas + "\n")
    write_text(paths[2], page)
    return paths


def _check_folder(folder: Path) -> None:
    """Refuse an output folder that cannot be written, before the work and not after it."""
    existing = next(path for path in [folder, *folder.absolute().parents] if path.exists())
    if not existing.is_dir():
        raise ValueError(f"--out {folder}: {existing} is a file, expected a folder")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise ValueError(f"--out {folder}: the folder {existing} cannot be written")


def _check_edge(name: str) -> None:
    """Refuse an unknown family, and one that is nothing without options of its own."""
    from kanx.layers.registry import family_class

    family = family_class(name)
    try:
        family(1, 1)
    except TypeError:
        raise ValueError(
            f"--edge {name!r} needs options that the command line does not take; use "
            "kanx.KANRegressor in Python"
        ) from None


def _described(data: Data) -> str:
    if data.task == "classification":
        classes = [str(c) for c in np.unique(data.target)]
        shown = ", ".join(classes[:6]) + (", ..." if len(classes) > 6 else "")
        kind = f"classification, {len(classes)} classes: {shown}"
    else:
        kind = f"regression, {data.target.min():.6g} to {data.target.max():.6g}"
    head = (
        f"{data.name}: {data.n_rows} rows, {len(data.columns)} inputs, target {data.target_name} "
        f"({kind})"
    )
    return "\n".join([head, *(f"note: {note}" for note in data.notes)])


def _say(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _working(what: str) -> None:
    """Say on a terminal what takes a moment, and wipe it."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r{what:<40}" + ("" if what else "\r"))
        sys.stderr.flush()
