"""exp, log, log1p, tanh, sin and cos of SIMD numbers: what these helpers of ``formulas`` mean on vectors.

They err by at most, in units in the last place:

==========  =======  =======  =================================================
function    float64  float32  valid for
==========  =======  =======  =================================================
exp         1.1      1.1      all x; 2 where the result is subnormal
log         0.9      0.9      all x
log1p       1.3      1.5      all x
tanh        2.5      2.5      all x
sin, cos    1.5      2.5      or 1.5e-16 and 3e-8, whichever is larger; where
                              |x| > 1e5 or 1e3, as the scalar functions
sqrt        0.5      0.5      all x
==========  =======  =======  =================================================

The polynomials are Chebyshev fits on the reduced ranges given beside them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.extending import intrinsic, overload

from ...maths import formulas
from ..insides import cgutils
from ..jit import OPTIONS_OF_PARTS, strict
from .across import any_lane
from .numbers import VECTOR_BYTES, Mask, Simd, call, concatenate, splat

# --- Pieces of the functions below.


@intrinsic
def _fma(typing_context: Any, a: Any, b: Any, c: Any) -> Any:
    """a b + c, rounded once where the machine can."""
    return a(a, a, a), lambda context, builder, signature, arguments: call(builder, "fmuladd", *arguments)


def _integers(kind: Simd) -> Any:
    return ir.VectorType(ir.IntType(kind.dtype.bitwidth), kind.lanes)


def _each(vector: Any, value: int) -> Any:
    return ir.Constant(vector, [value] * vector.count)


@intrinsic
def _scale(typing_context: Any, x: Any, shifted: Any, n: Any) -> Any:
    """x 2^n, overflowing and underflowing as it should. n also stands in the last bits of ``shifted``, which is
    n + 1.5 · 2^mantissa bits.

    AVX-512 has an instruction for it. Without, 2^n is made as two factors, also for NaN."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        value, shifted, n = arguments
        if VECTOR_BYTES == 64:
            return _by_registers(builder, value, n, x)
        mantissa, bias = (23, 127) if x.dtype == types.float32 else (52, 1023)
        integers, vector = _integers(x), value.type
        zero = builder.bitcast(splat(builder, vector, ir.Constant(vector.element, 1.5 * 2**mantissa)), integers)
        n = builder.sub(builder.bitcast(shifted, integers), zero)
        half = builder.ashr(n, _each(integers, 1))
        for part in (half, builder.sub(n, half)):
            bits = builder.shl(builder.add(part, _each(integers, bias)), _each(integers, mantissa))
            value = builder.fmul(value, builder.bitcast(bits, vector))
        return value

    return x(x, x, x), generate


def _by_registers(builder: Any, value: Any, n: Any, kind: Simd) -> Any:
    """AVX-512's scalef on each register of a vector."""
    size = min(kind.lanes, 512 // kind.dtype.bitwidth)
    register, bits = ir.VectorType(value.type.element, size), size * kind.dtype.bitwidth
    mask, rounding = ir.IntType(max(8, size)), ir.IntType(32)
    suffix = "ps" if kind.dtype == types.float32 else "pd"
    parameters = [register, register, register, mask] + [rounding] * (bits == 512)
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(register, parameters), f"llvm.x86.avx512.mask.scalef.{suffix}.{bits}"
    )
    as_is = [ir.Constant(rounding, 4)] * (bits == 512)
    parts = []
    for first in range(0, kind.lanes, size):
        pick = ir.Constant(ir.VectorType(ir.IntType(32), size), list(range(first, first + size)))
        pair = [builder.shuffle_vector(whole, whole, pick) for whole in (value, n)]
        parts.append(builder.call(function, [*pair, pair[0], ir.Constant(mask, -1), *as_is]))
    return concatenate(builder, parts)


