"""Fuzz one target for some time: ``python -m fuzz.run TARGET SECONDS [--atheris]`` in tests/.

Without atheris, inputs are mutations of the corpus; an input that raises is written to the corpus
and ends the run. With atheris, coverage of kanx leads the search (libFuzzer).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import random
import sys
import time
from pathlib import Path

CORPUS = Path(__file__).parent / "corpus"


def keep(name: str, data: bytes) -> Path:
    """Write an input that failed to the corpus."""
    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return path


def by_mutation(name: str, seconds: float, seed: int) -> dict[str, float]:
    """Mutate the corpus until the time is over or an input fails."""
    from fuzz.mutate import mutate
    from fuzz.targets import MOST_BYTES, TARGETS, seeds

    target, corpus, chance = TARGETS[name], seeds(name), random.Random(seed)
    start, count = time.process_time(), 0
    while time.process_time() - start < seconds:
        data = mutate(chance.choice(corpus), chance.choice(corpus), chance, MOST_BYTES)
        count += 1
        try:
            target(data)
        except BaseException:
            sys.stderr.write(f"{keep(name, data)}\n")
            raise
    return {"target": name, "executions": count, "seconds": round(time.process_time() - start)}  # type: ignore[dict-item]


def by_coverage(name: str, seconds: float, seed: int) -> None:
    """Let libFuzzer search; it prints its own counts and coverage."""
    import atheris

    with atheris.instrument_imports(include=["kanx"], enable_loader_override=False):
        from fuzz.targets import MOST_BYTES, TARGETS, seeds

    own = Path(f"/tmp/kanx-fuzz-{name}")
    own.mkdir(exist_ok=True)
    for k, data in enumerate(seeds(name)):
        (own / f"seed{k}").write_bytes(data)

    def target(data: bytes) -> None:
        try:
            TARGETS[name](data)
        except BaseException:
            keep(name, data)
            raise

    options = [f"-max_total_time={int(seconds)}", f"-max_len={MOST_BYTES}", f"-seed={seed}"]
    atheris.Setup([sys.argv[0], *options, "-rss_limit_mb=4096", str(own)], target)
    atheris.Fuzz()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("seconds", type=float)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--atheris", action="store_true")
    arguments = parser.parse_args()
    if arguments.atheris:
        by_coverage(arguments.target, arguments.seconds, arguments.seed)
    else:
        found = by_mutation(arguments.target, arguments.seconds, arguments.seed)
        sys.stdout.write(json.dumps(found) + "\n")


if __name__ == "__main__":
    main()
