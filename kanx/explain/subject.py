"""What is being explained: a network, its columns and the rows it is explained on."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from kanx.edits.columns import Column as EdgeColumn
from kanx.edits.columns import single
from kanx.layers import EdgeFamily, KANLayer, Lookup
from kanx.network import KAN
from kanx.tables import Column, column_names, columns_of, encode, learn_columns

if TYPE_CHECKING:
    from kanx.model import Model
    from kanx.training.evidence import Fit

LINKS = ("identity", "logistic", "softmax")
ROWS_AT_ONCE = 2048


@dataclass
class Subject:
    """A model in the form that all explanations read.

    Attributes
    ----------
    network : KAN
        In float64.
    columns : list of Column
    x : Tensor, (rows, in)
        Encoded rows that the model is explained on; NaN where missing.
    target_mean, target_scale : Tensor, (outputs,)
        ``target = target_mean + target_scale * network output``.
    target_names : list of str
    link : {"identity", "logistic", "softmax"}
        How outputs become predictions; outputs are logits unless it is the identity.
    model : Model, optional
        The fitted model with its posterior; a bare network has none.
    estimator : object, optional
    units : mapping of str to str
        Unit of every column and of the target, where known.
    n_given : int
        Rows of the table that was given.
    rows : ndarray of int, (rows,)
        Which of them are explained.
    """

    network: KAN
    columns: list[Column]
    x: Tensor
    target_mean: Tensor
    target_scale: Tensor
    target_names: list[str]
    link: str = "identity"
    model: Model | None = None
    estimator: Any = None
    units: Mapping[str, str] = field(default_factory=dict)
    n_given: int = 0
    rows: NDArray[np.int_] = field(default_factory=lambda: np.empty(0, dtype=int))
    _singles: dict[tuple[int, int], EdgeFamily] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def names(self) -> list[str]:
        """Names of the inputs."""
        return [column.name for column in self.columns]

    @property
    def members(self) -> list[Fit]:
        """The fits that were averaged into the network; none for a bare network."""
        return [] if self.model is None else self.model.members

    @property
    def n_outputs(self) -> int:
        """Number of outputs."""
        return self.network.out_features

    @property
    def is_additive(self) -> bool:
        """Whether every output is a sum of curves of single inputs."""
        return len(self.network.layers) == 1 and not self.network.nodes[0].kinds

    @property
    def has_one_hidden_layer(self) -> bool:
        """Whether there is one hidden layer, of adding nodes alone."""
        return len(self.network.layers) == 2 and not any(n.kinds for n in self.network.nodes)

    @cached_property
    def activations(self) -> list[Tensor]:
        """Values that enter every layer and the output, over the rows: ``layers + 1`` tensors."""
        with torch.no_grad():
            parts = [self.network.activations(part) for part in self.x.split(ROWS_AT_ONCE)]
        return [torch.cat(values) for values in zip(*parts, strict=True)]

    def entering(self, layer: int) -> Tensor:
        """Return the values that enter a layer of ``network.all_layers``, ``(rows, in)``."""
        return self.x if layer == len(self.network.layers) else self.activations[layer]

    def single(self, layer: int, column: int) -> EdgeFamily:
        """Return the curves that leave one input of a layer, as a bundle of their own."""
        if (layer, column) not in self._singles:
            bundle, place = self.network.all_layers[layer].edge(column)
            own = bundle if bundle.in_features == 1 else single(EdgeColumn(bundle, place))
            self._singles[layer, column] = own
        return self._singles[layer, column]

    def reaches_output(self, layer: int) -> bool:
        """Whether the edges of a layer of ``network.all_layers`` end at the outputs."""
        return layer >= len(self.network.layers) - 1

    def outputs(self, x: Tensor) -> Tensor:
        """Return outputs in the target's units (logits for a classifier), ``(rows, outputs)``."""
        with torch.no_grad():
            raw = torch.cat([self.network(part) for part in x.split(ROWS_AT_ONCE)])
        return self.target_mean + self.target_scale * raw

    def encode(self, X: Any) -> Tensor:
        """Turn a table into the network's inputs, ``(rows, in)``.

        Raises
        ------
        ValueError
            If X is no table, the number of columns is wrong, or a column has missing values that
            the model cannot take.
        """
        if getattr(X, "ndim", 2) != 2:
            raise ValueError(
                f"X must be a table, got {X.ndim} dimensions; one row of a frame is X.iloc[[0]], "
                "one of an array X[:1]"
            )
        if self.estimator is not None:
            x = self.estimator._matrix(X)
        else:
            x = _encode(self.columns, X)
        return _checked(self.network, self.names, x)

    def outside(self, x: Tensor) -> Tensor:
        """Say which entries the model has never seen the like of: ``bool (rows, in)``.

        Numbers outside the learned range, and categories that were not there.
        """
        if self.model is None:
            return self.network.layers[0].outside(x) & ~torch.isnan(x)
        lower = torch.tensor([column.lower for column in self.columns], dtype=x.dtype)
        upper = torch.tensor([column.upper for column in self.columns], dtype=x.dtype)
        return (x < lower) | (x > upper)

    def unit(self, name: str) -> str | None:
        """Return the unit of a column or target, None where it is unknown."""
        return self.units.get(name)

    @cached_property
    def counts(self) -> bool:
        """Whether outputs are logarithms of expected counts."""
        from kanx.training.losses import Poisson

        return bool(self.members) and isinstance(self.members[0].loss, Poisson)

    def output_label(self, output: int = 0) -> str:
        """Name the quantity that an output is, with its unit."""
        name = self.target_names[output]
        if self.counts:
            return f"logarithm of the expected {name}"
        if self.link != "identity":
            return f"log-odds of {name}" if self.link == "logistic" else f"logit of {name}"
        unit = self.output_unit(output)
        return f"{name} [{unit}]" if unit else name

    def output_unit(self, output: int = 0) -> str | None:
        """Return the unit of an output, None where it is unknown or has none, as a logarithm."""
        if self.counts or self.link != "identity":
            return None
        return self.unit(self.target_names[output])

    def input_label(self, index: int) -> str:
        """Name an input, with its unit."""
        unit = self.unit(self.names[index])
        return f"{self.names[index]} [{unit}]" if unit else self.names[index]


