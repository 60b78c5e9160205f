"""Replays: the same training once more to the last bit, whatever it was, packed into one file that needs nothing else.
How the page behaves in a browser is tested in test_replay_page.py.
"""

import base64
import copy
import dataclasses
import json
import pickle
import re
import zlib

import numpy as np
import pytest

import bpjit
from bpjit.replay import writing

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
Y = np.array([0.0, 1.0, 1.0, 0.0])


def start(sizes=(2, 4, 1), **more):
    return bpjit.Network.random(sizes, seed=0, **more)


def read(path):
    """(header, arrays) of a page."""
    text = path.read_text("utf-8")
    header = json.loads(re.search(r'<script type="application/json" id="header">(.*?)</script>', text, re.S)[1])
    packed = re.search(r'<script type="text/plain" id="packed">(.*?)</script>', text, re.S)[1]
    data = zlib.decompress(base64.b64decode(packed))
    arrays = {}
    for name, where in header["numbers"].items():
        size = int(np.prod(where["shape"]))
        array = np.frombuffer(data, f"<{where['kind']}", size, where["at"]).reshape(where["shape"])
        arrays[name] = np.cumsum(array, axis=1, dtype=np.uint16) if where["kind"] == "u2" else array
    return header, arrays


def played(fit, tmp_path, **more):
    fit.replay(tmp_path / "page.html", progress=False, **more)
    return read(tmp_path / "page.html")


SETTINGS = {
    "stochastic": {"eta": 3.0},
    "accumulated": {"eta": 5.0, "updates": "accumulated"},
    "batches": {"eta": 3.0, "updates": 3},
    "adam": {"rule": "adam", "eta": 0.05, "updates": 2},
    "rprop": {"rule": "rprop", "updates": "accumulated"},
    "adaptive": {"eta": bpjit.AdaptiveRate(2.0), "updates": "accumulated"},
    "cosine": {"eta": bpjit.Cosine(3.0, 60)},
    "penalty": {"eta": 2.0, "lam": 1 - 1e-4},
    "weights": {"eta": 2.0, "sample_weight": [1, 2, 0, 1]},
    "masked": {"eta": 2.0, "train_thresholds": False},
}


@pytest.mark.parametrize("name", SETTINGS)
def test_frames_are_the_networks_of_the_training(name, tmp_path):
    """Against other trainings that stop there."""
    settings = SETTINGS[name]
    net = start()
    header, arrays = played(bpjit.train(net, X, Y, stop=60, **settings), tmp_path, frames=12)
    assert header["epochs"][0] == 0
    assert header["epochs"][-1] == 60
    assert np.array_equal(arrays["parameters"][0], net.parameters.astype(np.float32))
    for frame, epoch in enumerate(header["epochs"][1:], 1):
        then = bpjit.train(net, X, Y, stop=int(epoch), **settings)
        assert np.array_equal(arrays["parameters"][frame], then.network.parameters.astype(np.float32))
        assert arrays["error"][frame, ...] == np.float32(then.error)


@pytest.mark.parametrize(
    "settings",
    [{"rule": "lm"}, {"rule": "br"}, {"rule": "lbfgs", "lam": 0.99}, {"rule": "scg", "sample_weight": [1, 2, 0, 1]}],
)
def test_a_training_of_second_order_says_what_is_not_shown(settings, tmp_path):
    net, options = start(), {"loss": "cross_entropy", **settings}
    fit = bpjit.train(net, X, Y, stop=30, **options)
    header, arrays = played(fit, tmp_path, frames=5)
    assert header["epochs"][-1] == fit.epochs
    for frame, epoch in enumerate(header["epochs"][1:], 1):
        then = bpjit.train(net, X, Y, stop=int(epoch), **options).network.parameters
        assert np.array_equal(arrays["parameters"][frame], then.astype(np.float32))
    for k, sample in enumerate(header["samples"]):  # directions by samples alone, not steps
        descent = -bpjit.gradient(net, [sample["x"]], [sample["y"]], loss="cross_entropy")
        np.testing.assert_allclose(arrays["steps"][0, k], descent, rtol=1e-6, atol=1e-7)
    assert (header["secondOrder"], header["ownPenalty"]) == (True, settings["rule"] == "br")
    assert not header["plain"]
    assert not header["rate"]
    first = played(bpjit.train(net, X, Y, rule="adam", stop=2), tmp_path)[0]
    assert not first["secondOrder"]
    assert not first["ownPenalty"]


