// The page: its state, the four cards, and what moves them.

const data = JSON.parse(document.getElementById("header").textContent);
const state = { frame: 0, sample: 0, unit: null, playing: false, speed: 1 };
const FRAMES_A_SECOND = 12, SPEEDS = [0.25, 0.5, 1, 2, 4];
const find = id => document.getElementById(id);
let numbers = null; // all arrays, one after the other

// The entry of a frame in one of the arrays.
function entry(name, frame) {
  const { at, shape, kind } = data.numbers[name], size = shape.slice(1).reduce((a, b) => a * b, 1);
  return kind === "u2" ? new Uint16Array(numbers, at + 2 * frame * size, size) : new Float32Array(numbers, at + 4 * frame * size, size);
}

async function unpack() {
  const packed = Uint8Array.from(atob(find("packed").textContent.trim()), letter => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  numbers = await new Response(stream).arrayBuffer();
  for (const [name, { kind, shape }] of Object.entries(data.numbers)) if (kind === "u2") {
    for (let frame = 0; frame < shape[0]; frame++) {
      const differences = entry(name, frame);
      for (let i = 1; i < differences.length; i++) differences[i] += differences[i - 1];
    }
  }
}

// --- The network.

const MOST = 8;
let radius = 23; // smaller where layers stand close
let units = [], weights = [];

// Units of a layer that are drawn, null for those left out.
function shownOf(count) {
  return count <= MOST ? [...Array(count).keys()] : [...Array(MOST - 2).keys(), null, count - 1];
}

function drawNetwork() {
  const box = find("network"), shown = data.sizes.map(shownOf), rows = Math.max(...shown.map(s => s.length));
  const width = Math.min(640, Math.max(310, box.clientWidth || 640)), name = width < 450 ? 82 : 150;
  const left = data.inputs ? name : 32, right = data.outputs ? name : 32, gap = rows > 5 ? 60 : 76;
  const height = rows * gap + 34;
  const x = layer => left + layer * (width - left - right) / (data.sizes.length - 1);
  const y = (layer, row) => 34 + (rows - shown[layer].length) * gap / 2 + (row + 0.5) * gap;
  radius = Math.min(23, 0.4 * (width - left - right) / (data.sizes.length - 1));
  box.replaceChildren();
  box.setAttribute("viewBox", `0 0 ${width} ${height}`);
  box.setAttribute("aria-label", word("network"));
  const lines = svg("g", {}, box), circles = svg("g", {}, box);
  units = []; weights = [];
  shown.forEach((layer, index) => layer.forEach((unit, row) => {
    if (unit === null) { svg("text", { x: x(index), y: y(index, row) + 6, "text-anchor": "middle" }, circles, "⋮"); return; }
    if (index > 0) shown[index - 1].forEach((from, below) => {
      if (from === null) return;
      const line = svg("line", { x1: x(index - 1), y1: y(index - 1, below), x2: x(index), y2: y(index, row) }, lines);
      weights.push({ line, at: place(index, unit, from), ends: [[index - 1, from], [index, unit]] });
    });
    drawUnit(circles, index, unit, x(index), y(index, row));
  }));
  data.sizes.forEach((count, index) => {
    const last = index === data.sizes.length - 1, key = index === 0 ? "inputs" : last ? "outputs" : "hidden";
    const number = key === "hidden" && data.sizes.length > 3 ? ` ${index}` : "";
    svg("text", { x: x(index), y: 16, "text-anchor": "middle", class: "soft" }, box, `${word(key)}${number}${count > MOST ? ` (${count})` : ""}`);
  });
}

function drawUnit(parent, layer, unit, x, y) {
  const own = letters(layer), last = layer === data.sizes.length - 1;
  const names = layer === 0 ? data.inputs : last ? data.outputs : null;
  const group = svg("g", { class: "unit", tabindex: 0, role: "button", "data-layer": layer, "data-unit": unit }, parent);
  group.setAttribute("aria-label", `${own.out}${unit + 1}${names ? ` ${names[unit]}` : ""}`);
  svg("circle", { cx: x, cy: y, r: radius }, group);
  svgSymbol(group, { x, y: y - 2, style: "font-size: 17px" }, own.out, unit + 1, own.above);
  const value = svg("text", { x, y: y + 13, class: "value", style: `font-size: ${Math.min(12, 0.56 * radius)}px` }, group);
  if (names) {
    const most = x > 100 && layer === 0 ? 14 : last && find("network").viewBox.baseVal.width - x > 100 ? 14 : 8;
    const label = names[unit].length > most ? `${names[unit].slice(0, most - 1)}…` : names[unit];
    const side = layer === 0 ? -1 : 1;
    const text = svg("text", { x: x + side * (radius + 6), y: y + 4, style: `text-anchor: ${side < 0 ? "end" : "start"}` }, group, label);
    svg("title", {}, text, names[unit]);
  }
  const choose = () => { state.unit = { layer, unit }; show(); };
  group.addEventListener("click", choose);
  group.addEventListener("keydown", event => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault(); event.stopPropagation(); choose();
  });
  units.push({ group, value, layer, unit });
}

