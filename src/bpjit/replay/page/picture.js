// What the network answers: over two inputs, over one, or in a table.

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
  html("th", {}, head, word("no."));
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
  find("pictureTitle").textContent = word("What the network answers");
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
    if (l === 1) item(legend, html("span", { class: "line bound" }), word("boundary: ŷ = ½"));
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
