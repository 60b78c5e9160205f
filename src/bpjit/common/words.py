"""What users read in two languages: the English words, which stand in the code, and their Chinese ones."""

from __future__ import annotations

LANGUAGES = ("en", "zh")

# Of traces and of what they are compared with.
TRACES = {
    "step {number}, epoch {epoch}, η = {eta}": "第 {number} 步，第 {epoch} 轮，η = {eta}",
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
    "right": "正确",
    "rounded": "正确（中间有舍入）",
    "wrong": "错误",
    ": yours {yours}, right {right}": "：你的 {yours}，正确值 {right}",
    "everything is right": "全部正确",
    "likely mistake: {words}": "可能的错误：{words}",
    "it gives your {names}": "它正好给出你的 {names}",
    "no usual mistake gives these numbers": "没有哪种常见错误会给出这些数",
}

# Of pictures, and of the page of a replay too.
PICTURES = {
    "E": "误差 E",
    "E at the end": "训练结束时的误差 E",
    "actual class": "真实类别",
    "class": "类别",
    "epoch": "轮数",
    "hidden": "隐层",
    "inputs": "输入层",
    "network returned": "返回的网络",
    "negative weight": "负连接权",
    "number of trainings": "训练次数",
    "outputs": "输出层",
    "path": "路径",
    "positive weight": "正连接权",
    "predicted class": "预测类别",
    "slope": "导数",
    "smallest validation error": "验证误差最小",
    "stopped by": "停止条件",
    "training": "训练误差",
    "validation": "验证误差",
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
    "The penalty (1 − λ) Σ w² is added to these directions.": "这些方向还要加上惩罚项 (1 − λ) Σ w² 的部分。",
    "Inputs and targets are those of the network, after its scaling.": "输入与目标是网络缩放之后的值。",
    "{shown} of {all} samples can be chosen.": "可选 {all} 个样本中的 {shown} 个。",
    "This browser cannot unpack the page: it needs DecompressionStream (Chrome 80, Firefox 113, Safari 16.4).": (
        "此浏览器无法解压本页：需要 DecompressionStream（Chrome 80、Firefox 113、Safari 16.4）。"
    ),
}
