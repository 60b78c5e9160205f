// The error along the training, with a mark at the moment shown.

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
  for (const [kind, words, wanted] of [
    ["thin", "training, collected during the epoch", true], ["validation", "validation", validation[0].length],
    ["best", "smallest validation error", data.bestEpoch !== null],
  ]) if (wanted) item(legend, html("span", { class: `line ${kind}` }), word(words));
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
