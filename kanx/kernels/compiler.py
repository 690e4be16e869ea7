"""Small C++ kernels, compiled once per machine where there is a compiler."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

FLAGS = ("-O3", "-std=c++17", "-fPIC", "-shared", "-fno-math-errno", "-fno-trapping-math")
# tried in turn: not every compiler knows both
EXTRAS = (("-march=native", "-fopenmp"), ("-mcpu=native", "-fopenmp"), ("-mcpu=native",), ())
TIMEOUT = 120  # seconds

_log = logging.getLogger("kanx.kernels")


def allowed() -> bool:
    """Say whether kernels may be compiled: the variable KANX_KERNELS is not ``off``."""
    return os.environ.get("KANX_KERNELS", "auto").lower() not in ("off", "0", "no", "false")


@functools.cache
def library(name: str, **definitions: str | int) -> ctypes.CDLL | None:
    """Load a kernel of this package, compiled for this machine.

    The first call on a machine compiles it, which takes some seconds, into the user's cache
    folder (``$XDG_CACHE_HOME/kanx`` or ``~/.cache/kanx``; `KANX_CACHE` names another). A finished
    file is moved into place in one step, so processes that compile at the same time do not
    disturb each other.

    Parameters
    ----------
    name : str
        File name of the source beside this module, without ``.cpp``; its headers are
        ``name_*.hpp``.
    **definitions : str or int
        Macros of the compilation.

    Returns
    -------
    ctypes.CDLL or None
        None where there is no compiler, no folder that is safely the user's own, or where
        anything else fails; what happened is logged at level DEBUG to ``kanx.kernels``.
    """
    if not allowed():
        return None
    try:
        source = Path(__file__).with_name(f"{name}.cpp")
        macros = [f"-D{key}={value}" for key, value in sorted(definitions.items())]
        files = [source, *sorted(source.parent.glob(f"{name}_*.hpp"))]
        text = b"".join(file.read_bytes() for file in files)
        text += repr((macros, FLAGS, EXTRAS, _machine())).encode()
        target = _folder() / f"{name}-{hashlib.sha256(text).hexdigest()[:24]}.so"
        if not target.exists():
            _compile(source, target, macros)
        return ctypes.CDLL(str(target))
    except (OSError, RuntimeError, subprocess.SubprocessError) as error:
        _log.debug("kernel %s is not available: %s", name, error)
        return None


def _machine() -> str:
    """Describe the processor: code compiled for one may not run on another."""
    description = [sys.platform, platform.machine(), platform.processor()]
    cpu = Path("/proc/cpuinfo")
    if cpu.exists():
        wanted = ("model name", "flags", "Features", "CPU part")
        lines = cpu.read_text(errors="replace").split("\n\n")[0].splitlines()
        description += [line for line in lines if line.startswith(wanted)]
    return "\n".join(description)


def _folder() -> Path:
    """Return the cache folder, which nobody but the user can write to."""
    if sys.platform == "win32":
        raise RuntimeError("kernels are not compiled on Windows")
    base = os.environ.get("KANX_CACHE")
    if base is None:
        base = str(Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kanx")
    folder = Path(base)
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    status = folder.stat()
    if status.st_uid != os.getuid() or status.st_mode & 0o022:
        raise RuntimeError(f"{folder} can be written by other users")
    return folder


def _compile(source: Path, target: Path, macros: list[str]) -> None:
    candidates = (os.environ.get("CXX"), "c++", "g++", "clang++")
    compiler = next((found for c in candidates if c and (found := shutil.which(c))), None)
    if compiler is None:
        raise RuntimeError("there is no C++ compiler")
    messages = []
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="build-") as scratch:
        built = Path(scratch) / target.name
        for extras in EXTRAS:
            command = [compiler, *FLAGS, *extras, *macros, str(source), "-o", str(built)]
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=TIMEOUT, check=False
            )
            if done.returncode == 0:
                built.replace(target)
                return
            messages.append(done.stderr)
    raise RuntimeError("\n".join(messages))
