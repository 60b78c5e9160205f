// Drawing: small helpers for SVG, level lines, and colours from the style sheet.

function svg(name, attributes = {}, parent = null, text = "") {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== "") element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

function html(name, attributes = {}, parent = null, text = "") {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  if (text !== "") element.textContent = text;
  if (parent) parent.append(element);
  return element;
}

// A symbol of the book as SVG text.
function svgSymbol(parent, attributes, letter, below, above = "") {
  const text = svg("text", { ...attributes, class: "math" }, parent);
  svg("tspan", { class: "it" }, text, letter);
  if (below !== "") svg("tspan", { style: "font-size: 0.72em", dy: "0.35em" }, text, below);
  if (above !== "") svg("tspan", { style: "font-size: 0.66em", dy: "-1em" }, text, above);
  return text;
}

function color(name) {
  const hex = getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  return [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16));
}

const mix = (a, b, share) => a.map((value, i) => value + share * (b[i] - value));

// From pale to pale through the paper: share 0, ½, 1.
function shade(share) {
  const t = Math.min(1, Math.max(0, share));
  return t < 0.5 ? mix(color("low"), color("middle"), 2 * t) : mix(color("middle"), color("high"), 2 * t - 1);
}

const CLASS_COLORS = {
  light: ["#b5d4ee", "#f9d9bd", "#bfdcb6", "#efe3a0", "#d8c4e6", "#dddddd", "#f1bcbc", "#b3e0dc"],
  dark: ["#23506f", "#6d4527", "#35572f", "#5d5420", "#4d3a5e", "#4a4a4a", "#693636", "#245955"],
};
function classColor(number) {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  const hex = CLASS_COLORS[dark ? "dark" : "light"][number % 8];
  return [1, 3, 5].map(at => parseInt(hex.slice(at, at + 2), 16));
}

// The level line of values on an n × n grid, in units of its cells, as the path of an SVG.
function levelLine(values, n, level, toX, toY) {
  const pieces = [];
  const cross = (a, b) => (level - a) / (b - a);
  for (let row = 0; row + 1 < n; row++) {
    for (let column = 0; column + 1 < n; column++) {
      const at = row * n + column;
      const [a, b, c, d] = [values[at], values[at + 1], values[at + n + 1], values[at + n]];
      const points = [];
      if (a < level !== b < level) points.push([column + cross(a, b), row]);
      if (b < level !== c < level) points.push([column + 1, row + cross(b, c)]);
      if (d < level !== c < level) points.push([column + cross(d, c), row + 1]);
      if (a < level !== d < level) points.push([column, row + cross(a, d)]);
      for (let i = 0; i + 1 < points.length; i += 2) {
        const [p, q] = [points[i], points[i + 1]];
        pieces.push(`M${toX(p[0]).toFixed(1)} ${toY(p[1]).toFixed(1)}L${toX(q[0]).toFixed(1)} ${toY(q[1]).toFixed(1)}`);
      }
    }
  }
  return pieces.join("");
}

// Round numbers between two, about so many.
function ticks(low, high, count) {
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map(k => k * power).find(k => k >= rough * 0.999);
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k++) found.push(Number((k * step).toPrecision(12)));
  return found;
}

function logTicks(low, high) {
  const found = [];
  const decades = Math.log10(high / low);
  const every = Math.max(1, Math.ceil(decades / 6));
  for (let k = Math.floor(Math.log10(low)); k <= Math.ceil(Math.log10(high)); k++)
    for (const digit of decades > 3 ? [1] : decades > 1.2 ? [1, 3] : [1, 2, 3, 5, 7]) {
      const value = digit * 10 ** k;
      if (k % every === 0 && value >= low && value <= high) found.push(Number(value.toPrecision(3)));
    }
  return found;
}

const MARKERS = [
  (x, y, r) => `M${x - r} ${y}a${r} ${r} 0 1 0 ${2 * r} 0a${r} ${r} 0 1 0 ${-2 * r} 0`,
  (x, y, r) => `M${x - r} ${y - r}h${2 * r}v${2 * r}h${-2 * r}z`,
  (x, y, r) => `M${x} ${y - 1.3 * r}l${1.2 * r} ${2.2 * r}h${-2.4 * r}z`,
  (x, y, r) => `M${x} ${y - 1.4 * r}l${1.4 * r} ${1.4 * r}l${-1.4 * r} ${1.4 * r}l${-1.4 * r} ${-1.4 * r}z`,
];
// Marker and filling of a class: they differ without colours too.
function markerOf(number) {
  return { path: MARKERS[number % 4], fill: (number + Math.floor(number / 4)) % 2 ? "var(--ink)" : "var(--card)" };
}