function showNetwork() {
  const p = entry("parameters", state.frame);
  const thickest = Math.min(8, Math.max(2.5, 40 / Math.max(...data.sizes.map(size => Math.min(size, MOST)))));
  const same = ([layer, unit]) => state.unit && state.unit.layer === layer && state.unit.unit === unit;
  for (const { line, at, ends } of weights) {
    const dim = state.unit !== null && !ends.some(same);
    line.setAttribute("class", `weight ${p[at] < 0 ? "negative" : "positive"}${dim ? " dim" : ""}`);
    line.setAttribute("stroke-width", (0.4 + thickest * Math.abs(p[at]) / state.largest).toFixed(2));
  }
  for (const { group, value, layer, unit } of units) {
    value.textContent = brief(output(layer, unit));
    group.classList.toggle("chosen", Boolean(same([layer, unit])));
    group.setAttribute("aria-pressed", String(Boolean(same([layer, unit]))));
  }
}

// --- What the network answers: over two inputs, over one, or in a table.

const PLANE = { width: 440, height: 400, left: 46, top: 8, right: 10, bottom: 40 };
let picture = {};

function axes(box, lowX, highX, lowY, highY, size = PLANE) {
  const toX = v => size.left + (v - lowX) / (highX - lowX) * (size.width - size.left - size.right);
  const toY = v => size.height - size.bottom - (v - lowY) / (highY - lowY) * (size.height - size.top - size.bottom);
  for (const v of ticks(lowX, highX, 5)) {
    svg("line", { x1: toX(v), x2: toX(v), y1: size.height - size.bottom, y2: size.height - size.bottom + 4, class: "axis" }, box);
    svg("text", { x: toX(v), y: size.height - size.bottom + 18, "text-anchor": "middle", class: "soft" }, box, plain(v));
  }
  for (const v of ticks(lowY, highY, 5)) {
    svg("line", { x1: size.left - 4, x2: size.left, y1: toY(v), y2: toY(v), class: "axis" }, box);
    svg("text", { x: size.left - 7, y: toY(v) + 4, "text-anchor": "end", class: "soft" }, box, plain(v));
  }
  svg("rect", { x: size.left, y: size.top, width: size.width - size.left - size.right, height: size.height - size.top - size.bottom, class: "axis" }, box);
  return [toX, toY];
}

const classOf = y => y.length === 1 ? Number(y[0] >= 0.5) : y.indexOf(Math.max(...y));
const nameOfClass = number => data.sizes.at(-1) > 1 && data.outputs ? data.outputs[number] : `${word("class")} ${number}`;

function drawDots(box, toX, toY) {
  const classes = data.picture === "plane" && (data.binary || data.sizes.at(-1) > 1);
  const chosen = new Map(data.samples.map((s, k) => [s.number, k]));
  const ys = data.dots.map(dot => dot.y[0]), low = Math.min(...ys), high = Math.max(...ys);
  for (const dot of data.dots) {
    const { path, fill } = classes ? markerOf(classOf(dot.y)) : { path: MARKERS[0], fill: "var(--card)" };
    const at = [toX(dot.x[0]), toY(data.picture === "plane" ? dot.x[1] : dot.y[0])];
    const mark = svg("path", { d: path(...at, data.dots.length > 100 ? 3.6 : 6), fill, stroke: "var(--ink)", "stroke-width": 1.4 }, box);
    if (!classes && data.picture === "plane") mark.setAttribute("fill", `rgb(${shade((dot.y[0] - low) / (high - low || 1))})`);
    if (chosen.has(dot.number)) {
      mark.setAttribute("class", "sampleDot");
      mark.addEventListener("click", () => { state.sample = chosen.get(dot.number); show(); });
    }
  }
  picture.ring = svg("circle", { class: "chosenDot", r: 11 }, box);
  picture.toX = toX; picture.toY = toY;
}

