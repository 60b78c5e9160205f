"""What users read in two languages: the English words, which stand in the code, and their Chinese ones."""

from __future__ import annotations

LANGUAGES = ("en", "zh")

# Of traces and of what they are compared with.
TRACES = {
    "step {number}, epoch {epoch}, η = {eta}": "第 {number} 步，第 {epoch} 轮，η = {eta}",
    "step {number}, epoch {epoch}": "第 {number} 步，第 {epoch} 轮",
    "Network {sizes}": "网络 {sizes}",
    "layer {n}: {name}": "第 {n} 层：{name}",
    "loss: {name}": "损失：{name}",
    "rule: {name}": "更新规则：{name}",
    "sample {number}": "样本 {number}",
    "forward, hidden layer {n}": "前向，隐层 {n}",
    "forward, hidden layer": "前向，隐层",
    "forward, outputs": "前向，输出层",
    "error": "误差",
    "gradient terms of the outputs": "输出层梯度项",
    "gradient terms of hidden layer {n}": "隐层 {n} 的梯度项",
    "gradient terms of the hidden layer": "隐层梯度项",
    "updates": "更新",
    "updates, hidden layer {n}": "更新，隐层 {n}",
    "updates, hidden layer": "更新，隐层",
    "updates, outputs": "更新，输出层",
    "new parameters, hidden layer {n}": "新的参数，隐层 {n}",
    "new parameters, hidden layer": "新的参数，隐层",
    "new parameters, outputs": "新的参数，输出层",
    "after the step": "更新之后",
    "not trained: {count} parameters": "不训练的参数：{count} 个",
    "{count} more left out; full=True shows them": "另有 {count} 行未显示；full=True 可全部显示",
    "{count} more samples left out; full=True shows them": "另有 {count} 个样本未显示；full=True 可全部显示",
    "{count} more steps left out; full=True shows them": "另有 {count} 步未显示；full=True 可全部显示",
    "objective": "目标函数",
    "the penalty is that of the trained parameters alone": "惩罚项只含参与训练的参数",
    "Levenberg–Marquardt": "列文伯格–马夸尔特法",
    "residuals": "残差",
    "Jacobian matrix": "雅可比矩阵",
    "Gauss–Newton matrix": "高斯–牛顿矩阵",
    "gradient": "梯度",
    "columns": "各列",
    "attempt {n}": "第 {n} 次尝试",
    "taken: {symbol} falls": "采用：{symbol} 下降",
    "refused: {symbol} does not fall": "不采用：{symbol} 没有下降",
    "refused: the system cannot be solved in floating point": "不采用：该方程组在浮点运算中无法求解",
    "no step: training ends by {setting}": "没有更新：训练因 {setting} 结束",
    "right": "正确",
    "rounded": "正确（中间有舍入）",
    "wrong": "错误",
    ": yours {yours}, right {right}": "：你的 {yours}，正确值 {right}",
    "everything is right": "全部正确",
    "likely mistake: {words}": "可能的错误：{words}",
    "it gives your {names}": "它正好给出你的 {names}",
    "no usual mistake gives these numbers": "没有哪种常见错误会给出这些数",
    "mistakes are looked for with rules of first order alone": "只对一阶规则查找常见错误",
}

# Of pictures, and of the page of a replay too.
PICTURES = {
    "E": "误差 E",
    "E at the end": "训练结束时的误差 E",
    "actual class": "真实类别",
    "best configuration": "最优配置",
    "class": "类别",
    "epoch": "轮数",
    "epochs of each network": "每个网络的轮数",
    "hidden": "隐层",
    "inputs": "输入层",
    "level": "名义水平",
    "network returned": "返回的网络",
    "negative weight": "负连接权",
    "number of trainings": "训练次数",
    "outputs": "输出层",
    "path": "路径",
    "positive weight": "正连接权",
    "predicted class": "预测类别",
    "predicted probability": "预测概率",
    "prediction": "预测值",
    "residual": "残差",
    "share of samples": "样本所占比例",
    "share of targets held": "区间包含的目标比例",
    "slope": "导数",
    "smallest validation error": "验证误差最小",
    "stopped by": "停止条件",
    "targets": "目标值",
    "training": "训练误差",
    "validation": "验证误差",
    "validation error": "验证误差",
}

