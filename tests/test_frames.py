"""Frames of pandas, polars and pyarrow: read by the names of their columns, which networks keep."""

import copy
import datetime
import decimal
import json
import os
import pickle
import subprocess
import sys

import numpy as np
import pytest

import bpjit
import watermelon
from bpjit.common.files import read, write
from bpjit.frames import is_frame
from bpjit.frames.reading import Table, numbers_of

pytest.importorskip("narwhals")
pd, pl, pa = (pytest.importorskip(name) for name in ("pandas", "polars", "pyarrow"))

NAMES = ("色泽", "根蒂", "敲声", "纹理", "脐部", "触感", "密度", "含糖率", "好瓜")
MELONS = {name: list(values) for name, values in zip(NAMES, zip(*watermelon.MELONS, strict=True), strict=True)}
GOOD = np.array(MELONS["好瓜"])
KINDS = {"pandas": pd.DataFrame, "polars": pl.DataFrame, "pyarrow": pa.table}
NUMBERS = {"a": [0.0, 0.25, 0.5, 1.0], "b": [3, 1, 2, 0], "y": [0.5, 0.25, 1.0, 0.0]}


@pytest.fixture(params=KINDS)
def frame_of(request):
    """Makes a frame of each library from columns by name."""
    return KINDS[request.param]


def without(columns, *names):
    return {name: values for name, values in columns.items() if name not in names}


def changed(name, row, value, columns=MELONS):
    """The same with one value changed."""
    return columns | {name: [value if k == row else old for k, old in enumerate(columns[name])]}


def library_of(series):
    """What makes a frame with this column."""
    return KINDS[type(series).__module__.split(".")[0]]


@pytest.fixture(scope="module")
def melons():
    """A network that knows the melons."""
    frame = pd.DataFrame(MELONS)
    net = bpjit.Network.for_table(frame, outputs="好瓜", hidden=5)
    return bpjit.train(net, frame, stop=400).network


# --- The watermelon table as it is.


def test_the_watermelon_table_goes_in_as_it_is_and_its_words_come_back(frame_of, melons):
    frame = frame_of(MELONS)
    net = bpjit.Network.for_table(frame, outputs="好瓜", hidden=5)
    fit = bpjit.train(net, frame, stop=400)
    assert fit.network == melons  # whatever library the table is of
    assert net.sizes == (3 + 3 + 3 + 3 + 3 + 2 + 2, 5, 1)
    assert (net.output, net.columns.classes) == ("sigmoid", ("否", "是"))
    found = fit.network.classify(frame)
    assert found.dtype.kind == "U"
    assert (found == GOOD).all()
    assert bpjit.error(fit.network, frame) == fit.error
    y_hat = fit.network.predict(frame)
    assert y_hat.shape == (17, 1)
    assert ((y_hat[:, 0] >= 0.5) == (GOOD == "是")).all()


def test_inputs_are_those_that_one_would_make_by_hand(melons):
    one_hot = [[float(value == other) for value in MELONS[n]] for n in NAMES[:6] for other in sorted(set(MELONS[n]))]
    X = np.array([*one_hot, MELONS["密度"], MELONS["含糖率"]]).T
    assert melons.columns.input_names[:3] == ["色泽=乌黑", "色泽=浅白", "色泽=青绿"]
    assert np.array_equal(melons.predict(pd.DataFrame(MELONS)), melons.predict(X))
    offset, factor = (melons.scale.arrays[f"input_{name}"] for name in ("offset", "factor"))
    assert (offset[:17] == 0).all()
    assert (factor[:17] == 1).all()
    np.testing.assert_allclose(offset[17:], X[:, 17:].mean(0), rtol=1e-15)
    np.testing.assert_allclose(factor[17:], X[:, 17:].std(0), rtol=1e-15)


@pytest.mark.parametrize(
    "targets",
    [GOOD, GOOD.tolist(), GOOD[:, None], pd.Series(GOOD), pl.Series(GOOD), pa.chunked_array([MELONS["好瓜"]])],
    ids=lambda targets: type(targets).__module__,
)
def test_targets_may_come_beside_the_inputs(targets, melons):
    net = bpjit.Network.for_table(pd.DataFrame(MELONS), outputs="好瓜", hidden=5)
    assert bpjit.train(net, pl.DataFrame(without(MELONS, "好瓜")), targets, stop=400).network == melons
    numbers = (GOOD == "是").astype(float)
    assert bpjit.train(net, pd.DataFrame(MELONS), numbers, stop=400).network == melons


# --- Names are checked.


def test_order_does_not_matter_nor_do_other_columns(frame_of, melons):
    other = frame_of({name: MELONS[name] for name in reversed(NAMES)} | {"产地": ["?"] * 17})
    assert (melons.classify(other) == GOOD).all()
    assert (melons.classify(frame_of(without(MELONS, "好瓜"))) == GOOD).all()


