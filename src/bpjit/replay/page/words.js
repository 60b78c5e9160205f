// What the page says, in two languages, and how it writes numbers and the book's symbols.

const WORDS = {
  en: {
    network: "Network", positive: "positive weight", negative: "negative weight", trace: "One unit, number by number",
    curve: "Error E along the training", sample: "Sample", speed: "Speed", play: "▶ Play", pause: "❚❚ Pause",
    first: "to the start (Home)", back: "one frame back (←)", step: "one frame on (→)", last: "to the end (End)",
    slider: "moment of the training", plane: "What the network answers", line: "What the network answers",
    table: "What the network answers", epoch: "epoch", inputs: "inputs", hidden: "hidden", outputs: "outputs",
    hint: "Click on a unit of the network to see all its quantities at this moment, for the sample chosen.",
    input: "Input", hiddenUnit: "Hidden unit", layer: n => ` of layer ${n}`, outputUnit: "Output unit", forward: "Forward", backward: "Backward",
    error: "Error of this sample", changes: "What this sample changes", descent: "Direction of descent by this sample",
    outgoing: "Its weights", notTrained: "not trained", others: n => `and ${n} more`,
    training: "training, collected during the epoch", validation: "validation", best: "smallest validation error",
    boundary: "boundary: ŷ = ½", class: "class", target: "target", number: "no.",
    facts: f => `${f.network}, ${f.activations}; ${f.updates}, ${f.rule}, ${f.loss}; ${f.count} samples`,
    stochastic: "standard BP, an update after each sample", accumulated: "accumulated BP, an update after each epoch",
    batches: n => `an update after every ${n} samples`, stopped: name => `; stopped by ${name}`,
    keys: "Keys: |Space| play or pause, |←| |→| one frame, |Home| |End| to the ends, |+| |−| speed, |L| language",
    mean: "An update takes the mean over the samples of its batch; here stands what this sample alone would do.",
    byRule: rule => `The rule ${rule} makes its steps from these directions.`,
    penalised: "The penalty (1 − λ) Σ w² is added to these directions.",
    scaled: "Inputs and targets are those of the network, after its scaling.",
    thinned: (shown, all) => `${shown} of ${all} samples can be chosen.`,
    old: "This browser cannot unpack the page: it needs DecompressionStream (Chrome 80, Firefox 113, Safari 16.4).",
  },
  zh: {
    network: "网络", positive: "正连接权", negative: "负连接权", trace: "逐个数字看一个神经元",
    curve: "训练过程中的误差 E", sample: "样本", speed: "速度", play: "▶ 播放", pause: "❚❚ 暂停",
    first: "回到开始 (Home)", back: "后退一帧 (←)", step: "前进一帧 (→)", last: "到结尾 (End)",
    slider: "训练的时刻", plane: "网络的输出", line: "网络的输出", table: "网络的输出", epoch: "轮数",
    inputs: "输入层", hidden: "隐层", outputs: "输出层",
    hint: "点击网络中的一个神经元，查看所选样本此刻在该神经元的所有量。",
    input: "输入", hiddenUnit: "隐层神经元", layer: n => `（第 ${n} 隐层）`, outputUnit: "输出神经元", forward: "前向计算", backward: "反向传播",
    error: "该样本的误差", changes: "该样本引起的更新", descent: "该样本给出的下降方向",
    outgoing: "它的连接权", notTrained: "不参与训练", others: n => `另有 ${n} 项`,
    training: "训练误差（该轮进行中累计）", validation: "验证误差", best: "验证误差最小处",
    boundary: "分界线：ŷ = ½", class: "类别", target: "目标", number: "序号",
    facts: f => `${f.network}，${f.activations}；${f.updates}，${f.rule}，${f.loss}；${f.count} 个样本`,
    stochastic: "标准 BP，每个样本更新一次", accumulated: "累积 BP，每轮更新一次",
    batches: n => `每 ${n} 个样本更新一次`, stopped: name => `；停止条件：${name}`,
    keys: "按键：|空格| 播放或暂停，|←| |→| 一帧，|Home| |End| 首尾，|+| |−| 速度，|L| 语言",
    mean: "一次更新取一批样本的平均；这里是该样本单独引起的更新。",
    byRule: rule => `规则 ${rule} 由这些方向得出更新。`,
    penalised: "这些方向还要加上惩罚项 (1 − λ) Σ w² 的部分。",
    scaled: "输入与目标是网络缩放之后的值。",
    thinned: (shown, all) => `可选 ${all} 个样本中的 ${shown} 个。`,
    old: "此浏览器无法解压本页：需要 DecompressionStream（Chrome 80、Firefox 113、Safari 16.4）。",
  },
};

let language = "en";
const word = key => WORDS[language][key];

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
