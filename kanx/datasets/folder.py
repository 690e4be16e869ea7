"""Files in the user's own data folder: found, read and checked, never downloaded."""

import csv
import gzip
import hashlib
import io
import os
import zlib
from pathlib import Path
from typing import NamedTuple

ENVIRONMENT_VARIABLE = "KANX_DATA"
LARGEST = 2**26  # bytes of text: a small archive may unpack to any size
_CSV_MIRROR = "https://raw.githubusercontent.com/jbrownlee/Datasets/master"


class LocalFile(NamedTuple):
    """Name a file of the data folder, the sum its content must have, and where to get it.

    Attributes
    ----------
    path : str
        Place below the data folder; a file straight in the folder is found as well.
    sha256 : str
        Sum of the text with the ends of lines and blank lines normalised, so that copies from
        Windows and Unix, plain and gzipped, agree.
    url : str
        Page to download it from.
    """

    path: str
    sha256: str
    url: str


def mirrored_csv(name: str, sha256: str) -> LocalFile:
    """Return the file of a table that a well-known public collection carries as ``name``.csv."""
    return LocalFile(f"csv/{name}.csv", sha256, f"{_CSV_MIRROR}/{name}.csv")


def read_rows(file: LocalFile, data_home: str | os.PathLike[str] | None = None) -> list[list[str]]:
    """Return the fields of every line of a comma-separated file, stripped of blanks.

    Parameters
    ----------
    file : LocalFile
        What to read.
    data_home : path, optional
        The data folder; the environment variable ``KANX_DATA`` by default.

    Raises
    ------
    FileNotFoundError
        If there is no data folder or no such file in it; the message says what to download.
    ValueError
        If the content is not the one expected.
    """
    path = _find(file, data_home)
    content = normalise(_read(path))
    found = hashlib.sha256(content.encode()).hexdigest()
    if found != file.sha256:
        raise ValueError(
            f"{path} is not the file expected: its text has the sha256 {found}, not {file.sha256}. "
            f"Replace it by an unchanged copy from {file.url}; read other data with pandas."
        )
    rows = csv.reader(io.StringIO(content), skipinitialspace=True)
    return [[field.strip() for field in row] for row in rows]


def normalise(text: str) -> str:
    """Return the text with Unix line ends and without trailing blanks and empty lines."""
    return "".join(f"{line.rstrip()}\n" for line in text.splitlines() if line.strip())


def _find(file: LocalFile, data_home: str | os.PathLike[str] | None) -> Path:
    # an empty variable counts as unset
    folder = data_home if data_home is not None else os.environ.get(ENVIRONMENT_VARIABLE) or None
    advice = f"Download it from {file.url} and save it as {Path(file.path)} in your data folder"
    if folder is None:
        raise FileNotFoundError(
            f"kanx carries no copy of {file.path}. {advice}, then set the environment variable "
            f"{ENVIRONMENT_VARIABLE} to that folder or pass data_home=."
        )
    home = Path(folder).expanduser()
    places = [home / file.path, home / Path(file.path).name]
    for place in places:
        if place.is_file():
            return place
    raise FileNotFoundError(f"found neither {places[0]} nor {places[1]}. {advice} {home}.")


def _read(path: Path) -> str:
    if path.suffix == ".gz":
        try:
            with gzip.open(path) as file:
                content = file.read(LARGEST + 1)
        except (OSError, EOFError, zlib.error) as error:
            raise ValueError(
                f"{path} is no intact gzip file ({error}); download it again."
            ) from error
    else:
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise ValueError(
            f"{path} holds more than {LARGEST >> 20} MiB of text, more than any file expected; "
            "replace it by an unchanged copy."
        )
    # whatever is not text cannot have the right sum, which says so better than a decoding error
    return content.decode("utf-8", errors="replace")