def test_what_is_wrong_is_named_with_column_and_row(frame_of, melons):
    for columns, said in (
        (without(MELONS, "纹理"), r"^X: expected a column '纹理', got none"),
        (without(MELONS, "密度") | {"密 度": MELONS["密度"]}, r"column '密度', got none; did you mean \"密 度\"\?"),
        (changed("根蒂", 3, "卷曲"), r"^X: expected one of 硬挺, 稍蜷, 蜷缩 in column '根蒂', got '卷曲' in row 3"),
        (changed("触感", 16, None), r"one of 硬滑, 软粘 in column '触感', got a missing value in row 16"),
        (changed("密度", 2, None), r"^X: expected finite numbers in column '密度', got a missing value in row 2"),
        (changed("密度", 5, np.inf), r"^X: expected finite numbers in column '密度', got inf in row 5"),
        (MELONS | {"密度": ["0.6"] * 17}, r"^X: expected numbers in column '密度', got '0.6' \(str\) in row 0"),
    ):
        for use in (
            melons.predict,
            melons.classify,
            lambda X: bpjit.error(melons, X),
            lambda X: bpjit.train(melons, X),
        ):
            with pytest.raises(ValueError, match=said):
                use(frame_of(columns))
    with pytest.raises(ValueError, match=r"^Y: expected one of 否, 是 in column '好瓜', got '坏' in row 4"):
        bpjit.train(melons, frame_of(changed("好瓜", 4, "坏")))
    with pytest.raises(ValueError, match=r"^Y: expected one of 否, 是 in column '好瓜', got '坏' in row 1"):
        bpjit.train(melons, frame_of(MELONS), ["是", "坏"] + ["是"] * 15)
    with pytest.raises(ValueError, match=r"^validation X: expected a column '色泽', got none"):
        bpjit.train(melons, frame_of(MELONS), validation=(frame_of(without(MELONS, "色泽")), GOOD))
    with pytest.raises(ValueError, match=r"^Y: expected a column '好瓜', got none"):
        bpjit.train(melons, frame_of(without(MELONS, "好瓜")))


def test_arrays_hold_inputs_as_they_are_encoded(melons):
    for X, error in ((np.zeros((3, 8)), ValueError), ([list(MELONS["色泽"][:8])], TypeError)):
        with pytest.raises(error, match=r"shape \(m, 19\).*; a frame has the columns 色泽, 根蒂, .*含糖率$"):
            melons.predict(X)


def test_lazy_frames_and_names_that_occur_twice_are_refused(melons):
    with pytest.raises(TypeError, match=r"^X: expected a table in memory, got a lazy one; give its \.collect\(\)"):
        melons.predict(pl.DataFrame(MELONS).lazy())
    for twice in (
        pd.DataFrame([[1.0, 2.0]], columns=["密度", "密度"]),
        pa.table([[1.0], [2.0]], names=["密度", "密度"]),
        pd.concat([pd.DataFrame(MELONS)] * 2, axis=1),
    ):
        with pytest.raises(ValueError, match=r"^X: expected a name of its own for each column.*'(密度|色泽)' 2 times"):
            melons.predict(twice)


def test_a_row_of_a_frame_is_a_sample(melons):
    row = pd.DataFrame(MELONS).iloc[12]
    assert melons.classify(row) == "否"
    assert melons.predict(row[::-1]).shape == (1,)
    learner = bpjit.OnlineLearner(melons, eta=0.5)
    assert learner.classify(row) == "否"
    for _ in range(50):
        learner.learn(row, "是")
    assert learner.classify(row) == "是"
    assert learner.network.columns == melons.columns


def test_numbers_too_large_for_float32_are_named(frame_of):
    columns = {"x": [1.0, 1e300], "z": [1, 2]}
    for net in (
        bpjit.Network.random((2, 3, 1), dtype="float32", columns=bpjit.Columns(["x", "z"])),
        bpjit.Network.random(
            (4, 3, 1), dtype="float32", columns=bpjit.Columns(["x", bpjit.Column("w", ("a", "b")), "z"])
        ),
    ):
        with pytest.raises(
            ValueError, match=r"^X: expected finite numbers in column 'x', got 1e\+300 in row 1; too large"
        ):
            net.predict(frame_of(columns | {"w": ["a", "b"]}))
        large = net._architecture.encoded(Table("X", frame_of({"z": [1], "w": ["a"], "x": [2.5]})))
        assert large.dtype == np.float32
        assert large[0, [0, -1]].tolist() == [2.5, 1.0]


