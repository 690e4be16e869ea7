"""Fuzz one target: ``python -m fuzz.run TARGET --executions 100000`` in ``tests/``.

Coverage of kanx leads the search (atheris, libFuzzer); with ``--blind`` inputs are mutations of
the corpus that know the formats' tokens. An input that fails is written to the corpus, which the
tests run. ``--out FOLDER`` keeps what reaches new code; `fuzz.corpus` minimises such folders.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
from pathlib import Path

from fuzz.mutate import mutate_for


def keep(name: str, data: bytes) -> Path:
    """Write an input that failed to the corpus."""
    from fuzz.targets import CORPUS

    folder = CORPUS / name
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    return path


def attempt(name: str, data: bytes) -> str:
    """Run a target on an input and return the outcome; keep the input if it fails."""
    from fuzz.targets import TARGETS

    try:
        return TARGETS[name](data)
    except BaseException:
        sys.stderr.write(f"{keep(name, data)}\n")
        raise


def by_mutation(name: str, executions: int, seed: int) -> None:
    """Mutate the corpus until there were enough executions or an input fails."""
    from fuzz.targets import MOST_BYTES, good, kept

    corpus, chance = good(name) + kept(name), random.Random(seed)
    outcomes: dict[str, int] = {}
    for _ in range(executions):
        data = mutate_for(name, chance.choice(corpus), chance.choice(corpus), chance, MOST_BYTES)
        outcome = attempt(name, data)
        outcomes[outcome] = outcomes.get(outcome, 0) + 1
    sys.stdout.write(f"{name}: {executions} executions, {outcomes}\n")


def by_coverage(name: str, executions: int, seed: int, out: Path) -> None:
    """Let libFuzzer search; every other input is one of our own mutations."""
    import atheris

    with atheris.instrument_imports(include=["kanx"], enable_loader_override=False):
        from fuzz.targets import MOST_BYTES, TARGETS, good, kept
    corpus = good(name) + kept(name)
    out.mkdir(parents=True, exist_ok=True)
    for k, data in enumerate(corpus):
        (out / f"seed{k}").write_bytes(data)
        TARGETS[name](data)  # what is imported and fitted late is there before the search begins

    def mutated(data: bytes, most: int, own_seed: int) -> bytes:
        if own_seed % 2:
            return atheris.Mutate(data, most)
        chance = random.Random(own_seed)
        return mutate_for(name, data, chance.choice(corpus), chance, most)

    def target(data: bytes) -> None:
        attempt(name, data)

    options = [f"-runs={executions}", f"-max_len={MOST_BYTES}", f"-seed={seed}", "-timeout=20"]
    options += ["-rss_limit_mb=4096", "-print_final_stats=1", f"-artifact_prefix={out.parent}/"]
    atheris.Setup([sys.argv[0], *options, str(out)], target, custom_mutator=mutated)
    atheris.Fuzz()


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("target")
    parser.add_argument("--executions", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--blind", action="store_true", help="no coverage, needs no atheris")
    parser.add_argument("--out", type=Path, default=None, help="folder for inputs of interest")
    given = parser.parse_args()
    if given.blind:
        by_mutation(given.target, given.executions, given.seed)
    else:
        out = given.out or Path("build/fuzz") / given.target
        by_coverage(given.target, given.executions, given.seed, out)


if __name__ == "__main__":
    main()