@pytest.mark.parametrize(
    ("output", "loss"),
    [("sigmoid", "squared"), ("sigmoid", "cross_entropy"), ("tanh", "huber"), ("identity", "absolute")],
)
def test_quantities_are_those_of_lay_open(output, loss, tmp_path):
    net = start((2, 3, 2, 2), hidden=["tanh", "relu"], output=output)
    targets = np.stack([Y, 1 - Y], axis=1)
    fit = bpjit.train(net, X, targets, eta=0.1, loss=loss, stop=10)
    _, arrays = played(fit, tmp_path)
    for frame in (0, 7, 10):
        then = net.with_parameters(
            net.parameters
            if frame == 0
            else bpjit.train(net, X, targets, eta=0.1, loss=loss, stop=frame).network.parameters
        )
        for k in range(4):
            sample = bpjit.lay_open(then, X[k], targets[k], loss)
            names = ("sums", "net_inputs", "outputs", "slopes", "backs", "gradient_terms")
            for row, name in enumerate(names):
                hidden = [getattr(layer, name) for layer in sample.layers[:-1]]
                assert np.array_equal(arrays["units"][frame, k, row, :5], np.concatenate(hidden).astype(np.float32))
                last = getattr(sample.layers[-1], name)
                if last is not None:
                    assert np.array_equal(arrays["units"][frame, k, row, 5:], last.astype(np.float32))
            assert arrays["sampleErrors"][frame, k] == np.float32(sample.error)
            one = bpjit.train(then, X[k : k + 1], targets[k : k + 1], eta=0.1, loss=loss, stop=1)
            step = one.network.parameters - then.parameters
            np.testing.assert_allclose(arrays["steps"][frame, k], step, rtol=1e-5, atol=1e-9)  # rounding of w + Δw


def test_what_comes_back_to_outputs_is_the_slope_of_the_loss(tmp_path):
    fit = bpjit.train(start(), X, Y, eta=1.0, stop=3)
    _, arrays = played(fit, tmp_path)
    y_hat, back = arrays["units"][:, :, 2, -1], arrays["units"][:, :, 4, -1]
    np.testing.assert_allclose(back, Y - y_hat, atol=1e-7)
    fit = bpjit.train(start(), X, Y, eta=1.0, stop=3, loss="cross_entropy")
    assert np.isnan(played(fit, tmp_path)[1]["units"][:, :, 4, -1]).all()


def test_the_picture_over_two_inputs_is_what_the_network_predicts(tmp_path):
    fit = bpjit.train(start(), X, Y, eta=3.0, stop=50)
    header, arrays = played(fit, tmp_path)
    box, (low, high) = header["box"], header["range"]
    sides = [np.linspace(box["low"][axis], box["high"][axis], box["points"]) for axis in (0, 1)]
    grid = np.array([[a, b] for b in sides[1] for a in sides[0]])
    shown = low + arrays["answers"][-1] / 4095 * (high - low)
    np.testing.assert_allclose(shown, fit.network.predict(grid)[:, 0], atol=(high - low) / 4095)
    labels = [0, 1, 2, 1]
    fit = bpjit.train(start((2, 4, 3), output="softmax"), X, labels, eta=0.5, stop=80)
    header, arrays = played(fit, tmp_path)
    y_hat = fit.network.predict(grid)
    assert np.array_equal(arrays["answers"][-1] >> 12, y_hat.argmax(1))
    lead = np.diff(np.sort(y_hat, axis=1), axis=1)[:, -1]
    np.testing.assert_allclose((arrays["answers"][-1] & 4095) / 4095, lead / lead.max(), atol=1 / 4095)


def test_the_picture_over_one_input(tmp_path):
    x = np.linspace(-1, 1, 9)[:, None]
    fit = bpjit.train(start((1, 3, 2), hidden="tanh", output="identity"), x, np.hstack([x, x**2]), eta=0.1, stop=20)
    header, arrays = played(fit, tmp_path)
    grid = np.linspace(header["box"]["low"][0], header["box"]["high"][0], header["box"]["points"])[:, None]
    np.testing.assert_allclose(arrays["answers"][-1], fit.network.predict(grid), rtol=1e-6)
    assert header["picture"] == "line"


# --- Which moments.