# Of the page of a replay alone; it says them in the browser.
PAGE = {
    "Network": "网络",
    "One unit, number by number": "逐个数字看一个神经元",
    "Error E along the training": "训练过程中的误差 E",
    "Sample": "样本",
    "Speed": "速度",
    "▶ Play": "▶ 播放",
    "❚❚ Pause": "❚❚ 暂停",
    "to the start (Home)": "回到开始 (Home)",
    "one frame back (←)": "后退一帧 (←)",
    "one frame on (→)": "前进一帧 (→)",
    "to the end (End)": "到结尾 (End)",
    "moment of the training": "训练的时刻",
    "What the network answers": "网络的输出",
    "Click on a unit of the network to see all its quantities at this moment, for the sample chosen.": (
        "点击网络中的一个神经元，查看所选样本此刻在该神经元的所有量。"
    ),
    "Input {n}": "输入 {n}",
    "Hidden unit {n}": "隐层神经元 {n}",
    "Hidden unit {n} of layer {layer}": "隐层神经元 {n}（第 {layer} 隐层）",
    "Output unit {n}": "输出神经元 {n}",
    "Forward": "前向计算",
    "Backward": "反向传播",
    "Error of this sample": "该样本的误差",
    "What this sample changes": "该样本引起的更新",
    "Direction of descent by this sample": "该样本给出的下降方向",
    "Its weights": "它的连接权",
    "not trained": "不参与训练",
    "and {n} more": "另有 {n} 项",
    "training, collected during the epoch": "训练误差（该轮进行中累计）",
    "boundary: ŷ = ½": "分界线：ŷ = ½",
    "target": "目标",
    "no.": "序号",
    "{network}, {activations}; {updates}, {rule}, {loss}; {count} samples; stopped by {end}": (
        "{network}，{activations}；{updates}，{rule}，{loss}；{count} 个样本；停止条件：{end}"
    ),
    "standard BP, an update after each sample": "标准 BP，每个样本更新一次",
    "accumulated BP, an update after each epoch": "累积 BP，每轮更新一次",
    "an update after every {n} samples": "每 {n} 个样本更新一次",
    "Keys: |Space| play or pause, |←| |→| one frame, |Home| |End| to the ends, |+| |−| speed, |L| language": (
        "按键：|空格| 播放或暂停，|←| |→| 一帧，|Home| |End| 首尾，|+| |−| 速度，|L| 语言"
    ),
    "An update takes the mean over the samples of its batch; here stands what this sample alone would do.": (
        "一次更新取一批样本的平均；这里是该样本单独引起的更新。"
    ),
    "The rule {rule} makes its steps from these directions.": "规则 {rule} 由这些方向得出更新。",
    "The rule {rule} makes one step of an epoch from these directions of all samples and from the curvature, which is "
    "not shown here.": "规则 {rule} 由所有样本的这些方向以及曲率得出每轮的一步更新，曲率未在此显示。",
    "The rule {rule} adds a penalty α ½ Σ w² of its own; it is not shown here.": (
        "规则 {rule} 还加上自己的惩罚项 α ½ Σ w²，未在此显示。"
    ),
    "The penalty (1 − λ) Σ w² is added to these directions.": "这些方向还要加上惩罚项 (1 − λ) Σ w² 的部分。",
    "Inputs and targets are those of the network, after its scaling.": "输入与目标是网络缩放之后的值。",
    "{shown} of {all} samples can be chosen.": "可选 {all} 个样本中的 {shown} 个。",
    "This browser cannot unpack the page: it needs DecompressionStream (Chrome 80, Firefox 113, Safari 16.4).": (
        "此浏览器无法解压本页：需要 DecompressionStream（Chrome 80、Firefox 113、Safari 16.4）。"
    ),
}

