"""The usual mistakes in a step of BP by hand, each made on purpose: ``comparing`` looks which of them gives a learner's
numbers. ``Backprop`` is the step as it should be; a mistake is that with one line wrong.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from ..kernels.layout import Units
from ..kernels.readable import line_by_line
from ..networks.architecture import views
from .backprop import Backprop


class UpdatedWeights(Backprop):
    name = "already updated weights"
    english = "the hidden gradient terms were computed with weights that were already updated; they need the old ones"
    chinese = "计算隐层梯度项时用了已经更新过的权值；应当用更新前的旧权值"

    @property
    def applies(self) -> bool:
        return len(self.step.samples) == 1 and len(self.layers) > 1

    def backward(self, u: Units) -> None:
        p = self.p.copy()
        for index in range(len(self.layers) - 1, 0, -1):
            gradient = np.zeros_like(p)
            line_by_line.collect(self.layers, u, gradient)  # of this layer; those below are not there yet
            delta = self.by_rule(gradient, self.step.eta, 1)
            views(p, self.net.sizes)[index][0][...] += views(delta, self.net.sizes)[index][0]
            line_by_line.backward(self.layers[index - 1 : index + 1], p, u)


class ThresholdAdded(Backprop):
    name = "threshold sign in the net input"
    english = "the threshold was added to the net input; it is subtracted: f(β − θ) (a bias, b = −θ, is added)"
    chinese = "计算净输入时把阈值加了上去；应当减去：f(β − θ)（偏置 b = −θ 才是加）"

    def seen(self, p: np.ndarray) -> np.ndarray:
        p = p.copy()
        for thresholds in self.thresholds_of(p):
            thresholds *= -1
        return p


class ThresholdUpdateSign(Backprop):
    name = "threshold sign in the update"
    english = "the thresholds were changed with the wrong sign: Δθ = −η g, Δγ = −η e (only a bias moves by +η g)"
    chinese = "阈值更新的符号反了：Δθ = −ηg，Δγ = −ηe（偏置才是 +ηg）"

    def update(self, gradient: np.ndarray) -> np.ndarray:
        delta = super().update(gradient)
        for thresholds in self.thresholds_of(delta):
            thresholds *= -1
        return delta


class ThresholdForBias(ThresholdAdded, ThresholdUpdateSign):
    name = "threshold taken for a bias"
    english = "thresholds were treated as biases: added to the net input and changed by +η g; a bias is b = −θ"
    chinese = "把阈值当成了偏置：既加到净输入上，又按 +ηg 更新；偏置应为 b = −θ"


class MissingSlope(Backprop):
    name = "missing slope"
    english = "the slope f'(z) is missing in every gradient term; for a sigmoid unit it is ŷ(1 − ŷ), or b(1 − b)"
    chinese = "各层的梯度项都漏乘了导数 f'(z)；对 sigmoid 单元它是 ŷ(1 − ŷ) 或 b(1 − b)"

    @property
    def flat(self) -> range:
        """The layers whose slope is forgotten."""
        return range(len(self.layers))

    @property
    def applies(self) -> bool:
        return self.slope_counts and len(self.layers) > 1

    def forward(self, p: np.ndarray, x: np.ndarray, u: Units) -> None:
        super().forward(p, x, u)
        for index in self.flat:
            self.part(u.slope, index)[...] = 1


class MissingHiddenSlope(MissingSlope):
    name = "missing slope in the hidden layers"
    english = "the slope f'(z) is missing in the hidden gradient terms: e_h = f'(α_h − γ_h) Σ w_hj g_j"
    chinese = "隐层梯度项漏乘了导数 f'(z)：e_h = f'(α_h − γ_h) Σ w_hj g_j"

    @property
    def flat(self) -> range:
        return range(len(self.layers) - 1)

    @property
    def applies(self) -> bool:
        return len(self.layers) > 1


class MissingOutputSlope(MissingSlope):
    name = "missing slope at the outputs"
    english = "the slope f'(z) is missing in the gradient terms of the outputs"
    chinese = "输出层梯度项漏乘了导数 f'(z)"

    @property
    def flat(self) -> range:
        return range(len(self.layers) - 1, len(self.layers))

    @property
    def applies(self) -> bool:
        return self.slope_counts


class NeedlessSlope(Backprop):
    name = "needless slope"
    english = "the gradient terms of the outputs were multiplied by ŷ(1 − ŷ); with cross-entropy it cancels: g = y − ŷ"
    chinese = "输出层梯度项多乘了 ŷ(1 − ŷ)；用交叉熵损失时它会约去：g = y − ŷ"

    @property
    def applies(self) -> bool:
        return self.setting.loss == "cross_entropy"

    def errors(self, y: np.ndarray, u: Units) -> float:
        error, y_hat = super().errors(y, u), self.part(u.b, -1)
        self.part(u.g, -1)[...] *= y_hat * (1 - y_hat)
        return error


class SumForMean(Backprop):
    name = "sum for mean"
    english = "the gradients of a batch were added up; a batch needs their mean over its samples"
    chinese = "一批样本的梯度只求了和；应当取各样本的平均"

    @property
    def applies(self) -> bool:
        return len(self.step.samples) > 1

    def update(self, gradient: np.ndarray) -> np.ndarray:
        return self.by_rule(gradient, self.step.eta, 1)


class SumForMeanAndError(SumForMean):
    def mean_error(self, errors: list[float]) -> float:
        return float(np.sum(errors))


class SumOfErrors(SumForMeanAndError):
    name = "sum for mean in the error"
    english = "the errors E_k of a batch were added up; E is their mean over the samples"
    chinese = "一批样本的误差 E_k 只求了和；E 应当是各样本的平均"

    def update(self, gradient: np.ndarray) -> np.ndarray:
        return Backprop.update(self, gradient)


class Scaled(Backprop):
    """E and g times a factor each."""

    of_error: ClassVar[float] = 1.0
    of_terms: ClassVar[float] = 1.0

    @property
    def applies(self) -> bool:
        return self.setting.loss == "squared"

    def factors(self) -> tuple[float, float]:
        return self.of_error, self.of_terms

    def errors(self, y: np.ndarray, u: Units) -> float:
        of_error, of_terms = self.factors()
        error = super().errors(y, u)
        self.part(u.g, -1)[...] *= u.g.dtype.type(of_terms)
        return of_error * error


class NoHalf(Scaled):
    name = "factor ½ missing"
    english = "the factor ½ of E_k = ½ Σ (ŷ − y)² is missing, in the error and in its slope 2(ŷ − y)"
    chinese = "漏了 E_k = ½ Σ (ŷ − y)² 中的 ½，误差及其导数 2(ŷ − y) 都大了一倍"
    of_error, of_terms = 2.0, 2.0


class NoHalfInError(Scaled):
    name = "factor ½ missing in the error"
    english = "the factor ½ of E_k = ½ Σ (ŷ − y)² is missing in the error alone"
    chinese = "误差 E_k = ½ Σ (ŷ − y)² 中漏了 ½"
    of_error = 2.0


class NoHalfInSlope(Scaled):
    name = "factor ½ missing in the slope"
    english = "the slope of the error was taken as 2(ŷ − y); with E_k = ½ Σ (ŷ − y)² it is ŷ − y"
    chinese = "误差的导数取成了 2(ŷ − y)；对 E_k = ½ Σ (ŷ − y)² 它是 ŷ − y"
    of_terms = 2.0


class MeanOverOutputs(Scaled):
    name = "mean over the outputs"
    english = "the error was averaged over the outputs; E_k is a sum over them"
    chinese = "误差对各输出取了平均；E_k 是对各输出求和"

    @property
    def applies(self) -> bool:
        return self.net.sizes[-1] > 1

    def factors(self) -> tuple[float, float]:
        return 1.0 / self.net.sizes[-1], 1.0 / self.net.sizes[-1]


class TurnedTerms(Scaled):
    name = "sign of the gradient terms"
    english = "the gradient terms have the other sign: g = −∂E/∂β, e = −∂E/∂α, with y − ŷ (and δ = −g with ŷ − y)"
    chinese = "梯度项的符号反了：g = −∂E/∂β，e = −∂E/∂α，用 y − ŷ（而 δ = −g 用 ŷ − y）"
    of_terms = -1.0

    @property
    def applies(self) -> bool:
        return True

    def update(self, gradient: np.ndarray) -> np.ndarray:
        return super().update(-gradient)


class AscentByTerms(TurnedTerms):
    name = "ascent for descent"
    english = "the step goes up the error, with gradient terms of the wrong sign: g = −∂E/∂β needs y − ŷ"
    chinese = "梯度项符号反了，走成了梯度上升：g = −∂E/∂β 要用 y − ŷ"

    def update(self, gradient: np.ndarray) -> np.ndarray:
        return Backprop.update(self, gradient)


class Ascent(Backprop):
    name = "ascent for descent"
    english = "every update has the wrong sign: the step goes up the error; w + η g b goes down"
    chinese = "所有更新量的符号都反了，走成了梯度上升；w + η g b 才是下降"

    def update(self, gradient: np.ndarray) -> np.ndarray:
        return super().update(-gradient)


class NoRate(Backprop):
    name = "learning rate left out"
    english = "the updates lack the learning rate η"
    chinese = "更新量漏乘了学习率 η"

    @property
    def applies(self) -> bool:
        return self.setting.rule.default_eta is not None and self.step.eta != 1.0

    def update(self, gradient: np.ndarray) -> np.ndarray:
        return self.by_rule(gradient, 1.0, len(self.step.samples))


class Transposed(Backprop):
    name = "transposed weights"
    english = "the weights were read transposed: w_hj leads from unit h to unit j, row h is what leaves unit h"
    chinese = "权值矩阵用反了（转置）：w_hj 从单元 h 到单元 j，第 h 行是从单元 h 出发的权值"

    @property
    def applies(self) -> bool:
        return any(W.shape[0] == W.shape[1] > 1 for W in self.net.weights)

    def turned(self, p: np.ndarray) -> np.ndarray:
        p = p.copy()
        for W, _ in views(p, self.net.sizes):
            if W.shape[0] == W.shape[1]:
                W[...] = W.T.copy()
        return p

    def seen(self, p: np.ndarray) -> np.ndarray:
        return self.turned(p)

    def backward(self, u: Units) -> None:
        line_by_line.backward(self.layers, self.turned(self.p), u)


class TransposedForward(Transposed):
    def backward(self, u: Units) -> None:
        Backprop.backward(self, u)


class TransposedBackward(Transposed):
    name = "transposed weights on the way back"
    english = "the hidden gradient terms were computed with transposed weights: e_h needs Σ_j w_hj g_j"
    chinese = "计算隐层梯度项时权值用反了（转置）：e_h 需要 Σ_j w_hj g_j"

    def seen(self, p: np.ndarray) -> np.ndarray:
        return p


class ThresholdsKept(Backprop):
    name = "thresholds not trained"
    english = "the thresholds stayed as they were; here they are trained too"
    chinese = "阈值没有更新；此处阈值也要训练"

    @property
    def applies(self) -> bool:
        return any(thresholds.any() for thresholds in self.thresholds_of(self.setting.trainable))

    def update(self, gradient: np.ndarray) -> np.ndarray:
        delta = super().update(gradient)
        for thresholds in self.thresholds_of(delta):
            thresholds *= 0
        return delta


class AllTrained(Backprop):
    name = "kept parameters were trained"
    english = "parameters were changed that this training keeps as they are (train_thresholds=False, trainable=...)"
    chinese = "更新了本次训练中应保持不变的参数（train_thresholds=False 或 trainable=...）"

    @property
    def applies(self) -> bool:
        return not self.setting.trainable.all()

    def by_rule(self, gradient: np.ndarray, eta: float, n: int) -> np.ndarray:
        rule = self.rule._replace(steps=self.rule.steps._replace(mask=None))
        return rule.apply(gradient, self.p, self.net._parameters, eta, n)[1]


class NotUpdated(Backprop):
    name = "not updated"
    english = "these are the parameters before the step: Δ has not been added"
    chinese = "这些是更新前的参数：还没有加上 Δ"

    def after(self, p: np.ndarray, delta: np.ndarray) -> np.ndarray:
        return p.copy()


MISTAKES: tuple[type[Backprop], ...] = (
    UpdatedWeights,
    ThresholdAdded,
    ThresholdUpdateSign,
    ThresholdForBias,
    MissingSlope,
    MissingHiddenSlope,
    MissingOutputSlope,
    NeedlessSlope,
    SumForMean,
    SumForMeanAndError,
    SumOfErrors,
    NoHalf,
    NoHalfInError,
    NoHalfInSlope,
    MeanOverOutputs,
    TurnedTerms,
    AscentByTerms,
    Ascent,
    NoRate,
    Transposed,
    TransposedForward,
    TransposedBackward,
    ThresholdsKept,
    AllTrained,
    NotUpdated,
)
