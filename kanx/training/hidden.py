"""From an estimator's `hidden` to the widths, edges and cuts of its networks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from kanx.network import KAN, SCALES, Width, one_each, shared_specs
from kanx.nodes import Nodes

ARITY = {"kst": (1, 1), "shared_kst": (1, 1), "deep_sets": (1, 2)}  # numbers that follow the name


@dataclass(frozen=True)
class Hidden:
    """What stands between the inputs and the outputs.

    Attributes
    ----------
    widths : tuple of widths, or None
        None where the evidence chooses.
    kind : {"free", "kst", "shared_kst", "deep_sets"}
    element_features : int
        Of ``"deep_sets"``.
    """

    widths: tuple[Width, ...] | None
    kind: str = "free"
    element_features: int = 1

    @property
    def skip(self) -> bool:
        """Whether there are direct curves from the inputs to the outputs."""
        return self.kind in ("free", "deep_sets")

    def all_widths(self, inputs: int) -> tuple[Width, ...] | None:
        """Return the widths of all hidden layers, for a number of inputs."""
        if self.kind == "shared_kst" and self.widths is not None:
            return (inputs, *self.widths)
        return self.widths

    def edges(self, specs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
        """Return the edges of the inputs: those given, or shared by the elements of a set.

        Raises
        ------
        ValueError
            If the columns are no elements of a set.
        """
        if self.kind != "deep_sets":
            return list(specs)
        d = self.element_features
        if any(spec["family"] == "lookup" for spec in specs) or len(specs) % d:
            raise ValueError(
                f"hidden=('deep_sets', width, {d}) needs numeric columns alone, {d} for each of "
                f"the elements, got {len(specs)} columns"
            )
        # a missing value marks an absent element, not one with a value of its own
        own = [{k: v for k, v in spec.items() if k != "missing"} for spec in specs[:d]]
        return shared_specs(
            [_common(spec, specs[f::d]) for f, spec in enumerate(own)], len(specs) // d
        )

    def hidden_edge(self, spec: dict[str, Any]) -> Any:
        """Return the edges of the later layers."""
        return [SCALES, spec] if self.kind == "shared_kst" else spec

    def prepare(self, network: KAN) -> None:
        """Cut the edges that the topology has not; an additive network stays as it is."""
        if self.kind == "shared_kst" and len(network.layers) == 3:
            one_each(network)


def parse_hidden(hidden: str | Sequence[Any]) -> Hidden:
    """Read an estimator's `hidden`.

    Raises
    ------
    ValueError
        If it is none of the known forms.
    """
    if isinstance(hidden, str):
        if hidden == "auto":
            return Hidden(None)
        if hidden == "additive":
            return Hidden(())
    elif isinstance(hidden, Sequence | np.ndarray):
        found = list(hidden)
        if found and isinstance(found[0], str) and found[0] in ARITY:
            kind, numbers = found[0], found[1:]
            least, most = ARITY[kind]
            if least <= len(numbers) <= most and all(_is_count(n) for n in numbers):
                return Hidden((int(numbers[0]),), kind, *(int(n) for n in numbers[1:]))
        elif all(_is_width(width) for width in found):
            return Hidden(tuple(w if isinstance(w, Mapping) else int(w) for w in found))
    raise ValueError(
        f"hidden={hidden!r} is not understood; use 'auto', 'additive', a tuple of widths such as "
        "(5,) or (3, 3) or ({'sums': 2, 'products': [2], 'ratios': ['S']},), ('kst', Q), "
        "('shared_kst', Q) or ('deep_sets', width)"
    )


def _common(spec: dict[str, Any], specs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the specification of a feature that all elements share, with the finest grid."""
    sizes = [s["control_points"] for s in specs if "control_points" in s]
    return {**spec, "control_points": max(sizes)} if sizes else spec


def _is_width(width: Any) -> bool:
    if isinstance(width, Mapping):
        Nodes.of(width)  # impossible nodes fail here, with what is wrong
        return True
    return _is_count(width)


def _is_count(number: Any) -> bool:
    return isinstance(number, int | np.integer) and int(number) > 0
