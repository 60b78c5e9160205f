// What the page says, in two languages, and how it writes numbers and the book's symbols.

let language = "en";

// English words, or what Python's words.py has for them in Chinese, with values in their {holes}.
function word(english, values = {}) {
  const words = language === "en" ? english : data.chinese[english];
  return words.replace(/\{(\w+)\}/g, (hole, name) => values[name]);
}

// A number with four digits, as text or (for small and large ones) with a power of ten.
function parts(value) {
  if (!Number.isFinite(value)) return ["–", ""];
  if (value === 0) return ["0", ""];
  const size = Math.abs(value);
  if (size >= 1e-3 && size < 1e5) return [Number(value.toPrecision(4)).toString().replace("-", "−"), ""];
  const [digits, power] = value.toExponential(3).split("e");
  return [Number(digits).toString().replace("-", "−"), String(Number(power)).replace("-", "−")];
}
const plain = value => { const [digits, power] = parts(value); return power ? `${digits}e${power}` : digits; };
const rich = value => { const [digits, power] = parts(value); return power ? `${digits}·10<sup>${power}</sup>` : digits; };
const factor = value => value < 0 ? `(${rich(value)})` : rich(value);
const brief = value => Math.abs(value) < 10 ? value.toFixed(2).replace(/^-(0\.00)$/, "$1").replace("-", "−") : plain(value);

// The book's symbols: letter, index below, layer above.
function symbol(letter, below = "", above = "") {
  const index = above ? `<span class="both"><span>${above}</span><span>${below}</span></span>` : below !== "" ? `<sub>${below}</sub>` : "";
  return `<span class="atom"><i>${letter}</i>${index}</span>`;
}
