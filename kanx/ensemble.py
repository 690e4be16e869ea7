"""`Ensemble`: several networks of the same shape as one program."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from kanx.network import KAN


class Ensemble(nn.Module):
    """Evaluate and train several networks of the same shape at once.

    Random starts, folds of a cross-validation and pruned candidates differ in parameters, masks and
    domains, not in shape. Together they are one sequence of tensor operations, and on a GPU one
    kernel where the networks are small (see `kanx.kernels`): a single one would leave most of it
    idle. The gradient of a sum of the members' losses is every member's own, so an optimiser that
    treats parameters one by one, such as Adam, trains them as if each were alone.

    Parameters
    ----------
    networks : sequence of KAN
        Of the same widths, edges, nodes and type of numbers, on one device. They are copied.

    Attributes
    ----------
    members : KAN
        The same network with a first axis of members in all parameters and buffers.

    Raises
    ------
    ValueError
        If there is no network or they differ in shape.

    Examples
    --------
    >>> import torch
    >>> from kanx import KAN, Ensemble
    >>> starts = Ensemble([KAN([2, 5, 1], random_state=seed) for seed in range(8)])
    >>> starts(torch.zeros(100, 2)).shape
    torch.Size([8, 100, 1])
    >>> best = starts[3]
    """

    def __init__(self, networks: Sequence[KAN]) -> None:
        super().__init__()
        if not networks:
            raise ValueError("an ensemble needs at least one network, got none")
        shape = _shape(networks[0])
        for number, network in enumerate(networks):
            if _shape(network) != shape:
                raise ValueError(
                    f"network {number} differs from the first one in shape: got "
                    f"{network.config()}, expected {networks[0].config()} with tensors of the same "
                    "sizes; build them with the same arguments"
                )
        self.members = copy.deepcopy(networks[0])
        parameters, buffers = stack_module_state(list(networks))
        for name, stacked in (*parameters.items(), *buffers.items()):
            path, _, own = name.rpartition(".")
            owner = self.members.get_submodule(path)
            if name in parameters:
                owner.register_parameter(own, nn.Parameter(stacked, stacked.requires_grad))
            else:
                owner.register_buffer(own, stacked)

    def __len__(self) -> int:
        return len(next(iter(self.members.parameters())))

    def __getitem__(self, member: int) -> KAN:
        """Return a copy of one member as a network."""
        if not -len(self) <= member < len(self):
            raise IndexError(f"member {member} is out of range for an ensemble of {len(self)}")
        return self._single(member)

    def __iter__(self) -> Iterator[KAN]:
        return map(self._single, range(len(self)))

    def forward(self, x: Tensor) -> Tensor:
        """Evaluate all members: ``(rows, in)`` or ``(members, rows, in) -> (members, rows, out)``.

        Raises
        ------
        ValueError
            If the inputs have another number of columns, or of members.
        """
        count, inputs = len(self), self.members.in_features
        own = x.dim() == 3
        if x.dim() not in (2, 3) or x.shape[-1] != inputs or (own and len(x) != count):
            raise ValueError(
                f"expected inputs of shape (rows, {inputs}), or ({count}, rows, {inputs}) where "
                f"members have rows of their own, got {tuple(x.shape)}"
            )
        if x.is_cuda and not torch.compiler.is_compiling():
            from kanx.kernels import device, network_device

            sets = x if own else x.unsqueeze(0)
            if device.enabled():
                whole = network_device.network_sum(self.members, sets, count, lambda: list(self))
                if whole is not None:
                    return whole
        state = {**dict(self.members.named_parameters()), **dict(self.members.named_buffers())}

        if all(bundle.compiled_for(x) for _, bundle, _ in self.members.bundles()):
            alone: list[dict[str, Tensor]] = [{} for _ in range(count)]
            for name, stacked in state.items():
                for member, value in zip(alone, stacked.unbind(), strict=True):
                    member[name] = value
            sets = x if own else x.expand(count, -1, -1)
            pairs = zip(alone, sets, strict=True)
            return torch.stack([functional_call(self.members, *pair) for pair in pairs])

        def single(state: dict[str, Tensor], x: Tensor) -> Any:
            return functional_call(self.members, state, (x,))

        return vmap(single, in_dims=(0, 0 if own else None), randomness="different")(state, x)

    def _single(self, member: int) -> KAN:
        own: dict[int, Tensor] = {}  # what takes the place of every stacked tensor in the copy
        for value in self.members.parameters():
            single = value.detach()[member].clone()
            own[id(value)] = nn.Parameter(single, value.requires_grad)
        for buffer in self.members.buffers():
            own[id(buffer)] = buffer[member].clone()
        return copy.deepcopy(self.members, own)


def _shape(network: KAN) -> Any:
    """Return what the networks of an ensemble have in common."""
    tensors = [*network.named_parameters(), *network.named_buffers()]
    state = [(name, value.shape, value.dtype, value.device) for name, value in tensors]
    return network.config(), state
