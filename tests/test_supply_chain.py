"""What is shipped and what it stands on: reproducible archives, licences, no network."""

import hashlib
import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PERMISSIVE = re.compile(
    r"\b(MIT|BSD|Apache|PSF|Python Software Foundation|HPND|ISC|Zlib|MPL)", re.I
)


def required(name):
    """Names of a package's own requirements, extras aside."""
    found = importlib.metadata.requires(name) or []
    kept = [line for line in found if "extra ==" not in line]
    return {re.match(r"[\w.-]+", line).group().lower().replace("_", "-") for line in kept}


def licence(name):
    about = importlib.metadata.metadata(name)
    classifiers = [c for c in about.get_all("Classifier") or [] if c.startswith("License ::")]
    return " ".join(
        [about.get("License-Expression") or "", about.get("License") or "", *classifiers]
    )


def closure():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting = {re.match(r"[\w.-]+", line).group().lower() for line in project["dependencies"]}
    found = set()
    while waiting:
        name = waiting.pop()
        try:
            importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            continue  # for another platform
        found.add(name)
        waiting |= required(name) - found
    return found


def test_every_dependency_has_a_permissive_licence_and_is_listed():
    page = (ROOT / "docs" / "licences.md").read_text()
    for name in sorted(closure()):
        text = licence(name)
        nvidia = name.startswith(("nvidia", "cuda"))  # torch's own, with the CUDA builds alone
        assert nvidia or PERMISSIVE.search(text), f"{name}: {text[:200]}"
        assert nvidia or name == "triton" or f"`{name}`" in page, (
            f"{name} is not in docs/licences.md"
        )


@pytest.mark.slow
def test_archives_are_reproducible(tmp_path):
    pytest.importorskip("hatchling")
    source, digests = tmp_path / "source", []
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "Makefile"):
        shutil.copy(ROOT / name, source / name)
    unwanted = shutil.ignore_patterns("__pycache__", "*.pyc")
    shutil.copytree(ROOT / "kanx", source / "kanx", ignore=unwanted)
    for turn in ("first", "second"):
        environment = {**os.environ, "SOURCE_DATE_EPOCH": "1700000000"}
        command = [sys.executable, "-m", "hatchling", "build", "-d", str(tmp_path / turn)]
        subprocess.run(command, cwd=source, env=environment, check=True, capture_output=True)
        archives = sorted((tmp_path / turn).iterdir())
        assert [path.suffix for path in archives] == [".whl", ".gz"] or len(archives) == 2
        digests.append({p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in archives})
    assert digests[0] == digests[1]
