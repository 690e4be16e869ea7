"""Processes of their own for tests, forked from one that has imported everything already.

A fresh interpreter takes longer to import torch, scipy and kanx than most tests take. The fork
server does so once, and every process that a test starts is forked from it: it has its own memory,
signals and exit status, as any other. Without fork servers (Windows), processes start afresh.
"""

import multiprocessing
import os
import runpy
import subprocess
import sys
import tempfile
import warnings
from pathlib import Path

METHOD = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
IMPORTED = ["kanx.estimators", "kanx.explain", "torch._dynamo", "pandas", "matplotlib.pyplot"]


def context():
    """Return how to start processes that have imported the package already."""
    found = multiprocessing.get_context(METHOD)
    if METHOD == "forkserver":
        found.set_forkserver_preload(IMPORTED)
        from multiprocessing import forkserver

        forkserver.ensure_running()  # at once: later, others could set what is imported
    return found


def _run(program, arguments, folder, output, afresh):
    for descriptor, name in ((1, "stdout"), (2, "stderr")):
        with open(Path(output) / name, "wb") as file:
            os.dup2(file.fileno(), descriptor)
    os.chdir(folder)
    for name in [name for name in sys.modules if afresh and name.split(".")[0] == "kanx"]:
        del sys.modules[name]
    sys.argv = [program, *arguments]
    warnings.simplefilter("ignore")
    runpy.run_path(program, run_name="__main__")


def run_python(program, *arguments, cwd=None, check=False, afresh=False):
    """Run a program, given as a path or as its text, and return how it ended and what it said.

    ``afresh`` forgets that the package was imported, for programs that look at how it is.
    """
    with tempfile.TemporaryDirectory() as output:
        if not isinstance(program, Path):
            Path(output, "program.py").write_text(program, encoding="utf-8")
            program = Path(output, "program.py")
        arguments = [str(argument) for argument in arguments]
        given = (str(program), arguments, str(cwd or Path.cwd()), output, afresh)
        process = context().Process(target=_run, args=given)
        process.start()
        process.join(600)
        if process.exitcode is None:
            process.kill()
            process.join()
        code = process.exitcode
        process.close()
        said = []
        for name in ("stdout", "stderr"):
            file = Path(output, name)
            said.append(file.read_text(encoding="utf-8") if file.exists() else "")
    done = subprocess.CompletedProcess([str(program), *arguments], code, *said)
    if check and code:
        raise AssertionError(f"the program ended with {code}:\n{done.stderr[-3000:]}")
    return done
