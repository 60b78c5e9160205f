"""The record of a training's errors: thinned by a rule that only the number of epochs decides, in bounded memory."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bpjit.training.record import Record


def errors_of(epochs, every):
    """Errors that name their epoch; validated ones where they are."""
    epochs = np.asarray(epochs)
    return epochs + 0.5, np.where((epochs + 1) % every == 0, epochs + 0.25, np.nan)


def expected(count, every, limit):
    """Which epochs of so many are kept, from the rule alone."""
    for level in range(64):
        stride, validated = 2**level, every
        while validated < stride:
            validated *= 2
        kept = {t for t in range(count) if (t + 1) % stride == 0 or (t + 1) % validated == 0} | {0, count - 1}
        if len(kept) <= limit:
            return sorted(kept)
    raise AssertionError


def grown(count, every, limit, block, step_back=0):
    """A record that grew in blocks, some of which came twice."""
    record = Record(every)
    record.limit = limit
    while record.epochs < count:
        record.floor = first = record.epochs
        end = min(count, first + block)
        record.extend(*errors_of(range(first, end), every))
        if step_back:
            record.truncate(max(first, end - step_back))
            record.extend(*errors_of(range(record.epochs, end), every))
    return record


@given(
    st.integers(1, 700), st.sampled_from([1, 2, 3, 5, 60]), st.integers(2, 90), st.integers(1, 150), st.integers(0, 9)
)
def test_what_is_kept_depends_on_the_number_of_epochs_alone(count, every, limit, block, step_back):
    record = grown(count, every, limit, block, step_back)
    record.thin(count)
    assert record.recorded.tolist() == expected(count, every, limit)
    for found, right in zip((record.errors, record.validation_errors), errors_of(record.recorded, every), strict=True):
        np.testing.assert_array_equal(found, right)


@given(st.integers(1, 400), st.integers(1, 400), st.sampled_from([1, 3, 7]), st.integers(2, 50))
def test_a_record_that_goes_on_from_a_thinned_one_ends_the_same(first, more, every, limit):
    record = grown(first, every, limit, 37)
    record.thin(first)
    record = record.copy()
    while record.epochs < first + more:
        end = min(first + more, record.epochs + 23)
        record.floor = record.epochs
        record.extend(*errors_of(range(record.epochs, end), every))
    record.thin(first + more)
    assert record.recorded.tolist() == expected(first + more, every, limit)


def test_what_may_be_taken_back_is_not_thinned():
    record = grown(4000, 1, 10, 100)
    record.floor = 4000
    for first in range(4000, 9000, 250):
        record.extend(*errors_of(range(first, first + 250), 1))
    assert record.recorded[-5000:].tolist() == list(range(4000, 9000))
    assert len(record.errors) < 5000 + 250
    record.truncate(4000)
    assert record.epochs == 4000
    assert record.since(4000)[0].tolist() == []


def test_room_stays_as_it_is_however_many_epochs_come():
    record = Record(1)
    record.limit = 1000
    rooms = []
    for first in range(0, 2_000_000, 500):
        record.floor = first
        record.extend(*errors_of(range(first, first + 500), 1))
        rooms.append(record._columns.size)
    assert max(rooms) == rooms[20] < 10_000
    everything = grown(10_000, 1, None, 500)
    everything.thin(10_000)
    assert everything.is_whole
    assert len(everything.errors) == 10_000


def test_an_epoch_that_comes_again_must_be_as_it_was():
    for place, name in ((0, "errors"), (1, "validation errors")):
        record = grown(20, 3, 100, 20)
        record.truncate(10)
        pair = [values.copy() for values in errors_of(range(10, 30), 3)]
        record.extend(*(values[:4] for values in pair))
        pair[place][9] = 7.0
        with pytest.raises(RuntimeError, match="^X, Y: the data changed while train was running"):
            record.extend(*(values[4:] for values in pair))
        assert record.epochs == 14, name
