"""Regression benchmarks with the usual ten published splits, from the user's data folder."""

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from kanx.datasets.dataset import Dataset
from kanx.datasets.folder import LocalFile, read_rows
from kanx.datasets.tables import DataHome, TableFacts, load_table

_MIRROR = "https://raw.githubusercontent.com/treforevans/uci_datasets/master/uci_datasets"


class Benchmark(NamedTuple):
    """Hold the facts of one benchmark; a unit is empty where there is none or it is unknown."""

    origin: str
    description: str
    columns: Mapping[str, str]
    target: tuple[str, str]
    data_sha256: str
    mask_sha256: str


_BENCHMARKS: dict[str, Benchmark] = {
    "yacht": Benchmark(
        origin="UCI 243",
        description=(
            "Residuary resistance of sailing yachts in 308 towing experiments, as a natural "
            "logarithm."
        ),
        columns={
            "centre of buoyancy": "",
            "prismatic coefficient": "",
            "length-displacement ratio": "",
            "beam-draught ratio": "",
            "length-beam ratio": "",
            "Froude number": "",
        },
        target=("log residuary resistance", ""),
        data_sha256="dc2871f60f28086c6b12738fc053647f13b29d770013baaf6d3f5806e219b3cb",
        mask_sha256="f48e2ccd419d64e8da3079b127b0f5c8f0c5de7be5897acf6cf9c3607a05dd00",
    ),
    "energy": Benchmark(
        origin="UCI 242",
        description="Heating load of 768 simulated buildings.",
        columns={
            "relative compactness": "",
            "surface area": "m²",
            "wall area": "m²",
            "roof area": "m²",
            "height": "m",
            "orientation": "",
            "glazing area": "",
            "glazing distribution": "",
        },
        target=("heating load", "kWh/m²"),
        data_sha256="2f7b51540e7300945f03a8fdcc2683ec941b21b1952bc08e8f9b37ebe833c6db",
        mask_sha256="0543dfa433308f84d7ba10bc44375e0849b14ff9324bda783e504371e39f14c6",
    ),
    "concrete": Benchmark(
        origin="UCI 165",
        description="Compressive strength of 1030 concrete samples by mixture and age.",
        columns={
            "cement": "kg/m³",
            "blast furnace slag": "kg/m³",
            "fly ash": "kg/m³",
            "water": "kg/m³",
            "superplasticiser": "kg/m³",
            "coarse aggregate": "kg/m³",
            "fine aggregate": "kg/m³",
            "age": "days",
        },
        target=("compressive strength", "MPa"),
        data_sha256="f7210967a49a2adbf6d19ac3dd853f820941ff37351562cd1a48e8521af3d80b",
        mask_sha256="49e0385a48bd0881197c0f057a126ec7d48bc1884be7cf3519a264327406691b",
    ),
    "airfoil": Benchmark(
        origin="UCI 291",
        description="Self-noise of NACA 0012 airfoils in 1503 wind-tunnel runs.",
        columns={
            "frequency": "Hz",
            "angle of attack": "°",
            "chord length": "m",
            "velocity": "m/s",
            "displacement thickness": "m",
        },
        target=("sound pressure level", "dB"),
        data_sha256="2862a364c396273028e7d421ae3cbf619ed0fe23d9a9cb2716e7a84ef81b4067",
        mask_sha256="bbb5aee5188dfb54cab52936878ae64642fe46ea3ac515bac48ea1c2cf47a10c",
    ),
    "autompg": Benchmark(
        origin="UCI 9",
        description="Fuel economy of 392 cars of the years 1970 to 1982.",
        columns={
            "cylinders": "",
            "displacement": "in³",
            "horsepower": "hp",
            "weight": "lb",
            "acceleration": "s to 60 mph",
            "model year": "years",
            "origin": "",
        },
        target=("fuel economy", "miles per gallon"),
        data_sha256="366fcd4d0defea716b4d0ba64ddc53b3c7f9162945e2260bbea3c46ecc8d9bff",
        mask_sha256="3c47ecd58283cc787fab570be90b97c301428a3238bab9197a0b380e084a4cfd",
    ),
    "kin40k": Benchmark(
        origin="Seeger et al. (2003), after the Delve project's kin family",
        description=(
            "Distance of the tip of a simulated robot arm with eight joints from a point: 40000 "
            "rows, little noise, strongly non-linear. Columns are scaled to unit variance."
        ),
        columns={
            "joint 1": "",
            "joint 2": "",
            "joint 3": "",
            "joint 4": "",
            "joint 5": "",
            "joint 6": "",
            "joint 7": "",
            "joint 8": "",
        },
        target=("distance", ""),
        data_sha256="72ad383c3281a7c85ac49cde9b9682d3e0181e24b1b8a6fe33fd9b993b7db16e",
        mask_sha256="56908124080d079831505c36143ea4a6a0c635f480c0c1a07d7202063ca24acf",
    ),
    "protein": Benchmark(
        origin="UCI 265",
        description=(
            "How far 45730 decoys lie from the native structure of a protein: the natural "
            "logarithm of 1 plus the root-mean-square distance in angstrom."
        ),
        columns={
            "total surface area": "",
            "non-polar exposed area": "",
            "fractional non-polar area": "",
            "fractional non-polar residue area": "",
            "mass-weighted exposed area": "",
            "exposed area deviation": "",
            "Euclidean distance": "",
            "secondary structure penalty": "",
            "spatial distribution constraints": "",
        },
        target=("log RMSD", ""),
        data_sha256="6ccb1a6bf7e7ba40febe2b8226779cb62e4ca2fa4d193bdec8538c6b5f991ec5",
        mask_sha256="7745295a642503ea0ef994841cbf352492e8fbf38b37c34473bb456f3ff13703",
    ),
}


