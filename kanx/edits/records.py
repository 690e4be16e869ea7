"""What was done to a model: the entries of its history."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from kanx.edits.rebuild import Edge


@dataclass(frozen=True)
class Edit:
    """One edit of a fitted model by an expert.

    Attributes
    ----------
    edit : str
        Name of the method of `Editor`, such as ``"set_formula"``.
    term : str
        The curve or the input that was edited, in words.
    details : str
        What was asked for.
    edges : list of (int, int, int)
        Layer, input and output of the edges that the edit set; later re-fits hold them.
    refit : bool
        Whether everything else was fitted again.
    change : float
        Largest change of any prediction over the rows, in the units of the target or in logits.
    before, after : dict of str to float
        Scores.
    rows : int
        Number of rows of the scores.
    held_out : bool
        Whether these rows were given for scoring alone.
    """

    edit: str
    term: str
    details: str
    edges: list[Edge] = field(default_factory=list)
    refit: bool = True
    change: float = 0.0
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    rows: int = 0
    held_out: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the edit as the history stores it (JSON-compatible)."""
        return {**asdict(self), "edges": [list(edge) for edge in self.edges]}

    @classmethod
    def from_dict(cls, stored: Mapping[str, Any]) -> Edit:
        """Rebuild an edit from `to_dict`."""
        edges = [(int(e[0]), int(e[1]), int(e[2])) for e in stored["edges"]]
        return cls(**{**stored, "edges": edges})

    def __str__(self) -> str:
        scores = ", ".join(
            f"{name} {value:.4g} -> {self.after[name]:.4g}" for name, value in self.before.items()
        )
        what = f"{self.edit.replace('_', ' ')} {self.term}"
        return f"{what} ({self.details}): {scores}" if self.details else f"{what}: {scores}"
