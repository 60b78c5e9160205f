// The trace of one unit: the book's formulas with the numbers of this moment put in. The numbers come from Python.

const TERMS = 8; // of a sum, or changes, written out

// Letters of a layer: one above the inputs is 1, the outputs are the last.
function letters(layer) {
  const last = data.sizes.length - 1;
  const above = last > 2 && layer < last && layer > 0 ? `(${layer})` : "";
  if (layer === 0) return { out: "x", index: "i", above: "" };
  if (layer === last) return { sum: "β", weight: "w", threshold: "θ", out: "ŷ", term: "g", index: "j", above };
  return { sum: "α", weight: "v", threshold: "γ", out: "b", term: "e", index: "h", above };
}

// All quantities of a unit, for the sample and the frame chosen.
function quantities(layer, unit) {
  const total = data.sizes.slice(1).reduce((a, b) => a + b, 0);
  const at = data.sizes.slice(1, layer).reduce((a, b) => a + b, 0) + unit;
  const all = entry("units", state.frame).subarray(6 * total * state.sample, 6 * total * (state.sample + 1));
  const [sum, net, out, slope, back, term] = [0, 1, 2, 3, 4, 5].map(k => all[k * total + at]);
  return { sum, net, out, slope, back, term };
}

const output = (layer, unit) => layer === 0 ? sample().x[unit] : quantities(layer, unit).out;
const sample = () => data.samples[state.sample];

// Where the weight from unit i below, or (i null) the threshold, of a unit stands among the parameters.
function place(layer, unit, i) {
  let at = 0;
  for (let k = 1; k < layer; k++) at += (data.sizes[k - 1] + 1) * data.sizes[k];
  return at + (i === null ? data.sizes[layer - 1] : i) * data.sizes[layer] + unit;
}
const parameter = at => entry("parameters", state.frame)[at];
const change = at => entry("steps", state.frame)[state.sample * entry("parameters", state.frame).length + at];

const line = (...parts) => `<p class="formula math">${parts.join(" = ")}</p>`;
const result = (name, value) => `<span class="result" data-name="${name}">${rich(value)}</span>`;
const first = n => Array.from({ length: Math.min(n, n > TERMS ? TERMS - 1 : n) }, (_, i) => i);
const more = n => n > TERMS ? " + …" : "";

function traceOf(layer, unit) {
  const own = letters(layer), below = letters(layer - 1), last = layer === data.sizes.length - 1;
  const q = quantities(layer, unit), n = data.sizes[layer - 1], u = unit + 1;
  const out = symbol(own.out, u, own.above), sum = symbol(own.sum, u, own.above), term = symbol(own.term, u, own.above);
  const threshold = symbol(own.threshold, u, own.above), x = i => symbol(below.out, i, below.above);
  const weight = i => symbol(own.weight, `${i}${u}`, own.above);
  const separated = i => symbol(own.weight, n > 9 || data.sizes[layer] > 9 ? `${i},${u}` : `${i}${u}`, own.above);
  const theta = parameter(place(layer, unit, null));
  let text = `<h4>${word("Forward")}</h4>`;
  const products = first(n).map(i => `${factor(parameter(place(layer, unit, i)))}·${factor(output(layer - 1, i))}`);
  text += line(sum, `∑<sub><i>${below.index}</i></sub> ${weight(`<i>${below.index}</i>`)}${x(`<i>${below.index}</i>`)}`,
    products.map(p => `<span class="atom">${p}</span>`).join(" + ") + more(n), result("sum", q.sum));
  const activation = data.activations[layer - 1];
  if (activation === "softmax") {
    const z = symbol("z", u);
    text += line(z, `${sum} − ${threshold}`, `${rich(q.sum)} − ${factor(theta)}`, result("net", q.net));
    text += line(out, `<i>e</i><sup><i>z</i><sub>${u}</sub></sup> / ∑<sub><i>i</i></sub> <i>e</i><sup><i>z<sub>i</sub></i></sup>`, result("out", q.out));
  } else {
    text += line(out, `<i>f</i>(${sum} − ${threshold})`,
      `${activation}(<span class="atom">${rich(q.sum)} − ${factor(theta)}</span>)`, result("out", q.out));
  }
  if (last) text += errorOf() + outputTerm(unit, q, activation, out, term);
  else text += hiddenTerm(layer, unit, q, activation, out, sum, threshold, term);
  return text + changesOf(layer, unit, q, term, separated, threshold, x);
}

