"""A sign of life while a model is fitted: scikit-learn's bar, or one line on the terminal."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any


class ProgressLine:
    """Show the number of rounds and the evidence on one line of stderr.

    A callback of scikit-learn's protocol, for terminals without `rich`.
    """

    def __init__(self) -> None:
        self._count = 0
        self._width = 0

    def setup(self, estimator: Any, context: Any) -> None:
        """Start counting."""
        self._count = 0

    def teardown(self, estimator: Any, context: Any) -> None:
        """Wipe the line, also after an error or Ctrl-C."""
        self._show("")

    def on_fit_task_begin(self, estimator: Any, context: Any, **_: Any) -> None:
        """Show nothing: rounds are shown when they end."""

    def on_fit_task_end(
        self, estimator: Any, context: Any, *, metadata: dict[str, Any] | None = None, **_: Any
    ) -> bool:
        """Show one more round."""
        if metadata and "log_evidence" in metadata:
            self._count += 1
            self._show(f"fitting: round {self._count}, log evidence {metadata['log_evidence']:.1f}")
        return False

    def _show(self, text: str) -> None:
        sys.stderr.write("\r" + text.ljust(self._width) + ("" if text else "\r"))
        sys.stderr.flush()
        self._width = len(text)


def progress_callbacks() -> list[Any]:
    """Return what to pass to ``set_callbacks``: nothing where nobody watches."""
    if not sys.stderr.isatty():
        return []
    if importlib.util.find_spec("rich") is not None and sys.stdout.isatty():
        from sklearn.callback import ProgressBar

        return [ProgressBar()]
    return [ProgressLine()]
