// Predicts by the model above. predict(row) takes one row, an object by column or an array in the
// order of MODEL.columns; missing values are null, undefined or NaN. It returns an array: the
// targets, or the probability of every class.

function encode(row) {
  return MODEL.columns.map((column, j) => {
    const value = Array.isArray(row) ? row[j] : row[column.name];
    if (value === null || value === undefined || Number.isNaN(value)) return NaN;
    if (column.categories === null) return Number(value);
    return column.categories.indexOf(value);
  });
}

function addPieces(curve, x, sums) {
  if (Number.isNaN(x) && curve.missing !== null) {
    curve.outputs.forEach((output, o) => { sums[output] += curve.missing[o]; });
    return;
  }
  const breaks = curve.breaks, last = breaks.length - 1;
  let t = (2 * x - curve.middle) / curve.width;
  if (curve.periodic) t -= 2 * Math.floor((t + 1) / 2);
  const below = Math.min(t - breaks[0], 0), above = Math.max(t - breaks[last], 0);
  const inside = Math.min(Math.max(t, breaks[0]), breaks[last]);
  let low = 0, high = last - 1;  // the piece whose left end is the last one not above t
  while (low < high) {
    const middle = (low + high + 1) >> 1;
    if (breaks[middle] <= inside) low = middle; else high = middle - 1;
  }
  const left = breaks[low], right = breaks[low + 1];
  const u = (2 * inside - (right + left)) / (right - left);
  const powers = curve.coefficients[low];
  curve.outputs.forEach((output, o) => {
    let value = 0;
    for (let j = powers.length - 1; j >= 0; j--) value = value * u + powers[j][o];
    sums[output] += value + below * curve.tails[0][o] + above * curve.tails[1][o];
  });
}

function addCategory(curve, code, sums) {
  const known = Number.isInteger(code) && code >= 0 && code < curve.values.length;
  const values = Number.isNaN(code) ? curve.missing : known ? curve.values[code] : null;
  if (values !== null) curve.outputs.forEach((output, o) => { sums[output] += values[o]; });
}

function ratio(kind, sums) {
  if (kind === "ratio A") return sums[0] / sums.slice(1).reduce((a, b) => a + Math.abs(b), 1);
  const q = sums.slice(2).map((s) => 1 + s);
  const above = q[0] * sums[0] + (q.length === 2 ? q[1] * sums[1] : sums[1]);
  return above / q.reduce((a, b) => a + b * b, 1);
}

function nodes(layer, x) {
  const sums = layer.bias.slice();
  for (const curve of layer.curves) {
    (curve.values ? addCategory : addPieces)(curve, x[curve.input], sums);
  }
  const values = sums.slice(0, layer.sums);
  let start = layer.sums;
  for (const [kind, arity] of layer.combined) {
    const own = sums.slice(start, start + arity);
    values.push(kind === "product" ? own.reduce((a, b) => a * b, 1) : ratio(kind, own));
    start += arity;
  }
  return values;
}

function predict(row) {
  const x = encode(row);
  let h = x;
  for (const layer of MODEL.layers) h = nodes(layer, h);
  if (MODEL.skip !== null) {
    const direct = nodes(MODEL.skip, x);
    h = h.map((value, o) => value + direct[o]);
  }
  const outputs = h.map((value, o) => MODEL.mean[o] + MODEL.scale[o] * value);
  if (MODEL.link === "identity") return outputs;
  if (MODEL.link === "log") return outputs.map(Math.exp);
  if (MODEL.link === "logistic") {
    const p = 1 / (1 + Math.exp(-outputs[0]));
    return [1 - p, p];
  }
  const largest = Math.max(...outputs);
  const weights = outputs.map((value) => Math.exp(value - largest));
  const total = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => weight / total);
}

if (typeof module !== "undefined") module.exports = { MODEL, encode, predict };