def test_moments_lie_where_the_error_changes(tmp_path):
    fit = bpjit.train(start(), X, Y, eta=5.0, stop=3000)
    epochs = np.array(writing.moments(fit, 200, 0))
    assert epochs[0] == 0
    assert epochs[-1] == 3000
    assert 100 <= len(epochs) <= 202
    assert (np.diff(epochs) > 0).all()
    early, late = (epochs < 300).sum(), (epochs >= 2700).sum()
    assert early > 3 * late > 0  # this training falls in its first 200 epochs


def test_the_best_epoch_has_a_frame(tmp_path):
    rng = np.random.default_rng(0)
    A = rng.normal(size=(40, 2))
    B = (A[:, 0] > 0) ^ (rng.random(40) < 0.3)
    stop = [bpjit.EarlyStopping(patience=300), bpjit.MaxEpochs(2000)]
    fit = bpjit.train(start((2, 8, 1)), A[:20], B[:20], eta=2.0, stop=stop, validation=(A[20:], B[20:]))
    assert 0 < fit.best_epoch < fit.epochs
    header, arrays = played(fit, tmp_path, frames=30)
    frame = header["epochs"].index(fit.best_epoch)
    assert np.array_equal(arrays["parameters"][frame], fit.network.parameters.astype(np.float32))
    assert header["bestEpoch"] == fit.best_epoch
    xs, ys = header["curve"]["validation"]
    assert fit.best_epoch in xs
    assert min(ys) == pytest.approx(np.nanmin(fit.validation_errors), rel=1e-5)


def test_the_curve_keeps_the_extremes():
    values = np.random.default_rng(0).random(100_000)
    xs, ys = writing.strips(np.arange(100_000.0), values)
    assert len(xs) <= 2 * writing.STRIPS
    assert (min(ys), max(ys)) == (float(f"{values.min():.6g}"), float(f"{values.max():.6g}"))
    assert xs == sorted(xs)


# --- Trainings of all kinds.


def test_a_resumed_training_is_played_from_its_first_start(tmp_path):
    net = start()
    first = bpjit.train(net, X, Y, eta=3.0, rule="momentum", stop=20)
    second = bpjit.train(first.network, X.tolist(), Y, eta=3.0, rule="momentum", stop=20, resume=first)
    third = bpjit.train(second.network, X, Y, eta=3.0, rule="momentum", stop=20, resume=second)
    header, arrays = played(third, tmp_path)
    assert header["epochs"] == list(range(61))
    assert np.array_equal(arrays["parameters"][0], net.parameters.astype(np.float32))
    assert np.array_equal(arrays["parameters"][20], first.network.parameters.astype(np.float32))
    assert np.array_equal(arrays["parameters"][-1], third.network.parameters.astype(np.float32))


def test_resumed_with_other_data_it_is_played_from_there(tmp_path):
    first = bpjit.train(start(), X, Y, eta=0.05, rule="adam", stop=20)
    second = bpjit.train(first.network, X, 1 - Y, eta=0.05, rule="adam", stop=20, resume=first)
    third = bpjit.train(second.network, X, 1 - Y, eta=0.05, rule="adam", stop=5, resume=second)
    header, arrays = played(third, tmp_path)
    assert header["epochs"] == list(range(20, 46))
    assert np.array_equal(arrays["parameters"][0], first.network.parameters.astype(np.float32))
    assert np.array_equal(arrays["parameters"][-1], third.network.parameters.astype(np.float32))


def test_a_chain_of_resumes_keeps_one_origin_only():
    fit = bpjit.train(start(), X, Y, eta=1.0, stop=1)
    origin = fit._origin
    for _ in range(3):
        fit = bpjit.train(fit.network, X, Y, eta=1.0, stop=1, resume=fit)
    assert fit._origin is origin
    assert origin.D.X is X  # referred to, not copied


def test_a_training_that_diverged(tmp_path):
    fit = bpjit.train(start(output="identity"), X, 1e3 * Y, eta=5.0, stop=500)
    assert fit.stopped_by == "diverged"
    header, arrays = played(fit, tmp_path)
    assert header["stoppedBy"] == "diverged"
    assert header["epochs"][-1] == fit.epochs
    most = np.finfo(np.float32).max  # larger numbers are shown as this
    assert np.array_equal(arrays["parameters"][-1], fit.network.parameters.clip(-most, most).astype(np.float32))
    assert all(np.isfinite(arrays[name]).all() for name in ("error", "parameters", "units"))


