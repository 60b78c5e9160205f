"""A network as a header of C99."""

from __future__ import annotations

from itertools import pairwise
from typing import Any, NamedTuple

from ..common.files import write_whole
from ..maths.tape import Tape
from ..networks.evaluation import as_loss, as_network
from ..networks.network import Network
from .header import Header, loop, procedure, scaled, unscaled
from .learning import Back
from .noting import activation
from .program import Program, names_of, stem
from .running import alone

LAYER = """\
/* z_j = sum_h w_hj b_h - theta_j; p are the weights, row by row, then the thresholds */
static inline void STEM_layer(const NUMBER *p, int fan_in, int fan_out, const NUMBER *b, NUMBER *z) {
    int h, j;
    for (j = 0; j < fan_out; j++) {
        NUMBER sum = 0;
        for (h = 0; h < fan_in; h++) {
            sum += b[h] * p[h * fan_out + j];
        }
        z[j] = sum - p[fan_in * fan_out + j];
    }
}
"""
SOFTMAX = """\
static inline void STEM_softmax(NUMBER *z, NUMBER *y_hat) {
    NUMBER largest = z[0], total = 0;
    int j;
    for (j = 1; j < OUTPUTS; j++) {
        largest = z[j] > largest ? z[j] : largest;
    }
    for (j = 0; j < OUTPUTS; j++) {
        z[j] -= largest;
        y_hat[j] = EXP(z[j]);
        total += y_hat[j];
    }
    for (j = 0; j < OUTPUTS; j++) {
        y_hat[j] /= total;
    }
LOGARITHMS}
"""
CLASSIFY_ONE = """\
/* 1 where the output is at least CUT, else 0 */
static inline int STEM_classify(const NUMBER *x) {
    NUMBER y_hat[1];
    STEM_predict(x, y_hat);
    return y_hat[0] >= CUT ? 1 : 0;
}
"""
CLASSIFY = """\
/* the number of the largest output */
static inline int STEM_classify(const NUMBER *x) {
    NUMBER y_hat[OUTPUTS];
    int j, largest = 0;
    STEM_predict(x, y_hat);
    for (j = 1; j < OUTPUTS; j++) {
        largest = y_hat[j] > y_hat[largest] ? j : largest;
    }
    return largest;
}
"""
TEST = """\
#ifndef UPPER_TOLERANCE /* 0 is bit for bit, as compilers that fuse no product with a sum have it */
#define UPPER_TOLERANCE ALLOWED
#endif

/* how many of SAMPLES recorded samples have an output that differs, by more than the tolerance of 1 + its size */
static inline int STEM_test(void) {
    static const NUMBER inputs[SAMPLES][INPUTS] = GIVEN;
    static const NUMBER outputs[SAMPLES][OUTPUTS] = RECORDED;
    NUMBER y_hat[OUTPUTS], difference, size;
    int k, j, differ, wrong = 0;
    for (k = 0; k < SAMPLES; k++) {
        STEM_predict(inputs[k], y_hat);
        differ = 0;
        for (j = 0; j < OUTPUTS; j++) {
            difference = y_hat[j] < outputs[k][j] ? outputs[k][j] - y_hat[j] : y_hat[j] - outputs[k][j];
            size = outputs[k][j] < 0 ? -outputs[k][j] : outputs[k][j];
            if (!(y_hat[j] == outputs[k][j] || difference <= UPPER_TOLERANCE * (1 + size))) {
                differ |= y_hat[j] == y_hat[j] || outputs[k][j] == outputs[k][j]; /* not both NaN */
            }
        }
        wrong += differ;
    }
    return wrong;
}
"""


LOGARITHMS = """\
    total = LOG(total);
    for (j = 0; j < OUTPUTS; j++) {
        z[j] -= total;
    }
"""


