"""Stopping conditions alone, on histories, against loops that say the same epoch by epoch."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpjit.settings.stopping import (
    Block,
    EarlyStopping,
    GradientNorm,
    History,
    MaxEpochs,
    NoImprovement,
    TargetError,
    TimeLimit,
    Watch,
    as_conditions,
    most_epochs,
    watch_from,
)

errors = st.lists(st.floats(0.0, 1.0).map(lambda e: round(e, 1)), min_size=1, max_size=40)
since = st.integers(0, 39)


def history(errors, validation_errors=None, start=0):
    validation_errors = np.full(len(errors), np.nan) if validation_errors is None else np.array(validation_errors)
    return History(np.array(errors), validation_errors, start)


def epochs(condition, past, since):
    return [int(t) for t in condition.candidates(past, min(since, len(past.errors)))]


@given(errors, since, st.floats(0, 1))
def test_target_error(errors, since, target):
    expected = [t + 1 for t, error in enumerate(errors) if error <= target and t >= since]
    assert epochs(TargetError(target), history(errors), since) == expected


@given(errors, since, st.integers(1, 10), st.sampled_from([0.0, 0.1, 0.25]))
def test_no_improvement(errors, since, patience, tolerance):
    expected = []
    for t in range(len(errors)):
        if t >= max(since, patience):
            before, now = min(errors[: t - patience + 1]), min(errors[: t + 1])
            if before - now <= tolerance:
                expected.append(t + 1)
    assert epochs(NoImprovement(patience, tolerance), history(errors), since) == expected


@given(errors, since, st.integers(1, 10), st.integers(1, 4))
def test_early_stopping_by_patience(errors, since, patience, every):
    measured = [error if (t + 1) % every == 0 else np.nan for t, error in enumerate(errors)]
    best, best_epoch, expected = np.inf, 0, []
    for t, error in enumerate(measured):
        if error < best:
            best, best_epoch = error, t
        elif not np.isnan(error) and t - best_epoch >= patience and t >= max(since, patience):
            expected.append(t + 1)
    assert epochs(EarlyStopping(patience, every=every), history(errors, measured), since) == expected


@given(errors, since, st.floats(0, 50), st.floats(0, 300))
def test_prechelt_s_criteria(errors, since, limit, progress):
    every = 3
    measured = [1.5 - error if (t + 1) % every == 0 else np.nan for t, error in enumerate(errors)]
    too_far, too_slow = [], []
    for t in range(len(errors)):
        if (t + 1) % every == 0 and t >= since:
            best = min(error for error in measured[: t + 1] if not np.isnan(error))
            if 100 * (measured[t] / best - 1) > limit:
                too_far.append(t + 1)
            strip = errors[t - every + 1 : t + 1]
            if min(strip) > 0 and 1000 * (np.mean(strip) / min(strip) - 1) < progress:
                too_slow.append(t + 1)
    past = history(errors, measured)
    assert epochs(EarlyStopping(every=every, generalization_loss=limit), past, since) == too_far
    assert epochs(EarlyStopping(every=every, progress=progress), past, since) == too_slow
    both = EarlyStopping(every=every, generalization_loss=limit, progress=progress)
    assert epochs(both, past, since) == sorted({*too_far, *too_slow})


def test_epochs_of_this_call_and_regular_looks():
    past = history([0.5] * 10, start=4)
    assert epochs(MaxEpochs(6), past, 5) == [10]
    assert epochs(MaxEpochs(7), past, 5) == []
    assert MaxEpochs(6).horizon(5, 4) == 10
    assert epochs(GradientNorm(0.1, every=4), past, 3) == [4, 8]
    assert epochs(GradientNorm(0.1, every=4), past, 4) == [8]
    assert GradientNorm(0.1, every=4).horizon(4, 0) == 8
    assert epochs(TimeLimit(1.0), past, 0) == []


def test_what_stop_may_be():
    assert as_conditions(None) == [MaxEpochs(1000)]
    assert as_conditions(5) == [MaxEpochs(5)]
    assert as_conditions([TargetError(0.1)]) == [TargetError(0.1), MaxEpochs(1000)]
    assert as_conditions((TimeLimit(3), 7)) == [TimeLimit(3), MaxEpochs(7)]
    assert as_conditions(TimeLimit(3)) == [TimeLimit(3)]
    assert most_epochs(as_conditions([9, 4, TargetError(0.1)])) == 4
    assert most_epochs([TimeLimit(3)]) is None
    assert EarlyStopping() == EarlyStopping(patience=10)
    assert EarlyStopping(progress=0.1).patience is None


@pytest.mark.parametrize("condition", [TargetError(0.1), NoImprovement(3), EarlyStopping(3)])
def test_conditions_that_may_fire_at_any_epoch_say_so(condition):
    assert condition.watches_errors
    assert condition.horizon(3, 0) is None
    assert not MaxEpochs(3).watches_errors


def test_small_numpy_integers_do_not_overflow():
    assert MaxEpochs(np.int16(20_000)).horizon(20_000, 20_000) == 40_000
    assert GradientNorm(0.1, every=np.int8(7)).horizon(130, 0) == 133
    assert type(EarlyStopping(np.int8(5)).patience) is int


# --- Block by block, as a training asks.

CONDITIONS = [
    MaxEpochs(17),
    TargetError(0.2),
    GradientNorm(0.1, every=3),
    NoImprovement(1),
    NoImprovement(6),
    NoImprovement(4, tolerance=0.2),
    EarlyStopping(5),
    EarlyStopping(5, every=3),
    EarlyStopping(every=3, generalization_loss=5, progress=120),
    EarlyStopping(7, progress=50, every=4),
]


@given(errors, errors, st.lists(st.integers(1, 9), min_size=1), st.sampled_from(CONDITIONS), st.integers(0, 5))
def test_blocks_of_any_length_name_the_same_epochs(errors, validation_errors, lengths, condition, start):
    count = min(len(errors), len(validation_errors))
    every = getattr(condition, "every", 1)
    measured = [error if (t + 1) % every == 0 else np.nan for t, error in enumerate(validation_errors[:count])]
    past, found, watch = history(errors[:count], measured, start), [], Watch([condition], [None])
    borders = np.unique(np.minimum(np.cumsum(lengths), count))
    for end in sorted({*borders.tolist(), count}):
        first = watch.epochs
        arrays = [array[first:end].copy() for array in (past.errors, past.validation_errors)]
        watch, candidates = watch.after(Block(np.arange(first, end), *arrays, first, end, start))
        found += [epoch for epoch, _ in candidates]
        for array in arrays:
            array[:] = -1.0  # what it remembers is its own
    assert found == epochs(condition, past, 0)


def remembers(condition, errors):
    """How many numbers a condition remembers at most, along a history in blocks."""
    watch, most = Watch([condition], [None]), 0
    for first in range(0, len(errors), 100):
        part = errors[first : first + 100]
        watch, _ = watch.after(Block(np.arange(first, first + 100), part, part, first, first + 100, 0))
        falls, *tail = watch.memories[0] if isinstance(watch.memories[0][0], tuple) else (watch.memories[0],)
        most = max(most, len(falls.errors) + sum(map(len, tail)))
    return most


def test_memory_does_not_grow_with_the_history():
    falling = np.linspace(1.0, 0.5, 20_000)
    assert remembers(NoImprovement(10**7), falling) == 1
    assert remembers(EarlyStopping(10**7), falling) == 1
    assert remembers(EarlyStopping(every=30, progress=0.1), falling) == 30
    assert remembers(NoImprovement(300, tolerance=0.1), falling) == 300
    assert remembers(NoImprovement(300, tolerance=0.1), np.maximum(falling, 0.999)) < 50


def test_a_watch_goes_on_from_what_it_remembers_or_from_what_was_recorded():
    falling = np.linspace(1.0, 0.5, 400)
    whole = Block(np.arange(400), falling, falling, 0, 400, 400)
    thinned = Block(np.arange(0, 400, 50), falling[::50], falling[::50], 0, 400, 400)
    same, other = NoImprovement(5, tolerance=0.1), NoImprovement(60, tolerance=0.1)
    before = Watch([same], [None]).after(whole)[0]
    after = watch_from([same, other, TimeLimit(1)], before.remembered(), thinned)
    assert after.epochs == 400
    assert after.memories[0] is before.memories[0]
    assert after.memories[1].epochs.tolist() == [300, 350]
    assert after.memories[2] is None
