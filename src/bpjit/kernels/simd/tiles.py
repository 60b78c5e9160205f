"""The register tile: the inner block of a matrix product with its sums in vector registers.

C (+)= A B for row-major C and B, and any strides of A: with A = X it takes net inputs, with A = Xᵀ it adds up weight
gradients, with A = G it takes gradient terms back through a layer. Each element is one sum over k in its order,
whatever the tiles, so that bits do not depend on how the work is cut; where C is added to, it is added at the end.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from ..insides import cgutils
from ..jit import bring, inline, shared, smaller
from .memory import lanes_of, pointer
from .numbers import VECTOR_BYTES, splat

HEIGHTS = (6, 4, 2, 1) if VECTOR_BYTES == 32 else (12, 10, 8, 4, 2, 1)  # of tiles: AVX2 has half as many registers
COLUMNS = 2


def _declared(module: Any, element: Any, lanes: int, rows: int, columns: int) -> Any:
    """The function (C, ldc, A, a_row, a_k, B, ldb, K, add) of a tile of rows x (columns · lanes), without its body."""
    name = f"bpjit_tile_{element}_{lanes}_{rows}_{columns}"
    if name in module.globals:
        return module.globals[name]
    word, number = ir.IntType(64), element.as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [number, word, number, word, word, number, word, word, ir.IntType(1)])
    function = ir.Function(module, kind, name)
    for at in (0, 2, 5):
        function.args[at].add_attribute("noalias")
    return function


def _define(module: Any, element: Any, lanes: int, rows: int, columns: int) -> None:
    """Give a tile's function its body."""
    function, word, vector = (
        _declared(module, element, lanes, rows, columns),
        ir.IntType(64),
        ir.VectorType(element, lanes),
    )
    C, ldc, A, a_row, a_k, B, ldb, K, add = function.args
    align = 4 if isinstance(element, ir.FloatType) else 8
    multiply_add = cgutils.get_or_insert_function(
        module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.v{lanes}{element.intrinsic_name}"
    )

    def load(builder: Any, place: Any) -> Any:
        value = builder.load(builder.bitcast(place, vector.as_pointer()))
        value.align = align
        return value

    entry, loop, after = (function.append_basic_block(label) for label in ("entry", "k", "after"))
    builder = ir.IRBuilder(entry)
    zero, one = ir.Constant(word, 0), ir.Constant(word, 1)
    cells = [(r, c) for r in range(rows) for c in range(columns)]
    a_rows = [builder.gep(A, [builder.mul(a_row, ir.Constant(word, r))]) for r in range(rows)]
    builder.cbranch(builder.icmp_signed(">", K, zero), loop, after)

    builder.position_at_end(loop)
    k, b_at, a_at = builder.phi(word), builder.phi(word), builder.phi(word)
    sums = {cell: builder.phi(vector) for cell in cells}
    right = [load(builder, builder.gep(B, [builder.add(b_at, ir.Constant(word, c * lanes))])) for c in range(columns)]
    left = [splat(builder, vector, builder.load(builder.gep(row, [a_at]))) for row in a_rows]
    new = {(r, c): builder.call(multiply_add, [left[r], right[c], sums[r, c]]) for r, c in cells}
    steps = ((k, one), (b_at, ldb), (a_at, a_k))
    following = [builder.add(value, step) for value, step in steps]
    for (value, _), then in zip(steps, following, strict=True):
        value.add_incoming(zero, entry)
        value.add_incoming(then, loop)
    nothing = ir.Constant(vector, [0.0] * lanes)
    for cell in cells:
        sums[cell].add_incoming(nothing, entry)
        sums[cell].add_incoming(new[cell], loop)
    builder.cbranch(builder.icmp_signed("<", following[0], K), loop, after)

    builder.position_at_end(after)
    final = {cell: builder.phi(vector) for cell in cells}
    for cell in cells:
        final[cell].add_incoming(nothing, entry)
        final[cell].add_incoming(new[cell], loop)
    places = {
        (r, c): builder.gep(C, [builder.add(builder.mul(ldc, ir.Constant(word, r)), ir.Constant(word, c * lanes))])
        for r, c in cells
    }

    def store(place: Any, value: Any) -> None:
        builder.store(value, builder.bitcast(place, vector.as_pointer())).align = align

    with builder.if_else(add) as (then, otherwise):
        with then:
            for cell in cells:
                store(places[cell], builder.fadd(load(builder, places[cell]), final[cell]))
        with otherwise:
            for cell in cells:
                store(places[cell], final[cell])
    builder.ret_void()


@intrinsic
def _define_tiles(typing_context: Any, C: Any) -> Any:
    """All tiles for numbers like those at C."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        for rows in HEIGHTS:
            for columns in range(1, COLUMNS + 1):
                _define(builder.module, context.get_value_type(C.dtype), lanes_at(C), rows, columns)
        return context.get_dummy_value()

    return types.void(C), generate


@shared
def tiles(C: Any) -> None:
    """The machine code of all tiles, which whoever needs one calls by its name."""
    _define_tiles(C)


def lanes_at(C: Any) -> int:
    """Numbers in a register, of a type of pointers."""
    return int(VECTOR_BYTES * 8 // C.dtype.bitwidth)


@intrinsic
def tile(
    typing_context: Any,
    C: Any,
    ldc: Any,
    A: Any,
    a_row: Any,
    a_k: Any,
    B: Any,
    ldb: Any,
    K: Any,
    add: Any,
    rows: Any,
    columns: Any,
) -> Any:
    """The tile of ``rows`` (one of HEIGHTS) times ``columns`` (1 to COLUMNS) registers at these pointers."""
    word = types.intp

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        *operands, rows, columns = arguments
        bring(context, tiles, C)
        element, lanes = context.get_value_type(C.dtype), lanes_at(C)
        end = builder.append_basic_block("tiled")
        which = builder.sub(builder.mul(rows, ir.Constant(rows.type, COLUMNS)), columns)
        switch = builder.switch(which, end)
        for r in HEIGHTS:
            for c in range(1, COLUMNS + 1):
                block = builder.append_basic_block(f"tile{r}x{c}")
                switch.add_case(ir.Constant(rows.type, r * COLUMNS - c), block)
                with builder.goto_block(block):
                    builder.call(_declared(builder.module, element, lanes, r, c), operands)
                    builder.branch(end)
        builder.position_at_end(end)
        return context.get_dummy_value()

    return types.void(C, word, A, word, word, B, word, word, types.boolean, word, word), generate


@inline
def tallest(rows: int) -> int:
    """The height of the next tile where so many rows are left."""
    height = 1
    for tall in HEIGHTS:
        if height == 1 and tall <= rows:
            height = tall
    return height


@inline
def product(
    C: Any, ldc: int, A: Any, a_row: int, a_k: int, B: Any, ldb: int, K: int, add: bool, rows: int, columns: int
) -> None:
    """C (+)= A B at these pointers, [shape: (rows, columns registers)], with depth K. Writes C."""
    lanes = lanes_of(C)
    for column in range(0, columns, COLUMNS):
        wide = smaller(COLUMNS, columns - column)
        row = 0
        while row < rows:
            height = tallest(rows - row)
            tile(
                pointer(C, row * ldc + column * lanes),
                ldc,
                pointer(A, row * a_row),
                a_row,
                a_k,
                pointer(B, column * lanes),
                ldb,
                K,
                add,
                height,
                wide,
            )
            row += height
