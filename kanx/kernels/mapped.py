"""Rules of `torch.vmap` and autocast for operators that know neither by themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def register(operator: Any, rows: Sequence[int] = ()) -> None:
    """Give an operator the rules of `torch.vmap` and autocast.

    Autocast leaves it in float32: its ``mode``, where it has one, says how it multiplies.

    Parameters
    ----------
    operator : custom operator
        Of tensors first, and one tensor or a tuple of them as its result.
    rows : sequence of int, default=()
        Arguments with an axis of rows first, like the result. Where only these are mapped over they
        become more rows; otherwise, and for operators without, the calls follow one another.
    """
    for device in ("cpu", "cuda"):
        operator.register_autocast(device, torch.float32)

    def rule(info: Any, in_dims: tuple[int | None, ...], *arguments: Any) -> tuple[Any, Any]:
        def at(number: int, member: int) -> Any:
            value, dim = arguments[number], in_dims[number]
            return value if dim is None else value.select(dim, member)

        mapped = {number for number, dim in enumerate(in_dims) if dim is not None}
        if rows and mapped <= set(rows):
            own = list(arguments)
            for number in rows:
                if own[number] is not None:
                    own[number] = _as_rows(own[number], in_dims[number], info.batch_size)
            return operator(*own).unflatten(0, (info.batch_size, -1)), 0
        found = [
            operator(*(at(number, member) for number in range(len(arguments))))
            for member in range(info.batch_size)
        ]
        if isinstance(found[0], Tensor):
            return torch.stack(found), 0
        return tuple(map(torch.stack, zip(*found, strict=True))), (0,) * len(found[0])

    operator.register_vmap(rule)


def _as_rows(value: Tensor, dim: int | None, batch: int) -> Tensor:
    own = value.unsqueeze(0) if dim is None else value.movedim(dim, 0)
    return own.expand(batch, *own.shape[1:]).flatten(0, 1)