# Of advice.
ADVICE = {
    "E {error:.4g}; one constant answer for all samples would have {constant:.4g}": (
        "误差 E {error:.4g}；对所有样本给出同一个最佳常数时为 {constant:.4g}"
    ),
    "nothing conspicuous was found": "没有发现异常",
    "targets go from {least:.4g} to {most:.4g}, but {output} outputs reach only {low:g} to {high:g}: {share:.0%} "
    "lie outside": (
        "目标值从 {least:.4g} 到 {most:.4g}，而 {output} 输出只能取 {low:g} 到 {high:g}，{share:.0%} 的目标值在此之外"
    ),
    'bring them into that range, or take output="identity" for numbers': (
        '把目标值变换到这个范围内，数值预测也可用 output="identity"'
    ),
    "all {width} units of hidden layer {number} have the same weights, and so stay one and the same": (
        "隐层 {number} 的 {width} 个神经元权重全部相同，因此始终相同，只相当于一个神经元"
    ),
    "start from random weights, as Network.random does": "请用随机权重初始化，如 Network.random",
    "inputs are far from unit size: column {column} of X goes from {least:.4g} to {most:.4g}": (
        "输入的尺度离 1 太远：X 的第 {column} 列从 {least:.4g} 到 {most:.4g}"
    ),
    "inputs are far from unit size: the largest column of X has a size of {size:.2g}": (
        "输入的尺度离 1 太远：X 中最大的一列也只有 {size:.2g}"
    ),
    "targets are far from unit size: {targets:.3g}": "目标值的尺度离 1 太远：{targets:.3g}",
    "give the network scale=bpjit.Scale.standard(X, Y)": "给网络加上 scale=bpjit.Scale.standard(X, Y)",
    "training diverged in epoch {epoch}, by rule {rule} on inputs and targets of up to {size:.3g}": (
        "训练在第 {epoch} 轮发散：规则 {rule}，输入和目标值最大为 {size:.3g}"
    ),
    "try another rule, or scale=bpjit.Scale.standard(X, Y)": "试试别的规则，或 scale=bpjit.Scale.standard(X, Y)",
    "training diverged in epoch {epoch}, with eta={eta:.3g} on inputs and targets of up to {size:.3g}": (
        "训练在第 {epoch} 轮发散：eta={eta:.3g}，输入和目标值最大为 {size:.3g}"
    ),
    "try eta={less:.2g}, or scale=bpjit.Scale.standard(X, Y) where these are far from unit size": (
        "试试 eta={less:.2g}；若它们的尺度离 1 太远，用 scale=bpjit.Scale.standard(X, Y)"
    ),
    "E jumps by {jump:.0%} from epoch to epoch": "误差 E 每轮上下跳动 {jump:.0%}",
    "E ended at {error:.3g}, worse than the {constant:.3g} of one constant answer": (
        "误差 E 最后为 {error:.3g}，比最佳常数的 {constant:.3g} 还差"
    ),
    "eta={eta:.3g} is too large, try eta={less:.2g}": "eta={eta:.3g} 太大，试试 eta={less:.2g}",
    "hidden units are saturated: {share:.0%} of their outputs have no slope": (
        "隐层神经元已饱和：{share:.0%} 的输出处导数几乎为零"
    ),
    'start from smaller weights, as init="glorot" does, and keep inputs near unit size': (
        '用更小的初始权重，如 init="glorot"，并使输入的尺度接近 1'
    ),
    "hidden units became saturated: {share:.0%} of their outputs have no slope": (
        "隐层神经元在训练中饱和：{share:.0%} 的输出处导数几乎为零"
    ),
    "try a smaller eta, and keep inputs near unit size": "试试更小的 eta，并使输入的尺度接近 1",
    "{count} of {width} relu units of hidden layer {number} are 0 for every sample and learn nothing": (
        "隐层 {number} 的 {width} 个 relu 神经元中有 {count} 个对所有样本都输出 0，不再学习"
    ),
    'try a smaller eta, thresholds near 0, or hidden="leaky_relu"': (
        '试试更小的 eta、接近 0 的阈值，或 hidden="leaky_relu"'
    ),
    "outputs are constant: between samples they differ by {spread:.2g}, and targets by {wanted:.2g}": (
        "输出几乎是常数：各样本的输出相差 {spread:.2g}，而目标值相差 {wanted:.2g}"
    ),
    "the penalty is too strong: take lam nearer to 1": "惩罚项太强：让 lam 更接近 1",
    'try another eta, rule="adam", other start weights, or scale=bpjit.Scale.standard(X, Y)': (
        '试试别的 eta、rule="adam"、别的初始权重，或 scale=bpjit.Scale.standard(X, Y)'
    ),
    "class {name} has {count} of {m} samples and is never predicted": (
        "类别 {name} 在 {m} 个样本中有 {count} 个，却从未被预测"
    ),
    'try class_weight="balanced", a larger eta, or more epochs': (
        '试试 class_weight="balanced"、更大的 eta，或更多轮数'
    ),
    "targets are 0 and 1, but {output} outputs go from -1 to 1, and classify cuts them at 0": (
        "目标值是 0 和 1，而 {output} 输出从 -1 到 1，classify 以 0 为界"
    ),
    'take targets -1 and 1, or output="sigmoid"': '目标值改用 -1 和 1，或用 output="sigmoid"',
    'try rule="adam", more hidden units, or more epochs': '试试 rule="adam"、更多隐层神经元，或更多轮数',
    'try eta={more:.2g}, rule="adam", or more epochs': '试试 eta={more:.2g}、rule="adam"，或更多轮数',
    "E hardly fell in {epochs} epochs: steps are small, and moved the weights by {moved:.2g} of their length": (
        "{epochs} 轮里误差 E 几乎没有下降：步长太小，权重只移动了自身长度的 {moved:.2g} 倍"
    ),
    "E hardly fell: after {epochs} epochs it is {rest:.0%} of that of one constant answer": (
        "误差 E 几乎没有下降：{epochs} 轮后仍是最佳常数的 {rest:.0%}"
    ),
    "training ended too early: E still fell by {pace:.0%} over the last tenth of {epochs} epochs": (
        "训练结束得太早：在 {epochs} 轮的最后十分之一里误差 E 还下降了 {pace:.0%}"
    ),
    "E stands still at {error:.4g}: {confused} of {count} samples have the output of one with another target": (
        "误差 E 停在 {error:.4g} 不动：{count} 个样本中有 {confused} 个的输出与目标值不同的样本相同"
    ),
    "try another start, as multi_start does, or more hidden units": "换一个初始权重，如 multi_start，或增加隐层神经元",
    "early stopping ended the training at once: after {epochs} epochs, of which {best} was best": (
        "早停使训练过早结束：共 {epochs} 轮，第 {best} 轮最好"
    ),
    "give it more patience, a smaller eta, or validation data like those it learns from": (
        "增大 patience、减小 eta，或使验证数据与训练数据同分布"
    ),
    "validation error rose from {least:.3g} after epoch {best} to {last:.3g} after epoch {epochs}": (
        "验证误差从第 {best} 轮后的 {least:.3g} 升到第 {epochs} 轮后的 {last:.3g}"
    ),
    "stop with bpjit.EarlyStopping(), take fewer hidden units, or a penalty lam": (
        "用 bpjit.EarlyStopping() 早停、减少隐层神经元，或加惩罚项 lam"
    ),
}
