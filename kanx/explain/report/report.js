"use strict";
(() => {
  const data = JSON.parse(document.getElementById("kanx-data").textContent);

  // ---- small helpers ---------------------------------------------------------------------

  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
  const singles = (text) => new Float32Array(bytes(text));
  const doubles = (text) => new Float64Array(bytes(text));

  const show = (value, digits = 4) => {
    if (!Number.isFinite(value)) return "–";
    const size = Math.abs(value);
    const text = size !== 0 && (size < 1e-4 || size >= 1e7)
      ? value.toExponential(digits - 1)
      : String(Number(value.toPrecision(digits)));
    return text.replace("-", "−");
  };

  const element = (name, attributes = {}, ...children) => {
    const made = document.createElement(name);
    for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
    made.append(...children);
    return made;
  };

  // ---- the model, as tables ----------------------------------------------------------------

  const unpackTable = (table) => ({
    ...table,
    nodes: doubles(table.nodes),
    values: singles(table.values),
    slopes: table.slopes === null ? null : singles(table.slopes),
  });
  const unpackLayer = (layer) => layer && { ...layer, tables: layer.tables.map(unpackTable) };

  function evaluateTable(table, x) {
    const { nodes, values, slopes } = table;
    if (Number.isNaN(x)) return table.missing ?? 0;
    if (slopes === null) return x >= 0 && x < values.length ? values[Math.trunc(x)] : 0;
    const last = nodes.length - 1;
    const below = Math.min(x - nodes[0], 0);
    const above = Math.max(x - nodes[last], 0);
    const inside = x - below - above;
    let k = 0;
    let end = last;
    while (end - k > 1) {
      const middle = (k + end) >> 1;
      if (nodes[middle] <= inside) k = middle; else end = middle;
    }
    const step = nodes[k + 1] - nodes[k];
    const t = (inside - nodes[k]) / step;
    const rise = values[k + 1] - values[k];
    const a = slopes[k] * step;
    const b = slopes[k + 1] * step;
    const cubic = values[k] + t * (a + t * (3 * rise - 2 * a - b + t * (a + b - 2 * rise)));
    return cubic + table.tails[0] * below + table.tails[1] * above;
  }

  function evaluateLayer(layer, x) {
    const sums = layer.bias.slice();
    for (const table of layer.tables) sums[table.edge[1]] += evaluateTable(table, x[table.edge[0]]);
    const nodes = sums.slice(0, layer.sums);
    let start = layer.sums;
    for (const arity of layer.products) {
      nodes.push(sums.slice(start, start + arity).reduce((a, b) => a * b, 1));
      start += arity;
    }
    for (const [variant, order] of layer.ratios) {
      const above = variant === "A" ? 1 : 2;
      nodes.push(ratioOf(variant, sums.slice(start, start + above + order)));
      start += above + order;
    }
    return nodes;
  }

  // the nodes of kanx.nodes.Ratio
  function ratioOf(variant, s) {
    if (variant === "A") return s[0] / s.slice(1).reduce((a, b) => a + Math.abs(b), 1);
    const q = s.slice(2).map((v) => 1 + v);
    const above = q[0] * s[0] + (q.length > 1 ? q[1] : 1) * s[1];
    return above / q.reduce((a, b) => a + b * b, 1);
  }

  const layers = data.model.layers.map(unpackLayer);
  const skip = unpackLayer(data.model.skip);

  function outputsOf(x) {
    let h = x;
    for (const layer of layers) h = evaluateLayer(layer, h);
    const direct = skip ? evaluateLayer(skip, x) : h.map(() => 0);
    return h.map((v, k) => data.model.mean[k] + data.model.scale[k] * (v + direct[k]));
  }

  function predictionsOf(outputs) {
    if (data.counts.length) return outputs.map(Math.exp);
    if (data.model.link === "identity") return outputs;
    const logits = data.model.link === "softmax" ? outputs : [0, outputs[0]];
    const highest = Math.max(...logits);
    const weights = logits.map((v) => Math.exp(v - highest));
    const total = weights.reduce((a, b) => a + b, 0);
    return weights.map((w) => w / total);
  }

  // what an input adds to an output of an additive model, beyond its mean over the rows
  function contribution(x, input, output) {
    let total = -data.inputs[input].means[output];
    for (const table of layers[0].tables) {
      if (table.edge[0] === input && table.edge[1] === output) {
        total += data.model.scale[output] * evaluateTable(table, x[input]);
      }
    }
    return total;
  }

  // ---- values under the pointer ------------------------------------------------------------

  const tip = document.getElementById("tip");
  const showTip = (text, event) => {
    tip.textContent = text;
    tip.hidden = false;
    const box = tip.getBoundingClientRect();
    const left = Math.min(event.clientX + 14, window.innerWidth - box.width - 6);
    const above = event.clientY - box.height - 12;
    tip.style.left = `${Math.max(6, left)}px`;
    tip.style.top = `${above < 4 ? event.clientY + 18 : above}px`;
  };
  const hideTip = () => {
    tip.hidden = true;
    for (const line of document.querySelectorAll(".cross.on")) line.classList.remove("on");
  };

  function hoverPanel(svg, event) {
    const panel = data.panels[Number(svg.dataset.panel)];
    if (!panel) return false;
    const box = svg.getBoundingClientRect();
    const pixel = ((event.clientX - box.left) / box.width) * svg.viewBox.baseVal.width;
    if (pixel < panel.left - 4 || pixel > panel.right + 4) return false;
    panel.decoded ??= {
      values: panel.values.map(singles),
      bands: panel.bands.map((b) => (b === null ? null : singles(b))),
    };
    const { values, bands } = panel.decoded;
    const count = values[0].length;
    const part = (pixel - panel.left) / (panel.right - panel.left);
    const k = Math.min(Math.max(Math.round(part * (count - 1)), 0), count - 1);
    const at = panel.left + (k / (count - 1)) * (panel.right - panel.left);
    const line = svg.querySelector(".cross");
    for (const other of document.querySelectorAll(".cross.on")) other.classList.remove("on");
    line.classList.add("on");
    line.setAttribute("x1", at);
    line.setAttribute("x2", at);
    const x = panel.low + (k / (count - 1)) * (panel.high - panel.low);
    const rows = panel.names.map((name, j) => {
      const head = name ? `${name}: ` : "";
      const band = bands[j] ? ` ± ${show(bands[j][k], 2)}` : "";
      return `${head}${show(values[j][k])}${band}`;
    });
    showTip([`${panel.label} = ${show(x)}`, ...rows].join("\n"), event);
    return true;
  }

  document.addEventListener("pointermove", (event) => {
    const target = event.target instanceof Element ? event.target : null;
    const marked = target?.closest("[data-tip]");
    const svg = target?.closest("svg[data-panel]");
    if (marked) showTip(marked.dataset.tip, event);
    else if (!svg || !hoverPanel(svg, event)) hideTip();
  });
  document.addEventListener("pointerleave", hideTip);
  window.addEventListener("scroll", hideTip, { passive: true });

  // what is folded away is printed all the same
  window.addEventListener("beforeprint", () => {
    for (const folded of document.querySelectorAll("details")) folded.open = true;
  });

  // ---- what if -----------------------------------------------------------------------------

  const root = document.getElementById("whatif");
  if (!root || !data.cases.length) return;

  let chosen = 0;
  let row = [];
  let output = 0;
  const shown = data.inputs.map((_, j) => j).filter((j) => data.inputs[j].alive);
  shown.sort((a, b) => data.inputs[b].share - data.inputs[a].share);

  const buttons = element("div", { class: "buttons", role: "group", "aria-label": "rows" });
  const caption = element("p", { class: "soft" });
  const prediction = element("p", { class: "prediction", "aria-live": "polite" });
  const note = element("p", { class: "soft" });
  const flips = element("p", { class: "flips" });
  const grid = element("div", { class: "inputs" });
  const beyond = element("p", { class: "beyond", hidden: "" });
  root.append(buttons, caption, prediction, beyond, flips);

  data.cases.forEach((one, k) => {
    const button = element("button", { type: "button" }, one.title);
    button.addEventListener("click", () => choose(k));
    buttons.append(button);
  });
  const reset = element("button", { type: "button", class: "reset" }, "reset");
  reset.addEventListener("click", () => choose(chosen));
  buttons.append(reset);

  if (data.outputs.length > 1) {
    const select = element("select", { "aria-label": "output whose contributions are shown" });
    data.outputs.forEach((name, k) => select.append(element("option", { value: k }, name)));
    select.addEventListener("change", () => { output = Number(select.value); update(); });
    root.append(element("p", { class: "soft" }, "Contributions to ", select));
    root.outputSelect = select;
  }
  root.append(note, grid);

  const controls = shown.filter((j) => !data.inputs[j].folded).map((j) => makeControl(j, grid));
  const small = shown.filter((j) => data.inputs[j].folded);
  if (small.length) {
    const folded = element("div", { class: "inputs" });
    const head = element("summary", {}, `${small.length} more inputs, that matter little`);
    root.append(element("details", {}, head, folded));
    controls.push(...small.map((j) => makeControl(j, folded)));
  }

  function makeControl(j, grid) {
    const input = data.inputs[j];
    const id = `input-${j}`;
    const name = element("label", { class: "name", for: id }, input.label);
    const effect = element("div", { class: "effect" });
    const set = (value) => { row[j] = value; update(); };
    const control = { j, name, effect };
    grid.append(name);
    if (input.categories) {
      const select = element("select", { id });
      input.categories.forEach((label, k) => select.append(element("option", { value: k }, label)));
      if (input.missing) select.append(element("option", { value: "" }, "missing"));
      select.addEventListener("change", () => set(select.value === "" ? NaN : Number(select.value)));
      grid.append(select, element("span"));
      control.render = () => { select.value = Number.isNaN(row[j]) ? "" : String(row[j]); };
    } else {
      const common = { min: input.low, max: input.high, step: input.step };
      const slider = element("input", { type: "range", id, ...common });
      const typed = element("input", { type: "number", step: "any", "aria-label": input.label });
      slider.addEventListener("input", () => set(Number(slider.value)));
      typed.addEventListener("input", () => {
        const value = typed.valueAsNumber;
        if (Number.isFinite(value)) set(value);
      });
      const box = element("div", {}, typed);
      let absent = null;
      if (input.missing) {
        absent = element("input", { type: "checkbox" });
        absent.addEventListener("change", () => set(absent.checked ? NaN : Number(slider.value)));
        box.append(element("label", { class: "missing" }, absent, " missing"));
      }
      grid.append(slider, box);
      control.render = () => {
        const gone = Number.isNaN(row[j]);
        if (absent) absent.checked = gone;
        slider.disabled = typed.disabled = gone;
        if (gone) { typed.value = ""; return; }
        slider.value = row[j];
        if (document.activeElement !== typed) typed.value = Number(row[j].toPrecision(6));
      };
    }
    grid.append(effect);
    return control;
  }

  function choose(k) {
    chosen = k;
    row = data.cases[k].row.map((v) => (v === null ? NaN : v));
    const outputs = outputsOf(row);
    output = outputs.indexOf(Math.max(...outputs));
    if (data.model.link === "identity") output = 0;
    if (root.outputSelect) root.outputSelect.value = String(output);
    [...buttons.children].forEach((b, n) => b.setAttribute("aria-pressed", String(n === k)));
    reset.removeAttribute("aria-pressed");
    const actual = data.cases[k].actual;
    caption.textContent = data.cases[k].caption + (actual === null ? "" : ` True value: ${actual}.`);
    flips.textContent = data.cases[k].flips;
    flips.hidden = !data.cases[k].flips;
    update();
  }

  const isOutside = (input, value) => !input.categories && (value < input.low || value > input.high);

  const same = (a, b) => a === b || (Number.isNaN(a) && Number.isNaN(b));

  function update() {
    const before = data.cases[chosen].row.map((v) => (v === null ? NaN : v));
    const isChanged = row.some((v, j) => !same(v, before[j]));
    const now = predictionsOf(outputsOf(row));
    const then = predictionsOf(outputsOf(before));
    prediction.replaceChildren(...describe(now, isChanged ? then : null));
    const outside = shown.filter((j) => isOutside(data.inputs[j], row[j]));
    beyond.hidden = !outside.length;
    beyond.textContent = "A guess, beyond the rows in "
      + `${outside.map((j) => data.inputs[j].label).join(", ")}: curves are only continued there.`;
    const effects = controls.map(({ j }) => effectOf(j));
    const largest = Math.max(...effects.map(Math.abs), 1e-12);
    note.textContent = data.additive
      ? data.note
      : data.note + (isChanged ? " They belong to the row as it was, not to the changed one." : "");
    controls.forEach((control, n) => {
      control.render();
      control.name.classList.toggle("changed", !same(row[control.j], before[control.j]));
      drawEffect(control.effect, effects[n], largest, isChanged && !data.additive);
    });
  }

  function effectOf(j) {
    if (data.additive) return contribution(row, j, output);
    return data.cases[chosen].contributions[j][output];
  }

  function describe(now, then) {
    if (data.model.link === "identity") {
      return now.flatMap((value, k) => {
        const parts = [k ? "; " : "", `${data.counts[k] ?? data.outputs[k]}: `, element("b", {}, show(value))];
        if (then) parts.push(` (${show(then[k])} before, change ${show(value - then[k], 3)})`);
        return parts;
      });
    }
    const order = now.map((_, k) => k).sort((a, b) => now[b] - now[a]).slice(0, 4);
    return order.flatMap((k, n) => {
      const percent = (p) => `${(100 * p).toFixed(1)} %`;
      const parts = [n ? "; " : "", `${data.classes[k]}: `, element("b", {}, percent(now[k]))];
      if (then) parts.push(` (${percent(then[k])} before)`);
      return parts;
    });
  }

  function drawEffect(box, value, largest, isStale) {
    const share = (Math.abs(value) / largest) * 49;
    const bar = element("i", { class: value >= 0 ? "up" : "down" });
    bar.style.width = `${share}%`;
    bar.style.left = value >= 0 ? "50%" : `${50 - share}%`;
    const label = element("span", {}, (value > 0 ? "+" : "") + show(value, 3));
    // on the other side of the line there is always room
    if (value >= 0) label.style.right = "calc(50% + 4px)"; else label.style.left = "calc(50% + 4px)";
    box.replaceChildren(bar, label);
    box.classList.toggle("stale", isStale);
  }

  choose(0);
  root.dataset.ready = "true";
})();