function drawPlane(box) {
  const { low, high } = data.box, frame = html("div", { class: "plane" }, box);
  const share = (part, whole) => `${100 * part / whole}%`;
  const width = PLANE.width - PLANE.left - PLANE.right, height = PLANE.height - PLANE.top - PLANE.bottom;
  picture.canvas = html("canvas", { width: 2 * width, height: 2 * height }, frame);
  Object.assign(picture.canvas.style, { left: share(PLANE.left, PLANE.width), top: share(PLANE.top, PLANE.height), width: share(width, PLANE.width), height: share(height, PLANE.height) });
  const over = svg("svg", { viewBox: `0 0 ${PLANE.width} ${PLANE.height}`, style: "position: relative" }, frame);
  const [toX, toY] = axes(over, low[0], high[0], low[1], high[1]);
  labels(over, data.inputs ? data.inputs[0] : null, data.inputs ? data.inputs[1] : null, ["x", 1], ["x", 2]);
  picture.lines = svg("g", {}, over);
  drawDots(over, toX, toY);
}

function labels(box, nameX, nameY, symbolX, symbolY) {
  const middle = (PLANE.left + PLANE.width - PLANE.right) / 2, bottom = PLANE.height - 5;
  if (nameX) svg("text", { x: middle, y: bottom, "text-anchor": "middle" }, box, nameX);
  else svgSymbol(box, { x: middle, y: bottom, "text-anchor": "middle", style: "font-size: 17px" }, ...symbolX);
  const turned = { transform: `translate(12 ${(PLANE.top + PLANE.height - PLANE.bottom) / 2}) rotate(-90)`, "text-anchor": "middle" };
  if (nameY) svg("text", turned, box, nameY);
  else svgSymbol(box, { ...turned, style: "font-size: 17px" }, ...symbolY);
}

function showPlane() {
  const context = picture.canvas.getContext("2d"), n = data.box.points, steps = entry("answers", state.frame);
  picture.lines.replaceChildren();
  const box = data.box, at = (axis, i) => box.low[axis] + i * (box.high[axis] - box.low[axis]) / (n - 1);
  const toX = i => picture.toX(at(0, i)), toY = i => picture.toY(at(1, i));
  const path = (values, level, look) => svg("path", { d: levelLine(values, n, level, toX, toY), ...look }, picture.lines);
  if (data.sizes.at(-1) > 1) {
    const leads = paintClasses(context, steps, n);
    for (const values of leads.values()) path(values, 0, { class: "bound" });
    return;
  }
  const values = Float32Array.from(steps, step => data.range[0] + step / 4095 * (data.range[1] - data.range[0]));
  const [low, high] = data.binary ? [0, 1] : data.range;
  paint(context, values, n, value => (value - low) / (high - low || 1));
  for (const level of data.binary ? [0.1, 0.25, 0.75, 0.9] : ticks(low, high, 8)) path(values, level, { class: "axis", "stroke-opacity": 0.55 });
  if (data.binary) path(values, 0.5, { class: "bound" });
}

// Shades of one output, blended from point to point.
function paint(context, values, n, share) {
  const small = picture.small ??= Object.assign(document.createElement("canvas"), { width: n, height: n });
  const image = new ImageData(n, n), table = picture.table ??= [...Array(256).keys()].map(k => shade(k / 255));
  for (let row = 0; row < n; row++) for (let column = 0; column < n; column++) {
    const step = Math.min(255, Math.max(0, Math.round(255 * share(values[row * n + column]))));
    image.data.set([...table[step], 255], 4 * ((n - 1 - row) * n + column));
  }
  small.getContext("2d").putImageData(image, 0, 0);
  const { width, height } = context.canvas; // grid points lie on the borders, pixels have their middles inside
  context.drawImage(small, 0.5, 0.5, n - 1, n - 1, 0, 0, width, height);
}