def subject_of(
    model: Any, X: Any, units: Mapping[str, str] | None, max_rows: int, random_state: int
) -> Subject:
    """Read a fitted estimator, a `Model` or a bare `KAN`.

    Raises
    ------
    TypeError
        If the model is none of these.
    ValueError
        If X does not fit the model.
    """
    if units is not None and not isinstance(units, Mapping):
        raise TypeError(
            f"units must be a mapping such as {{'age': 'years'}}, got {type(units).__name__}"
        )
    if max_rows < 1:
        raise ValueError(f"max_rows must be at least 1, got {max_rows}")
    subject = _read(model, X)
    subject.units = dict(units or {})
    known = {*subject.names, *subject.target_names}
    # a model of a plain array has no names to compare with, such as a data set's without pandas
    is_named = subject.estimator is None or hasattr(subject.estimator, "feature_names_in_")
    if is_named and subject.units and not known & set(subject.units):
        raise ValueError(
            f"units names {sorted(subject.units)}, none of which the model knows; its columns and "
            f"targets are {sorted(known)}"
        )
    x = subject.encode(X)
    if len(x) == 0:
        raise ValueError("X holds no rows; an explanation needs the rows it is to hold for")
    subject.n_given, subject.rows = len(x), np.arange(len(x))
    if len(x) > max_rows:
        rng = np.random.default_rng(random_state)
        subject.rows = np.sort(rng.choice(len(x), max_rows, replace=False))
    subject.x = x[torch.from_numpy(subject.rows)]
    return subject


def _read(model: Any, X: Any) -> Subject:
    from sklearn.exceptions import NotFittedError

    from kanx.estimator_base import KANEstimator

    none = torch.empty(0)
    if isinstance(model, KAN):
        network = copy.deepcopy(model).double().eval()
        outputs = network.out_features
        zero, one = (torch.full((outputs,), v, dtype=torch.float64) for v in (0.0, 1.0))
        targets = ["y"] if outputs == 1 else [f"y{k}" for k in range(outputs)]
        return Subject(network, _columns(network, X), none, zero, one, targets)
    fitted = getattr(model, "model_", model)
    if fitted is model and isinstance(model, KANEstimator):
        raise NotFittedError(f"this {type(model).__name__} is not fitted yet; call fit first")
    if not hasattr(fitted, "members") or not isinstance(getattr(fitted, "network", None), KAN):
        raise TypeError(
            f"cannot explain a {type(model).__name__}; pass a fitted KANRegressor or "
            "KANClassifier, or a KAN"
        )
    link = "identity"
    if hasattr(model, "classes_"):
        link = "logistic" if fitted.network.out_features == 1 else "softmax"
    network = fitted.network
    if any(parameter.dtype != torch.float64 for parameter in network.parameters()):
        network = copy.deepcopy(network).double()
    return Subject(
        network,
        fitted.columns,
        none,
        fitted.target_mean,
        fitted.target_scale,
        list(fitted.target_names),
        link,
        fitted,
        None if fitted is model else model,
    )


def _columns(network: KAN, X: Any) -> list[Column]:
    """Describe the inputs of a bare network."""
    table = _table(X)
    values = columns_of(table)
    names = column_names(table) or [f"x{j}" for j in range(len(values))]
    _check_count(network.in_features, len(values))
    learned = learn_columns([str(name) for name in names], values, None)
    found = []
    for j, column in enumerate(learned):
        bundle, _ = network.layers[0].edge(j)
        if isinstance(bundle, Lookup):
            codes = tuple(range(bundle.n_basis))
            column = Column(column.name, codes, bundle.missing, 0.0, float(len(codes) - 1))
        found.append(column)
    return found


def _table(X: Any) -> Any:
    if isinstance(X, Tensor):
        X = X.detach().cpu().double().numpy()
    if isinstance(X, list | tuple):
        X = np.asarray(X)
    if isinstance(X, np.ndarray) and X.ndim != 2:
        raise ValueError(f"X must have rows and columns, got shape {X.shape}")
    return X


def _check_count(wanted: int, found: int) -> None:
    if wanted != found:
        raise ValueError(f"the model has {wanted} inputs, X has {found} columns")


def _encode(columns: list[Column], X: Any) -> Tensor:
    values = columns_of(_table(X))
    _check_count(len(columns), len(values))
    return torch.from_numpy(encode(columns, values))


def _checked(network: KAN, names: list[str], x: Tensor) -> Tensor:
    legal = _takes_missing(network.layers[0])
    bad = [names[j] for j in range(len(names)) if not legal[j] and bool(torch.isnan(x[:, j]).any())]
    if bad:
        raise ValueError(
            f"X has missing values in {bad}, where the model saw none; fill them in or leave such "
            "rows out"
        )
    return x


def _takes_missing(layer: KANLayer) -> list[bool]:
    # a lookup edge gives a missing category its value, or zero, as it does to an unknown one
    bundles = [layer.edge(j)[0] for j in range(layer.in_features)]
    return [bool(getattr(b, "missing", False)) or isinstance(b, Lookup) for b in bundles]