@intrinsic
def _mantissa_and_exponent(typing_context: Any, x: Any) -> Any:
    """(m, e) with x = m 2^e and √½ ≤ m < √2, for normal x > 0."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        mantissa = 23 if x.dtype == types.float32 else 52
        root = 0x3F3504F3 if x.dtype == types.float32 else 0x3FE6A09E667F3BCD  # √½
        integers = _integers(x)
        bits = builder.bitcast(arguments[0], integers)
        exponent = builder.ashr(builder.sub(bits, _each(integers, root)), _each(integers, mantissa))
        m = builder.bitcast(builder.sub(bits, builder.shl(exponent, _each(integers, mantissa))), arguments[0].type)
        return context.make_tuple(builder, signature.return_type, [m, builder.sitofp(exponent, arguments[0].type)])

    return types.UniTuple(x, 2)(x), generate


@intrinsic
def _is_odd(typing_context: Any, shifted: Any, bit: Any) -> Any:
    """Whether bit ``bit`` of n is set; ``shifted`` as for ``_scale``."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        integers = _integers(shifted)
        position = builder.trunc(arguments[1], integers.element) if integers.element.width < 64 else arguments[1]
        bits = builder.lshr(builder.bitcast(arguments[0], integers), splat(builder, integers, position))
        return builder.icmp_unsigned("!=", builder.and_(bits, _each(integers, 1)), _each(integers, 0))

    return Mask(shifted.lanes)(shifted, types.int64), generate