def test_folds_and_bags_take_frames(frame_of):
    frame = frame_of(MELONS)
    net = bpjit.Network.for_table(frame, outputs="好瓜", hidden=5)
    table = bpjit.cross_validate(net, frame, GOOD, settings={"eta": [0.1, 0.2]}, folds=4, stop=3)
    encoded = net._architecture.as_samples("X", frame)
    numbers = (GOOD == "是").astype(float)
    plain = bpjit.cross_validate(net, encoded, numbers, settings={"eta": [0.1, 0.2]}, folds=4, stop=3)
    assert np.array_equal(table.mean, plain.mean)
    bags = bpjit.bagging(bpjit.Networks.of([net] * 2), frame, GOOD, stop=3)
    assert bags.networks.vote(frame).dtype.kind == "U"


# --- What was chosen for what is missing, or was never seen.


def test_what_is_missing_or_new_is_taken_as_was_chosen(frame_of):
    columns = {"kind": ["a", "b", "a", None], "x": [1.0, None, 2.0, 3.0], "y": [1.0, 2.0, 3.0, 4.0]}
    with pytest.raises(
        ValueError, match=r"^frame: expected one of a, b in column 'kind', got a missing value in row 3"
    ):
        bpjit.Network.for_table(frame_of(columns), outputs="y")
    net = bpjit.Network.for_table(frame_of(columns), outputs="y", missing="mean", unseen="zeros")
    new = {"kind": ["a", None, "c"], "x": [None, 2.0, 2.0]}
    shares = net.predict([[1.0, 0.0, 2.0], [2 / 3, 1 / 3, 2.0], [0.0, 0.0, 2.0]])  # the mean of x is 2
    assert np.array_equal(net.predict(frame_of(new)), shares)
    again = bpjit.Network.for_table(frame_of(columns), outputs="y", missing="mean")
    with pytest.raises(ValueError, match=r"in column 'kind', got 'c' in row 2"):
        again.predict(frame_of(new))
    for wrong in ({"missing": "zeros"}, {"unseen": "mean"}):
        with pytest.raises(ValueError, match=f"^{next(iter(wrong))}: expected one of"):
            bpjit.Network.for_table(frame_of(columns), outputs="y", **wrong)


def test_rows_of_weight_0_may_hold_anything(frame_of, melons):
    weights = np.ones(17)
    weights[[3, 5]] = 0.0
    bad = frame_of(changed("密度", 5, None, changed("根蒂", 3, "卷曲", changed("好瓜", 3, "坏"))))
    fits = [bpjit.train(melons, X, sample_weight=weights, stop=3) for X in (frame_of(MELONS), bad)]
    assert fits[0].network == fits[1].network


def test_targets_that_are_missing_can_be_ignored(frame_of, melons):
    kept = [k for k in range(17) if k != 4]
    some = frame_of(changed("好瓜", 4, None))
    with pytest.raises(ValueError, match=r"^Y: expected one of 否, 是 in column '好瓜', got a missing value in row 4"):
        bpjit.error(melons, some)
    known = pd.DataFrame(MELONS).iloc[kept]
    assert bpjit.error(melons, some, missing="ignore") == bpjit.error(melons, known)
    for none in (None, np.nan):
        labels = [none if k == 4 else label for k, label in enumerate(MELONS["好瓜"])]
        assert bpjit.error(melons, some, labels, missing="ignore") == bpjit.error(melons, known)
    numbers = frame_of(changed("y", 1, None, NUMBERS))
    net = bpjit.Network.for_table(numbers, outputs="y")
    with pytest.raises(ValueError, match=r"^Y: expected finite numbers in column 'y', got a missing value in row 1"):
        bpjit.error(net, numbers)
    assert np.isfinite(bpjit.error(net, numbers, missing="ignore"))


# --- What kinds of columns become.


def test_outputs_follow_the_kind_of_their_column(frame_of):
    columns = {"x": [0.1, 0.5, 0.2, 0.9], "word": ["c", "a", "b", "c"], "truth": [True, False, True, True]}
    frame = frame_of(columns | {"n": [3, 1, 2, 3], "z": [1.0, 2.0, 3.0, 5.0]})
    for outputs, more, l, output, classes in (
        ("word", {}, 3, "softmax", ("a", "b", "c")),
        ("truth", {}, 1, "sigmoid", (False, True)),
        ("truth", {"output": "softmax"}, 2, "softmax", (False, True)),
        ("truth", {"output": "tanh"}, 1, "tanh", (False, True)),
        ("n", {}, 1, "identity", None),
        ("n", {"categories": "n", "output": "softmax"}, 3, "softmax", (1, 2, 3)),
        (["n", "z"], {}, 2, "identity", None),
    ):
        net = bpjit.Network.for_table(frame, "x", outputs, 6, **more)
        assert (net.sizes, net.output, net.columns.classes) == ((1, 6, l), output, classes)
        fit = bpjit.train(net, frame, rule="rprop", stop=1500)
        if classes is not None:
            values = np.array(columns.get(str(outputs), [3, 1, 2, 3]))
            assert fit.network.classify(frame).tolist() == values.tolist()
        else:
            assert "target_offset" in net.scale.arrays
            assert fit.network.predict(frame).shape == (4, l)


