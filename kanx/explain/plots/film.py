"""The training of a network as a film: one drawing a round, written as an animated GIF."""

from __future__ import annotations

import copy
import os
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import clone

from kanx.explain.explanation import Explanation, explain
from kanx.explain.subject import Subject, subject_of
from kanx.network import KAN

PAUSE = 2.0  # seconds that the last picture stays


class Film:
    """Record a network while it is trained.

    Call `add` as often as a picture is wanted, in a loop of your own or in a callback, and `save`
    at the end.

    Parameters
    ----------
    X : array, DataFrame or dict of columns, (rows, in)
        Rows that thickness and range of the curves are computed over; a few hundred are enough.
    dpi : float, default=80
        Dots per inch of the pictures.
    """

    def __init__(self, X: Any, *, dpi: float = 80) -> None:
        self.X = X
        self.dpi = dpi
        self._pictures: list[Any] = []

    def __len__(self) -> int:
        return len(self._pictures)

    def add(self, model: Any, caption: str = "") -> None:
        """Draw a network, a fitted estimator or an explanation as it is now.

        Parameters
        ----------
        model : KAN, KANRegressor, KANClassifier or Explanation
        caption : str, optional
            Written above the drawing.
        """
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure

        from kanx.explain.plots.network import plot_network
        from kanx.explain.plots.network_layout import lay_out
        from kanx.explain.plots.style import plain

        view = model if isinstance(model, Explanation) else explain(model, self.X)
        layout = lay_out(view)
        size = (layout.right - layout.left + 0.2, layout.upper - layout.lower + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        canvas = FigureCanvasAgg(figure)
        figure.set_dpi(self.dpi)
        ax = plot_network(view, figure.add_subplot())
        ax.set_title(plain(caption), fontsize=9, loc="left")
        canvas.draw()
        self._pictures.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())

    def save(self, path: str | os.PathLike[str], *, frames_per_second: float = 5) -> None:
        """Write the film as an animated GIF, whole or not at all; the last picture stays a while.

        Parameters
        ----------
        path : path
            Such as ``"training.gif"``.
        frames_per_second : float, default=5

        Raises
        ------
        ValueError
            If there is no picture yet, or the speed is not positive.
        """
        from io import BytesIO

        from PIL import Image

        from kanx.atomic import write_bytes

        if not self._pictures:
            raise ValueError("the film has no picture yet; call add during the training")
        if not frames_per_second > 0:
            raise ValueError(f"frames_per_second must be positive, got {frames_per_second}")
        height = max(picture.shape[0] for picture in self._pictures)
        width = max(picture.shape[1] for picture in self._pictures)
        frames = []
        for picture in self._pictures:  # of one size, on the colour of their own page
            page = np.tile(picture[0, 0], (height, width, 1))
            page[: picture.shape[0], : picture.shape[1]] = picture
            frames.append(Image.fromarray(page).quantize(64))
        times = [1000 / frames_per_second] * len(frames)
        times[-1] += 1000 * PAUSE
        file = BytesIO()
        frames[0].save(file, "GIF", save_all=True, append_images=frames[1:], duration=times, loop=0)
        write_bytes(path, file.getvalue())


def animate_training(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    path: str | os.PathLike[str],
    *,
    frames_per_second: float = 4,
    random_state: int = 0,
) -> Any:
    """Fit an estimator, and film how its best network comes about.

    A network of the same shape, unpruned, is fitted once more from a new random start, with a
    picture after every round; the last picture shows what is left after pruning.

    Parameters
    ----------
    estimator : KANRegressor or KANClassifier
        Left as it is; a copy is fitted.
    X : table, (rows, features)
    y : array, (rows,) or (rows, targets)
    path : path
        Such as ``"training.gif"``.
    frames_per_second : float, default=4
    random_state : int, default=0
        Seed of the new start.

    Returns
    -------
    KANRegressor or KANClassifier
        The fitted copy.
    """
    from kanx.training.evidence import Settings, fit_evidence
    from kanx.training.starts import random_start

    fitted = clone(estimator).fit(X, y)
    subject = subject_of(fitted, X, None, 2**62, random_state)
    network = _unpruned(fitted.model_.members[0].network)
    random_start(network, torch.Generator().manual_seed(random_state))
    film = Film(X)

    def on_round(number: int, evidence: float) -> bool:
        own = replace(subject, network=copy.deepcopy(network))
        film.add(Explanation(own), f"round {number + 1}, log evidence {evidence:.1f}")
        return False

    finished = fit_evidence(
        network,
        subject.x,
        _target(fitted, y, subject),
        fitted.model_.members[0].loss,
        settings=Settings(max_iter=fitted.max_iter),
        on_round=on_round,
    )
    film.add(Explanation(replace(subject, network=finished.network)), "finished: pruned")
    film.save(path, frames_per_second=frames_per_second)
    return fitted


def _unpruned(network: KAN) -> KAN:
    """Return a copy in which every edge is alive."""
    copied = copy.deepcopy(network)
    for layer in copied.all_layers:
        layer.set_mask(torch.ones_like(layer.mask))
    return copied


def _target(estimator: Any, y: ArrayLike, subject: Subject) -> torch.Tensor:
    """Return the target as the fit sees it: standardised, or codes of the classes."""
    values = np.asarray(y)
    if hasattr(estimator, "classes_"):
        codes = torch.from_numpy(np.searchsorted(estimator.classes_, values))
        return codes.double()[:, None] if subject.n_outputs == 1 else codes
    target = torch.from_numpy(values.astype(float)).reshape(len(values), -1)
    return (target - subject.target_mean) / subject.target_scale
