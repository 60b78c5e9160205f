"""Arrays of any layout in ``bpjit.compiled``: read and written rightly, or refused with their name."""

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

import bpjit
from bpjit import compiled

NET = bpjit.Network.random((3, 6, 2), "tanh", "identity", seed=3)
x, y = np.array([0.3, -0.2, 0.9]), np.array([0.5, -0.5])


def at(values, place):
    """The same numbers in the middle of others, as ``place`` says."""
    n, board = len(values), np.full((2 * len(values), 2 * len(values)), 7.0)
    view = {
        "a column": lambda: board[:n, 1],
        "every other": lambda: board[0, : 2 * n : 2],
        "backwards": lambda: board[0, :n][::-1],
        "a diagonal": lambda: np.lib.stride_tricks.as_strided(board, (n,), (board.strides[0] + 8,)),
        "a transposed row": lambda: np.asfortranarray(board)[1, :n],
    }[place]()
    view[:] = values
    return view


def misaligned(values):
    """The same numbers, from an odd address on."""
    buffer = np.zeros(values.nbytes + 1, np.uint8)[1:]
    buffer[:] = np.frombuffer(values.tobytes(), np.uint8)
    return buffer.view(values.dtype)


LAYOUTS = ["a column", "every other", "backwards", "a diagonal", "a transposed row", "misaligned"]


def laid_out(values, layout):
    return misaligned(values) if layout == "misaligned" else at(values, layout)


@njit
def steps(state, x, y, y_hat, J):
    error = compiled.learn(state, x, y)
    compiled.slopes(state, x, y_hat, J)
    return error


def learnt(x, y, y_hat, J):
    learner = bpjit.OnlineLearner(NET, eta=0.3)
    return steps(learner.state, x, y, y_hat, J), learner.network.parameters.copy()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_numbers_in_any_layout_are_those_numbers(layout):
    y_hat, J = np.zeros(2), np.zeros((2, 3))
    error, parameters = learnt(x, y, y_hat, J)
    mine, mine_J = laid_out(np.zeros(2), layout), np.zeros((3, 2)).T
    again, mine_parameters = learnt(laid_out(x, layout), laid_out(y, layout), mine, mine_J)
    assert again == error
    np.testing.assert_array_equal(mine_parameters, parameters)
    np.testing.assert_array_equal(mine, y_hat)
    np.testing.assert_array_equal(mine_J, J)
    if layout in ("a column", "every other", "backwards"):
        board = mine.base
        assert board.shape == (4, 4)
        assert np.count_nonzero(board != 7.0) == 2  # nothing beside it was written


def test_slopes_of_every_other_row_and_column():
    learner, y_hat, board = bpjit.OnlineLearner(NET), np.zeros(2), np.zeros((4, 6))
    assert compiled.slopes(learner.state, x, y_hat, board[::2, ::2])
    np.testing.assert_allclose(board[::2, ::2], bpjit.jacobian(NET, x, by="inputs"), rtol=1e-14)
    assert np.count_nonzero(board) == 6


def test_one_number_stands_for_many():
    y_hat, learner = np.zeros(2), bpjit.OnlineLearner(NET)
    assert compiled.predict(learner.state, np.broadcast_to(0.3, 3), y_hat)
    np.testing.assert_array_equal(y_hat, learner.predict([0.3] * 3))


def test_a_number_is_the_target_of_a_single_output_or_a_class():
    for sizes, output, target, row in (((3, 4, 1), "identity", 0.25, [0.25]), ((3, 4, 3), "softmax", 2, [0, 0, 1])):
        net = bpjit.Network.random(sizes, "tanh", output, seed=1)
        one, other = (bpjit.OnlineLearner(net, eta=0.1) for _ in range(2))
        assert compiled.learn(one.state, x, target) == compiled.learn(other.state, x, np.array(row, float))
        np.testing.assert_array_equal(one.network.parameters, other.network.parameters)
    for wrong in (3, -1, 0.5):
        with pytest.raises(ValueError, match="y: expected a class number"):
            compiled.learn(one.state, x, wrong)
    with pytest.raises(ValueError, match="y: expected as many numbers"):
        compiled.learn(bpjit.OnlineLearner(NET).state, x, 0.5)


def test_a_class_number_is_learnt_as_its_row():
    net = bpjit.Network.random((3, 4, 3), "tanh", "softmax", seed=1, dtype="float32")
    learners = [bpjit.OnlineLearner(net, eta=0.1) for _ in range(4)]
    ways = (1, np.int64(1), [0, 1, 0], 1.0)
    errors = {learner.learn(x.astype("f"), way) for learner, way in zip(learners, ways, strict=True)}
    assert len(errors) == 1
    for learner in learners[1:]:
        assert learner.network == learners[0].network
    for wrong in (3, -1):
        with pytest.raises(ValueError, match="class numbers 0 to 2"):
            learners[0].learn(x.astype("f"), wrong)


READ_ONLY = np.broadcast_to(0.0, 2)
FITS = {"x": x, "y": y, "y_hat": np.zeros(2), "J": np.zeros((2, 3))}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("x", [0.3, -0.2, 0.9]),
        ("x", x.astype(np.float32)),
        ("x", x[None]),
        ("x", 0.5),
        ("y", [0.5, -0.5]),
        ("y", np.array([1, 0])),
        ("y", y[:, None]),
        ("y_hat", READ_ONLY),
        ("y_hat", np.zeros(2, np.float32)),
        ("J", np.zeros(6)),
        ("J", np.broadcast_to(0.0, (2, 3))),
    ],
)
def test_what_cannot_be_taken_is_refused_while_compiling(name, value):
    given = {**FITS, name: value}
    for call in (steps, steps.py_func):  # from jitted code, and from Python
        with pytest.raises(TypeError, match=f"^{name}: expected an array") as caught:
            call(bpjit.OnlineLearner(NET).state, *given.values())
        assert not isinstance(caught.value, TypingError)


@pytest.mark.parametrize(
    ("name", "value"),
    [("x", x[:2]), ("x", np.zeros(4)), ("y", y[:1]), ("y", at(np.zeros(3), "a column")), ("y_hat", np.zeros(3)),
     ("y_hat", at(np.zeros(1), "every other")), ("J", np.zeros((3, 2))), ("J", np.zeros((2, 4), order="F"))],
)  # fmt: skip
def test_lengths_are_looked_at(name, value):
    learner = bpjit.OnlineLearner(NET)
    with pytest.raises(ValueError, match=f"^{name}: expected"):
        steps(learner.state, *{**FITS, name: value}.values())
