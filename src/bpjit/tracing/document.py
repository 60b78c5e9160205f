"""A trace as a sequence of blocks of equations, in the order in which they are read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..maths.own import Own
from ..settings.rules import OwnRule
from .damped_equations import damped_blocks, objective_formula
from .equations import ACTIVATIONS, sample_blocks
from .laid_open import Step, Trace
from .lines import Block, number
from .notation import Style
from .own_formulas import equations_of, equations_of_rule
from .update_equations import update_blocks

MOST_SAMPLES, MOST_STEPS = 3, 5


def header(trace: Trace, style: Style) -> Block:
    """What is traced: the network and the formulas that hold throughout."""
    step, setting = trace.steps[0], trace.setting
    net = step.before
    block = Block(1, style.say("Network {sizes}", sizes="-".join(map(str, net.sizes))))
    for index, activation in enumerate((*net.hidden, net.output)):
        words = style.say("layer {n}: {name}", n=index + 1, name=activation)
        own = equations_of(activation) if isinstance(activation, Own) else None
        block.formulas.append((words, own or ACTIVATIONS.get(activation, "")))
    loss = style.say("loss: {name}", name=setting.loss)
    huber = r"H(d)=\tfrac12 d^{2}\ (|d|\le 1),\ |d|-\tfrac12\ (|d|>1)"
    of_loss = equations_of(setting.loss) if isinstance(setting.loss, Own) else ""
    block.formulas.append((loss, huber if setting.loss == "huber" else of_loss))
    rule = setting.rule
    letters = equations_of_rule(rule) if isinstance(rule, OwnRule) else rule.shown.letters
    block.formulas.append((style.say("rule: {name}", name=rule.name), letters))
    damped = trace.steps[0].damped
    if damped is not None and damped.gamma is not None:
        block.formulas.append((style.say("objective"), objective_formula(damped)))
    elif setting.lam[1] != 0.0:
        of_mean = r"J=\lambda E+(1-\lambda)\sum w^{2}"
        lam = number(setting.lam[0], style)
        block.formulas.append((f"λ = {lam}", of_mean if damped is None else objective_formula(damped)))
    if damped is not None and damped.penalty and not setting.trainable.all():
        block.note = style.say("the penalty is that of the trained parameters alone")
    return block


def title_of(step: Step, style: Style) -> str:
    """What a step is called: with its rate, or by a rule that has none with its first μ."""
    if step.damped is None:
        eta = format(step.eta, f".{max(style.digits, 6)}g")
        return style.say("step {number}, epoch {epoch}, η = {eta}", number=step.number, epoch=step.epoch, eta=eta)
    return style.say("step {number}, epoch {epoch}", number=step.number, epoch=step.epoch)


def document(trace: Trace, style: Style) -> Iterator[Block]:
    """All that a trace has to say."""
    yield header(trace, style)
    steps: Sequence[Step] = trace.steps if style.full else trace.steps[:MOST_STEPS]
    for step in steps:
        yield Block(1, title_of(step, style))
        samples = step.samples if style.full else step.samples[:MOST_SAMPLES]
        for sample in samples:
            yield from sample_blocks(sample, style)
        if left := len(step.samples) - len(samples):
            yield Block(2, "", note=style.say("{count} more samples left out; full=True shows them", count=left))
        blocks = update_blocks if step.damped is None else damped_blocks
        yield from blocks(step, trace.setting, style)
    if left := len(trace.steps) - len(steps):
        yield Block(1, "", note=style.say("{count} more steps left out; full=True shows them", count=left))