def test_a_training_that_ended_inside_an_epoch(tmp_path):
    rng = np.random.default_rng(0)
    A = rng.normal(size=(400_000, 2))
    settings = {"eta": 0.1, "stop": bpjit.TimeLimit(1e-3)}
    fit = bpjit.train(start(), A, A[:, 0] > 0, **settings)
    assert fit.stopped_by == "TimeLimit"
    assert fit._state["memory"].counters[writing.POSITION] > 0
    with pytest.raises(ValueError, match="^X: expected the data again, got none.* more than 8 MB"):
        fit.replay(tmp_path / "page.html")
    for others in ((-A, A[:, 0] > 0), (A, A[:, 1] > 0)):
        with pytest.raises(ValueError, match="^X, Y: trained once more it ended elsewhere, so these are other data"):
            fit.replay(tmp_path / "page.html", X=others[0], Y=others[1])
    header, arrays = played(fit, tmp_path, X=A, Y=A[:, 0] > 0)
    assert fit.epochs < header["epochs"][-1] < fit.epochs + 1
    assert np.array_equal(arrays["parameters"][-1], fit.network.parameters.astype(np.float32))
    assert len(header["dots"]) == 400
    assert len(header["samples"]) == 16
    further = bpjit.train(fit.network, A, A[:, 0] > 0, eta=0.1, stop=1, resume=fit)
    header, arrays = played(further, tmp_path, X=A, Y=A[:, 0] > 0)
    assert header["epochs"][0] == 0
    assert np.array_equal(arrays["parameters"][-1], further.network.parameters.astype(np.float32))


def test_resumed_inside_an_epoch_with_other_data(tmp_path):
    """Then there is no way back beyond it: the replay begins inside the epoch."""
    A = np.random.default_rng(0).normal(size=(300_000, 2))
    V = (A, A[:, 0] > 0)
    fit = bpjit.train(start(), A, A[:, 0] > 0, eta=0.1, validation=V, stop=bpjit.TimeLimit(1e-3))
    further = bpjit.train(fit.network, A, A[:, 1] > 0, eta=0.1, validation=V, stop=1, resume=fit)
    _, arrays = played(further, tmp_path)
    assert np.array_equal(arrays["parameters"][0], fit._state["memory"].p.astype(np.float32))
    assert np.array_equal(arrays["parameters"][-1], further.network.parameters.astype(np.float32))


def test_what_stopped_while_it_validated_begins_with_the_next_epoch():
    fit = bpjit.train(start(), X, Y, eta=1.0, validation=(X, Y), stop=3)
    memory = fit._state["memory"]._replace(counters=fit._state["memory"].counters.copy())
    memory.counters[writing.POSITION] = 4 + 2
    session = dataclasses.replace(fit._origin, state={**fit._state, "memory": memory, "shape": (4, 4, 1)}).begin()
    session.run(4)
    assert (session.epoch, session.inside_an_epoch) == (4, False)
    assert np.array_equal(session.memory.p, memory.p)  # all its samples were learnt already


def test_a_scaled_network_is_shown_in_its_own_units(tmp_path):
    A = 100.0 + 50.0 * X
    net = start(scale=bpjit.Scale.standard(A))
    fit = bpjit.train(net, A, Y, eta=3.0, stop=10)
    header, arrays = played(fit, tmp_path)
    assert header["scaled"]
    assert header["samples"][0]["x"] == [-1.0, -1.0]
    outputs = arrays["units"][-1, :, 2, -1]
    np.testing.assert_allclose(outputs, fit.network.predict(A)[:, 0], rtol=1e-6)


def test_float32_and_ordinary_numbers_of_samples(tmp_path):
    fit = bpjit.train(start(dtype="float32"), X, Y, eta=3.0, sample_weight=[0, 1, 1, 2], stop=10)
    header, arrays = played(fit, tmp_path)
    assert [sample["number"] for sample in header["samples"]] == [2, 3, 4]
    assert [sample["c"] for sample in header["samples"]] == [0.75, 0.75, 1.5]
    assert np.array_equal(arrays["parameters"][-1], fit.network.parameters)


# --- Sizes.