def test_columns_of_many_types_become_numbers_or_categories():
    two = decimal.Decimal("2.5"), decimal.Decimal("1.5")
    for series, inputs in (
        (pd.Series(pd.Categorical(["y", "x"])), [[0, 1], [1, 0]]),
        (pd.Series(pd.Categorical(["lo", "hi"], categories=["lo", "mid", "hi"], ordered=True)), [[1, 0], [0, 1]]),
        (pd.Series(pd.Categorical([30, 10])), [[0, 1], [1, 0]]),
        (pd.Series([2, 1], dtype="Int64"), [[2], [1]]),
        (pd.Series([True, False], dtype="boolean"), [[1], [0]]),
        (pd.Series([2, 1.5], dtype=object), [[2], [1.5]]),
        (pd.Series(two, dtype=object), [[2.5], [1.5]]),
        (pd.Series(["b", "a"], dtype=object), [[0, 1], [1, 0]]),
        (pd.Series([3, 1], dtype="int64[pyarrow]"), [[3], [1]]),
        (pl.Series(["y", "x"], dtype=pl.Categorical), [[0, 1], [1, 0]]),
        (pl.Series(["lo", "hi"], dtype=pl.Enum(["lo", "mid", "hi"])), [[1, 0], [0, 1]]),
        (pl.Series(two), [[2.5], [1.5]]),
        (pl.Series([2, 1], dtype=pl.Int128), [[2], [1]]),
        (pa.chunked_array([["y", "x"]]).dictionary_encode(), [[0, 1], [1, 0]]),
        (pa.chunked_array([pa.array(two)]), [[2.5], [1.5]]),
        (pa.chunked_array([[True], [False]]), [[1], [0]]),
    ):
        frame = library_of(series)({"c": series, "y": [1.0, 0.0]})
        columns = bpjit.Network.for_table(frame, outputs="y").columns
        assert columns.encoded(Table("X", frame), np.float64).tolist() == inputs, series


@pytest.mark.parametrize(
    ("column", "said"),
    [
        (pl.Series([datetime.date(2020, 1, 1)] * 2), "Date; dates and times become numbers first"),
        (pl.Series([datetime.timedelta(1)] * 2), "Duration.*; dates and times become numbers first"),
        (pd.Series(pd.to_datetime(["2020-01-01"] * 2)), "Datetime.*; dates and times become numbers first"),
        (pa.chunked_array([[datetime.date(2020, 1, 1)] * 2]), "Date; dates and times become numbers first"),
        (pl.Series([[1], [2]]), r"List\(Int64\)"),
        (pl.Series([{"a": 1}] * 2), "Struct"),
        (pl.Series([b"a", b"b"]), "Binary"),
        (pd.Series([1j, 2j]), "Unknown"),
        (pd.Series(["a", 1], dtype=object), r"1 \(int\) in row 1"),
        (pd.Series([None, {}], dtype=object), r"{} \(dict\) in row 1"),
    ],
)
def test_what_is_neither_is_refused_by_name(column, said):
    frame = library_of(column)({"when": column, "x": [0.0, 1.0], "y": [1.0, 0.0]})
    with pytest.raises(ValueError, match=f"^frame: expected .* in column 'when', got {said}"):
        bpjit.Network.for_table(frame, outputs="y")
    net = bpjit.Network.random((2, 2, 1), columns=bpjit.Columns(["x", "when"], ["y"]))
    with pytest.raises(ValueError, match="^X: expected .* in column 'when', got "):
        net.predict(frame)


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({}, TypeError, "^outputs: expected the name of a column"),
        ({"outputs": "z"}, ValueError, "^outputs: expected a column 'z', got none"),
        ({"outputs": "y", "inputs": ["a", "B"]}, ValueError, "expected a column 'B', got none; did you mean \"b\""),
        (
            {"outputs": ["y", "w"], "inputs": ["a"]},
            ValueError,
            "^outputs: expected columns of numbers, or one category alone, got y, w",
        ),
        (
            {"outputs": "y", "output": "softmax", "inputs": ["a"]},
            ValueError,
            r"^output: softmax goes with a category.*categories=\['y'\]",
        ),
        (
            {"outputs": "one", "inputs": ["a"]},
            ValueError,
            "expected two values or more in column 'one', got 'same' alone",
        ),
        ({"outputs": "none", "categories": "none"}, ValueError, "expected a value at least in column 'none', got none"),
        ({"outputs": "y", "inputs": ["none"], "missing": "mean"}, ValueError, "a value at least in column 'none'"),
        ({"outputs": "y", "inputs": ["a", "a"]}, ValueError, "^inputs: expected different names"),
        ({"outputs": "y", "inputs": [0]}, TypeError, "^name: expected the name of a column"),
        ({"outputs": "y", "inputs": []}, ValueError, "^inputs: expected a column at least"),
        ({"outputs": "y", "inputs": ["a"], "hidden": 0}, ValueError, r"^sizes\[1\]"),
    ],
)
def test_wrong_arguments_of_for_table(frame_of, arguments, error, said):
    frame = frame_of(NUMBERS | {"w": ["u", "v", "u", "v"], "one": ["same"] * 4, "none": [None] * 4})
    with pytest.raises(error, match=said):
        bpjit.Network.for_table(frame, **arguments)


