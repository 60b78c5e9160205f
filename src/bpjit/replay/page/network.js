// The diagram of the network.

let radius = 23; // smaller where layers stand close
let units = [], weights = [];

function drawNetwork() {
  const box = find("network"), shown = data.shown, rows = Math.max(...shown.map(s => s.length));
  const width = Math.min(640, Math.max(310, box.clientWidth || 640)), name = width < 450 ? 82 : 150;
  const left = data.inputs ? name : 44, right = data.outputs ? name : 44, gap = rows > 5 ? 60 : 76;
  const height = rows * gap + 34;
  const x = layer => left + layer * (width - left - right) / (data.sizes.length - 1);
  const y = (layer, row) => 34 + (rows - shown[layer].length) * gap / 2 + (row + 0.5) * gap;
  radius = Math.min(23, 0.4 * (width - left - right) / (data.sizes.length - 1));
  box.replaceChildren();
  box.setAttribute("viewBox", `0 0 ${width} ${height}`);
  box.setAttribute("aria-label", word("Network"));
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
    svg("text", { x: x(index), y: 16, "text-anchor": "middle", class: "soft" }, box, `${word(key)}${number}${shown[index].includes(null) ? ` (${count})` : ""}`);
  });
}

function drawUnit(parent, layer, unit, x, y) {
  const [letter, above] = data.symbols[layer], last = layer === data.sizes.length - 1;
  const names = layer === 0 ? data.inputs : last ? data.outputs : null;
  const group = svg("g", { class: "unit", tabindex: 0, role: "button", "data-layer": layer, "data-unit": unit }, parent);
  group.setAttribute("aria-label", `${letter}${unit + 1}${names ? ` ${names[unit]}` : ""}`);
  svg("circle", { cx: x, cy: y, r: radius }, group);
  svgSymbol(group, { x, y: y - 2, style: "font-size: 17px" }, letter, unit + 1, above);
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
  const thickest = Math.min(8, Math.max(2.5, 40 / Math.max(...data.shown.map(layer => layer.length))));
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
