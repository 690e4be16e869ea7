"""Trees of tensors and numbers in one file, written whole or not at all."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as parse_tensors
from safetensors.torch import save as format_tensors
from torch import Tensor

from kanx.atomic import write_bytes
from kanx.training.distributed import is_first

_HEADER = "tree"


def save_tree(tree: Any, path: str | os.PathLike[str]) -> None:
    """Write nested dicts and lists of tensors, numbers, text and None to one file.

    A process that is killed at any moment leaves the old file or the new one.

    Parameters
    ----------
    tree : dict, list, Tensor, number, str or None
    path : path
        The folder must exist. Of several processes that share rows, only the first one writes.
    """
    if not is_first():
        return
    tensors: dict[str, Tensor] = {}
    described = json.dumps(_describe(tree, tensors))
    write_bytes(path, format_tensors(tensors, {_HEADER: described}))


def load_tree(path: str | os.PathLike[str]) -> Any | None:
    """Read what `save_tree` wrote, bit for bit; None where there is no file.

    Raises
    ------
    ValueError
        If the file is no such tree.
    """
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        return None
    try:
        tensors = parse_tensors(data)
        length = int.from_bytes(data[:8], "little")
        header = json.loads(data[8 : 8 + length])["__metadata__"][_HEADER]
        return _rebuild(json.loads(header), tensors)
    except (SafetensorError, KeyError, ValueError, TypeError, IndexError) as error:
        raise ValueError(
            f"{os.fspath(path)!r} is no checkpoint of kanx ({error}); delete it or choose another "
            "folder"
        ) from error


def stored_seed(folder: Path | None, seed: int) -> int:
    """Return the seed kept in a folder, which is this one if there is none yet."""
    if folder is None:
        return seed
    file = folder / "seed.safetensors"
    stored = load_tree(file)
    if stored is None:
        save_tree({"seed": seed}, file)
        return seed
    return int(stored["seed"])


def fingerprint(parts: Iterable[Any]) -> str:
    """Return a name for all that a computation depends on.

    Parameters
    ----------
    parts : iterable of Tensor, or of what JSON can hold
    """
    digest = hashlib.sha256()
    for part in parts:
        if isinstance(part, Tensor):
            array = np.ascontiguousarray(part.detach().cpu().numpy())
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(array.tobytes())
        else:
            digest.update(json.dumps(part, sort_keys=True, default=repr).encode())
    return digest.hexdigest()[:24]


def _describe(value: Any, tensors: dict[str, Tensor]) -> Any:
    if isinstance(value, Tensor):
        name = f"t{len(tensors)}"
        tensors[name] = value.detach().cpu().contiguous().clone()
        return {"tensor": name}
    if isinstance(value, dict):  # as pairs, since the keys of an optimiser's state are integers
        return {"pairs": [[key, _describe(own, tensors)] for key, own in value.items()]}
    if isinstance(value, list | tuple):
        return [_describe(own, tensors) for own in value]
    if isinstance(value, np.generic):
        return value.item()
    return value


def _rebuild(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, dict):
        if "tensor" in value:
            return tensors[value["tensor"]]
        return {key: _rebuild(own, tensors) for key, own in value["pairs"]}
    if isinstance(value, list):
        return [_rebuild(own, tensors) for own in value]
    return value
