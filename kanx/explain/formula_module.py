"""A formula as a `torch.nn.Module`, with its fitted constants as trainable parameters."""

from collections.abc import Sequence

import sympy as sp
import torch
from torch import Tensor, nn

from kanx.explain.evaluate import Program


class FormulaModule(nn.Module):
    """Compute a formula of the columns of a tensor.

    Parameters
    ----------
    expr : sympy.Expr
        The formula; each different float in it becomes one trainable constant.
    names : sequence of str
        Names of all columns, in order.
    """

    exact: Tensor

    def __init__(self, expr: sp.Expr, names: Sequence[str]) -> None:
        super().__init__()
        self.expr = expr
        self.names = tuple(names)
        self._program = Program(expr, "torch")
        self._columns = [self.names.index(name) for name in self._program.names]
        floats = [number for number in self._program.numbers if number.is_Float]
        exact = [number for number in self._program.numbers if not number.is_Float]
        self._order = [[*floats, *exact].index(number) for number in self._program.numbers]
        self.constants = nn.Parameter(torch.tensor([float(c) for c in floats], dtype=torch.float64))
        exact_values = torch.tensor([float(number) for number in exact], dtype=torch.float64)
        self.register_buffer("exact", exact_values, persistent=False)

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
        numbers = torch.cat([self.constants, self.exact]).to(x.dtype).unbind()
        value = self._program(
            [x[..., column] for column in self._columns], [numbers[k] for k in self._order]
        )
        return value.expand(x.shape[:-1])

    def extra_repr(self) -> str:
        """Show the formula in the module's text."""
        return str(self.expr)
