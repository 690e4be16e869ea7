"""Benchmarks that are one table: measure it line by line and write its page."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch


def write_page(
    description: str | None,
    cases: Sequence[Any],
    line: Callable[[Any, int], str],
    report: Callable[[list[str], int], str],
) -> None:
    """Read the command line, measure every case, print its line and write the page.

    Parameters
    ----------
    description : str
    cases : sequence
    line : callable
        From a case and the number of draws to its line of the table.
    report : callable
        From all lines and the number of draws to the page.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--write", type=Path)
    options: Any = parser.parse_args()
    torch.set_num_threads(1)
    lines = []
    for case in cases:
        lines.append(line(case, options.seeds))
        print(lines[-1], flush=True)
    if options.write:
        options.write.write_text(report(lines, options.seeds))
