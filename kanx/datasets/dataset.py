"""What every generator and loader returns: the data with everything known about them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from kanx.datasets.frame import columns_of, make_series, take_rows
from kanx.datasets.seeding import RandomState, as_integer_seed


@dataclass(frozen=True)
class Law:
    """State the noise-free target as text and compute it for new rows.

    Parameters
    ----------
    text : str
        The formula, in Python and sympy notation where it is elementary.
    variables : tuple of str
        Columns the law reads, in the order of ``function``'s arguments.
    function : callable
        Takes one array per variable and returns the target.
    """

    text: str
    variables: tuple[str, ...]
    function: Callable[..., NDArray[np.float64]] = field(repr=False)

    def __call__(self, X: Any) -> NDArray[np.float64]:
        """Return the noise-free target, (n_rows,), of a frame or an array (n_rows, n_variables)."""
        return self.function(*columns_of(X, self.variables))


@dataclass(frozen=True, eq=False, kw_only=True)
class Dataset:
    """Hold one data set: columns, target, names, units, and the truth where it is known.

    Attributes
    ----------
    name : str
        What the data set is called.
    X : pandas.DataFrame or ndarray of shape (n_rows, n_features)
        The inputs; an array where pandas is not installed.
    y : pandas.Series or ndarray of shape (n_rows,)
        The target: floats for regression, class numbers 0, 1, ... for classification. A series
        carries ``target_name``; an array where pandas is not installed.
    feature_names : tuple of str
        Names of the columns of ``X``.
    target_name : str
        Name of the target.
    task : {"regression", "classification"}
        What is to be predicted.
    description : str
        What a row is, how it was measured or drawn, and what to mind.
    source, licence : str
        Where the data come from and how they may be used.
    units : mapping of str to str
        Unit of each column and of the target; one without a unit, or of an unknown one, is absent.
    classes : tuple of str, optional
        Meaning of the class numbers of a classification target.
    law : Law, optional
        The noise-free target as a function of new rows, where it is known.
    groups : ndarray of shape (n_rows,), optional
        Rows that must not be torn apart by a split, such as exact copies or one trajectory.
    test_masks : ndarray of bool of shape (n_rows, n_splits), optional
        Published test rows, one column per split.
    info : mapping
        Further facts as data, such as the ranges drawn from or the corrupted interval.
    """

    name: str
    X: Any
    y: Any
    feature_names: tuple[str, ...]
    target_name: str
    task: Literal["regression", "classification"]
    description: str
    source: str
    licence: str
    units: Mapping[str, str] = field(default_factory=dict)
    classes: tuple[str, ...] | None = None
    law: Law | None = None
    groups: NDArray[Any] | None = None
    test_masks: NDArray[np.bool_] | None = None
    info: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.X.shape != (len(self.y), len(self.feature_names)):
            raise ValueError(
                f"data set {self.name!r}: X has shape {self.X.shape}, but there are "
                f"{len(self.y)} targets and {len(self.feature_names)} feature names."
            )
        unknown = set(self.units) - {*self.feature_names, self.target_name}
        if unknown:
            raise ValueError(f"data set {self.name!r}: units for unknown columns {unknown}.")
        object.__setattr__(self, "y", make_series(self.y, self.target_name))

    def __repr__(self) -> str:
        n_rows, n_features = self.X.shape
        return f"Dataset({self.name!r}, {self.task}, {n_rows} rows x {n_features} features)"

    @property
    def truth(self) -> str | None:
        """The formula behind the target as text, or None where nobody knows it."""
        return None if self.law is None else self.law.text

    def split(
        self, test_size: float = 0.25, random_state: RandomState = None
    ) -> tuple[Any, Any, Any, Any]:
        """Split the rows at random into training and test rows.

        Groups stay whole where the data set has them; otherwise classes keep their shares.

        Parameters
        ----------
        test_size : float
            Share of the rows (of the groups, where there are any) to hold out, in (0, 1).
        random_state : int, numpy.random.Generator or None
            Seed; None draws a new one.

        Returns
        -------
        X_train, X_test, y_train, y_test
        """
        from sklearn.model_selection import GroupShuffleSplit, train_test_split

        if not 0 < test_size < 1:
            raise ValueError(f"test_size must lie strictly between 0 and 1, but got {test_size!r}.")
        seed = as_integer_seed(random_state)
        if self.groups is not None:
            splitter = GroupShuffleSplit(1, test_size=test_size, random_state=seed)
            train, test = next(splitter.split(self.y, groups=self.groups))
        else:
            strata = self.y if self.task == "classification" else None
            train, test = train_test_split(
                np.arange(len(self.y)), test_size=test_size, random_state=seed, stratify=strata
            )
        return self._parts(train, test)

    def published_split(self, number: int) -> tuple[Any, Any, Any, Any]:
        """Return one of the published splits, so that scores compare with other people's.

        Parameters
        ----------
        number : int
            Column of ``test_masks``, from 0.

        Returns
        -------
        X_train, X_test, y_train, y_test

        Raises
        ------
        ValueError
            If the data set has no such split.
        """
        n_splits = 0 if self.test_masks is None else self.test_masks.shape[1]
        if self.test_masks is None or not 0 <= number < n_splits:
            raise ValueError(
                f"data set {self.name!r} has {n_splits} published splits, numbered from 0; "
                f"there is no number {number}. Use split() for a random one."
            )
        mask = self.test_masks[:, number]
        return self._parts(np.flatnonzero(~mask), np.flatnonzero(mask))

    def _parts(self, train: NDArray[np.intp], test: NDArray[np.intp]) -> tuple[Any, Any, Any, Any]:
        parts = [take_rows(part, rows) for part in (self.X, self.y) for rows in (train, test)]
        return parts[0], parts[1], parts[2], parts[3]
