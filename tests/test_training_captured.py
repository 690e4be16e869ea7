"""Steps of an optimiser as CUDA graphs, and passes that such a graph can hold."""

import contextlib
import copy

import pytest
import torch
from contract import EXAMPLES
from torch.utils._python_dispatch import TorchDispatchMode

from kanx import KAN, CapturedStep, Ensemble

loss = torch.nn.functional.mse_loss
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Synchronising(TorchDispatchMode):
    """Record what reads a number from the device, or brings tensors from another one."""

    def __init__(self):
        super().__init__()
        self.found = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        leaves = torch.utils._pytree.tree_leaves((args, kwargs, result))
        devices = {leaf.device.type for leaf in leaves if isinstance(leaf, torch.Tensor)}
        if devices - {"meta"} or func is torch.ops.aten._local_scalar_dense.default:
            self.found.append((func, devices))
        return result


@pytest.mark.parametrize("family", EXAMPLES)
def test_passes_stay_on_the_device_and_read_no_numbers_from_it(family, monkeypatch):
    monkeypatch.setattr(torch, "autocast", lambda *args, **kwargs: contextlib.nullcontext())
    for example in EXAMPLES[family]:
        # tensors of the device "meta" have no numbers: what reads one fails
        net = KAN([2, 3, 1], family, skip=True, random_state=0, **example.options).to("meta")
        x = torch.empty(10, 2, device="meta", requires_grad=True)
        with Synchronising() as mode:
            net(x).sum().backward()
        assert not mode.found


def problem(count=1):
    x = 2 * torch.rand(30, 2, generator=torch.Generator().manual_seed(0)) - 1
    y = (x[:, :1] * x[:, 1:]).sin()
    networks = [KAN([2, 3, 1], "slaf", random_state=seed) for seed in range(count)]
    model = networks[0] if count == 1 else Ensemble(networks)
    return (
        model.to(DEVICE),
        x.to(DEVICE),
        y.to(DEVICE).expand(*(() if count == 1 else (count,)), -1, -1),
    )


def as_usual(model, batches):
    optimizer = torch.optim.Adam(model.parameters(), 0.01, capturable=DEVICE == "cuda")
    losses = []
    for x, y in batches:
        optimizer.zero_grad()
        value = loss(model(x), y)
        value.backward()
        optimizer.step()
        losses.append(value.detach())
    return losses


def assert_steps_are_the_usual_ones(model, batches):
    twin = copy.deepcopy(model)
    optimizer = torch.optim.Adam(model.parameters(), 0.01, capturable=DEVICE == "cuda")
    step = CapturedStep(model, optimizer, loss)
    found = [step(x, y) for x, y in batches]
    torch.testing.assert_close(found, as_usual(twin, batches))
    for own, other in zip(model.parameters(), twin.parameters(), strict=True):
        torch.testing.assert_close(own, other)
    return step


def batches_of(x, y, count=6):
    """Return batches that differ, with a short one among them."""
    batches = [(x * (1 - 0.1 * k), y * (1 + 0.1 * k)) for k in range(count)]
    return [*batches[:5], (x[:7], y[..., :7, :]), *batches[5:]]


@pytest.mark.parametrize("members", [1, 3])
def test_steps_are_the_usual_ones(members):
    model, x, y = problem(members)
    assert_steps_are_the_usual_ones(model, batches_of(x, y))


class Stream:
    def wait_stream(self, other):
        pass


@pytest.mark.skipif(DEVICE == "cuda", reason="stands in for a GPU")
def test_a_captured_step_reads_every_batch_and_is_replayed(monkeypatch):
    model, x, y = problem()
    replayed = []

    class Graph:
        def replay(self):
            replayed.append(step._x.clone())
            step._value.copy_(step._run(step._x, step._y))

    @contextlib.contextmanager
    def capture(graph):  # nothing is computed while a graph is captured
        parameters = [p.detach().clone() for p in model.parameters()]
        state = copy.deepcopy(step.optimizer.state_dict())
        yield
        step.optimizer.load_state_dict(state)
        with torch.no_grad():
            for p, before in zip(model.parameters(), parameters, strict=True):
                p.copy_(before)

    batches, twin = batches_of(x, y, 9), copy.deepcopy(model)
    wanted = as_usual(twin, batches)
    step = CapturedStep(model, torch.optim.Adam(model.parameters(), 0.01), loss)
    monkeypatch.setenv("KANX_TRITON", "off")
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", lambda stream: contextlib.nullcontext())
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", capture)
    found = [step(*batch) for batch in batches]
    monkeypatch.undo()
    torch.testing.assert_close(found, wanted)
    assert len(replayed) == 6  # neither the first three nor the short one
    assert torch.equal(replayed[-1], batches[-1][0])


def test_an_optimizer_that_cannot_be_captured_is_refused(monkeypatch):
    model, _, _ = problem()
    optimizer = torch.optim.Adam(model.parameters())
    monkeypatch.setattr(torch.Tensor, "is_cuda", True)
    with pytest.raises(ValueError, match="Adam cannot be captured as it is: build it with capt"):
        CapturedStep(model, optimizer, loss)