function errorOf() {
  const l = data.sizes.at(-1), y = sample().y;
  const yhat = symbol("ŷ", "<i>j</i>"), target = symbol("y", "<i>j</i>");
  const layer = data.sizes.length - 1;
  const pairs = first(l).map(j => [factor(output(layer, j)), factor(y[j])]);
  const sums = {
    squared: [`½ ∑<sub><i>j</i></sub> (${yhat} − ${target})²`, `½ (${pairs.map(([a, b]) => `<span class="atom">(${a} − ${b})²</span>`).join(" + ")}${more(l)})`],
    absolute: [`∑<sub><i>j</i></sub> |${yhat} − ${target}|`, `${pairs.map(([a, b]) => `<span class="atom">|${a} − ${b}|</span>`).join(" + ")}${more(l)}`],
    huber: ["huber"],
    cross_entropy: data.activations.at(-1) === "softmax" ? [`−∑<sub><i>j</i></sub> ${target} log ${yhat}`, ...oneHot(y, layer)]
      : [`−∑<sub><i>j</i></sub> (${target} log ${yhat} + (1 − ${target}) log(1 − ${yhat}))`],
  };
  const value = entry("sampleErrors", state.frame)[state.sample];
  return `<h4>${word("Error of this sample")}</h4>` + line(symbol("E", "<i>k</i>"), ...sums[data.loss], result("error", value));
}

// −log ŷ_j of the class, where the target names one.
const oneHot = (y, layer) => y.every(v => v === 0 || v === 1) ? y.flatMap((v, j) => v ? [`−log ${rich(output(layer, j))}`] : []) : [];

function outputTerm(unit, q, activation, out, term) {
  const y = symbol("y", unit + 1), target = sample().y[unit], d = symbol("d", unit + 1);
  const descent = `−∂${symbol("E", "<i>k</i>")}/∂${out}`;
  let text = `<h4>${word("Backward")}</h4>`;
  if (data.loss === "cross_entropy")
    return text + line(term, `${y} − ${out}`, `${rich(target)} − ${factor(q.out)}`, result("term", q.term));
  if (data.loss === "squared" && activation === "sigmoid")
    return text + line(term, `${out}(1 − ${out})(${y} − ${out})`,
      `${rich(q.out)}·(1 − ${rich(q.out)})·(${rich(target)} − ${rich(q.out)})`, result("term", q.term));
  text += line(d, descent, ...(data.loss === "squared" ? [`${y} − ${out}`] : []), result("back", q.back));
  if (activation === "softmax")
    return text + line(term, `${out}(${d} − ∑<sub><i>i</i></sub> ${symbol("ŷ", "<i>i</i>")}${symbol("d", "<i>i</i>")})`, result("term", q.term));
  return text + line(term, `<i>f</i>′ · ${d}`, `${rich(q.slope)}·${factor(q.back)}`, result("term", q.term));
}

function hiddenTerm(layer, unit, q, activation, out, sum, threshold, term) {
  const above = letters(layer + 1), n = data.sizes[layer + 1], j = `<i>${above.index === "h" ? "j" : above.index}</i>`;
  const products = first(n).map(k =>
    `<span class="atom">${factor(parameter(place(layer + 1, k, unit)))}·${factor(quantities(layer + 1, k).term)}</span>`);
  const back = `∑<sub>${j}</sub> ${symbol(above.weight, `${unit + 1}${j}`, above.above)}${symbol(above.term, j, above.above)}`;
  let text = `<h4>${word("Backward")}</h4>` + line(back, products.join(" + ") + more(n), result("back", q.back));
  if (activation === "sigmoid")
    return text + line(term, `${out}(1 − ${out}) · ${back}`, `${rich(q.out)}·(1 − ${rich(q.out)})·${factor(q.back)}`, result("term", q.term));
  return text + line(term, `<i>f</i>′(${sum} − ${threshold}) · ${back}`, `${rich(q.slope)}·${factor(q.back)}`, result("term", q.term));
}

