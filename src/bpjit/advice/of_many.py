"""Advice for many networks: in a few words for each."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..kernels.layout import loss_as_given
from ..many.seen import Seen
from ..networks.network import Network
from ..training.origin import Ranges
from .checks import findings
from .evidence import Evidence, known, rows_for

if TYPE_CHECKING:
    from ..many.fits import Fits


def advice_of(fits: Fits) -> np.ndarray:
    """The name of the most telling finding about each network, "" where there is none, [shape: (networks,)] of str."""
    place_of = {int(member): (seen, place) for seen in fits._seen for place, member in enumerate(seen.members)}
    names = []
    for index, number in enumerate(fits.order.tolist()):
        known = place_of.get(number)
        found = [] if known is None else findings(evidence_of(fits, index, *known))
        names.append(found[0].name if found else "")
    return np.array(names, dtype=str)


def evidence_of(fits: Fits, index: int, seen: Seen, place: int) -> Evidence:
    """That of one network, which has this place in its group."""
    net: Network = fits.networks[index]
    D = seen.samples(place, rows_for(net))
    ranges, D = Ranges.of(D), known(D)
    errors = None if fits.errors is None else fits.errors[index]
    validation_errors = None if fits.validation_errors is None else fits.validation_errors[index]
    if validation_errors is not None and not np.isfinite(validation_errors).any():
        validation_errors = None
    return Evidence(
        net=net,
        start=seen.start_of(place),
        loss=loss_as_given(seen.loss),
        rule=seen.rule_of(place).name,
        eta=seen.eta_of(place),
        penalised=seen.penalised,
        count=seen.D.m,
        samples=D,
        ranges=ranges,
        error=float(fits.error[index]),
        errors=errors,
        validation_errors=validation_errors,
        recorded=None if errors is None else np.arange(len(errors)),
        epochs=int(fits.epochs[index]),
        network_epoch=int(fits.best_epoch[index] or fits.epochs[index]),
        stopped_by=str(fits.stopped_by[index]),
    )
