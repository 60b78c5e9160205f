"""Watermelon data set 3.0 (西瓜数据集 3.0) of Zhou Zhihua's *Machine Learning*, table 4.3: 17 melons, 6 attributes in
words, 2 in numbers, and whether the melon is a good one; and how it becomes numbers. It is not a script itself.
"""

from __future__ import annotations

import numpy as np

# Each melon: 色泽 colour, 根蒂 stalk, 敲声 sound when knocked, 纹理 stripes, 脐部 navel, 触感 touch, 密度 density,
# 含糖率 sugar content, 好瓜 good melon (是 yes, 否 no).
MELONS = [
    ("青绿", "蜷缩", "浊响", "清晰", "凹陷", "硬滑", 0.697, 0.460, "是"),
    ("乌黑", "蜷缩", "沉闷", "清晰", "凹陷", "硬滑", 0.774, 0.376, "是"),
    ("乌黑", "蜷缩", "浊响", "清晰", "凹陷", "硬滑", 0.634, 0.264, "是"),
    ("青绿", "蜷缩", "沉闷", "清晰", "凹陷", "硬滑", 0.608, 0.318, "是"),
    ("浅白", "蜷缩", "浊响", "清晰", "凹陷", "硬滑", 0.556, 0.215, "是"),
    ("青绿", "稍蜷", "浊响", "清晰", "稍凹", "软粘", 0.403, 0.237, "是"),
    ("乌黑", "稍蜷", "浊响", "稍糊", "稍凹", "软粘", 0.481, 0.149, "是"),
    ("乌黑", "稍蜷", "浊响", "清晰", "稍凹", "硬滑", 0.437, 0.211, "是"),
    ("乌黑", "稍蜷", "沉闷", "稍糊", "稍凹", "硬滑", 0.666, 0.091, "否"),
    ("青绿", "硬挺", "清脆", "清晰", "平坦", "软粘", 0.243, 0.267, "否"),
    ("浅白", "硬挺", "清脆", "模糊", "平坦", "硬滑", 0.245, 0.057, "否"),
    ("浅白", "蜷缩", "浊响", "模糊", "平坦", "软粘", 0.343, 0.099, "否"),
    ("青绿", "稍蜷", "浊响", "稍糊", "凹陷", "硬滑", 0.639, 0.161, "否"),
    ("浅白", "稍蜷", "沉闷", "稍糊", "凹陷", "硬滑", 0.657, 0.198, "否"),
    ("乌黑", "稍蜷", "浊响", "清晰", "稍凹", "软粘", 0.360, 0.370, "否"),
    ("浅白", "蜷缩", "浊响", "模糊", "平坦", "硬滑", 0.593, 0.042, "否"),
    ("青绿", "蜷缩", "沉闷", "稍糊", "稍凹", "硬滑", 0.719, 0.103, "否"),
]

# The encoding follows the rule of the book's section 3.2: values with an order lie evenly spaced between 0 and 1 on
# one input, values without one get an input each (one-hot). The stalk, the stripes, the navel and the touch have an
# order; colour and sound have none. One-hot inputs throughout would be 17 + 2, more than the 17 melons can bear, and
# would hide from the network that 稍蜷 lies between 蜷缩 and 硬挺.
WITHOUT_ORDER = {
    0: ("青绿", "乌黑", "浅白"),  # colour: green, black, pale
    2: ("浊响", "沉闷", "清脆"),  # sound: muffled, dull, clear
}
WITH_ORDER = {
    1: ("蜷缩", "稍蜷", "硬挺"),  # stalk: curled, slightly curled, stiff
    3: ("清晰", "稍糊", "模糊"),  # stripes: distinct, slightly blurred, blurred
    4: ("凹陷", "稍凹", "平坦"),  # navel: hollow, slightly hollow, flat
    5: ("硬滑", "软粘"),  # touch: hard and smooth, soft and sticky
}


def encode() -> tuple[np.ndarray, np.ndarray]:
    """Inputs of the 17 melons, [shape: (17, 12)], and 1 for a good melon, 0 for another, [shape: (17,)]."""
    columns: list[list[float]] = []
    for index, values in enumerate(zip(*MELONS, strict=True)):
        if index in WITHOUT_ORDER:
            columns += [[float(value == name) for value in values] for name in WITHOUT_ORDER[index]]
        elif index in WITH_ORDER:
            steps = WITH_ORDER[index]
            columns.append([steps.index(value) / (len(steps) - 1) for value in values])
        elif index < 8:
            columns.append([float(value) for value in values])
    return np.array(columns).T, np.array([int(melon[-1] == "是") for melon in MELONS])
