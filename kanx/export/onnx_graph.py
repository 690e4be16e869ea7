"""A model's layers as nodes of an ONNX graph, in double precision throughout."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from kanx.export.exported import Exported, ExportedLayer
from kanx.export.pieces import Categories, Pieces

PREFIX = "kanx:"  # of all names inside the graph; columns that start with it are refused


class Graph:
    """Nodes and constants in the making."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operation: str, *inputs: Any, name: str | None = None, **attributes: Any) -> str:
        """Add a node and return the name of its output; arrays become constants."""
        output = name or f"{PREFIX}{len(self.nodes)}"
        names = [x if isinstance(x, str) else self.constant(x) for x in inputs]
        domain = "ai.onnx.ml" if operation == "LabelEncoder" else ""
        self.nodes.append(helper.make_node(operation, names, [output], domain=domain, **attributes))
        return output

    def constant(self, values: Any) -> str:
        """Add a constant, double unless it is integer or bool, and return its name."""
        array = np.asarray(values)
        if array.dtype.kind == "i":
            array = array.astype(np.int64)
        elif array.dtype.kind != "b":
            array = array.astype(np.float64)
        name = f"{PREFIX}c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def total(self, terms: Sequence[str]) -> str:
        """Add up."""
        result = terms[0]
        for term in terms[1:]:
            result = self.add("Add", result, term)
        return result


def add_network(graph: Graph, model: Exported, x: str) -> str:
    """Add the network: encoded rows ``(rows, in)`` to outputs ``(rows, outputs)``."""
    h = x
    for layer in model.layers:
        h = _nodes(graph, layer, h)
    if model.skip is not None:
        h = graph.add("Add", h, _nodes(graph, model.skip, x))
    return graph.add("Add", model.mean[None], graph.add("Mul", model.scale[None], h))


def add_curves(graph: Graph, layer: ExportedLayer, x: str) -> dict[int, str]:
    """Add a layer's curves: by input, ``(rows, sums)``."""
    width = len(layer.bias)
    return {curve.input: _curve(graph, curve, x, width) for curve in layer.curves}


def _nodes(graph: Graph, layer: ExportedLayer, x: str) -> str:
    width = len(layer.bias)
    values = list(add_curves(graph, layer, x).values())
    if values:
        sums = graph.add("Add", graph.total(values), layer.bias[None])
    else:  # nothing is alive: the constants, once for every row
        shape = graph.add("Concat", graph.add("Shape", x, start=0, end=1), [width], axis=0)
        sums = graph.add("Expand", layer.bias[None], shape)
    if not layer.combined:
        return sums
    nodes = [_columns(graph, sums, range(layer.sums))] if layer.sums else []
    start = layer.sums
    for kind, arity in layer.combined:
        own = [_columns(graph, sums, [place]) for place in range(start, start + arity)]
        nodes.append(_node(graph, kind, own))
        start += arity
    return graph.add("Concat", *nodes, axis=1)


def _node(graph: Graph, kind: str, sums: list[str]) -> str:
    add = graph.add
    if kind == "product":
        value = sums[0]
        for factor in sums[1:]:
            value = add("Mul", value, factor)
        return value
    if kind == "ratio A":
        below = graph.total([add("Abs", s) for s in sums[1:]])
        return add("Div", sums[0], add("Add", below, 1.0))
    q = [add("Add", s, 1.0) for s in sums[2:]]
    second = add("Mul", q[1], sums[1]) if len(q) == 2 else sums[1]
    above = add("Add", add("Mul", q[0], sums[0]), second)
    below = graph.total([add("Mul", own, own) for own in q])
    return add("Div", above, add("Add", below, 1.0))


def _columns(graph: Graph, x: str, places: Sequence[int]) -> str:
    return graph.add("Gather", x, [*places], axis=1)


def _curve(graph: Graph, curve: Pieces | Categories, x: str, width: int) -> str:
    """Add the curves of one input, ``(rows, width)``; zero for sums that it does not reach."""
    own = _columns(graph, x, [curve.input])
    absent = graph.add("IsNaN", own)
    if isinstance(curve, Categories):
        value = _category(graph, curve, own, width)
        otherwise = 0.0
    else:
        value = _polynomial(graph, curve, own, width)
        otherwise = np.nan
    missing = np.full(len(curve.outputs), otherwise) if curve.missing is None else curve.missing
    return graph.add("Where", absent, _wide(missing[None], curve.outputs, width), value)


def _category(graph: Graph, curve: Categories, code: str, width: int) -> str:
    codes = np.arange(len(curve.values), dtype=float)[None]
    chosen = graph.add("Cast", graph.add("Equal", code, codes), to=TensorProto.DOUBLE)
    return graph.add("MatMul", chosen, _wide(curve.values, curve.outputs, width))


def _polynomial(graph: Graph, curve: Pieces, x: str, width: int) -> str:
    add, breaks = graph.add, curve.breaks
    t = add("Div", add("Sub", add("Mul", x, 2.0), curve.middle), curve.width)
    if curve.periodic:
        periods = add("Floor", add("Div", add("Add", t, 1.0), 2.0))
        t = add("Sub", t, add("Mul", periods, 2.0))
    below = add("Min", add("Sub", t, breaks[0]), 0.0)
    above = add("Max", add("Sub", t, breaks[-1]), 0.0)
    inside = add("Max", add("Min", t, breaks[-1]), breaks[0])
    passed = add("GreaterOrEqual", inside, breaks[None, 1:-1])  # (rows, pieces - 1)
    passed = add("Cast", passed, to=TensorProto.INT64)
    piece = add("ReduceSum", passed, [1], keepdims=0)  # (rows,)
    ends = add("Gather", (breaks[1:] + breaks[:-1])[:, None], piece)
    u = add("Div", add("Sub", add("Mul", inside, 2.0), ends), _at(graph, breaks, piece))
    coefficients = _wide(curve.coefficients, curve.outputs, width)
    value = add("Gather", coefficients[:, -1], piece)
    for power in range(coefficients.shape[1] - 2, -1, -1):
        value = add("Add", add("Mul", value, u), add("Gather", coefficients[:, power], piece))
    tails = _wide(curve.tails, curve.outputs, width)
    value = add("Add", value, add("Mul", below, tails[:1]))
    return add("Add", value, add("Mul", above, tails[1:]))


def _at(graph: Graph, breaks: np.ndarray, piece: str) -> str:
    return graph.add("Gather", np.diff(breaks)[:, None], piece)


def _wide(values: np.ndarray, outputs: Sequence[int], width: int) -> np.ndarray:
    """Spread the last axis over all sums of the layer."""
    wide = np.zeros((*values.shape[:-1], width))
    wide[..., list(outputs)] = values
    return wide