def values_only(header: Header, learn: bool) -> tuple[list[Tape], list[str]]:
    """What ``predict`` calls: (tapes, functions). Of softmax units, to ``learn``, also log ŷ in place of z."""
    names = names_of(header.program.activations)
    tapes = [activation(each, False) for each in names]
    texts = [header.function(f"f_{name}", tape) for name, tape in zip(names.values(), tapes, strict=True)]
    if header.program.net.output == "softmax":
        called = header.language.functions
        tapes += [alone(name) for name in ("exp", *["log"] * learn)]
        logarithms = header.filled(LOGARITHMS, LOG=called["log"]) if learn else ""
        texts.append(header.filled(SOFTMAX, EXP=called["exp"], LOGARITHMS=logarithms))
    return tapes, texts


def predict(header: Header) -> str:
    """Layer after layer, from one of two rooms to the other."""
    program, sizes, stem = header.program, header.program.net.sizes, header.name
    names = names_of(program.activations)
    lines = [f"{header.number} b[{max(sizes)}], z[{max(sizes[1:])}];", "int j;", *scaled(header, "input", "x", "b")]
    first = 0
    for (q, l), each in zip(pairwise(sizes), program.activations, strict=True):
        lines.append(f"{stem}_layer({stem}_parameters + {first}, {q}, {l}, b, z);")
        first += (q + 1) * l
        if each == "softmax":
            lines.append(f"{stem}_softmax(z, b);")
        else:
            lines += loop("j", l, f"b[j] = {stem}_f_{names[each]}(z[j]);")
    lines += loop("j", sizes[-1], f"y_hat[j] = {unscaled(header, 'b[j]')};")
    about = f"/* {sizes[-1]} outputs for {sizes[0]} inputs */\n"
    return about + procedure(header, "predict", f"const {header.number} *x, {header.number} *y_hat", lines)


def tables(header: Header, learn: bool) -> list[str]:
    """The parameters and the scale."""
    arrays = {"parameters": header.program.net.parameters} | header.program.scale
    texts = []
    for name, array in arrays.items():
        kind = header.number if learn and name == "parameters" else f"const {header.number}"
        texts.append(f"static {kind} {header.name}_{name}[{len(array)}] = {header.table(array)};\n")
    return texts


class Wishes(NamedTuple):
    """What a header is to have."""

    learn: bool
    jacobian: bool
    loss: str | None
    libm: bool

    @classmethod
    def of(cls, net: Network, learn: Any, jacobian: Any, loss: Any, libm: Any) -> Wishes:
        for name, value in (("learn", learn), ("jacobian", jacobian), ("libm", libm)):
            if not isinstance(value, bool):
                raise TypeError(f"{name}: expected True or False, got {value!r}")
        if loss is not None and not learn:
            raise ValueError(f"loss: expected None without learn=True, got {loss!r}")
        if learn or jacobian:
            as_network(net)
        return cls(learn, jacobian, as_loss(loss, net) if learn else None, libm)


def text_of(net: Network, name: str, dtype: Any, wishes: Wishes) -> str:
    """The header, as text."""
    program = Program.of(net, dtype, wishes.libm)
    header = Header(program, name)
    tapes, functions = values_only(header, wishes.learn)
    back = Back(header, wishes.loss) if wishes.learn or wishes.jacobian else None
    tapes += back.tapes.values() if back else []
    parts = [*tables(header, wishes.learn), *header.functions_for(tapes), *functions, header.filled(LAYER)]
    parts.append(predict(header))
    if program.classes:
        parts.append(header.filled(CLASSIFY if net.sizes[-1] > 1 else CLASSIFY_ONE))
    if back:
        parts += [*back.functions(), *[back.jacobian()] * wishes.jacobian, *[back.learn()] * wishes.learn]
    X, Y = program.samples()
    parts.append(header.filled(TEST, GIVEN=header.table(X), RECORDED=header.table(Y), SAMPLES=str(len(X))))
    guard = f"{name.upper()}_H"
    include = "#include <math.h>\n" if wishes.libm else ""
    about = f"/* {'-'.join(map(str, net.sizes))} network of bpjit, in {header.number} */\n"
    opening = f"{about}#ifndef {guard}\n#define {guard}\n\n{include}#include <stdint.h>\n"
    return "\n".join([opening, *parts, f"#endif /* {guard} */\n"])


def write(net: Network, path: Any, dtype: Any, *wishes: Any) -> None:
    write_whole(path, text_of(net, stem(path), dtype, Wishes.of(net, *wishes)).encode())
