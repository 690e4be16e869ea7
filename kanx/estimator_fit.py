"""Run an estimator's fit: callbacks, seeds, checkpoints, Ctrl-C, and which optimiser."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.utils import check_random_state
from torch import Tensor

from kanx.tables import Column
from kanx.training.checkpoint import stored_seed
from kanx.training.distributed import shared_rows
from kanx.training.evidence import Fit
from kanx.training.first_order import FirstOrder, Rows
from kanx.training.fit_memory import require_fit_memory
from kanx.training.hidden import parse_hidden
from kanx.training.interrupt import interruptible
from kanx.training.losses import Loss
from kanx.training.options import FIRST_ORDER, OPTIMIZERS, TrainingOptions, as_options
from kanx.training.rows import InMemory
from kanx.training.threads import threads_for
from kanx.training.topology import HIDDEN_OPTIONS, edge_specs, fit_topology
from kanx.training.wide import Wide

# numbers in the expansions of all rows, beyond which they are not kept in memory: 4 GiB
LARGEST_EXPANSION = 2**29
PER_CURVE = 12


def fit_members(
    estimator: Any,
    X: Any,
    columns: list[Column],
    sample: InMemory,
    loss: Loss,
    outputs: int,
    seed: int,
    *,
    target_scale: Tensor | None = None,
    rows: Rows | None = None,
) -> list[Fit]:
    """Fit the networks that an estimator's parameters ask for.

    Parameters
    ----------
    estimator : KANEstimator
    X : table
        For the callbacks.
    columns : list of Column
    sample : InMemory
        All rows, or a sample of those that are read in batches.
    loss, outputs, target_scale
        See `fit_topology`.
    seed : int
    rows : Rows, optional
        Rows that are read in batches.
    """
    options = as_options(estimator.training)
    optimizer = chosen_optimizer(estimator.optimizer, options, sample, rows)
    if optimizer == "lm":
        _require_memory(estimator, columns, sample, outputs)
    folder = checkpoint_folder(estimator.checkpoint)
    context = estimator._init_callback_context(max_subtasks=None)
    context.call_on_fit_task_begin(estimator=estimator, X=X, y=sample.y)
    with ExitStack() as stack:
        stack.enter_context(shared_rows(options.distributed))
        stack.enter_context(threads_for(sample.rows if rows is None else rows.training.rows))
        interruption = stack.enter_context(interruptible())
        on_round = _on_round(estimator, X, context, interruption)
        first_order = None
        if optimizer in FIRST_ORDER:
            rows = Rows.from_memory(sample, options, seed) if rows is None else rows
            sample = rows.sample
            first_order = FirstOrder(optimizer, options, rows, folder, interruption)
        members = fit_topology(
            columns,
            sample.x,
            sample.y,
            sample.weight,
            loss,
            outputs,
            edge=estimator.edge,
            hidden=estimator.hidden,
            edge_options=dict(estimator.edge_options or {}),
            n_estimators=estimator.n_estimators,
            max_iter=estimator.max_iter,
            random_state=seed,
            on_round=on_round,
            constraints=estimator.constraints,
            target_scale=target_scale,
            first_order=first_order,
            wide=Wide(options, folder, interruption) if estimator.optimizer == "auto" else None,
            checkpoint=folder,
            n_jobs=estimator.n_jobs,
            stop=interruption,
        )
    context.call_on_fit_task_end(estimator=estimator, X=X, y=sample.y)
    return members


def _require_memory(estimator: Any, columns: list[Column], sample: InMemory, outputs: int) -> None:
    """Refuse a fit that will not fit into memory; hidden sizes that are chosen are moderate."""
    topology = parse_hidden(estimator.hidden)
    options = dict(estimator.edge_options or {})
    edges = edge_specs(columns, estimator.edge, options, sample.x[:1000])
    numeric = next((edge for edge in edges if edge["family"] != "lookup"), {"family": "gp"})
    widths = topology.all_widths(len(columns)) or ()
    require_fit_memory(
        sample.rows,
        edges,
        {**numeric, **HIDDEN_OPTIONS.get(numeric["family"], {})},
        widths,
        outputs,
        skip=topology.skip,
        starts=estimator.n_estimators,
    )


def fit_seed(estimator: Any) -> int:
    """Return the seed of a fit; a random one is kept with the checkpoint, to resume with it."""
    seed = int(check_random_state(estimator.random_state).randint(np.iinfo(np.int32).max))
    if estimator.checkpoint is None or estimator.random_state is not None:
        return seed
    return stored_seed(checkpoint_folder(estimator.checkpoint), seed)


def checkpoint_folder(path: Any) -> Path | None:
    """Return the folder of the checkpoints, made where it is missing.

    Raises
    ------
    NotADirectoryError
        If a file has that name.
    FileNotFoundError
        If the folder above it does not exist.
    """
    if path is None:
        return None
    folder = Path(path)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"checkpoint={str(path)!r} must name a folder; a file has it")
    folder.mkdir(exist_ok=True)
    return folder


def chosen_optimizer(
    wanted: str, options: TrainingOptions, sample: InMemory, rows: Rows | None
) -> str:
    """Return "lm", "lbfgs" or "adam" for a request.

    Raises
    ------
    ValueError
        If the optimiser is unknown or cannot do what the options ask for.
    """
    if wanted not in OPTIMIZERS:
        raise ValueError(f"optimizer={wanted!r} is unknown; choose one of {OPTIMIZERS}")
    if wanted == "auto":
        numbers = sample.rows * sample.x.shape[1] * PER_CURVE
        large = rows is not None or numbers > LARGEST_EXPANSION
        return "adam" if large or options.is_sparse else "lm"
    if wanted == "lm" and rows is not None:
        raise ValueError("optimizer='lm' needs all rows in memory; use 'adam' for batches")
    if wanted == "lm" and options.is_sparse:
        raise ValueError(
            "optimizer='lm' finds irrelevant edges by their evidence; for the penalties l1, "
            "entropy and group use 'adam' or 'lbfgs'"
        )
    return wanted


def _on_round(
    estimator: Any, X: Any, context: Any, interrupted: Callable[[], bool]
) -> Callable[[int, float], bool]:
    stopped = False

    def on_round(round_: int, evidence: float) -> bool:
        nonlocal stopped
        if stopped or interrupted():  # what stops the fit stops all of its starts
            return True
        step = context.subcontext(task_name="round")
        step.call_on_fit_task_begin(estimator=estimator, X=X)
        metadata = {"round": round_, "log_evidence": evidence}
        stopped = step.call_on_fit_task_end(estimator=estimator, X=X, metadata=metadata)
        return stopped

    return on_round