def test_only_frames_make_networks_for_tables():
    with pytest.raises(TypeError, match="^frame: expected a table of pandas, polars, pyarrow"):
        bpjit.Network.for_table(np.zeros((3, 2)), outputs="y")


def test_hidden_units_follow_the_inputs_unless_given(frame_of):
    frame = frame_of({f"x{i}": [0.0, 1.0] for i in range(40)} | {"y": [0.0, 1.0]})
    for inputs, hidden, sizes in (
        (["x0"], None, (1, 8, 1)),
        ([f"x{i}" for i in range(10)], None, (10, 20, 1)),
        (None, None, (40, 64, 1)),
        (["x0"], 3, (1, 3, 1)),
        (["x0"], (4, 5), (1, 4, 5, 1)),
        (["x0"], (), (1, 1)),
    ):
        assert bpjit.Network.for_table(frame, inputs, "y", hidden).sizes == sizes


# --- Networks keep their columns.


def test_networks_and_their_files_keep_the_columns(melons, tmp_path):
    chosen = bpjit.Network.for_table(
        pd.DataFrame(MELONS), outputs="好瓜", missing="mean", unseen="zeros", categories=["密度"]
    )
    for net in (melons, chosen, melons.with_parameters(melons.parameters * 2)):
        net.save(tmp_path / "net.safetensors")
        assert (
            bpjit.Network.load(tmp_path / "net.safetensors") == net == pickle.loads(pickle.dumps(net)) == copy.copy(net)
        )
    nets = bpjit.Networks.of([melons, melons])
    nets.save(tmp_path / "nets.safetensors")
    again = bpjit.Networks.load(tmp_path / "nets.safetensors")
    assert again == nets
    assert again[1].columns == melons.columns
    bank = bpjit.LearnerBank(nets, ["p", "q"])
    bank.learn(["q"] * 17, pd.DataFrame(MELONS), GOOD)
    bank.save(tmp_path / "bank.safetensors")
    assert bpjit.LearnerBank.load(tmp_path / "bank.safetensors")["q"].columns == melons.columns
    other = bpjit.Network.random(melons.sizes, "tanh", "sigmoid", seed=0, scale=melons.scale)
    assert "8 columns" in repr(melons)
    assert "columns" not in repr(other)
    assert other.with_parameters(melons.parameters) != melons
    with pytest.raises(ValueError, match="network like the first"):
        bpjit.Networks.of([melons, other])


def test_a_file_without_columns_loads_as_before(tmp_path):
    net = bpjit.Network.random((2, 3, 1))
    net.save(tmp_path / "net.safetensors")
    words, _ = read(tmp_path / "net.safetensors", "bpjit network", "1")
    assert "columns" not in words
    assert bpjit.Network.load(tmp_path / "net.safetensors").columns is None


A = {"name": "a", "values": None, "missing": None, "unseen": False}
B = A | {"name": "b"}


@pytest.mark.parametrize(
    "said",
    [
        "",
        "null",
        "[]",
        "[" * 100_000,
        {},
        {"inputs": [A, B]},
        {"inputs": [A], "outputs": []},
        {"inputs": [A, A], "outputs": []},
        {"inputs": [A, B], "outputs": [A, B]},
        {"inputs": [A, "b"], "outputs": [], "more": 1} | {"inputs": 7},
        {"inputs": [A, B | {"name": 5}], "outputs": []},
        {"inputs": [A, B | {"code": "x"}], "outputs": []},
        {"inputs": [A, B | {"unseen": 2}], "outputs": []},
        {"inputs": [A, B | {"missing": [0.0, 1.0]}], "outputs": []},
        {"inputs": [A, B | {"missing": [float("nan")]}], "outputs": []},
        {"inputs": [A, B | {"values": []}], "outputs": []},
        {"inputs": [A, B | {"values": [[1]]}], "outputs": []},
        {"inputs": [A, B | {"values": ["u", "u"]}], "outputs": []},
        {"inputs": [A, B], "outputs": [A | {"values": ["u"]}]},
        {"inputs": [A, B], "outputs": [A | {"values": ["u", 1]}]},
        {"inputs": [A, B], "outputs": [A | {"values": ["u", "v", "w"]}]},
    ],
    ids=lambda said: str(said)[:40],
)
def test_damaged_columns_in_a_file_are_told(said, tmp_path):
    net, path = bpjit.Network.random((2, 3, 1), columns=bpjit.Columns(["a", "b"])), tmp_path / "net.safetensors"
    net.save(path)
    words, tensors = read(path, "bpjit network", "1")
    words["columns"] = said if isinstance(said, str) else json.dumps(said)
    write(
        path, "bpjit network", "1", {name: words[name] for name in words if name not in ("format", "version")}, tensors
    )
    with pytest.raises(ValueError, match="^path: the network in .* is damaged"):
        bpjit.Network.load(path)