// Areas of the classes; returns for each class its lead over the others (below 0 where another leads).
function paintClasses(context, steps, n) {
  const numbers = Array.from(steps, step => step >> 12), size = context.canvas.width / (n - 1), tall = context.canvas.height / (n - 1);
  const leads = new Map([...new Set(numbers)].map(k => [k, Float32Array.from(steps, (step, i) => ((step & 4095) + 0.5) * (numbers[i] === k ? 1 : -1))]));
  const fill = (k, corners) => {
    context.fillStyle = context.strokeStyle = `rgb(${classColor(k)})`;
    context.beginPath();
    corners.forEach(([x, y]) => context.lineTo(x * size, context.canvas.height - y * tall));
    context.closePath(); context.fill(); context.stroke();
  };
  for (let row = 0; row + 1 < n; row++) for (let column = 0; column + 1 < n; column++) {
    const at = row * n + column, corners = [[at, column, row], [at + 1, column + 1, row], [at + n + 1, column + 1, row + 1], [at + n, column, row + 1]];
    for (const k of new Set(corners.map(([i]) => numbers[i]))) {
      const lead = leads.get(k), around = [];
      corners.forEach(([i, x, y], c) => {
        const [j, x1, y1] = corners[(c + 1) % 4];
        if (lead[i] > 0) around.push([x, y]);
        if (lead[i] > 0 !== lead[j] > 0) { const t = lead[i] / (lead[i] - lead[j]); around.push([x + t * (x1 - x), y + t * (y1 - y)]); }
      });
      fill(k, around);
    }
  }
  if (leads.size === 1) leads.clear();
  return leads;
}

const DASHES = ["", "8 4", "2 4", "10 3 2 3"];

function drawLine(box) {
  const over = svg("svg", { viewBox: `0 0 ${PLANE.width} ${PLANE.height}` }, box);
  const targets = data.dots.flatMap(dot => dot.y), low = Math.min(data.range[0], ...targets), high = Math.max(data.range[1], ...targets);
  const room = 0.06 * (high - low) || 1;
  const [toX, toY] = axes(over, data.box.low[0], data.box.high[0], low - room, high + room);
  labels(over, data.inputs ? data.inputs[0] : null, data.outputs?.length === 1 ? data.outputs[0] : null, ["x", data.sizes[0] > 1 ? 1 : ""], ["ŷ", ""]);
  const l = data.numbers.answers.shape[2];
  picture.curves = [...Array(l).keys()].map(j => svg("path", { class: "training", "stroke-dasharray": DASHES[j] }, over));
  drawDots(over, toX, toY);
}

function showLine() {
  const values = entry("answers", state.frame), n = data.box.points, l = picture.curves.length;
  picture.curves.forEach((curve, j) => {
    const points = [...Array(n).keys()].map(i => `${picture.toX(data.box.low[0] + i * (data.box.high[0] - data.box.low[0]) / (n - 1)).toFixed(1)} ${picture.toY(values[i * l + j]).toFixed(1)}`);
    curve.setAttribute("d", `M${points.join("L")}`);
  });
}

const COLUMNS = 10;

function drawTable(box) {
  const scroll = html("div", { class: "scroll" }, box), table = html("table", {}, scroll), head = html("tr", {}, html("thead", {}, table));
  const l = Math.min(COLUMNS, data.sizes.at(-1));
  html("th", {}, head, word("number"));
  for (let j = 0; j < l; j++) {
    const cell = html("th", {}, head);
    if (data.outputs) cell.textContent = data.outputs[j];
    else cell.innerHTML = `<span class="math">${symbol("ŷ", j + 1)}</span>`;
  }
  const body = html("tbody", {}, table);
  picture.rows = data.samples.map((s, k) => {
    const row = html("tr", {}, body);
    row.addEventListener("click", () => { state.sample = k; show(); });
    html("td", {}, row, String(s.number));
    const cells = [...Array(l).keys()].map(j => {
      const cell = html("td", s.y[j] === Math.max(...s.y) && s.y.length > 1 ? { class: "target" } : {}, row);
      return { text: html("span", {}, cell), bar: html("span", { class: "bar" }, cell), y: s.y[j] };
    });
    return { row, cells };
  });
}

