"""A formula as a `torch.nn.Module`, with its fitted constants as trainable parameters."""

from collections.abc import Sequence
from dataclasses import replace

import sympy as sp
import torch
from torch import Tensor, nn

from kanx.explain.evaluate import TORCH, evaluate


class FormulaModule(nn.Module):
    """Compute a formula of the columns of a tensor.

    Parameters
    ----------
    expr : sympy.Expr
        The formula; each different float in it becomes one trainable constant.
    names : sequence of str
        Names of all columns, in order.
    """

    def __init__(self, expr: sp.Expr, names: Sequence[str]) -> None:
        super().__init__()
        self.expr = expr
        self.names = tuple(names)
        self._floats = sorted(expr.atoms(sp.Float), key=sp.default_sort_key)
        values = [float(number) for number in self._floats]
        self.constants = nn.Parameter(torch.tensor(values, dtype=torch.float64))

    def forward(self, x: Tensor) -> Tensor:
        """Return the formula.

        Parameters
        ----------
        x : Tensor, shape (..., n_columns)

        Returns
        -------
        Tensor, shape (...)
        """
        if x.shape[-1] != len(self.names):
            raise ValueError(
                f"the last dimension of x must be {len(self.names)}, one for each of "
                f"{self.names}; got shape {tuple(x.shape)}"
            )
        columns = dict(zip(self.names, x.unbind(-1), strict=True))
        fitted = dict(zip(self._floats, self.constants.to(x.dtype).unbind(), strict=True))

        def number(node: sp.Expr) -> Tensor:
            if node in fitted:
                return fitted[node]
            return torch.tensor(float(node), dtype=x.dtype, device=x.device)

        value = evaluate(self.expr, columns, replace(TORCH, number=number))
        return value.expand(x.shape[:-1])

    def extra_repr(self) -> str:
        """Show the formula in the module's text."""
        return str(self.expr)