# --- Names of frames of numbers.


def test_training_keeps_the_names_of_numbers(frame_of):
    net, frame = bpjit.Network.random((2, 3, 1)), frame_of(NUMBERS)
    X, Y = np.column_stack([NUMBERS["a"], NUMBERS["b"]]), np.array(NUMBERS["y"])
    plain = bpjit.train(net, X, Y, stop=5)
    for targets, names in ((frame_of({"y": NUMBERS["y"]}), ["y"]), (Y, [])):
        fit = bpjit.train(net, frame_of(without(NUMBERS, "y")), targets, stop=5)
        assert np.array_equal(fit.network.parameters, plain.network.parameters)
        assert fit.network.columns == bpjit.Columns(["a", "b"], names)
        assert np.array_equal(fit.network.predict(frame), plain.network.predict(X))  # y stands behind
        turned = frame_of({name: NUMBERS[name] for name in ("b", "y", "a")})
        assert np.array_equal(fit.network.predict(turned), plain.network.predict(X))
    with pytest.raises(ValueError, match="^X: expected a column 'b', got none"):
        fit.network.predict(frame_of({"a": [1.0]}))
    many = bpjit.train_many([net, net], frame_of(without(NUMBERS, "y")), Y, stop=5)
    assert many.networks[1].columns == bpjit.Columns(["a", "b"])
    on = bpjit.train(fit.network, frame_of(without(NUMBERS, "y")), Y, stop=5, resume=fit)
    assert np.array_equal(on.network.parameters, bpjit.train(net, X, Y, stop=10).network.parameters)


def test_a_series_names_its_output():
    frame = pd.DataFrame(NUMBERS)
    fit = bpjit.train(bpjit.Network.random((2, 3, 1)), frame[["a", "b"]], frame["y"], stop=2)
    assert fit.network.columns == bpjit.Columns(["a", "b"], ["y"])
    assert bpjit.train(fit.network, frame, stop=2).epochs == 2


def test_categories_need_a_network_for_them(frame_of):
    frame = frame_of({"a": [0.0, 1.0], "b": ["u", "v"]})
    with pytest.raises(ValueError, match=r"^X: expected numbers in column 'b', got words; bpjit.Network.for_table"):
        bpjit.train(bpjit.Network.random((2, 3, 1)), frame, [0, 1])
    with pytest.raises(ValueError, match=r"^Y: expected numbers in column 'b', got words; bpjit.Network.for_table"):
        bpjit.train(bpjit.Network.random((1, 3, 1)), frame_of({"a": [0.0, 1.0]}), frame_of({"b": ["u", "v"]}))
    with pytest.raises(TypeError, match=r"^Y: expected targets, got None; .*bpjit.Network.for_table"):
        bpjit.train(bpjit.Network.random((2, 3, 1)), frame_of({"a": [0.0, 1.0], "b": [0.0, 1.0]}))


def test_frames_whose_names_are_numbers_go_by_position():
    X = np.arange(6.0).reshape(3, 2)
    fit = bpjit.train(bpjit.Network.random((2, 3, 1)), pd.DataFrame(X), [0, 1, 0], stop=2)
    assert fit.network.columns is None
    assert np.array_equal(fit.network.predict(pd.DataFrame(X)), fit.network.predict(X))


# --- In what else takes data.