def list_benchmarks() -> tuple[str, ...]:
    """Return the names that :func:`load_benchmark` knows."""
    return tuple(_BENCHMARKS)


def load_benchmark(name: str, data_home: DataHome = None) -> Dataset:
    """Load one of the regression sets that Gaussian process papers report on.

    Every column, the target too, has its mean subtracted. :meth:`Dataset.published_split` gives
    the ten 90/10 splits of those papers.

    Parameters
    ----------
    name : {"yacht", "energy", "concrete", "airfoil", "autompg", "kin40k", "protein"}
        Which one.
    data_home : path, optional
        Folder with ``uci/NAME/data.csv.gz`` and ``uci/NAME/test_mask.csv.gz``; ``KANX_DATA`` by
        default.

    Raises
    ------
    FileNotFoundError
        If a file is not there; the message says where to get it.
    ValueError
        If there is no such set, or the content of a file is not the published one.
    """
    if name not in _BENCHMARKS:
        raise ValueError(f"there is no benchmark {name!r}; the names are {', '.join(_BENCHMARKS)}.")
    entry = _BENCHMARKS[name]
    target_name, _ = entry.target
    units = {column: unit for column, unit in (*entry.columns.items(), entry.target) if unit}
    facts = TableFacts(
        name=name,
        files=(_file(name, "data.csv.gz", entry.data_sha256),),
        feature_names=tuple(entry.columns),
        target_name=target_name,
        description=f"{entry.description} Every column has its mean subtracted.",
        source=f"{entry.origin}; splits from github.com/treforevans/uci_datasets",
        units=units,
    )
    masks = np.array(read_rows(_file(name, "test_mask.csv.gz", entry.mask_sha256), data_home))
    return load_table(facts, data_home, test_masks=masks == "1")


def _file(name: str, part: str, sha256: str) -> LocalFile:
    return LocalFile(f"uci/{name}/{part}", sha256, f"{_MIRROR}/{name}/{part}")
