"""First-order steps on a penalised loss: mini-batches with Adam, whole passes with L-BFGS."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

import torch
from torch import Tensor, nn

from kanx.network import KAN
from kanx.training.distributed import own_share, processes, total
from kanx.training.expanded import Expanded, can_expand, expansion_size
from kanx.training.losses import Loss, NoisyLoss
from kanx.training.options import TrainingOptions
from kanx.training.portion import Portion
from kanx.training.rows import ROWS_AT_ONCE, Chunk, Chunks, InMemory, blocks, seeded
from kanx.training.sparsity import sparsity_penalty
from kanx.training.whitened import Prior

NOISE_RANGE = (1e-2, 1e12)  # of the noise precision, for a target of unit variance
MOST_REJECTED = 50  # steps in a row, after which training cannot go on
LARGEST_EXPANSION = 2**28  # numbers in the expansions of all rows: 1 GiB in float32
DTYPES = {
    "float64": torch.float64,
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "float16": torch.float16,
}


class Trainer:
    r"""Minimise the mean penalised loss of a whitened network, in place.

    .. math:: \frac{1}{\sum_n \omega_n} \Big( \sum_n \omega_n \ell_n
              + \tfrac12 \sum_j \alpha_j w_j^2 \Big) + \text{sparsity}

    A step whose gradient is not finite is rejected: the weights stay, and Adam's rate is halved.
    Where memory runs out, the gradient of the same rows is added up from smaller parts.

    Parameters
    ----------
    network : KAN
        `whitened`, on the device and in the number type of training.
    prior : Prior
        Of the network, on the same device.
    loss : Loss
        The noise precision of a `NoisyLoss` is estimated after every epoch.
    options : TrainingOptions
    optimizer : {"adam", "lbfgs"}
    rows : Chunks
        Their number and total weight are kept; on the CPU, where they are in memory, also the
        expansions of their inputs.
    seed : int
        Of the order of rows.

    Attributes
    ----------
    rejected : int
        Number of steps that gave NaN or infinity.
    stuck : bool
        Whether so many were rejected in a row that training cannot go on.
    """

    _squares: Tensor  # of the residuals met, weighted, (outputs,)
    _weights: Tensor

    def __init__(
        self,
        network: KAN,
        prior: Prior,
        loss: Loss,
        options: TrainingOptions,
        *,
        optimizer: str,
        rows: Chunks,
        seed: int,
    ) -> None:
        self.network, self.prior, self.loss, self.options = network, prior, loss, options
        self.kind, self.seed = optimizer, seed
        self.rows, self.total_weight = rows.rows, rows.total_weight
        self.parameters = list(network.parameters())
        self.like = self.parameters[0]
        self.optimizer = self._new_optimizer()
        self.scaler = torch.amp.GradScaler(
            self.like.device.type, enabled=options.precision == "float16"
        )
        self.forward: nn.Module = network
        self._expansions: tuple[Tensor, ...] | None = None
        if optimizer == "adam":
            self._expand(rows)
        if processes() > 1 and optimizer == "adam":
            self.forward = nn.parallel.DistributedDataParallel(self.forward)
        self.rejected, self.stuck = 0, False
        self._in_a_row, self._caution = 0, 1.0
        self._portion, self._scored = Portion(ROWS_AT_ONCE), Portion(ROWS_AT_ONCE)
        self._forget_residuals()

    # -- epochs ------------------------------------------------------------------------------

    def epoch(self, chunks: Chunks, number: int, stop: Callable[[], bool]) -> float:
        """Go through the rows once and return the mean penalised loss met on the way.

        Parameters
        ----------
        chunks : Chunks
        number : int
            Of the epoch, from 0.
        stop : callable
            Asked before every mini-batch.
        """
        run = self._minibatches if self.kind == "adam" else self._whole
        mean = run(chunks, number, stop)
        if isinstance(self.loss, NoisyLoss) and bool(self._weights > 0):
            self.loss = self.loss.with_precision(self._noise(self._squares, self._weights))
        return mean

    def score(self, chunk: Chunk) -> float:
        """Return the mean loss of held-out rows, with the noise that suits them best."""
        x, y, weight = (part.to(self.like.device) for part in chunk)

        def outputs() -> Tensor:
            with torch.no_grad(), self._autocast():
                parts = x.to(self.like).split(self._scored.rows)
                return torch.cat([self.network(part) for part in parts]).double()

        f = self._scored.attempt(outputs, len(x))
        loss = self.loss.to(f)
        if isinstance(loss, NoisyLoss):
            squares = (loss.residual_squares(f, y) * weight.unsqueeze(-1)).sum(0)
            loss = loss.with_precision(self._noise(squares, weight.sum()))
        return ((loss.value(f, y) * weight).sum() / weight.sum()).item()

    def _minibatches(self, chunks: Chunks, number: int, stop: Callable[[], bool]) -> float:
        self._forget_residuals()
        seen, met = 0, torch.zeros((), dtype=torch.float64)
        for index, (x, y, weight) in enumerate(chunks):
            order = torch.randperm(len(x), generator=seeded(self.seed, number, index))
            for batch in order.split(self.options.rows_of_batch(self.rows)):
                if stop() or self.stuck:
                    break
                progress = (number + seen / self.rows) / self.options.epochs
                met += len(batch) * self._step((x, y, weight), batch, min(progress, 1.0))
                seen += len(batch)
        return (met / max(seen, 1)).item()

    def _step(self, chunk: Chunk, batch: Tensor, progress: float) -> float:
        """Take one step on the rows of a batch and return its penalised loss."""
        value = self._portion.attempt(lambda: self._batch_gradient(chunk, batch), len(batch))
        self.scaler.unscale_(self.optimizer)
        limit = self.options.clip_norm or float("inf")
        norm = nn.utils.clip_grad_norm_(self.parameters, limit)
        finite = bool(torch.isfinite(norm))
        if finite or self.scaler.is_enabled():  # the scaler skips the step by itself
            for group in self.optimizer.param_groups:
                group["lr"] = self.options.rate(progress) * self._caution
            self.scaler.step(self.optimizer)
            self.scaler.update()
        self._judge(finite)
        return value.double().item() if finite else 0.0

    def _batch_gradient(self, chunk: Chunk, batch: Tensor) -> Tensor:
        """Return the penalised loss of a batch; its scaled gradient is left on the parameters."""
        own = batch[own_share(len(batch))]
        # processes average their gradients, hence the factor
        share = processes() * self.rows / (len(batch) * self.total_weight)
        self.optimizer.zero_grad(set_to_none=True)
        residuals = self._squares, self._weights
        total_value = torch.zeros((), device=self.like.device)
        parts = own.split(self._portion.rows) if processes() == 1 else (own,)
        try:
            for index, part in enumerate(parts):
                y, weight = chunk[1][part], chunk[2][part]
                value = share * self._data_loss(self._outputs(chunk, part), y, weight)
                if index == 0:
                    value = value + self._penalty(chunk[0][part])
                self.scaler.scale(value).backward()
                total_value = total_value + value.detach()
        except torch.OutOfMemoryError as error:
            self._squares, self._weights = residuals
            if processes() > 1:  # the others already wait for this gradient
                raise MemoryError(
                    f"memory ran out on a mini-batch of {len(own)} rows in one of several "
                    "processes; set a smaller batch_size in training"
                ) from error
            raise
        return total_value

    def _whole(self, chunks: Chunks, number: int, stop: Callable[[], bool]) -> float:
        """Take ten L-BFGS iterations on all rows."""
        before = [parameter.detach().clone() for parameter in self.parameters]
        noise = self.loss.precision if isinstance(self.loss, NoisyLoss) else None
        self.optimizer.step(lambda: self._value_and_gradient(chunks).item())
        value = self._value_and_gradient(chunks).item()
        finite = all(bool(torch.isfinite(p).all()) for p in self.parameters)
        finite = finite and value == value and abs(value) < float("inf")
        if not finite:
            with torch.no_grad():
                for parameter, old in zip(self.parameters, before, strict=True):
                    parameter.copy_(old)
            self.stuck = self._in_a_row > 0  # from the same place with no memory, again
        changed = noise is not None and not torch.allclose(
            self._noise(self._squares, self._weights), noise.double(), rtol=0.1
        )
        if changed or not finite:  # what is remembered of the curvature no longer holds
            self.optimizer = self._new_optimizer()
        self._judge(finite)
        return value

    def _value_and_gradient(self, chunks: Chunks) -> Tensor:
        """Return the penalised loss of all rows; its gradient is left on the parameters."""
        return self._portion.attempt(lambda: self._whole_gradient(chunks), ROWS_AT_ONCE)

    def _whole_gradient(self, chunks: Chunks) -> Tensor:
        self._forget_residuals()
        self.optimizer.zero_grad(set_to_none=False)
        value = torch.zeros((), dtype=torch.float64)
        first = None
        for x, y, weight in blocks(chunks, self._portion.rows):
            own = own_share(len(x))
            first = x if first is None else first
            with self._autocast():
                f = self.network(x[own].to(self.like))
            part = self._data_loss(f, y[own], weight[own]) / self.total_weight
            part.backward()
            value += part.detach().double().cpu()
        for parameter in self.parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
            total(parameter.grad)
        total(value)
        assert first is not None
        penalty = self._penalty(first)
        penalty.backward()
        return value + penalty.detach().double().cpu()

    # -- the objective -----------------------------------------------------------------------

    def _expand(self, rows: Chunks) -> None:
        """Keep the expansions of rows in memory; a GPU expands them faster than it reads them."""
        if not isinstance(rows, InMemory) or self.like.is_cuda or not can_expand(self.network):
            return
        if rows.rows * expansion_size(self.network) <= LARGEST_EXPANSION:
            self.forward = expanded = Expanded(self.network)
            self._expansions = expanded.expand(rows.x.to(self.like))

    def _outputs(self, chunk: Chunk, index: Tensor) -> Tensor:
        """Return the network's outputs at some rows of a chunk, ``(rows, outputs)``."""
        entering = (chunk[0],) if self._expansions is None else self._expansions
        with self._autocast():
            f: Tensor = self.forward(*(values[index].to(self.like) for values in entering))
        return f

    def _data_loss(self, f: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Return the weighted sum of the losses, and remember the residuals for the noise."""
        f, weight = f.to(self.like.dtype), weight.to(self.like)
        y = y.to(self.like.device) if y.dtype == torch.int64 else y.to(self.like)
        loss = self.loss.to(f)
        if isinstance(loss, NoisyLoss):
            with torch.no_grad():
                squares = loss.residual_squares(f, y) * weight.unsqueeze(-1)
                self._squares = self._squares + squares.double().sum(0).cpu()
                self._weights = self._weights + weight.double().sum().cpu()
        return (loss.value(f, y) * weight).sum()

    def _penalty(self, x: Tensor) -> Tensor:
        penalty = self.prior() / self.total_weight
        if self.options.is_sparse and len(x):
            # in units of the squared error, as in the papers, whatever the noise
            loss = self.loss
            unit = loss.precision.mean().item() if isinstance(loss, NoisyLoss) else 1.0
            penalty = penalty + unit * sparsity_penalty(self.network, x.to(self.like), self.options)
        return penalty

    def _autocast(self) -> AbstractContextManager[Any]:
        half = self.options.precision in ("bfloat16", "float16")
        dtype = DTYPES[self.options.precision] if half else None
        return torch.autocast(self.like.device.type, dtype=dtype, enabled=half)

    def _forget_residuals(self) -> None:
        self._squares = torch.zeros(self.network.out_features, dtype=torch.float64)
        self._weights = torch.zeros((), dtype=torch.float64)

    @staticmethod
    def _noise(squares: Tensor, weights: Tensor) -> Tensor:
        squares, weights = total(squares.clone()), total(weights.clone())
        return (weights / squares.clamp_min(1e-300)).clamp(*NOISE_RANGE)

    # -- rejected steps and state ------------------------------------------------------------

    def _judge(self, finite: bool) -> None:
        if finite:
            self._in_a_row = 0
            return
        self._in_a_row += 1
        self.stuck = self.stuck or self._in_a_row >= MOST_REJECTED
        if not self.scaler.is_enabled():  # whose steps overflow now and then by design
            self.rejected += 1
            self._caution *= 0.5

    def _new_optimizer(self) -> torch.optim.Optimizer:
        if self.kind == "adam":
            return torch.optim.Adam(self.parameters, lr=self.options.learning_rate)
        return torch.optim.LBFGS(
            self.parameters,
            max_iter=10,
            history_size=20,
            tolerance_grad=1e-9,
            tolerance_change=1e-14,
            line_search_fn="strong_wolfe",
        )

    def weights(self) -> list[Tensor]:
        """Return a copy of the parameters."""
        return [parameter.detach().clone() for parameter in self.parameters]

    def load_weights(self, weights: list[Tensor]) -> None:
        """Set the parameters."""
        with torch.no_grad():
            for parameter, own in zip(self.parameters, weights, strict=True):
                parameter.copy_(own)

    def state(self) -> dict[str, Any]:
        """Return all that the next epoch depends on, as a tree of tensors and numbers."""
        return {
            "weights": self.weights(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "noise": self.loss.precision if isinstance(self.loss, NoisyLoss) else None,
            "rejected": [self.rejected, self._in_a_row, self._caution, self.stuck],
        }

    def load_state(self, state: dict[str, Any]) -> None:
        """Continue from `state`."""
        self.load_weights(state["weights"])
        self.optimizer.load_state_dict(state["optimizer"])
        if self.scaler.is_enabled():
            self.scaler.load_state_dict(state["scaler"])
        if isinstance(self.loss, NoisyLoss):
            self.loss = self.loss.with_precision(state["noise"])
        self.rejected, self._in_a_row, self._caution, self.stuck = state["rejected"]
