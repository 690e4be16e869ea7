"""Small networks on a GPU by one kernel; what it leaves out is plain tensor code.

A network is small up to three layers of sixteen nodes, and if its coefficients fit into the nearest
cache. Every layer has one family of edges, of which the kernel knows the functions, and its nodes
add. A skip layer is a network of one layer by itself.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from kanx.kernels import device, network_plain, verified
from kanx.kernels.conditions import called_plainly
from kanx.kernels.device import State, buffer_state, functions_of, same_state

MOST_LAYERS, MOST_WIDTH, MOST_NUMBERS = 3, 16, 2**15
ROWS_TRIED, TOLERANCE = 40, 5e-4  # when the kernel is compared with plain tensor code


@dataclass(frozen=True)
class Plan:
    """What the kernel needs to know of a stack of layers beside its parameters.

    Attributes
    ----------
    shape : list of int
    constants : Tensor, (members, constants)
        See `kanx.kernels.network.small_network`.
    projections : list of Tensor, (members, functions, p, in), or None
        Of every layer: what the functions of its family are in those of the kernel.
    """

    shape: list[int]
    constants: Tensor
    projections: list[Tensor | None]


def network_sum(
    network: Any,
    x: Tensor,
    members: int | None = None,
    singles: Callable[[], list[Any]] | None = None,
) -> Tensor | None:
    """Evaluate a network: ``(..., in) -> (..., out)``; None where the kernel does not apply.

    Parameters
    ----------
    network : KAN
        Its tensors have a leading axis of members where `members` is given.
    x : Tensor, (..., in); (members or 1, rows, in) with members
    members : int, optional
    singles : callable, optional
        Returns the members one by one, as networks; needed with members.
    """
    stacks = _stacks(network, x) if device.applies(x) else None
    plans = None if stacks is None else _plans(network, stacks, singles)
    if stacks is None or plans is None or not all(_agrees(plan, x.device) for plan in plans):
        return None
    inputs = x if members is not None else x.reshape(1, -1, x.shape[-1])
    with torch.autocast(x.device.type, enabled=False):
        parts = [
            _SmallNetwork.apply(inputs, packed(stack, plan), plan.constants, plan.shape)
            for stack, plan in zip(stacks, plans, strict=True)
        ]
    total: Tensor = parts[0] if len(parts) == 1 else parts[0] + parts[1]
    return total if members is not None else total.view(*x.shape[:-1], total.shape[-1])


Stack = list[tuple[Any, Tensor | None]]  # the bundle of edges and the bias of every layer


def packed(stack: Stack, plan: Plan) -> Tensor:
    """Return the parameters of a stack of layers as the kernel takes them, (members, parameters).

    Pruned edges are zeros. Gradients flow back to the layers' own parameters.
    """
    pieces = []
    for (bundle, own_bias), projection in zip(stack, plan.projections, strict=True):
        weight = bundle.coefficients * bundle.mask.unsqueeze(-3)  # (..., p, in, out)
        weight = weight.reshape(-1, *weight.shape[-3:])
        if projection is not None:
            own, missing = weight[:, : bundle.n_basis], weight[:, bundle.n_basis :]
            own = torch.einsum("kgpi,kpio->kgio", projection, own)
            weight = torch.cat([own, missing], 1) if bundle.missing else own
        pieces.append(weight.flatten(1))
        bias = weight.new_zeros(bundle.out_features) if own_bias is None else own_bias
        pieces.append(bias.view(-1, bundle.out_features).expand(len(weight), -1))
    return torch.cat(pieces, 1)


# -- whether and how a network is taken by the kernel -------------------------------------------


def _stacks(network: Any, x: Tensor) -> list[Stack] | None:
    """Return the layers and the skip layer, None where the kernel cannot take them."""
    if x.shape[-1] != network.in_features or not called_plainly(*network.nodes):
        return None
    stacks: list[Stack] = []
    for layers in (network.layers, () if network.skip is None else (network.skip,)):
        stack: Stack = []
        for layer in layers:
            bundles = list(layer.bundles)
            if len(bundles) != 1 or not called_plainly(layer, *bundles):
                return None
            parameter = getattr(bundles[0], "coefficients", None)
            if parameter is None or parameter.dtype != x.dtype or parameter.device != x.device:
                return None
            stack.append((bundles[0], layer.bias))
        if stack:
            stacks.append(stack)
    return stacks


_Known = tuple[State, list[str], list[Plan] | None]
_KNOWN: WeakKeyDictionary[nn.Module, _Known] = WeakKeyDictionary()


def _plans(
    network: Any, stacks: list[Stack], singles: Callable[[], list[Any]] | None
) -> list[Plan] | None:
    """Return the plans of all stacks, kept until a buffer or an extrapolation changes."""
    bundles = [bundle for bundle, _ in itertools.chain(*stacks)]
    state = [entry for bundle in bundles for entry in buffer_state(bundle)]
    beyond = [bundle.extrapolate for bundle in bundles]
    known = _KNOWN.get(network)
    if known is None or known[1] != beyond or not same_state(known[0], state):
        with torch.no_grad(), torch.inference_mode(False):  # also kept for training
            _KNOWN[network] = known = (state, beyond, _planned(network, singles))
    return known[2]


def _planned(network: Any, singles: Callable[[], list[Any]] | None) -> list[Plan] | None:
    if len(network.layers) > MOST_LAYERS or any(nodes.kinds for nodes in network.nodes):
        return None
    members = [network] if singles is None else singles()
    plans = []
    for own in [list(member.layers) for member in members], [[member.skip] for member in members]:
        if own[0][0] is None:
            continue
        found = [_plan(layers) for layers in own]
        known = [plan for plan in found if plan is not None]
        if len(known) < len(found):
            return None
        plans.append(joined(known))
    return plans


def _plan(layers: Sequence[Any]) -> Plan | None:
    shape: list[int] = []
    constants, projections = [], []
    for layer in layers:
        family = layer.bundles[0]
        functions = functions_of(family) if hasattr(family, "fused_functions") else None
        if functions is None or functions.start is not None:
            return None
        count, kind = functions.table.shape[1], network_plain.KINDS.index(functions.kind)
        beyond = network_plain.BEYOND.index(family.extrapolate)
        inputs, outputs = layer.in_features, layer.out_features
        own = [inputs, outputs, count, kind, 2 * functions.trend, beyond, int(family.missing)]
        if max(inputs, outputs) > MOST_WIDTH:
            return None
        shape += own
        constants += [functions.table.flatten(), family.lower, family.upper]
        projections.append(functions.projection)
    numbers = sum(network_plain.sizes(own)[0] for own in network_plain.layers_of(shape))
    if numbers > MOST_NUMBERS:
        return None
    whole = [None if own is None else own.unsqueeze(0) for own in projections]
    return Plan(shape, torch.cat(constants).unsqueeze(0), whole)


def joined(plans: Sequence[Plan]) -> Plan:
    """Return the plan of several members; bases of fewer polynomials than others' are padded."""
    fields, pieces = network_plain.FIELDS, []
    layers = [network_plain.layers_of(plan.shape) for plan in plans]
    counts = [max(own[d][2] for own in layers) for d in range(len(layers[0]))]
    shape = list(plans[0].shape)
    shape[2::fields] = counts
    fixed = [
        plan.constants[0].split([network_plain.sizes(layer)[1] for layer in own])
        for plan, own in zip(plans, layers, strict=True)
    ]
    projections: list[Tensor | None] = []
    for d, count in enumerate(counts):
        longest = next(k for k, own in enumerate(layers) if own[d][2] == count)
        table = fixed[longest][d][: 2 * count]  # a shorter one is its beginning
        domains = [values[d][2 * own[d][2] :] for values, own in zip(fixed, layers, strict=True)]
        same = [own[d][2] == count for own in layers]
        tables = [
            values[d][: 2 * count] if equal else table
            for values, equal in zip(fixed, same, strict=True)
        ]
        pieces += [torch.stack(tables), torch.stack(domains)]
        own = [plan.projections[d] for plan in plans]
        projections.append(None if own[0] is None else _padded([p for p in own if p is not None]))
    return Plan(shape, torch.cat(pieces, 1), projections)