function changesOf(layer, unit, q, term, weight, threshold, x) {
  const n = data.sizes[layer - 1], eta = entry("eta", state.frame)[0], c = sample().c;
  const trained = at => data.trained === null || data.trained[at];
  const rate = data.plain ? `<i>η</i>${c === 1 ? "" : symbol("c", "<i>k</i>")} ` : "";
  const number = data.plain ? `${rich(eta)}·${c === 1 ? "" : `${rich(c)}·`}` : "";
  const name = of => data.plain ? `Δ${of}` : `−∂${symbol("E", "<i>k</i>")}/∂${of}`;
  let text = `<h4>${word(data.plain ? "What this sample changes" : "Direction of descent by this sample")}</h4>`;
  for (const i of first(n)) {
    const at = place(layer, unit, i);
    text += trained(at)
      ? line(name(weight(i + 1)), `${rate}${term}${x(i + 1)}`, `${number}${factor(q.term)}·${factor(output(layer - 1, i))}`, result(`weight${i}`, change(at)))
      : line(name(weight(i + 1)), `0 (${word("not trained")})`);
  }
  if (n > TERMS) text += `<p class="hint">${word("and {n} more", { n: n - TERMS + 1 })}</p>`;
  const at = place(layer, unit, null);
  text += trained(at)
    ? line(name(threshold), `−${rate}${term}`, `−${number}${factor(q.term)}`, result("threshold", change(at)))
    : line(name(threshold), `0 (${word("not trained")})`);
  const notes = [];
  if (data.plain && data.updates !== "stochastic")
    notes.push(word("An update takes the mean over the samples of its batch; here stands what this sample alone would do."));
  if (!data.plain && data.lam !== null) notes.push(word("The penalty (1 − λ) Σ w² is added to these directions."));
  if (!data.plain && data.rule !== "sgd") notes.push(word("The rule {rule} makes its steps from these directions.", { rule: data.rule }));
  return text + notes.map(note => `<p class="hint">${note}</p>`).join("");
}

// An input: its value, and the weights that lead on from it.
function traceOfInput(unit) {
  const own = letters(1), n = data.sizes[1];
  let text = line(symbol("x", unit + 1), result("out", sample().x[unit])) + `<h4>${word("Its weights")}</h4>`;
  for (const h of first(n)) {
    const index = n > 9 || data.sizes[0] > 9 ? `${unit + 1},${h + 1}` : `${unit + 1}${h + 1}`;
    text += line(symbol(own.weight, index, own.above), result(`weight${h}`, parameter(place(1, h, unit))));
  }
  return text + (n > TERMS ? `<p class="hint">${word("and {n} more", { n: n - TERMS + 1 })}</p>` : "");
}

function showTrace() {
  const box = document.getElementById("trace");
  box.replaceChildren();
  if (state.unit === null) {
    html("p", { class: "hint" }, box, word("Click on a unit of the network to see all its quantities at this moment, for the sample chosen."));
    return;
  }
  const { layer, unit } = state.unit;
  const last = layer === data.sizes.length - 1, names = layer === 0 ? data.inputs : last ? data.outputs : null;
  const hidden = data.sizes.length > 3 ? "Hidden unit {n} of layer {layer}" : "Hidden unit {n}";
  const kind = layer === 0 ? "Input {n}" : last ? "Output unit {n}" : hidden;
  const title = html("h3", {}, box, word(kind, { n: unit + 1, layer }));
  if (names) title.append(`: ${names[unit]}`);
  const formulas = html("div", {}, box);
  formulas.innerHTML = layer === 0 ? traceOfInput(unit) : traceOf(layer, unit); // numbers and symbols, nothing of users
}
