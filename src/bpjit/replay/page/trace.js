// The trace of one unit: the formulas with the numbers of this moment put in. Both come from Python.

const TERMS = 8; // of a sum, or changes, written out

// A layer's formula in letters, as Python gives it, for a unit (and for weights a unit below or above).
function formula(layer, name, unit, below = "") {
  const comma = String(unit).length > 1 || String(below).length > 1 ? "," : "";
  const text = data.formulas[layer - 1][name].replace(/(○|<\/i>)●/g, `$1${comma}●`).replace(/●<i>/g, `●${comma}<i>`);
  return `<span class="atom">${text.replaceAll("●", unit).replaceAll("○", below)}</span>`;
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
  const last = layer === data.sizes.length - 1, q = quantities(layer, unit), n = data.sizes[layer - 1];
  const letters = name => formula(layer, name, unit + 1), activation = data.activations[layer - 1];
  const products = first(n).map(i => `${factor(parameter(place(layer, unit, i)))}·${factor(output(layer - 1, i))}`);
  let text = `<h4>${word("Forward")}</h4>` + line(letters("sum"), letters("weightedSum"),
    products.map(p => `<span class="atom">${p}</span>`).join(" + ") + more(n), result("sum", q.sum));
  const z = `${rich(q.sum)} − ${factor(parameter(place(layer, unit, null)))}`;
  text += activation === "softmax" ? line(letters("out"), letters("output"), result("out", q.out))
    : line(letters("out"), letters("output"), `${activation}(<span class="atom">${z}</span>)`, result("out", q.out));
  if (last) text += errorOf(layer) + `<h4>${word("Backward")}</h4>` + outputTerm(unit, q, activation, letters);
  else text += `<h4>${word("Backward")}</h4>` + hiddenTerm(layer, unit, q, activation, letters);
  return text + changesOf(layer, unit, q, letters);
}

function errorOf(layer) {
  const l = data.sizes.at(-1), y = sample().y;
  const sum = write => [first(l).map(j => `<span class="atom">${write(factor(output(layer, j)), factor(y[j]))}</span>`).join(" + ") + more(l)];
  const numbers = { squared: () => [`½ (${sum((a, b) => `(${a} − ${b})²`)})`], absolute: () => sum((a, b) => `|${a} − ${b}|`),
    huber: () => [], cross_entropy: () => data.activations.at(-1) === "softmax" ? oneHot(y, layer) : [] };
  const value = entry("sampleErrors", state.frame)[state.sample];
  return `<h4>${word("Error of this sample")}</h4>`
    + line(formula(layer, "error", ""), formula(layer, "errorSum", ""), ...numbers[data.loss](), result("error", value));
}

// −ln ŷ_j of the class, where the target names one.
const oneHot = (y, layer) => y.every(v => v === 0 || v === 1) ? y.flatMap((v, j) => v ? [`−ln ${rich(output(layer, j))}`] : []) : [];

const slopeOf = (q, activation) => activation === "sigmoid" ? `${rich(q.out)}·(1 − ${rich(q.out)})` : rich(q.slope);

function outputTerm(unit, q, activation, letters) {
  const target = sample().y[unit], difference = `${rich(target)} − ${factor(q.out)}`;
  if (data.loss === "cross_entropy") return line(letters("term"), letters("gradientTerm"), difference, result("term", q.term));
  if (activation === "softmax")
    return line(letters("slope"), letters("descent"), result("back", q.back)) + line(letters("term"), letters("gradientTerm"), result("term", q.term));
  const descent = data.loss === "squared" ? `(${difference})` : factor(q.back);
  return line(letters("term"), letters("gradientTerm"), `${slopeOf(q, activation)}·${descent}`, result("term", q.term));
}

function hiddenTerm(layer, unit, q, activation, letters) {
  const n = data.sizes[layer + 1];
  const products = first(n).map(k =>
    `<span class="atom">${factor(parameter(place(layer + 1, k, unit)))}·${factor(quantities(layer + 1, k).term)}</span>`);
  return line(letters("backSum"), products.join(" + ") + more(n), result("back", q.back))
    + line(letters("term"), letters("gradientTerm"), `${slopeOf(q, activation)}·${factor(q.back)}`, result("term", q.term));
}

function changesOf(layer, unit, q, letters) {
  const n = data.sizes[layer - 1], eta = entry("eta", state.frame)[0], c = sample().c;
  const trained = at => data.trained === null || data.trained[at];
  const rate = data.plain ? `<i>η</i>${c === 1 ? "" : symbol("c", "<i>k</i>")} ` : "";
  const number = data.plain ? `${rich(eta)}·${c === 1 ? "" : `${rich(c)}·`}` : "";
  const name = of => data.plain ? `Δ${of}` : `−∂${symbol("E", "<i>k</i>")}/∂${of}`;
  const scaled = descent => descent.replace(/(<span class="atom">−?)/, `$1${rate}`);
  let text = `<h4>${word(data.plain ? "What this sample changes" : "Direction of descent by this sample")}</h4>`;
  for (const i of first(n)) {
    const at = place(layer, unit, i), weight = formula(layer, "weight", unit + 1, i + 1);
    text += trained(at)
      ? line(name(weight), scaled(formula(layer, "weightDescent", unit + 1, i + 1)), `${number}${factor(q.term)}·${factor(output(layer - 1, i))}`, result(`weight${i}`, change(at)))
      : line(name(weight), `0 (${word("not trained")})`);
  }
  if (n > TERMS) text += `<p class="hint">${word("and {n} more", { n: n - TERMS + 1 })}</p>`;
  const at = place(layer, unit, null), threshold = letters("threshold");
  text += trained(at)
    ? line(name(threshold), scaled(letters("thresholdDescent")), `−${number}${factor(q.term)}`, result("threshold", change(at)))
    : line(name(threshold), `0 (${word("not trained")})`);
  const notes = [];
  if (data.plain && data.updates !== "stochastic")
    notes.push(word("An update takes the mean over the samples of its batch; here stands what this sample alone would do."));
  if (!data.plain && data.lam !== null) notes.push(word("The penalty (1 − λ) Σ w² is added to these directions."));
  if (data.ownPenalty) notes.push(word("The rule {rule} adds a penalty α ½ Σ w² of its own; it is not shown here.", { rule: data.rule }));
  if (data.secondOrder)
    notes.push(word("The rule {rule} makes one step of an epoch from these directions of all samples and from the curvature, which is not shown here.", { rule: data.rule }));
  else if (!data.plain && data.rule !== "sgd") notes.push(word("The rule {rule} makes its steps from these directions.", { rule: data.rule }));
  return text + notes.map(note => `<p class="hint">${note}</p>`).join("");
}

// An input: its value, and the weights that lead on from it.
function traceOfInput(unit) {
  const n = data.sizes[1];
  let text = line(symbol("x", unit + 1), result("out", sample().x[unit])) + `<h4>${word("Its weights")}</h4>`;
  for (const h of first(n)) {
    text += line(formula(1, "weight", h + 1, unit + 1), result(`weight${h}`, parameter(place(1, h, unit))));
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