@intrinsic
def _polynomial(typing_context: Any, x: Any, coefficients: Any) -> Any:
    """Σ c_i x^i in pairs of terms, pairs of pairs and so on (Estrin): no long chain of multiply-adds."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        power, values = arguments
        terms = [
            splat(builder, power.type, context.cast(builder, builder.extract_value(values, i), types.float64, x.dtype))
            for i in range(len(coefficients))
        ]
        while len(terms) > 1:
            pairs = zip(terms[::2], terms[1::2], strict=False)
            last = terms[-1:] if len(terms) % 2 else []
            terms = [call(builder, "fmuladd", high, power, low) for low, high in pairs] + last
            power = builder.fmul(power, power)
        return terms[0]

    return x(x, coefficients), generate


FEW = 4  # lanes: kernels of so few wait for one result after the other, those of more for the next free unit


class _Constants:
    """The numbers of one dtype."""

    def __init__(self, **values: Any) -> None:
        self.__dict__.update(values)


F64 = _Constants(
    shift=1.5 * 2.0**52,
    ln2=(0.6931471805598903, 5.497923018708371e-14),
    # (e^r − 1 − r)/r² for |r| ≤ ½ ln 2
    exp=(
        *(0.5000000000000001, 0.16666666666666669, 0.041666666666623824, 0.008333333333330039, 0.0013888888917367081),
        *(0.00019841269863171557, 2.4801521057868204e-05, 2.7557268276905696e-06, 2.7620201591031547e-07),
        2.5100472505694996e-08,
    ),
    exp_limits=(-746.0, 710.0),
    # (2 artanh(s)/s − 2)/z in z = s², for m from √½ to √2 and s = (m − 1)/(m + 1)
    log=(
        *(0.666666666666667, 0.3999999999989889, 0.28571428626253836, 0.22222211089379496, 0.1818289243253687),
        *(0.15331611722055008, 0.14617807153417325),
    ),
    smallest=2.0**-1022,
    rescue=2.0**54,
    rescued=54.0,
    tanh_limit=22.0,
    half_pi=(1.5707963267341256, 6.077100506303966e-11, 2.0222662487959506e-21),
    # (sin x/x − 1)/z and (cos x − 1 + z/2)/z² in z = x², for |x| ≤ π/4
    sin=(
        *(-0.16666666666666666, 0.008333333333333331, -0.0001984126984126504, 2.755731921932058e-06),
        *(-2.50521062259944e-08, 1.6058530596645953e-10, -7.586636882825159e-13),
    ),
    cos=(
        *(0.041666666666666664, -0.0013888888888888887, 2.4801587301584632e-05, -2.755731922139249e-07),
        *(2.0876755787492604e-09, -1.1470460319209511e-11, 4.745838412531023e-14),
    ),
    sin_limit=1e5,
)
F32 = _Constants(
    shift=1.5 * 2.0**23,
    ln2=(0.693115234375, 3.1946184945309606e-05),
    exp=(0.5, 0.16666576666119928, 0.04166655421298415, 0.008363232883682618, 0.0013926250831497611),
    exp_limits=(-104.0, 89.0),
    log=(0.6666666655404201, 0.4000012221181065, 0.28550778633191964, 0.23331614471843498),
    smallest=2.0**-126,
    rescue=2.0**25,
    rescued=25.0,
    tanh_limit=10.0,
    half_pi=(1.57080078125, -4.453584551811218e-06, -8.706138032721356e-10),
    sin=(-0.16666666663844049, 0.008333331870341349, -0.00019840084376422702, 2.724962008007533e-06),
    cos=(0.041666666664311826, -0.0013888887668370663, 2.480059840835012e-05, -2.730070403808665e-07),
    sin_limit=1e3,
)


# --- The functions. Each is made once for either dtype; the helpers of ``formulas`` find them by type.


def _make_exponentials(c: _Constants) -> tuple[Callable[..., Any], ...]:
    shift, (ln2_high, ln2_low), coefficients, (low, high) = c.shift, c.ln2, c.exp, c.exp_limits
    log2_e, limit = 1.0 / np.log(2.0), c.tanh_limit

    @strict
    def reduce(x: Any) -> Any:
        """(e^r − 1, n + shift, n) with x = n ln 2 + r and |r| ≤ ½ ln 2."""
        shifted = _fma(x, formulas.like(x, log2_e), formulas.like(x, shift))
        n = shifted - formulas.like(x, shift)
        r = _fma(-n, formulas.like(x, ln2_high), x)
        r = _fma(-n, formulas.like(x, ln2_low), r)
        return _fma(r * r, _polynomial(r, coefficients), r), shifted, n

    @strict
    def exp(x: Any) -> Any:
        least, most = formulas.like(x, low), formulas.like(x, high)
        x = formulas.select(x > most, most, x)
        p, shifted, n = reduce(formulas.select(x < least, least, x))
        return _scale(p + formulas.like(x, 1), shifted, n)

    @strict
    def exp_at_once(x: Any) -> Any:
        """As ``exp``, bit for bit, but x does not wait for its limits: what lies beyond is put right at the end."""
        zero, infinity = formulas.like(x, 0), formulas.like(x, np.inf)
        p, shifted, n = reduce(x)
        y = _scale(p + formulas.like(x, 1), shifted, n)
        y = formulas.select(x > formulas.like(x, high), infinity, y)
        return formulas.select(x < formulas.like(x, low), zero, y)

    @strict
    def tanh(x: Any) -> Any:
        """(e^2|x| − 1)/(e^2|x| + 1), which keeps its digits near 0, with the sign of x."""
        size, most = abs(x), formulas.like(x, limit)
        size = formulas.select(size > most, most, size)
        p, shifted, n = reduce(size + size)
        power = _scale(formulas.like(x, 1), shifted, n)
        less_one = _fma(power, p, power - formulas.like(x, 1))
        y = less_one / (less_one + formulas.like(x, 2))
        return formulas.select(x < formulas.like(x, 0), -y, y)

    return exp, tanh, exp_at_once


def _make_logarithms(c: _Constants) -> tuple[Callable[..., Any], Callable[..., Any]]:
    (ln2_high, ln2_low), coefficients = c.ln2, c.log
    smallest, rescue, rescued = c.smallest, c.rescue, c.rescued

    @strict
    def log(x: Any) -> Any:
        zero, one, infinity = formulas.like(x, 0), formulas.like(x, 1), formulas.like(x, np.inf)
        tiny = x < formulas.like(x, smallest)
        m, e = _mantissa_and_exponent(formulas.select(tiny, x * formulas.like(x, rescue), x))
        e = formulas.select(tiny, e - formulas.like(x, rescued), e)
        f = m - one
        s = f / (f + formulas.like(x, 2))
        z, half = s * s, formulas.like(x, 0.5) * f * f
        tail = _fma(s, half + z * _polynomial(z, coefficients), e * formulas.like(x, ln2_low))
        y = _fma(e, formulas.like(x, ln2_high), f - (half - tail))
        y = formulas.select(x == zero, -infinity, formulas.select(x == infinity, x, y))
        return formulas.select(x >= zero, y, formulas.like(x, np.nan))

    @strict
    def log1p(x: Any) -> Any:
        """log(1 + x), where 1 + x is rounded to w, as log w + (what rounding took)/w."""
        one = formulas.like(x, 1)
        w = x + one
        lost = formulas.select(x > one, one - (w - x), x - (w - one))
        usual = (w > formulas.like(x, 0)) & (w < formulas.like(x, np.inf))
        return log(w) + formulas.select(usual, lost / w, formulas.like(x, 0))

    return log, log1p


def _make_circular(c: _Constants) -> tuple[Callable[..., Any], Callable[..., Any]]:
    shift, (first, second, third), limit = c.shift, c.half_pi, c.sin_limit
    of_sin, of_cos, per_half_pi = c.sin, c.cos, 2.0 / np.pi

    @strict
    def both(x: Any) -> Any:
        """(sin r, cos r, n + shift) with x = n π/2 + r and |r| ≤ π/4."""
        shifted = _fma(x, formulas.like(x, per_half_pi), formulas.like(x, shift))
        n = shifted - formulas.like(x, shift)
        r = _fma(-n, formulas.like(x, first), x)
        r = _fma(-n, formulas.like(x, second), r)
        r = _fma(-n, formulas.like(x, third), r)
        z = r * r
        sin_r = _fma(r * z, _polynomial(z, of_sin), r)
        cos_r = formulas.like(x, 1) - (formulas.like(x, 0.5) * z - z * z * _polynomial(z, of_cos))
        return sin_r, cos_r, shifted

    @strict
    def sin(x: Any) -> Any:
        sin_r, cos_r, shifted = both(x)
        y = formulas.select(_is_odd(shifted, 0), cos_r, sin_r)
        y = formulas.select(_is_odd(shifted, 1), -y, y)
        near = abs(x) <= formulas.like(x, limit)
        return formulas.select(near, y, _scalar_sin(x)) if any_lane(~near) else y

    @strict
    def cos(x: Any) -> Any:
        sin_r, cos_r, shifted = both(x)
        odd, upper = _is_odd(shifted, 0), _is_odd(shifted, 1)
        y = formulas.select(odd, sin_r, cos_r)
        y = formulas.select((odd | upper) & ~(odd & upper), -y, y)
        near = abs(x) <= formulas.like(x, limit)
        return formulas.select(near, y, _scalar_cos(x)) if any_lane(~near) else y

    return sin, cos


@intrinsic
def _scalar_sin(typing_context: Any, x: Any) -> Any:
    return x(x), lambda context, builder, signature, arguments: call(builder, "sin", *arguments)


@intrinsic
def _scalar_cos(typing_context: Any, x: Any) -> Any:
    return x(x), lambda context, builder, signature, arguments: call(builder, "cos", *arguments)


def _stand_for(helper: Callable[..., Any], *functions: Callable[..., Any]) -> None:
    """Let ``helper`` be these functions on vectors: of float64, of float32, and, if there are more, the same of so few
    lanes that one result waits for another."""

    @overload(helper, jit_options=OPTIONS_OF_PARTS, strict=False)
    def choose(z: Any) -> Any:
        if isinstance(z, Simd):
            of_dtypes = functions[-2:] if z.lanes <= FEW else functions[:2]
            function = of_dtypes[z.dtype == types.float32]
            return lambda z: function(z)
        return None


_EXPONENTIALS = [_make_exponentials(constants) for constants in (F64, F32)]
_MADE = [
    [*exponentials[:2], *_make_logarithms(constants), *_make_circular(constants)]
    for exponentials, constants in zip(_EXPONENTIALS, (F64, F32), strict=True)
]
# Only AVX-512 selects in one step; elsewhere the limits, a minimum and a maximum, are quicker.
_OF_FEW = {formulas.exp: [made[-1] for made in _EXPONENTIALS]} if VECTOR_BYTES == 64 else {}
for _helper, *_of_dtypes in zip(
    (formulas.exp, formulas.tanh_of, formulas.log, formulas.log1p, formulas.sin_of, formulas.cos_of),
    *_MADE,
    strict=True,
):
    _stand_for(_helper, *_of_dtypes, *_OF_FEW.get(_helper, []))
