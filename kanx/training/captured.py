"""`CapturedStep`: one step of an optimiser as a CUDA graph."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

STEPS_BEFORE = 3  # that run as usual: they compile kernels and make the optimiser's state


class CapturedStep:
    """Take one step of an optimiser, on a GPU by replaying a CUDA graph.

    A small network keeps a GPU waiting for the launches of its many small operations; a graph
    launches all of them at once. Every call is one step, whether it runs as usual or is replayed:
    the first three run as usual, the fourth is captured, those after it are replayed. Rows of
    another shape than the captured ones, a last short batch for instance, run as usual, and so does
    everything on a CPU.

    Parameters
    ----------
    model : Module
        A `KAN`, a `kanx.Ensemble`, or any module whose passes do not wait for the GPU.
    optimizer : Optimizer
        On a GPU one that can be captured, such as ``torch.optim.Adam(..., capturable=True)``. A
        learning rate that changes must be a tensor on the GPU, which is then written to.
    loss : callable
        From the model's output and the targets to a number.

    Raises
    ------
    ValueError
        If parameters are on a GPU and the optimiser cannot be captured.

    Examples
    --------
    >>> import torch
    >>> from kanx import KAN, CapturedStep
    >>> net = KAN([2, 5, 1], random_state=0)
    >>> adam = torch.optim.Adam(net.parameters(), 1e-2)
    >>> step = CapturedStep(net, adam, torch.nn.functional.mse_loss)
    >>> x, y = torch.zeros(8, 2), torch.ones(8, 1)
    >>> losses = [step(x, y).item() for _ in range(10)]
    >>> losses[-1] < losses[0]
    True

    References
    ----------
    https://docs.pytorch.org/docs/stable/notes/cuda.html#whole-network-capture
    """

    def __init__(
        self, model: nn.Module, optimizer: Optimizer, loss: Callable[[Tensor, Tensor], Tensor]
    ) -> None:
        for group in optimizer.param_groups:
            if not group.get("capturable", True) and any(p.is_cuda for p in group["params"]):
                raise ValueError(
                    f"{type(optimizer).__name__} cannot be captured as it is: build it with "
                    "capturable=True"
                )
        self.model = model
        self.optimizer = optimizer
        self.loss = loss
        self._steps = 0
        self._graph: torch.cuda.CUDAGraph | None = None
        self._x = self._y = self._value = torch.empty(0)  # what the graph reads and writes

    def __call__(self, x: Tensor, y: Tensor) -> Tensor:
        """Take one step on inputs ``(rows, in)`` and targets ``(rows, out)``; return the loss."""
        if not x.is_cuda:
            return self._run(x, y)
        if self._graph is None and self._steps >= STEPS_BEFORE:
            self._capture(x, y)
        if self._graph is not None and _alike(x, self._x) and _alike(y, self._y):
            self._x.copy_(x)
            self._y.copy_(y)
            self._graph.replay()
            return self._value.clone()
        self._steps += 1
        side, main = torch.cuda.Stream(), torch.cuda.current_stream()
        side.wait_stream(main)  # not the default stream, which autograd would remember
        with torch.cuda.stream(side):
            value = self._run(x, y)
        main.wait_stream(side)
        return value

    def _capture(self, x: Tensor, y: Tensor) -> None:
        self._x, self._y = x.clone(), y.clone()
        self.optimizer.zero_grad(set_to_none=True)  # the graph has gradients of its own
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            self._value = self._run(self._x, self._y)
        self._graph = graph

    def _run(self, x: Tensor, y: Tensor) -> Tensor:
        self.optimizer.zero_grad(set_to_none=True)
        value = self.loss(self.model(x), y)
        value.backward()
        self.optimizer.step()
        return value.detach()


def _alike(one: Tensor, other: Tensor) -> bool:
    return one.shape == other.shape and one.dtype == other.dtype and one.device == other.device