def test_files_stay_small(tmp_path):
    fit = bpjit.train(start(), X, Y, eta=5.0, stop=2000)
    fit.replay(tmp_path / "xor.html")
    assert (tmp_path / "xor.html").stat().st_size < 1_000_000
    rng = np.random.default_rng(0)
    A = rng.normal(size=(300, 60))
    fit = bpjit.train(start((60, 60, 10), output="softmax"), A, np.arange(300) % 10, eta=0.05, stop=300)
    header, _ = played(fit, tmp_path)
    assert (tmp_path / "page.html").stat().st_size < 9_000_000
    assert len(header["samples"]) >= 4
    assert len(header["epochs"]) >= 40


def test_a_network_too_large_says_so(tmp_path):
    fit = bpjit.train(start((100, 60, 2)), np.ones((2, 100)), np.ones((2, 2)), stop=1)
    with pytest.raises(ValueError, match="networks of up to 5000 parameters and 1000 units, this one has 6182 and 162"):
        fit.replay(tmp_path / "large.html")
    assert not list(tmp_path.iterdir())


# --- Safety, and wrong arguments.


def test_what_users_give_cannot_leave_its_place(tmp_path):
    evil = "</script><script>alert(1)</script>{{packed}}<!--"
    fit = bpjit.train(start(), X, Y, stop=2)
    header, _ = played(fit, tmp_path, title=evil, inputs=[evil, "b"], outputs=[evil])
    text = (tmp_path / "page.html").read_text()
    assert "<script>alert" not in text
    assert text.count("</script>") == 3
    assert header["title"] == evil
    assert header["inputs"] == [evil, "b"]
    assert "&lt;/script&gt;" in text


def test_the_page_needs_nothing_else(tmp_path):
    fit = bpjit.train(start(), X, Y, stop=2)
    fit.replay(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    links = set(re.findall(r"(?:https?:)?//[\w.]+\.\w+[^\s\"'`]*", text))
    assert links <= {"http://www.w3.org/2000/svg"}  # a name, not a place
    assert "default-src 'none'" in text
    assert not re.search(r"<link(?! rel=\"icon\" href=\"data:,\")|src=", text)


def test_a_file_is_written_whole_or_not_at_all(tmp_path, monkeypatch):
    fit = bpjit.train(start(), X, Y, stop=2)
    path = tmp_path / "page.html"
    path.write_text("before")

    def full(*arguments):
        raise OSError("no space left")

    monkeypatch.setattr("os.replace", full)
    with pytest.raises(OSError, match="no space"):
        fit.replay(path)
    assert path.read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["page.html"]


def test_data_that_changed_since_are_noticed(tmp_path):
    A = X.copy()
    fit = bpjit.train(start(), A, Y, eta=1.0, stop=20)
    A[0, 0] = 0.5
    with pytest.raises(ValueError, match="the data have changed since"):
        fit.replay(tmp_path / "page.html")
    assert not list(tmp_path.iterdir())


# --- Fits without their data.


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda fit: pickle.loads(pickle.dumps(fit))])
def test_a_copy_comes_without_its_data(way, tmp_path):
    fit = bpjit.train(start(), X, Y, eta=1.0, stop=2)
    with pytest.raises(ValueError, match=r"pickled or copied; fit.replay\(path, X=X, Y=Y\) takes them"):
        way(fit).replay(tmp_path / "page.html")
    assert fit._origin.D is not None
    header, arrays = played(fit, tmp_path)
    for A, B in ((X, Y), (X.tolist(), Y[:, None].astype(np.float32))):
        again, frames = played(way(fit), tmp_path, X=A, Y=B)
        assert again == header
        assert all(np.array_equal(frames[name], arrays[name], equal_nan=True) for name in arrays)
    large = bpjit.train(start(), np.ones((99_999, 2)), np.ones(99_999), stop=1)
    assert len(pickle.dumps(large)) < 30_000  # a sample of its rows goes along, for advice


WEIGHTS = {
    "none": {},
    "absent": {"sample_weight": [0, 1, 1, 2]},
    "absent at the end": {"sample_weight": [1, 0, 1, 0]},
    "classes": {"class_weight": {0: 2.0, 1: 0.0}},
}