def _padded(projections: Sequence[Tensor]) -> Tensor:
    count = max(own.shape[1] for own in projections)
    pad = nn.functional.pad
    return torch.cat([pad(own, (0, 0, 0, 0, 0, count - own.shape[1])) for own in projections])


def _agrees(plan: Plan, where: torch.device) -> bool:
    """Try the kernel on a few rows of two networks of this shape, domains aside."""
    shape, layers = plan.shape, network_plain.layers_of(plan.shape)

    def problem() -> tuple[Tensor, ...]:
        x = verified.noise(0, 1, ROWS_TRIED, shape[0])
        if layers[0][6]:
            x[0, 0, 0] = torch.nan
        constants = plan.constants[:1].clone()
        parameters, start = [], 0
        for inputs, outputs, count, _, trend, beyond, missing in layers:
            last = start + 2 * (count + inputs)
            constants[:, start + 2 * count : last] = constants.new_ones(inputs).repeat(2)
            constants[:, start + 2 * count : last - inputs] *= -1
            start = last
            if network_plain.BEYOND[beyond] == "family":  # polynomials grow without bound
                x = x.clamp(-1, 1)
            size = (trend + count + missing) * inputs
            parameters.append(verified.noise(1, 2, size * outputs) * 0.3 / size**0.5)
            parameters.append(0.1 * verified.noise(2, 2, outputs))
        upstream = verified.noise(3, 2, ROWS_TRIED, layers[-1][1])
        return (
            x.to(where), torch.cat(parameters, 1).to(where), constants, upstream.to(where)
        )  # fmt: skip

    def found() -> list[Tensor]:
        from kanx.kernels import network

        x, parameters, constants, upstream = problem()
        own = (x, parameters, constants)
        return [network.forward(*own, shape), *network.backward(*own, upstream, shape, True)]

    def wanted() -> list[Tensor]:
        x, parameters, constants, upstream = problem()

        def plain(x: Tensor, parameters: Tensor) -> Tensor:
            return network_plain.network(x, parameters, constants.double(), shape)

        return verified.pulled_back(plain, [x, parameters], upstream)

    return verified.agrees(("small_network", *shape), where, found, wanted, TOLERANCE)


class _SmallNetwork(torch.autograd.Function):
    """The operator in eager mode, where one of `torch.library` costs more than the kernel."""

    @staticmethod
    def forward(ctx: Any, *arguments: Any) -> Tensor:
        from kanx.kernels import network

        x, parameters, constants, shape = arguments
        ctx.save_for_backward(x, parameters, constants)
        ctx.shape = shape
        return network.forward(x, parameters, constants, shape)

    @staticmethod
    def backward(ctx: Any, *upstreams: Tensor) -> Any:
        from kanx.kernels import network

        # the operator knows its own derivative, which the bare kernel does not
        run = network.small_network_backward if torch.is_grad_enabled() else network.backward
        (x, parameters, constants), by_inputs = ctx.saved_tensors, ctx.needs_input_grad[0]
        by_x, by_parameters = run(x, parameters, constants, upstreams[0], ctx.shape, by_inputs)
        return by_x if by_inputs else None, by_parameters, None, None