function showTable() {
  const layer = data.sizes.length - 1, before = state.sample, bounded = ["sigmoid", "softmax"].includes(data.activations.at(-1));
  picture.rows.forEach(({ row, cells }, k) => {
    state.sample = k;
    cells.forEach(({ text, bar, y }, j) => {
      const value = output(layer, j);
      text.textContent = brief(value) + (cells.length === 1 ? ` (${word("target")} ${plain(y)})` : "");
      bar.style.width = bounded && value > 0.01 ? `${100 * value}%` : "0";
    });
    row.classList.toggle("chosen", k === before);
  });
  state.sample = before;
}

function drawPicture() {
  picture = {};
  const box = find("picture");
  box.replaceChildren();
  find("pictureTitle").textContent = word(data.picture);
  ({ plane: drawPlane, line: drawLine, table: drawTable })[data.picture](box);
  drawPictureLegend();
}

function item(legend, icon, words) {
  const box = html("span", { class: "item" }, legend);
  box.append(icon, words);
}

function drawPictureLegend() {
  const legend = find("pictureLegend"), l = data.sizes.at(-1);
  legend.replaceChildren();
  if (data.picture === "plane" && (data.binary || l > 1)) {
    for (let number = 0; number < Math.min(8, Math.max(2, l)); number++) {
      const { path, fill } = markerOf(number), icon = svg("svg", { viewBox: "0 0 16 16" });
      svg("path", { d: path(8, 8, 5), fill, stroke: "var(--ink)", "stroke-width": 1.4 }, icon);
      item(legend, icon, nameOfClass(number));
    }
    if (l === 1) item(legend, html("span", { class: "line bound" }), word("boundary"));
  }
  if (data.picture === "line" && l > 1) for (let j = 0; j < picture.curves.length; j++) {
    const icon = svg("svg", { viewBox: "0 0 36 8", class: "long" });
    svg("path", { d: "M0 4H36", class: "training", "stroke-dasharray": DASHES[j] }, icon);
    item(legend, icon, data.outputs ? data.outputs[j] : `ŷ${"₁₂₃₄"[j]}`);
  }
}

function showPicture() {
  ({ plane: showPlane, line: showLine, table: showTable })[data.picture]();
  if (!picture.ring) return;
  const { x, y } = sample();
  picture.ring.setAttribute("cx", picture.toX(x[0]));
  picture.ring.setAttribute("cy", picture.toY(data.picture === "plane" ? x[1] : y[0]));
}

// --- The error curve.

const CURVE = { width: 560, height: 250, left: 58, top: 10, right: 22, bottom: 38 };
let curve = {};

function drawCurve() {
  const box = find("curve"), { training, validation } = data.curve;
  const frames = data.epochs.map((_, k) => entry("error", k)[0]);
  const positive = [...training[1], ...validation[1], ...frames].filter(v => v > 0);
  box.replaceChildren();
  CURVE.width = Math.min(640, Math.max(310, box.clientWidth || 560));
  box.setAttribute("viewBox", `0 0 ${CURVE.width} ${CURVE.height}`);
  const low = Math.min(...positive, 1) * 0.8, high = Math.max(...positive, low) * 1.25, end = data.epochs.at(-1) || 1, start = data.epochs[0];
  const toX = v => CURVE.left + (v - start) / (end - start || 1) * (CURVE.width - CURVE.left - CURVE.right);
  const floor = CURVE.height - CURVE.bottom;
  const toY = v => floor - Math.log(Math.max(v, low) / low) / Math.log(high / low || 2) * (floor - CURVE.top);
  for (const v of logTicks(low, high)) {
    svg("line", { x1: CURVE.left, x2: CURVE.width - CURVE.right, y1: toY(v), y2: toY(v), class: "grid" }, box);
    svg("text", { x: CURVE.left - 7, y: toY(v) + 4, "text-anchor": "end", class: "soft" }, box, plain(v));
  }
  for (const v of ticks(start, end, CURVE.width < 450 ? 4 : 6)) if (Number.isInteger(v)) {
    svg("line", { x1: toX(v), x2: toX(v), y1: floor, y2: floor + 4, class: "axis" }, box);
    svg("text", { x: toX(v), y: floor + 18, "text-anchor": "middle", class: "soft" }, box, v.toLocaleString("en"));
  }
  svg("text", { x: CURVE.width - CURVE.right, y: CURVE.height - 4, "text-anchor": "end", class: "soft" }, box, word("epoch"));
  svg("path", { d: `M${CURVE.left} ${CURVE.top}V${floor}H${CURVE.width - CURVE.right}`, class: "axis" }, box);
  const path = ([xs, ys]) => {
    const points = xs.map((x, i) => [x, ys[i]]).filter(([x]) => x >= start).map(([x, y]) => `${toX(x).toFixed(1)} ${toY(y).toFixed(1)}`);
    return points.length ? `M${points.join("L")}` : "";
  };
  if (data.bestEpoch !== null && data.bestEpoch >= start) svg("line", { x1: toX(data.bestEpoch), x2: toX(data.bestEpoch), y1: CURVE.top, y2: floor, class: "best" }, box);
  svg("path", { d: path(training), class: "training" }, box);
  svg("path", { d: path(validation), class: "validation" }, box);
  const mark = svg("line", { y1: CURVE.top, y2: floor, class: "mark" }, box), dot = svg("circle", { r: 5.5, class: "markDot" }, box);
  curve = { toX, toY, mark, dot, start, end };
  const legend = find("curveLegend");
  legend.replaceChildren();
  for (const [kind, wanted] of [["training", true], ["validation", validation[0].length], ["best", data.bestEpoch !== null]]) if (wanted) {
    item(legend, html("span", { class: `line ${kind === "training" ? "thin" : kind}` }), word(kind));
  }
}