def test_frames_in_validation_weights_and_many(frame_of, melons):
    frame, inputs = frame_of(MELONS), frame_of(without(MELONS, "好瓜"))
    net = bpjit.Network.for_table(frame, outputs="好瓜", hidden=5)
    fits = [bpjit.train(net, frame, stop=9, validation=each) for each in (frame, (frame,), (inputs, GOOD))]
    assert len({fit.validation_errors.tobytes() for fit in fits}) == 1
    weighed = [bpjit.train(net, frame, stop=9, class_weight=each) for each in ({"是": 2.0, "否": 1.0}, {"是": 2.0})]
    assert weighed[0].network == weighed[1].network
    assert weighed[0].network != fits[0].network
    with pytest.raises(ValueError, match="^class_weight: expected values of 否, 是, got '好'"):
        bpjit.train(net, frame, class_weight={"好": 2.0})
    nets = bpjit.Networks.of([net] * 3)
    weights = np.where(GOOD == "是", 2.0, 1.0)
    for settings, more in (
        ({"class_weight": {"是": 2.0}}, {"sample_weight": weights}),
        ({"class_weight": {"是": 2.0}, "sample_weight": np.ones((3, 17))}, {"sample_weight": np.tile(weights, (3, 1))}),
    ):
        many = bpjit.train_many(nets, frame, stop=400, validation=frame, **settings)
        other = bpjit.train_many(nets, inputs, GOOD, stop=400, validation=(inputs, GOOD), **more)
        assert many.networks == other.networks
    found = np.where(many.networks.predict(frame)[..., 0] >= 0.5, "是", "否")
    assert many.networks.classify(frame).tolist() == found.tolist()
    assert many.networks.vote(frame).tolist() == found[0].tolist()
    assert many.networks.mean(frame).shape == (17, 1)
    assert np.array_equal(bpjit.gradient(net, frame), bpjit.gradient(net, inputs, GOOD))
    assert bpjit.jacobian(net, frame).shape == (17, 1, len(net.parameters))