@pytest.mark.parametrize("weights", WEIGHTS)
def test_large_data_are_not_kept_but_weights_and_numbers_are(weights, tmp_path, monkeypatch):
    options = {"eta": 1.0, "rule": "momentum", "stop": 7} | WEIGHTS[weights]
    expected, frames = played(bpjit.train(start(), X, Y, **options), tmp_path)
    monkeypatch.setattr("bpjit.training.origin.MOST_BYTES", 10)
    fit = bpjit.train(start(), X, Y, **options)
    assert fit._origin.D is None
    for one in (fit, pickle.loads(pickle.dumps(fit))):
        header, arrays = played(one, tmp_path, X=X, Y=Y)
        assert header == expected
        assert np.array_equal(arrays["parameters"], frames["parameters"])
    with pytest.raises(ValueError, match="^X: the fit was made with 4 samples, got 5"):
        fit.replay(tmp_path / "page.html", X=np.ones((5, 2)), Y=np.ones(5))
    with pytest.raises(ValueError, match="^Y: expected both X and Y, or neither"):
        fit.replay(tmp_path / "page.html", X=X)
    with pytest.raises(ValueError, match="^X, Y: trained once more it ended elsewhere"):
        fit.replay(tmp_path / "page.html", X=X + 0.5, Y=Y)


@pytest.mark.parametrize("pickled", [False, True])
@pytest.mark.parametrize("most", [10, 8_000_000])
def test_what_resumed_without_data_is_played_from_its_first_start(pickled, most, tmp_path, monkeypatch):
    monkeypatch.setattr("bpjit.training.origin.MOST_BYTES", most)
    options = {"eta": 1.0, "rule": "adam", "stop": 20, "sample_weight": [1, 2, 0, 1]}
    net = start()
    first = bpjit.train(net, X, Y, **options)
    if pickled:
        first = pickle.loads(pickle.dumps(first))
    second = bpjit.train(first.network, X.tolist(), Y, resume=first, **options)
    header, arrays = played(second, tmp_path, X=X, Y=Y)
    assert header["epochs"] == list(range(41))
    assert np.array_equal(arrays["parameters"][0], net.parameters.astype(np.float32))
    for others in ({"Y": 1 - Y}, {"sample_weight": [1, 1, 0, 1]}, {"sample_weight": [1, 2, 1, 0]}):
        given = {"X": X, "Y": Y} | options | others
        third = bpjit.train(first.network, resume=first, **given)
        header, _ = played(third, tmp_path, X=given["X"], Y=given["Y"])
        assert header["epochs"] == list(range(20, 41))


def test_a_thinned_training_is_played_whole(tmp_path):
    fit = bpjit.train(start(), X, Y, eta=5.0, stop=3000, history=50, validation=(X, Y))
    whole = bpjit.train(start(), X, Y, eta=5.0, stop=3000, history=None, validation=(X, Y))
    epochs = writing.moments(fit, 200, 0)
    assert (epochs[0], epochs[-1]) == (0, 3000)
    assert 150 <= len(epochs) <= 202
    header, _ = played(fit, tmp_path, frames=12)
    for kind, offset in (("training", 0.5), ("validation", 1.0)):
        xs, ys = header["curve"][kind]
        errors = whole.errors if kind == "training" else whole.validation_errors
        assert xs == (fit.recorded + offset).tolist()
        np.testing.assert_allclose(ys, errors[fit.recorded], rtol=1e-5)


def test_moments_of_a_training_of_a_billion_epochs():
    fit = bpjit.train(start(), X, Y, eta=0.1, stop=300)
    many = dataclasses.replace(fit, epochs=10**9, recorded=np.append(fit.recorded[:-1] * 1000, 10**9 - 1))
    epochs = writing.moments(many, 200, 0)
    assert (epochs[0], epochs[-1]) == (0, 10**9)
    assert 100 <= len(epochs) <= 202


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"language": "fr"}, ValueError, 'language: expected one of "en", "zh"'),
        ({"frames": 1}, ValueError, "frames: expected a whole number >= 2"),
        ({"title": 3}, TypeError, "title: expected a text"),
        ({"inputs": ["a"]}, ValueError, "inputs: expected 2 names or None, got 1"),
        ({"outputs": "yes"}, TypeError, "outputs: expected 1 names or None"),
    ],
)
def test_wrong_arguments(arguments, error, message, tmp_path):
    fit = bpjit.train(start(), X, Y, stop=1)
    with pytest.raises(error, match=message):
        fit.replay(tmp_path / "page.html", **arguments)


def test_a_path_must_be_one(tmp_path):
    fit = bpjit.train(start(), X, Y, stop=1)
    with pytest.raises(TypeError):
        fit.replay(3)
    with pytest.raises(OSError, match="none"):
        fit.replay(tmp_path / "none" / "page.html")
