"""The model as ONNX: columns in as they are, predictions and contributions out."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

import kanx
from kanx.export.exported import Exported, exported
from kanx.export.serving import ORDERS, Serving, serving
from kanx.tables import Column

if TYPE_CHECKING:
    import onnx

    from kanx.export.onnx_graph import Graph

OPSET, OPSET_ML = 18, 4
LEAST_IR = 9  # so that runtimes of 2023 on can read the file
MISSING = "kanx:missing"  # stands for a missing value where the empty string is a category


def to_onnx(
    model: Any, X: Any = None, orders: int = ORDERS, contributions: bool = True
) -> onnx.ModelProto:
    """Write a fitted estimator as an ONNX model, encoding of the columns included.

    Inputs: one tensor ``(rows, 1)`` per column, by its name: float64 for numbers (NaN where
    missing), strings for categories of text (the empty string where missing), float64 for
    categories that are numbers. A model of nameless numeric columns has one input ``X`` of shape
    ``(rows, columns)``. Outputs: ``predictions``, the targets or the probability of every class;
    ``contributions``, ``(rows, columns, outputs)``, and ``base``, to which they add up (see
    `kanx.export.serving.Serving`); and for a classifier ``label``. All in double precision.

    Parameters
    ----------
    model : KANRegressor or KANClassifier, fitted
    X : table, optional
        Rows that contributions are relative to, such as the training rows.
    orders : int, default=16
        Orders of the inputs that contributions of interacting models are averaged over.
    contributions : bool, default=True
        Whether ``contributions`` and ``base`` are computed; runtimes compute all outputs, also
        those that nobody asks for.

    Returns
    -------
    onnx.ModelProto
        Write it with ``onnx.save``; its metadata describe the columns.

    Raises
    ------
    TypeError
        If the model is no fitted estimator.
    ValueError
        If ONNX cannot hold a column's name or categories.
    ImportError
        If the package onnx is missing.
    """
    try:
        from onnx import checker, helper
    except ImportError as error:
        raise ImportError(
            "to_onnx needs the package onnx; install it with pip install 'kanx[onnx]'"
        ) from error
    from kanx.export.onnx_graph import Graph

    found = exported(model)
    module = serving(model, X, orders) if contributions else None
    graph = Graph()
    nameless = not hasattr(model, "feature_names_in_")
    inputs, x = _inputs(graph, found.columns, nameless)
    outputs = _outputs(graph, found, module, x)
    body = helper.make_graph(graph.nodes, "kanx", inputs, outputs, graph.constants)
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid("ai.onnx.ml", OPSET_ML)]
    whole = helper.make_model(
        body, opset_imports=opsets, producer_name="kanx", producer_version=kanx.__version__
    )
    whole.ir_version = LEAST_IR
    whole.doc_string = found.note
    helper.set_model_props(whole, {"kanx": json.dumps(_description(found))})
    checker.check_model(whole)
    return whole


def _description(found: Exported) -> dict[str, Any]:
    texts = [c for c in found.columns if c.categories is not None and _is_text(c)]
    return {
        "version": kanx.__version__,
        "columns": [column.to_dict() for column in found.columns],
        "targets": found.targets if found.classes is None else found.classes,
        "missing": {column.name: _missing(column) for column in texts},
    }


def _inputs(graph: Graph, columns: Sequence[Column], nameless: bool) -> tuple[list[Any], str]:
    """Declare the inputs and encode them; ``(rows, columns)``."""
    from onnx import TensorProto, helper

    if nameless and not any(column.is_categorical for column in columns):
        return [helper.make_tensor_value_info("X", TensorProto.DOUBLE, ["rows", len(columns)])], "X"
    inputs, parts = [], []
    for column in columns:
        if not column.name or column.name.startswith("kanx:") or column.name in _OUTPUTS:
            raise ValueError(f"ONNX cannot have an input named {column.name!r}; rename the column")
        text = column.categories is not None and _is_text(column)
        kind = TensorProto.STRING if text else TensorProto.DOUBLE
        inputs.append(helper.make_tensor_value_info(column.name, kind, ["rows", 1]))
        parts.append(_encoded(graph, column) if column.is_categorical else column.name)
    return inputs, graph.add("Concat", *parts, axis=1)


_OUTPUTS = ("predictions", "contributions", "base", "label")


def _encoded(graph: Graph, column: Column) -> str:
    """Turn categories into codes: NaN if missing, -1 if unknown."""
    assert column.categories is not None
    if _is_text(column):
        codes = [float(k) for k in range(len(column.categories))]
        keys, values = [*column.categories, _missing(column)], [*codes, float("nan")]
        codes32 = graph.add(
            "LabelEncoder", column.name, keys_strings=keys, values_floats=values, default_float=-1.0
        )
        return graph.add("Cast", codes32, to=11)
    numbers = np.array([[float(c) for c in column.categories]])  # (1, categories)
    chosen = graph.add("Cast", graph.add("Equal", column.name, numbers), to=11)
    places = np.arange(1.0, numbers.size + 1)[:, None]
    code = graph.add("Sub", graph.add("MatMul", chosen, places), 1.0)
    return graph.add("Where", graph.add("IsNaN", column.name), np.array([[np.nan]]), code)


def _is_text(column: Column) -> bool:
    assert column.categories is not None
    kinds = {isinstance(category, str) for category in column.categories}
    if len(kinds) > 1:
        raise ValueError(
            f"column {column.name!r} has categories that are text and others that are numbers; "
            "ONNX inputs are of one type: turn them all into text before the fit"
        )
    return kinds.pop()


def _missing(column: Column) -> str:
    assert column.categories is not None
    return MISSING if "" in column.categories else ""


def _outputs(graph: Graph, found: Exported, module: Serving | None, x: str) -> list[Any]:
    """Add what is computed from encoded rows and declare the outputs."""
    from onnx import TensorProto, helper

    from kanx.export.onnx_graph import add_network

    outputs = add_network(graph, found, x)
    width, count = len(found.mean), len(found.columns)
    if found.link == "identity":
        graph.add("Identity", outputs, name="predictions")
    elif found.link == "log":
        graph.add("Exp", outputs, name="predictions")
    elif found.link == "softmax":
        graph.add("Softmax", outputs, name="predictions", axis=1)
    else:
        p = graph.add("Sigmoid", outputs)
        graph.add("Concat", graph.add("Sub", 1.0, p), p, name="predictions", axis=1)
    declare = helper.make_tensor_value_info
    declared = [declare("predictions", TensorProto.DOUBLE, ["rows", len(found.targets)])]
    if module is not None:
        graph.add("Identity", _contributions(graph, found, module, x), name="contributions")
        graph.add("Identity", module.base.numpy(), name="base")
        declared += [
            declare("contributions", TensorProto.DOUBLE, ["rows", count, width]),
            declare("base", TensorProto.DOUBLE, [width]),
        ]
    if found.classes is not None:
        best = graph.add("ArgMax", "predictions", axis=1, keepdims=0)
        texts = [str(c) for c in found.classes]
        places = list(range(len(texts)))
        graph.add("LabelEncoder", best, name="label", keys_int64s=places, values_strings=texts)
        declared.append(declare("label", TensorProto.STRING, ["rows"]))
    return declared


def _contributions(graph: Graph, found: Exported, module: Serving, x: str) -> str:
    """Add `Serving.contributions`, ``(rows, columns, outputs)``."""
    from kanx.export.onnx_graph import add_curves, add_network

    if module.is_additive:
        layer, parts = found.layers[0], []
        curves = add_curves(graph, layer, x)
        first = graph.add("Gather", x, [0], axis=1)
        zero = graph.add("Where", graph.add("IsNaN", first), 0.0, graph.add("Mul", first, 0.0))
        dead = graph.add("Add", zero, np.zeros((1, len(layer.bias))))
        for j in range(len(found.columns)):
            parts.append(graph.add("Unsqueeze", curves.get(j, dead), [1]))
        centred = graph.add("Sub", graph.add("Concat", *parts, axis=1), module.centre.numpy())
        return graph.add("Mul", centred, found.scale)
    ranks = module.ranks.numpy()
    orders, count = ranks.shape
    taken = ranks[:, None, :] < np.arange(count + 1)[:, None]  # (orders, steps, in)
    rows = graph.add("Where", taken[None], graph.add("Unsqueeze", x, [1, 2]), _background(module))
    outputs = add_network(graph, found, graph.add("Reshape", rows, [-1, count]))
    walks = graph.add("Reshape", outputs, [-1, orders * (count + 1), len(found.mean)])
    before = np.arange(orders)[:, None] * (count + 1) + ranks  # (orders, in)
    rises = graph.add(
        "Sub",
        graph.add("Gather", walks, before + 1, axis=1),
        graph.add("Gather", walks, before, axis=1),
    )
    return graph.add("ReduceMean", rises, [1], keepdims=0)


def _background(module: Serving) -> np.ndarray:
    return module.background.unsqueeze(1).unsqueeze(0).numpy()  # (1, orders, 1, in)