def test_pictures_and_pages_use_the_names(melons, tmp_path):
    from bpjit import plot

    frame = pl.DataFrame(MELONS)
    for Y in (frame, GOOD):
        ax = plot.confusion_matrix(melons, frame, Y)
        assert [text.get_text() for text in ax.texts] == ["9", "0", "0", "8"]
        assert [label.get_text() for label in ax.get_xticklabels()] == ["否", "是"]
    bpjit.train(melons, frame, stop=9).replay(tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert all(name in page or json.dumps(name)[1:-1] in page for name in ("触感=软粘", "密度", "好瓜=是"))


def test_columns_are_described_by_hand():
    columns = bpjit.Columns(["a", bpjit.Column("c", ("u", "v"))], [bpjit.Column("y", (True, False))])
    net = bpjit.Network.random((3, 2, 2), output="softmax", columns=columns)
    assert columns.input_names == ["a", "c=u", "c=v"]
    frame = pl.DataFrame({"c": ["v", "u"], "a": [1, 2], "y": [True, False]})
    assert np.array_equal(net.predict(frame), net.predict([[1, 0, 1], [2, 1, 0]]))
    assert net.classify(frame).dtype == bool
    for sizes, more, said in (
        ((2, 2, 2), {}, "^columns: expected 2 inputs, as sizes say, got 3"),
        ((3, 2, 3), {}, "^columns: expected columns for 3 outputs, as sizes say, got a category of 2 values"),
        ((3, 2, 2), {"scale": bpjit.Scale([0] * 3, [1] * 3, [0] * 2, [1] * 2)}, "^scale: expected one of inputs alone"),
    ):
        with pytest.raises(ValueError, match=said):
            bpjit.Network.random(sizes, columns=columns, **more)
    with pytest.raises(TypeError, match="^columns: expected bpjit.Columns or None"):
        bpjit.Network.random((3, 2, 2), columns=["a", "b", "c"])
    with pytest.raises(TypeError, match="^inputs: expected names of columns"):
        bpjit.Columns("a")


# --- Estimators.


def test_estimators_take_words(frame_of):
    sk = pytest.importorskip("bpjit.sklearn")
    X, y = frame_of(without(MELONS, "好瓜")), GOOD
    model = sk.BPClassifier(5, ensemble=2, max_epochs=100, random_state=0, validation=(X, y)).fit(X, y)
    encoded = bpjit.Network.for_table(frame_of(MELONS), outputs="好瓜")._architecture.as_samples("X", X)
    plain = sk.BPClassifier(5, ensemble=2, max_epochs=100, random_state=0, validation=(encoded, y)).fit(encoded, y)
    assert np.array_equal(model.predict_proba(X), plain.predict_proba(encoded))
    assert model.feature_names_in_.tolist() == list(NAMES[:8])
    assert (model.n_features_in_, model.networks_.sizes[0]) == (8, 19)
    assert pickle.loads(pickle.dumps(model)).predict(X).tolist() == model.predict(X).tolist()
    assert np.array_equal(model.networks_[0].predict(X), plain.networks_[0].predict(encoded))
    for columns, said in (
        (changed("根蒂", 3, "卷曲"), r"^X: expected one of 硬挺, 稍蜷, 蜷缩 in column '根蒂', got '卷曲' in row 3"),
        (changed("密度", 3, None), r"^X: expected finite numbers in column '密度', got a missing value in row 3"),
        ({name: MELONS[name] for name in reversed(NAMES)}, "feature names should match|in the same order"),
        (without(MELONS, "色泽"), "feature names should match"),
    ):
        with pytest.raises(ValueError, match=said):
            model.predict(frame_of(without(columns, "好瓜")))
    with (
        pytest.warns(UserWarning, match="does not have valid feature names"),
        pytest.raises(ValueError, match="^X: expected a frame, as fit was given one with words in it"),
    ):
        model.predict(np.zeros((2, 8)))
    regressor = sk.BPRegressor(5, ensemble=2, max_epochs=100, random_state=0).partial_fit(X, MELONS["密度"])
    assert regressor.predict(X).shape == (17,)


def test_estimators_treat_frames_of_numbers_as_before_and_keep_their_names(frame_of):
    sk = pytest.importorskip("bpjit.sklearn")
    X, values = frame_of(without(NUMBERS, "y")), np.array([NUMBERS["a"], NUMBERS["b"]]).T
    models = [
        sk.BPRegressor(3, ensemble=2, max_epochs=9, random_state=0).fit(data, NUMBERS["y"]) for data in (X, values)
    ]
    assert np.array_equal(models[0].predict(X), models[1].predict(values))
    assert models[0].columns_ == models[0].networks_.columns == bpjit.Columns(["a", "b"])
    assert models[1].columns_ is None


# --- Reading alone.


def test_numbers_of_a_frame(frame_of):
    frame = frame_of({"a": [1, 2, None], "b": [0.5, None, 2.0], "w": ["x", "y", "z"], "c": [1, 2, 3]})
    assert numbers_of("frame", frame, ["c"], "float32").dtype == np.float32
    found = numbers_of("frame", frame, ["b", "c", "a"], finite=False)
    np.testing.assert_array_equal(found, [[0.5, 1, 1], [np.nan, 2, 2], [2, 3, np.nan]])
    for column, said in (("a", "a missing value in row 2"), ("w", r"'x' \(str\) in row 0")):
        with pytest.raises(ValueError, match=f"^frame: expected .*numbers in column '{column}', got {said}"):
            numbers_of("frame", frame, ["c", column])


def test_frames_are_told_without_looking_into_them():
    class Sub(pd.DataFrame):
        pass

    assert all(map(is_frame, (pd.DataFrame(), Sub(), pl.DataFrame(), pl.LazyFrame(), pa.table({"a": [1]}))))
    assert is_frame(pa.record_batch({"a": [1]}))
    assert not any(
        map(is_frame, (np.zeros(3), [[1]], {"a": [1]}, pd.Series([1]), "a", None, 1, type("DataFrame", (), {})()))
    )


def test_record_batches_are_frames():
    net = bpjit.Network.random((2, 3, 1), columns=bpjit.Columns(["a", "b"]))
    batch = pa.record_batch({"b": [1.0, 2.0], "a": [3.0, 4.0]})
    assert np.array_equal(net.predict(batch), net.predict([[3, 1], [4, 2]]))


QUICK = os.environ | {"NUMBA_DISABLE_JIT": "1"}  # nothing is compiled
WITHOUT = """
import sys
sys.modules["narwhals"] = None
import importlib.util
found = importlib.util.find_spec
importlib.util.find_spec = lambda name, *more: None if name == "narwhals" else found(name, *more)
import numpy as np, pandas as pd, bpjit
frame = pd.DataFrame({"a": [0.0, 1.0, 0.0], "b": [1, 2, 3]})
fit = bpjit.train(bpjit.Network.random((2, 3, 1)), frame, [0, 1, 0], stop=2)
assert fit.network.columns is None
assert np.array_equal(fit.network.predict(frame), fit.network.predict(frame.to_numpy()))
for use in (lambda: bpjit.Network.for_table(frame, outputs="b"),
            lambda: bpjit.Network.random((2, 3, 1), columns=bpjit.Columns(["a", "b"])).predict(frame)):
    try:
        use()
    except ImportError as error:
        print(error)
"""


def test_without_narwhals_frames_go_by_position_and_names_say_what_to_install():
    done = subprocess.run([sys.executable, "-c", WITHOUT], env=QUICK, capture_output=True, text=True, check=False)
    install = "frames need narwhals: python -m pip install 'bpjit[frames]'"
    assert done.stdout.splitlines() == [f"frame: {install}", f"X: {install}"], done.stderr[-2000:]


def test_no_library_of_frames_is_loaded_without_one():
    program = """
import sys, bpjit
bpjit.train(bpjit.Network.random((2, 3, 1)), [[0, 1], [1, 1]], [0, 1], stop=2).network.classify([[0, 1]])
print([name for name in ("narwhals", "pandas", "polars", "pyarrow") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", program], env=QUICK, capture_output=True, text=True, check=False)
    assert done.stdout == "[]\n", done.stderr[-2000:]