function showCurve() {
  const x = curve.toX(data.epochs[state.frame]);
  curve.mark.setAttribute("x1", x); curve.mark.setAttribute("x2", x);
  curve.dot.setAttribute("cx", x); curve.dot.setAttribute("cy", curve.toY(entry("error", state.frame)[0]));
}

function seek(event) {
  const box = find("curve").getBoundingClientRect();
  const x = (event.clientX - box.left) / box.width * CURVE.width;
  const epoch = curve.start + (x - CURVE.left) / (CURVE.width - CURVE.left - CURVE.right) * (curve.end - curve.start);
  goTo(data.epochs.reduce((best, value, k) => Math.abs(value - epoch) < Math.abs(data.epochs[best] - epoch) ? k : best, 0));
}

// --- All together.

function show() {
  find("slider").value = state.frame;
  const epoch = data.epochs[state.frame], eta = data.rate ? `, <i>η</i> = ${rich(entry("eta", state.frame)[0])}` : "";
  find("now").innerHTML = `${word("epoch")} <b>${Number(epoch.toFixed(2)).toLocaleString("en")}</b>, <span class="math"><i>E</i> = <b>${rich(entry("error", state.frame)[0])}</b>${eta}</span>`;
  find("slider").setAttribute("aria-valuetext", `${word("epoch")} ${epoch}`);
  find("sample").value = state.sample;
  showNetwork(); showPicture(); showCurve(); showTrace();
}

function sayAll() {
  document.documentElement.lang = { en: "en", zh: "zh-CN" }[language];
  for (const element of document.querySelectorAll("[data-word]")) element.textContent = word(element.dataset.word);
  for (const element of document.querySelectorAll("[data-label]")) {
    element.setAttribute("aria-label", word(element.dataset.label)); element.title = word(element.dataset.label);
  }
  for (const element of document.querySelectorAll("[data-language]")) element.setAttribute("aria-pressed", String(element.dataset.language === language));
  const updates = typeof data.updates === "number" ? word("batches")(data.updates) : word(data.updates);
  const hiddenFacts = [...new Set(data.activations)].join(", ");
  find("facts").textContent = word("facts")({ network: data.sizes.join("-"), activations: hiddenFacts, updates, rule: data.rule, loss: data.loss, count: data.count.toLocaleString("en") }) + word("stopped")(data.stoppedBy);
  find("keys").replaceChildren(...word("keys").split("|").map((part, k) => k % 2 ? html("kbd", {}, null, part) : part));
  const notes = [data.scaled ? word("scaled") : "", data.samples.length < data.count ? word("thinned")(data.samples.length, data.count.toLocaleString("en")) : ""];
  find("notes").textContent = notes.filter(Boolean).join(" ");
  const select = find("sample");
  select.replaceChildren();
  data.samples.forEach((s, k) => {
    const list = values => values.length > 4 ? `${values.slice(0, 3).map(plain).join(", ")}, …` : values.map(plain).join(", ");
    html("option", { value: k }, select, `${s.number}: x = (${list(s.x)}), y = (${list(s.y)})`);
  });
  playWord();
  drawNetwork(); drawPicture(); drawCurve(); show();
}

