"""Predict by an exported model with numpy alone.

This file is also the code of the predictors that `kanx.export.to_numpy` writes: it must import
nothing but numpy and the standard library.
"""

import numpy as np


def predict(model, columns):
    """Predict from columns as they are.

    Parameters
    ----------
    model : dict
        What `kanx.export.exported(...).to_dict()` returns.
    columns : mapping from column name to values, or array (rows, columns)
        Missing: NaN or None.

    Returns
    -------
    ndarray, (rows, targets) or (rows, classes)
        Predictions, or the probability of every class.
    """
    return predict_encoded(model, encode(model, columns))


def encode(model, columns):
    """Return numbers and category codes, ``(rows, columns)``: NaN if missing, -1 if unknown."""
    described = model["columns"]
    if not hasattr(columns, "keys"):
        table = np.asarray(columns, dtype=object)
        if table.ndim != 2 or table.shape[1] != len(described):
            raise ValueError(f"expected {len(described)} columns, got shape {table.shape}")
        columns = {column["name"]: table[:, j] for j, column in enumerate(described)}
    lacking = [column["name"] for column in described if column["name"] not in columns]
    if lacking:
        raise ValueError(f"the columns {lacking} are missing")
    return np.column_stack([_encoded(column, columns[column["name"]]) for column in described])


def predict_encoded(model, x):
    """Predict from encoded rows ``(rows, columns)``."""
    with np.errstate(over="ignore", invalid="ignore"):
        h = x
        for layer in model["layers"]:
            h = _nodes(layer, h)
        if model["skip"] is not None:
            h = h + _nodes(model["skip"], x)
        return linked(np.array(model["mean"]) + np.array(model["scale"]) * h, model["link"])


def linked(outputs, link):
    """Turn outputs into predictions: numbers, or the probability of every class."""
    if link == "identity":
        return outputs
    if link == "log":
        with np.errstate(over="ignore"):
            return np.exp(outputs)
    with np.errstate(over="ignore", invalid="ignore"):
        if link == "logistic":
            p = 1 / (1 + np.exp(-outputs))
            return np.concatenate([1 - p, p], axis=1)
        weights = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)


def _encoded(column, values):
    if column["categories"] is None:
        return np.array([np.nan if v is None else float(v) for v in values])
    codes = {category: float(k) for k, category in enumerate(column["categories"])}
    plain = [v.item() if isinstance(v, np.generic) else v for v in values]
    return np.array([np.nan if v is None or v != v else codes.get(v, -1.0) for v in plain])


def _nodes(layer, x):
    sums = np.tile(np.array(layer["bias"]), (len(x), 1))
    for curve in layer["curves"]:
        add = _categories if "values" in curve else _pieces
        sums[:, curve["outputs"]] += add(curve, x[:, curve["input"]])
    nodes = [sums[:, : layer["sums"]]]
    start = layer["sums"]
    for kind, arity in layer["combined"]:
        own = sums[:, start : start + arity].T
        value = own.prod(axis=0) if kind == "product" else _ratio(kind, own)
        nodes.append(value[:, None])
        start += arity
    return np.concatenate(nodes, axis=1)


def _ratio(kind, sums):
    if kind == "ratio A":
        return sums[0] / (1 + np.abs(sums[1:]).sum(axis=0))
    q = 1 + sums[2:]
    above = q[0] * sums[0] + (q[1] * sums[1] if len(q) == 2 else sums[1])
    return above / (1 + (q * q).sum(axis=0))


def _categories(curve, codes):
    values = np.array(curve["values"])
    known = np.isin(codes, np.arange(len(values)))
    found = np.where(known[:, None], values[np.where(known, codes, 0).astype(int)], 0.0)
    if curve["missing"] is not None:
        found[np.isnan(codes)] = curve["missing"]
    return found


def _pieces(curve, x):
    breaks, coefficients = np.array(curve["breaks"]), np.array(curve["coefficients"])
    t = (2 * x - curve["middle"]) / curve["width"]
    if curve["periodic"]:
        t = t - 2 * np.floor((t + 1) / 2)
    below = np.minimum(t - breaks[0], 0)[:, None]
    above = np.maximum(t - breaks[-1], 0)[:, None]
    inside = np.clip(t, breaks[0], breaks[-1])
    k = np.clip(np.searchsorted(breaks, inside, side="right") - 1, 0, len(breaks) - 2)
    left, right = breaks[k], breaks[k + 1]
    u = ((2 * inside - (right + left)) / (right - left))[:, None]
    value = np.zeros((len(x), len(curve["outputs"])))
    for power in range(coefficients.shape[1] - 1, -1, -1):
        value = value * u + coefficients[k, power]
    value = value + below * np.array(curve["tails"][0]) + above * np.array(curve["tails"][1])
    if curve["missing"] is not None:
        value[np.isnan(x)] = curve["missing"]
    return value
