"""From a recorded expression to steps, and the derivative by one of its variables.

The derivative is a reverse sweep, as ``bpjit.graph`` makes it, of steps instead of numbers. Three things keep it finite
where the value is: a choice hands its slope on to what it takes, under a *guard*, so that nothing of a branch that is
not taken is ever multiplied by; the slope of exp is the largest number where e^x is infinite, since what it is
multiplied by is 0 there; and the slope of a/b by b is (a/b · 1/b), of which neither is larger than it must be.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from ..graph.program import CONSTANT, VARIABLE, in_order
from .steps import Condition, Steps, opposite

Guard = tuple[Condition, ...]  # conditions that hold together
CONDITIONS = ("less", "at_most", "both", "either", "opposite")


class Node(NamedTuple):
    """One operation of the recorded expression, each different one once."""

    operation: str
    operands: tuple[int, ...]  # numbers of nodes
    slot: Any  # where its value stands, or a condition


class Recorded:
    """Expressions as steps, which may be differentiated ``by`` one of the inputs: then a division is a product with a
    reciprocal, which slopes share.

    Attributes
    ----------
    steps : what was written down so far
    """

    def __init__(self, inputs: Sequence[str], by: str | None = None) -> None:
        self.steps = Steps(inputs)
        self._by = by
        self._nodes: list[Node] = []
        self._active: list[bool] = []  # whether a node depends on the variable that is differentiated by
        self._known: dict[Any, int] = {}

    def write(self, root: Any) -> int:
        """Write an expression down; the number of its node."""
        numbers: dict[int, int] = {}
        for node in in_order(root):
            operands = tuple(numbers[id(each)] for each in node.operands)
            own = (repr(node.constant) if node.operation == CONSTANT else node.name,) if not operands else ()
            key = (node.operation, *operands, *own)
            if key not in self._known:
                self._known[key] = len(self._nodes)
                self._active.append(any(map(self._active.__getitem__, operands)) or key == (VARIABLE, self._by))
                slots = [self._nodes[k].slot for k in operands]
                self._nodes.append(Node(node.operation, operands, self._value(node, slots, operands)))
            numbers[id(node)] = self._known[key]
        return numbers[id(root)]

    def slot(self, number: int) -> int:
        """Where the value of a node stands."""
        slot: int = self._nodes[number].slot
        return slot

    def _value(self, node: Any, slots: Sequence[Any], operands: Sequence[int]) -> Any:
        if node.operation == CONSTANT:
            return self.steps.constant(node.constant)
        if node.operation == VARIABLE:
            return self.steps.inputs.index(node.name)
        if node.operation in ("less", "at_most"):
            return self.steps.compare(node.operation, *slots)
        if node.operation in CONDITIONS:
            return joined(node.operation, *slots)
        if node.operation == "divide" and self._by is not None and self.steps.value(slots[1]) is None:
            return self.steps.multiply(slots[0], self.steps.reciprocal(slots[1]))
        return VALUES[node.operation](self.steps, *slots)

    def derivative(self, root: int, seed: float = 1.0) -> int:
        """The slot of seed · ∂root/∂by."""
        above: list[list[tuple[Guard, int]]] = [[] for _ in range(root + 1)]
        above[root] = [((), self.steps.constant(seed))]
        variable = self._known.get((VARIABLE, self._by))
        for number in range(root, -1, -1):
            node = self._nodes[number]
            if not self._active[number] or not above[number]:
                continue
            guard, d = self._together(above[number])
            if number == variable:
                return self._where(guard, d)
            slots = [self._nodes[k].slot for k in node.operands]
            for place, more, slope in slopes(self.steps, node, slots, d):
                below = node.operands[place]
                if self._active[below] and self.steps.value(slope) != 0:
                    above[below].append(((*guard, *more), slope))
        return self.steps.constant(0)

    def _where(self, guard: Guard, d: int) -> int:
        """d where all conditions hold, else 0."""
        for condition in reversed(guard):
            d = self.steps.choose(condition, d, self.steps.constant(0))
        return d

    def _together(self, parts: list[tuple[Guard, int]]) -> tuple[Guard, int]:
        """The sum of slopes under guards; those that share most are joined first."""
        sums: dict[Guard, int] = {}
        for guard, d in parts:
            sums[guard] = self.steps.add(sums[guard], d) if guard in sums else d
        left = list(sums.items())
        while len(left) > 1:
            pairs = [(i, j) for i in range(len(left)) for j in range(i)]
            i, j = max(pairs, key=lambda pair: len(_common(left[pair[0]][0], left[pair[1]][0])))
            second, first = left.pop(i), left.pop(j)
            left.append(self._sum(first, second))
        return left[0]

    def _sum(self, first: tuple[Guard, int], second: tuple[Guard, int]) -> tuple[Guard, int]:
        shared = _common(first[0], second[0])
        (p, x), (q, y) = ((guard[len(shared) :], d) for guard, d in (first, second))
        if p and q and p[0] == opposite(q[0]):
            d = self.steps.choose(p[0], self._where(p[1:], x), self._where(q[1:], y))
            if len(p) == len(q) == 1:
                return shared, d
        else:
            d = self.steps.add(self._where(p, x), self._where(q, y))
        either = (joined("either", _all(p), _all(q)),) if p and q else ()
        return (*shared, *either), d


def _common(p: Guard, q: Guard) -> Guard:
    n = 0
    while n < min(len(p), len(q)) and p[n] == q[n]:
        n += 1
    return p[:n]


def _all(guard: Guard) -> Condition:
    condition = guard[0]
    for each in guard[1:]:
        condition = joined("both", condition, each)
    return condition


def joined(operation: str, *conditions: Condition) -> Condition:
    """Conditions joined by "both" or "either", or the "opposite" of one."""
    if operation == "opposite":
        return opposite(conditions[0])
    first, second = conditions
    settles = operation == "either"  # what one of them must be to settle it
    if first is settles or second is settles:
        return settles
    if isinstance(first, bool):
        return second
    return first if isinstance(second, bool) else (operation, first, second)


# --- Values: of operations that are more than one step.


def _function(operation: str) -> Any:
    return lambda steps, a: steps.apply(operation, a)


def _power(steps: Steps, a: int, b: int) -> int:
    base, exponent = steps.value(a), steps.value(b)
    if exponent is not None:
        return steps.power(a, exponent)
    if base is None or not base > 0:
        raise TypeError("a ** b: expected a constant exponent, or a constant base above 0; write exp(b * log(a))")
    return steps.apply("exp", steps.multiply(b, steps.apply("log", a)))


def _sigmoid(steps: Steps, a: int) -> int:
    return steps.reciprocal(steps.add(steps.constant(1), steps.apply("exp", steps.negate(a))))


def _below(steps: Steps, a: int) -> Condition:
    return steps.compare("at_most", a, steps.constant(0))


def _relu(steps: Steps, a: int) -> int:
    return steps.choose(_below(steps, a), steps.constant(0), a)


def _leaky_relu(steps: Steps, a: int) -> int:
    return steps.choose(_below(steps, a), steps.multiply(steps.constant(0.01), a), a)


def _small(steps: Steps, a: int) -> int:
    """e^−|a|."""
    return steps.apply("exp", steps.choose(_below(steps, a), a, steps.negate(a)))


def _softplus(steps: Steps, a: int) -> int:
    return steps.add(_relu(steps, a), steps.apply("log1p", _small(steps, a)))


def _softsign_share(steps: Steps, a: int) -> int:
    return steps.reciprocal(steps.add(steps.constant(1), steps.apply("absolute", a)))


def _step(steps: Steps, a: int) -> int:
    zero = steps.constant(0)
    return steps.choose(steps.compare("less", a, zero), zero, steps.constant(1))


def _extreme(s: Steps, a: int, b: int, further: Any) -> int:
    """The one of a and b that lies ``further``; NaN passes through."""
    if s.value(a) is not None:
        a, b = b, a
    if s.value(b) is not None:
        return s.choose(further(s, "less", b, a), b, a)
    return s.choose(further(s, "at_most", a, b), a, s.choose(further(s, "less", b, a), b, s.add(a, b)))


def _above(s: Steps, operation: str, a: int, b: int) -> Condition:
    return s.compare(operation, b, a)


VALUES: dict[str, Any] = {
    "add": Steps.add,
    "subtract": Steps.subtract,
    "multiply": Steps.multiply,
    "divide": Steps.divide,
    "negate": Steps.negate,
    "select": Steps.choose,
    **{name: _function(name) for name in ("absolute", "exp", "log", "log1p", "sqrt", "tanh", "sin", "cos")},
    "power": _power,
    "maximum": lambda s, a, b: _extreme(s, a, b, _above),
    "minimum": lambda s, a, b: _extreme(s, a, b, Steps.compare),
    "sigmoid": _sigmoid,
    "relu": _relu,
    "leaky_relu": _leaky_relu,
    "softplus": _softplus,
    "softsign": lambda steps, a: steps.multiply(a, _softsign_share(steps, a)),
    "step": _step,
}


# --- Slopes.


def slopes(steps: Steps, node: Node, slots: Sequence[Any], d: int) -> Iterator[tuple[int, Guard, int]]:
    """What a node, whose derivative is d, hands on: (to which operand, where, how much)."""
    if node.operation in LOCAL:
        yield 0, (), steps.times(d, LOCAL[node.operation](steps, node.slot, slots[0]))
    elif node.operation in ("relu", "leaky_relu"):
        small = steps.multiply(steps.constant(0.01), d) if node.operation == "leaky_relu" else steps.constant(0)
        yield 0, (opposite(_below(steps, slots[0])),), d
        yield 0, (_below(steps, slots[0]),), small
    elif node.operation == "select":
        condition = slots[0]
        if condition is not False:
            yield 1, () if condition is True else (condition,), d
        if condition is not True:
            yield 2, () if condition is False else (opposite(condition),), d
    elif node.operation in OF_TWO:
        yield from OF_TWO[node.operation](steps, node.slot, *slots, d)


def sign(steps: Steps, a: int) -> int:
    """1, 0 or −1."""
    zero, one = steps.constant(0), steps.constant(1)
    negative = steps.choose(steps.compare("less", a, zero), steps.constant(-1), a)
    return steps.choose(steps.compare("less", zero, a), one, negative)


def _slope_of_softplus(steps: Steps, value: int, a: int) -> int:
    small = _small(steps, a)
    share = steps.reciprocal(steps.add(steps.constant(1), small))
    return steps.choose(_below(steps, a), steps.multiply(small, share), share)


def _rest(steps: Steps, x: int) -> int:
    return steps.subtract(steps.constant(1), x)


LOCAL: dict[str, Any] = {  # (steps, value, operand) -> slope, of operations on one number
    "negate": lambda s, v, a: s.constant(-1),
    "absolute": lambda s, v, a: sign(s, a),
    "exp": lambda s, v, a: s.apply("finite", v),
    "log": lambda s, v, a: s.reciprocal(a),
    "log1p": lambda s, v, a: s.reciprocal(s.add(s.constant(1), a)),
    "sqrt": lambda s, v, a: s.divide(s.constant(0.5), v),
    "tanh": lambda s, v, a: _rest(s, s.multiply(v, v)),
    "sin": lambda s, v, a: s.apply("cos", a),
    "cos": lambda s, v, a: s.negate(s.apply("sin", a)),
    "sigmoid": lambda s, v, a: s.multiply(v, _rest(s, v)),
    "softplus": _slope_of_softplus,
    "softsign": lambda s, v, a: s.multiply(_softsign_share(s, a), _softsign_share(s, a)),
}


def _add(s: Steps, v: int, a: int, b: int, d: int) -> Iterator[tuple[int, Guard, int]]:
    yield 0, (), d
    yield 1, (), d


def _subtract(s: Steps, v: int, a: int, b: int, d: int) -> Iterator[tuple[int, Guard, int]]:
    yield 0, (), d
    yield 1, (), s.negate(d)


def _multiply(s: Steps, v: int, a: int, b: int, d: int) -> Iterator[tuple[int, Guard, int]]:
    yield 0, (), s.times(d, b)
    yield 1, (), s.times(d, a)


def _divide(s: Steps, v: int, a: int, b: int, d: int) -> Iterator[tuple[int, Guard, int]]:
    reciprocal = s.reciprocal(b)
    yield 0, (), s.times(d, reciprocal)
    yield 1, (), s.times(d, s.negate(s.multiply(v, reciprocal)))


def _slope_of_power(s: Steps, v: int, a: int, b: int, d: int) -> Iterator[tuple[int, Guard, int]]:
    exponent = s.value(b)
    if exponent is None:
        yield 1, (), s.times(d, s.multiply(s.apply("log", a), s.apply("finite", v)))
    elif exponent:
        yield 0, (), s.times(d, s.multiply(s.constant(exponent), s.power(a, exponent - 1)))


def _slopes_of_extreme(s: Steps, a: int, b: int, d: int, further: Any) -> Iterator[tuple[int, Guard, int]]:
    """½ by each where they are equal, as central differences have it."""
    half, a_wins, b_wins = s.multiply(s.constant(0.5), d), further(s, "less", a, b), further(s, "less", b, a)
    yield 0, (opposite(b_wins),), s.choose(a_wins, d, half)
    yield 1, (opposite(a_wins),), s.choose(b_wins, d, half)


OF_TWO: dict[str, Any] = {
    "add": _add,
    "subtract": _subtract,
    "multiply": _multiply,
    "divide": _divide,
    "power": _slope_of_power,
    "maximum": lambda s, v, a, b, d: _slopes_of_extreme(s, a, b, d, _above),
    "minimum": lambda s, v, a, b, d: _slopes_of_extreme(s, a, b, d, Steps.compare),
}
