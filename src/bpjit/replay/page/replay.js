// The page: its state, the four cards, and what moves them.

const data = JSON.parse(document.getElementById("header").textContent);
const state = { frame: 0, sample: 0, unit: null, playing: false, speed: 1 };
const FRAMES_A_SECOND = 12, SPEEDS = [0.25, 0.5, 1, 2, 4];
const UPDATES = { stochastic: "standard BP, an update after each sample", accumulated: "accumulated BP, an update after each epoch" };
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
  const updates = word(UPDATES[data.updates] || "an update after every {n} samples", { n: data.updates });
  find("facts").textContent = word("{network}, {activations}; {updates}, {rule}, {loss}; {count} samples; stopped by {end}", {
    network: data.sizes.join("-"), activations: [...new Set(data.activations)].join(", "), updates, rule: data.rule, loss: data.loss,
    count: data.count.toLocaleString("en"), end: data.stoppedBy,
  });
  const keys = word("Keys: |Space| play or pause, |←| |→| one frame, |Home| |End| to the ends, |+| |−| speed, |L| language");
  find("keys").replaceChildren(...keys.split("|").map((part, k) => k % 2 ? html("kbd", {}, null, part) : part));
  const notes = [
    data.scaled ? word("Inputs and targets are those of the network, after its scaling.") : "",
    data.samples.length < data.count ? word("{shown} of {all} samples can be chosen.", { shown: data.samples.length, all: data.count.toLocaleString("en") }) : "",
  ];
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
  find("play").textContent = word(state.playing ? "❚❚ Pause" : "▶ Play");
  find("play").setAttribute("aria-label", find("play").textContent);
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
  if (typeof DecompressionStream === "undefined") {
    find("trace").textContent = word("This browser cannot unpack the page: it needs DecompressionStream (Chrome 80, Firefox 113, Safari 16.4).");
    return;
  }
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
