"""Files that appear whole or not at all: written beside their place, then renamed into it."""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

__all__ = ["open_text", "write_bytes", "write_text"]

_BINARY = getattr(os, "O_BINARY", 0)  # Windows translates line ends without it


def write_text(path: str | os.PathLike[str], text: str) -> None:
    """Replace a file by this text (UTF-8, line ends as given) in one step.

    A reader sees the old file or the new one, never a part; a failure leaves the old file.

    Parameters
    ----------
    path : path
        The file; its folder must exist.
    text : str
        The whole content.

    Raises
    ------
    OSError
        When the folder is missing or cannot be written, or the disk is full.
    """
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: str | os.PathLike[str], data: bytes) -> None:
    """Replace a file by these bytes in one step.

    Parameters
    ----------
    path : path
        The file; its folder must exist.
    data : bytes
        The whole content.

    Raises
    ------
    OSError
        When the folder is missing or cannot be written, or the disk is full.
    """
    with _replacement(Path(path)) as temporary, os.fdopen(temporary, "wb") as file:
        file.write(data)
        _flush(file)


@contextlib.contextmanager
def open_text(path: str | os.PathLike[str]) -> Iterator[IO[str]]:
    """Open a file to be written piece by piece; it takes its place when the block ends well.

    Parameters
    ----------
    path : path
        The file; its folder must exist.

    Yields
    ------
    file
        A text file (UTF-8, line ends as written). If the block raises, nothing is left behind.

    Raises
    ------
    OSError
        When the folder is missing or cannot be written, or the disk is full.
    """
    with (
        _replacement(Path(path)) as temporary,
        os.fdopen(temporary, "w", encoding="utf-8", newline="") as file,
    ):
        yield file
        _flush(file)


def _flush(file: IO[str] | IO[bytes]) -> None:
    file.flush()
    os.fsync(file.fileno())


@contextlib.contextmanager
def _replacement(path: Path) -> Iterator[int]:
    # The same folder, since a rename is atomic only within one file system. A link is followed,
    # so that the file it names is replaced and not the link.
    path = path.resolve()
    if path.is_dir():
        raise IsADirectoryError(f"cannot write the file {path}: a folder has that name")
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot write {path}: the folder {path.parent} does not exist")
    name = path.parent / f".{path.name[:100]}.{secrets.token_hex(6)}.tmp"
    temporary = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
    try:
        yield temporary
        with contextlib.suppress(FileNotFoundError):  # a new file keeps what the umask gave it
            os.chmod(name, stat.S_IMODE(path.stat().st_mode))
        os.replace(name, path)
    except BaseException:  # Ctrl-C too must leave no half-written file behind
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name)
        raise
    _persist_rename(path.parent)


def _persist_rename(folder: Path) -> None:
    # Some file systems cannot open a folder; the file itself is on the disk already.
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