function playWord() {
  find("play").textContent = word(state.playing ? "pause" : "play");
  find("play").setAttribute("aria-label", word(state.playing ? "pause" : "play"));
  find("trace").setAttribute("aria-live", state.playing ? "off" : "polite");
}

function goTo(frame) {
  state.frame = Math.min(data.epochs.length - 1, Math.max(0, frame));
  show();
}

function pause() { state.playing = false; playWord(); }

function play() {
  if (state.playing) return pause();
  if (state.frame === data.epochs.length - 1) goTo(0);
  state.playing = true; playWord();
  let then = performance.now();
  const tick = now => {
    if (!state.playing) return;
    const frames = Math.floor((now - then) / 1000 * FRAMES_A_SECOND * state.speed);
    if (frames > 0) {
      then = now; goTo(state.frame + frames);
      if (state.frame === data.epochs.length - 1) return pause();
    }
    requestAnimationFrame(tick);
  };
  requestAnimationFrame(tick);
}

function setSpeed(step) {
  const next = SPEEDS[Math.min(SPEEDS.length - 1, Math.max(0, SPEEDS.indexOf(state.speed) + step))];
  state.speed = next; find("speed").value = String(next);
}

function setLanguage(next) { language = next; sayAll(); }

const jump = frame => { pause(); goTo(frame); };
const KEYS = {
  " ": play, ArrowLeft: () => jump(state.frame - 1), ArrowRight: () => jump(state.frame + 1), Home: () => jump(0),
  End: () => jump(data.epochs.length - 1), "+": () => setSpeed(1), "=": () => setSpeed(1), "-": () => setSpeed(-1),
  l: () => setLanguage(language === "en" ? "zh" : "en"), L: () => setLanguage(language === "en" ? "zh" : "en"),
};

function listen() {
  find("play").addEventListener("click", play);
  find("first").addEventListener("click", KEYS.Home);
  find("back").addEventListener("click", KEYS.ArrowLeft);
  find("step").addEventListener("click", KEYS.ArrowRight);
  find("last").addEventListener("click", KEYS.End);
  find("slider").addEventListener("input", event => jump(Number(event.target.value)));
  find("speed").addEventListener("change", event => { state.speed = Number(event.target.value); });
  find("sample").addEventListener("change", event => { state.sample = Number(event.target.value); show(); });
  find("curve").addEventListener("click", event => { pause(); seek(event); });
  for (const button of document.querySelectorAll("[data-language]")) button.addEventListener("click", () => setLanguage(button.dataset.language));
  document.addEventListener("keydown", event => {
    const busy = event.target.tagName === "SELECT" || (event.key === " " && event.target.tagName === "BUTTON");
    if (busy || event.ctrlKey || event.metaKey || event.altKey || !(event.key in KEYS)) return;
    event.preventDefault();
    KEYS[event.key]();
  });
  let wide = innerWidth;
  addEventListener("resize", () => { if (innerWidth !== wide) { wide = innerWidth; drawNetwork(); drawCurve(); show(); } });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { drawPicture(); show(); });
}

async function begin() {
  language = data.language;
  if (typeof DecompressionStream === "undefined") { find("trace").textContent = word("old"); return; }
  await unpack();
  const extent = (array, low, high) => { for (const value of array) { low = Math.min(low, value); high = Math.max(high, value); } return [low, high]; };
  const all = name => { const { at, shape } = data.numbers[name]; return new Float32Array(numbers, at, shape.reduce((a, b) => a * b, 1)); };
  const [low, high] = extent(weightsOf(all("parameters")), 0, 0);
  state.largest = Math.max(-low, high) || 1;
  find("slider").max = data.epochs.length - 1;
  listen(); sayAll();
  document.documentElement.dataset.ready = "true";
}

// Only the weights of all frames, without thresholds: the widest line is the largest of them.
function* weightsOf(array) {
  const each = data.numbers.parameters.shape[1], isWeight = new Uint8Array(each);
  for (let layer = 1; layer < data.sizes.length; layer++) isWeight.fill(1, place(layer, 0, 0), place(layer, 0, null));
  for (let i = 0; i < array.length; i++) if (isWeight[i % each]) yield array[i];
}

begin();
