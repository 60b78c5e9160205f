"""What the networks of a pack are, as kernels see it, and their errors."""

from __future__ import annotations

from typing import Any, NamedTuple

from ...maths.formulas import like
from ..jit import formula, inline
from ..plane_numbers import PRESENT, VALIDATING, Watch
from ..simd.memory import pointer
from ..sums import kahan as add_error
from .lines import Net, output_terms, outputs, present, where
from .packs import Call, Pack, Rows, Task, Work, at, row, write
from .samples import rows_at, sample_at, weight_at
from .shapes import depth_of, layer_at, loss_of
from .updates import mask_of


class Form(NamedTuple):
    """Of what form all networks are."""

    shape: Any  # as for ``Task``, and so are layers and loss
    layers: Any
    loss: Any
    top: Any  # the layer of the outputs
    d: int  # inputs
    n: int  # parameters


@inline
def form_of(shape: Any, layers: Any, loss: Any) -> Form:
    top = layer_at(shape, layers, depth_of(shape, layers) - 1)
    d, n = layer_at(shape, layers, 0).fan_in, top.thresholds + top.fan_out
    return Form(shape, layers, loss_of(shape, loss), top, d, n)


class Plan(NamedTuple):
    """A ``Task`` with pointers for its arrays."""

    form: Form
    D: Rows
    V: Rows
    kind: Any
    penalty: Any
    mask: Any
    size: int
    block: int
    watch: Watch


@inline
def plan_of(task: Task, registers_type: Any) -> Plan:
    D, V, watch = rows_at(task.D, registers_type), rows_at(task.V, registers_type), task.watch
    watch = Watch(watch.every, pointer(watch.limits, 0), watch.stalls, watch.window)
    mask = mask_of(task.mask, registers_type)
    return Plan(
        form_of(task.shape, task.layers, task.loss), D, V, task.kind, task.penalty, mask, task.size, task.block, watch
    )


@formula
def mean_error(form: Form, rows: Rows, pack: int, P: Any, planes: Any, count: int, work: Work) -> Any:
    """E of each network of a pack; ``count`` is the plane with its number of samples. Writes z, b, slope, g."""
    net, top = Net(P, P, P, None, 0, planes, None, work.z, work.b, work.slope, work.g), form.top
    total = carry = like(at(planes, count), 0)
    for k in range(rows.m):
        x, y = sample_at(rows, pack, None, k, k, work.sample, form.d, top.fan_out)
        outputs(net, form.shape, form.layers, P, x)
        c = weight_at(rows, pack, None, k, k)
        total, carry = add_present(present(c), total, carry, output_terms(net, form.shape, top, form.loss, y, c))
    return total / at(planes, count)


@inline
def add_present(mask: Any, total: Any, carry: Any, E_k: Any) -> Any:
    """``add_error`` for the networks that see a sample. To add 0 for the others could round, and so what they collect
    would depend on who is beside them."""
    new, rounded = add_error(total, carry, E_k)
    return where(mask, new, total), where(mask, rounded, carry)


@inline
def measure_pack(plan: Plan, pack: Pack, call: Call, work: Work) -> None:
    """E of each network as it stands, on its training set or its validation set. Writes what ``call`` has room for."""
    number, P, planes = pack.number, pack.P, pack.planes
    if call.errors.shape[1] > 0:
        E = mean_error(plan.form, plan.D, number, P, planes, PRESENT, work)
        write(row(call.errors, number, planes), 0, E)
    if call.validation_errors.shape[1] > 0:
        E = mean_error(plan.form, plan.V, number, P, planes, VALIDATING, work)
        write(row(call.validation_errors, number, planes), 0, E)
