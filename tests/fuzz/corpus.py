"""Keep what reaches code that nothing smaller reaches: ``python -m fuzz.corpus TARGET FOLDER``.

Inputs of a folder that `fuzz.run` filled are copied into the corpus, smallest first, where they
reach a branch of kanx that the good inputs and those kept before do not. Prints how much of the
modules that the target tries is reached (needs coverage).
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "kanx"
SMALL = 8_000  # bytes of an input that may be kept


def main() -> None:
    """Read the command line, minimise, and print the coverage as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("folders", nargs="*", type=Path)
    given = parser.parse_args()
    import coverage

    measured = coverage.Coverage(branch=True, data_file=None, source=[str(PACKAGE)])
    measured.start()
    from fuzz.run import keep
    from fuzz.targets import TARGETS, TRIED, good, kept

    target = TARGETS[given.target]
    modules = [PACKAGE / f"{module}.py" for module in TRIED[given.target]]

    def reached() -> int:
        data = measured.get_data()
        return sum(len(data.arcs(str(module)) or ()) for module in modules)

    for known in good(given.target) + kept(given.target):
        target(known)
    best = reached()
    found = [path for folder in given.folders for path in folder.iterdir()]
    for path in sorted(found, key=lambda path: path.stat().st_size):
        data = path.read_bytes()
        if len(data) > SMALL:
            break
        target(data)
        if reached() > best:
            best = reached()
            keep(given.target, data)
    measured.stop()
    with tempfile.NamedTemporaryFile(suffix=".json") as file:
        names = [str(module) for module in modules]
        measured.json_report(morfs=names, outfile=file.name)
        totals = json.loads(Path(file.name).read_text())["totals"]
    shown = ("num_statements", "covered_lines", "num_branches", "covered_branches")
    sys.stdout.write(json.dumps({"target": given.target, **{k: totals[k] for k in shown}}) + "\n")


if __name__ == "__main__":
    main()
