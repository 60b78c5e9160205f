"""Networks that go to scikit-learn, ONNX and PyTorch, and come from them."""

import sys
import warnings

import numpy as np
import pytest

import bpjit
import bpjit.own.shipped
from bpjit import Network, Scale
from bpjit.formulas import exp, log1p, select

RNG = np.random.default_rng(0)
X = RNG.normal(size=(40, 3)) * [1.0, 100.0, 1e-3] + [2000.0, 5.0, 0.0]  # years, and what lies around 0
Y = RNG.normal(size=(40, 3)) * 7 + 3
BUILT_IN = ("sigmoid", "tanh", "relu", "leaky_relu", "softplus", "softsign", "identity", "sin", "step")
ALL = (*BUILT_IN, "elu", "silu", "gelu", "exp", "softmax")
SCALES = {"none": None, "inputs": Scale.standard(X), "both": Scale.standard(X, Y)}


def made(name, scale=None, dtype="float64", outputs=3):
    """A network with this activation wherever it may stand."""
    if scale is not None and outputs != 3 and "target_offset" in scale.arrays:
        scale = Scale.standard(X, Y[:, :outputs])
    hidden = "tanh" if name == "softmax" else name
    return Network.random((3, 5, 4, outputs), hidden, name, seed=3, dtype=dtype, scale=scale, init=(-1.0, 1.0))


def samples(net):
    return X if net.scale is not None else SCALES["inputs"].scale_inputs(X, np.dtype(np.float64))


def apart(a, b):
    """How far numbers lie apart, where they are large in parts of the largest."""
    assert a.shape == b.shape
    return abs(a - b).max() / max(1.0, abs(a).max())


# --- scikit-learn.


@pytest.fixture
def learn():
    return pytest.importorskip("sklearn.neural_network", reason="scikit-learn is not installed")


def fitted(model, X, y):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a few epochs are enough
        return model.fit(X, y)


LABELS = {
    "two numbers": np.arange(40) % 2,
    "two words": np.array(["yes", "no"])[np.arange(40) % 2],
    "truth values": np.arange(40) % 2 == 1,
    "three numbers": np.arange(40) % 3,
    "three other numbers": np.arange(40) % 3 + 5,
    "three words": np.array(["c", "a", "b"])[np.arange(40) % 3],
}


@pytest.mark.parametrize("labels", LABELS)
@pytest.mark.parametrize("activation", ["relu", "tanh", "logistic", "identity"])
def test_classifiers_of_scikit_learn(learn, labels, activation):
    """Probabilities, labels and going on agree, there and back."""
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, StandardScaler

    mlp = learn.MLPClassifier((5, 4), activation=activation, max_iter=9, random_state=0)
    model = fitted(make_pipeline(StandardScaler(), MinMaxScaler(), mlp), X, LABELS[labels])
    net = Network.from_sklearn(model)
    P = model.predict_proba(X)
    assert apart(P[:, -net.sizes[-1] :], net.predict(X)) < 1e-14
    found = net.classify(X)
    assert np.array_equal(found, model.predict(X))
    assert (net.columns is None) == ("numbers" in labels and "other" not in labels)
    back = net.to_sklearn()
    assert np.array_equal(back.predict(X), found)
    assert apart(back.predict_proba(X), P) < 1e-14
    fitted(back[-1].set_params(max_iter=1, warm_start=True), back[:-1].transform(X), LABELS[labels])
    assert not np.array_equal(back.predict_proba(X), P)


def test_several_labels_of_scikit_learn(learn):
    model = fitted(learn.MLPClassifier((5,), max_iter=9, random_state=0), Y, (Y > 3).astype(int))
    net = Network.from_sklearn(model)
    assert apart(model.predict_proba(Y), net.predict(Y)) < 1e-14
    assert np.array_equal(net.to_sklearn().predict(Y), model.predict(Y))


@pytest.mark.parametrize("scaler", ["RobustScaler", "MaxAbsScaler", "StandardScaler", None])
def test_regressors_of_scikit_learn(learn, scaler):
    from sklearn import preprocessing
    from sklearn.pipeline import Pipeline

    scaling = getattr(preprocessing, scaler)() if scaler else "passthrough"
    mlp = learn.MLPRegressor(hidden_layer_sizes=(6,), activation="tanh", max_iter=9, random_state=0)
    model = fitted(Pipeline([("first", scaling), ("then", mlp)]), X, Y)
    net = Network.from_sklearn(model)
    assert apart(model.predict(X), net.predict(X)) < 1e-14
    assert apart(net.to_sklearn().predict(X), net.predict(X)) < 1e-14


def test_two_softmax_outputs_and_scaled_targets_are_folded_for_scikit_learn(learn):
    net = made("identity", SCALES["both"])
    assert apart(net.to_sklearn().predict(X), net.predict(X)) < 1e-14
    net = Network.random((3, 4, 2), "tanh", "softmax", seed=1)
    there = net.to_sklearn()
    assert apart(there.predict_proba(samples(net)), net.predict(samples(net))) < 1e-14


def test_labels_out_of_order_go_to_scikit_learn(learn):
    """MLPs sort their classes; networks have them as they come."""
    for labels, l in ((("是", "否"), 1), (("否", "是"), 1), (("是", "否"), 2), (("c", "a", "b"), 3)):
        columns = bpjit.Columns(["p", "q", "r"], [bpjit.Column("class", labels)])
        net = Network.random((3, 4, l), "tanh", "sigmoid" if l == 1 else "softmax", seed=2, columns=columns)
        there = net.to_sklearn()
        assert list(there.feature_names_in_) == ["p", "q", "r"]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an array without these names
            found = there.predict(samples(net))
        assert len(set(found)) > 1
        assert np.array_equal(found, net.classify(samples(net)))
        assert np.array_equal(Network.from_sklearn(there).classify(samples(net)), found)


def test_what_scikit_learn_has_no_mlp_for_is_refused(learn):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import MinMaxScaler, PolynomialFeatures

    mixed = Network.random((2, 3, 3, 1), ["tanh", "relu"], "identity")
    for net, words in (
        (mixed, "hidden: expected the same activation in all hidden layers, .* got tanh, relu"),
        (made("sin"), "hidden: .* got sin"),
        (Network.random((2, 3, 1), "tanh", "tanh"), "output: expected identity .* got tanh"),
        (Network.random((3, 2, 3), output="sigmoid", scale=SCALES["both"]), "scale: expected no scaling of targets"),
    ):
        with pytest.raises(ValueError, match=words):
            net.to_sklearn()
    with pytest.raises(ValueError, match="expected a fitted MLPRegressor"):
        Network.from_sklearn(learn.MLPRegressor())
    for model in (LogisticRegression(), 3):
        with pytest.raises(TypeError, match="model: expected an MLPClassifier or MLPRegressor"):
            Network.from_sklearn(model)
    without, other, named, circle = (made("identity").to_sklearn() for _ in range(4))
    named.feature_names_in_ = "a" * 9
    del without.intercepts_[-1]
    other.activation = "adam"
    circle = make_pipeline(circle)
    del circle.steps
    for model, words in (
        (without, "expected 3 intercepts_, as many as coefs_, got 2"),
        (other, "expected an activation among logistic, tanh, .*, got 'adam'"),
        (named, "expected 3 feature_names_in_, as many as inputs, got 9"),
        (circle, "steps"),
    ):
        with pytest.raises(ValueError, match=f"^model: .*{words}"):
            Network.from_sklearn(model)
    mlp = learn.MLPRegressor(max_iter=2)
    for scaler, words in ((PolynomialFeatures(), "got PolynomialFeatures"), (MinMaxScaler(clip=True), "clip=False")):
        with pytest.raises(ValueError, match=words):
            Network.from_sklearn(fitted(make_pipeline(scaler, mlp), X, Y))


# --- ONNX.


@pytest.fixture
def onnx():
    return pytest.importorskip("onnx", reason="onnx is not installed: pip install 'bpjit[onnx]'")


def run(path, X):
    """What ONNX Runtime makes of a file, by name."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed")
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return dict(zip([value.name for value in session.get_outputs()], session.run(None, {"X": X}), strict=True))


@pytest.mark.parametrize("name", [*BUILT_IN, "softmax"])
def test_onnx_agrees_in_its_runtime_and_comes_back(onnx, name, tmp_path):
    """In float64 and float32, with any scale, for any number of samples."""
    path = tmp_path / "net.onnx"
    for scale in SCALES.values():
        net = made(name, scale)
        A = samples(net)
        expected = net.predict(A)
        net.to_onnx(path, labels=False)
        assert apart(expected, run(path, A)["variable"]) < 1e-14
        assert apart(expected[:1], run(path, A[:1])["variable"]) < 1e-14
        assert Network.from_onnx(path) == net
        net.to_onnx(path, "float32", labels=False)
        single = A.astype(np.float32)
        found = run(path, single)["variable"]
        assert found.dtype == np.float32
        if name != "step":  # which jumps
            assert apart(net.predict(single), found) < 1e-6
            back = Network.from_onnx(path)
            assert back.dtype == np.float32
            assert apart(back.predict(single), found) < 1e-6


def test_onnx_takes_all_formulas(onnx, tmp_path):
    """Those that come with the library, with values of their own, and of the user's own, against what they give for
    arrays: no kernel needs to be compiled."""
    bent = bpjit.activation(lambda z: select(z > 0, z, 0.3 * z) + 0.1 * log1p(exp(-abs(z))), name="bent_for_onnx")
    steep = bpjit.own.shipped.of("activation", "elu")(alpha=2.0)
    hidden = ["elu", "silu", "gelu", "exp", bent, steep]
    net = Network.random((3, 5, 5, 5, 5, 5, 5, 2), hidden, bent, seed=3)
    A, path = samples(net), tmp_path / "net.onnx"
    net.to_onnx(path)
    expected = A
    for W, thresholds, name in zip(net.weights, net.thresholds, [*hidden, bent], strict=True):
        formula = bpjit.own.shipped.of("activation", name) if type(name) is str else name
        expected = formula(expected @ W - thresholds)
    assert apart(expected, run(path, A)["variable"]) < 1e-14
    assert Network.from_onnx(path) == net
    net.to_onnx(path, "float32")
    assert apart(expected, run(path, A.astype(np.float32))["variable"]) < 1e-6
    assert Network.from_onnx(path).hidden == net.hidden


@pytest.mark.parametrize(
    ("output", "classes", "l"),
    [
        ("softmax", None, 3),
        ("softmax", ("b", "否", "a"), 3),
        ("softmax", (7, 3, 5), 3),
        ("sigmoid", None, 1),
        ("sigmoid", (False, True), 1),
        ("sigmoid", (0.5, 1.5), 1),
        ("tanh", ("yes", "no"), 1),
    ],
)
def test_onnx_gives_labels_and_probabilities_as_plain_tensors(onnx, output, classes, l, tmp_path):
    columns = None if classes is None else bpjit.Columns(["p", "q", "r"], [bpjit.Column("class", classes)])
    net = Network.random((3, 4, l), "tanh", output, seed=2, columns=columns, scale=SCALES["inputs"])
    net.to_onnx(tmp_path / "net.onnx")
    found = run(tmp_path / "net.onnx", X)
    assert list(found) == ["label", "variable" if output == "tanh" else "probabilities"]
    assert len(set(found["label"].tolist())) > 1
    assert found["label"].tolist() == net.classify(X).tolist()
    if output != "tanh":
        assert found["probabilities"].shape == (40, max(2, l))
        assert apart(net.predict(X), found["probabilities"][:, -l:]) < 1e-14
        assert abs(found["probabilities"].sum(1) - 1).max() < 1e-14
    assert Network.from_onnx(tmp_path / "net.onnx") == net


def model_of(onnx, nodes, constants, width=2, outputs=("y",)):
    """A model as others write it."""
    helper = onnx.helper
    info = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in ("X", *outputs)]
    tensors = [onnx.numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in constants.items()]
    made = [helper.make_node(kind, given, [name], name=f"the {name}", **more) for kind, given, name, more in nodes]
    return helper.make_model(helper.make_graph(made, "g", info[:1], info[1:], tensors), ir_version=8)


def written(path, model):
    path.write_bytes(model.SerializeToString())
    return path


def test_dense_networks_of_others_are_read_from_onnx(onnx, tmp_path):
    """MatMul and Add, transposed weights, constants on either side, and scaling wherever it stands."""
    W, V, b = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 2)), RNG.normal(size=3)
    nodes = [
        ("Flatten", ["X"], "flat", {}),
        ("Sub", ["flat", "m"], "s", {}),
        ("Mul", ["f", "s"], "t", {}),
        ("MatMul", ["t", "W"], "u", {}),
        ("Add", ["b", "u"], "v", {}),
        ("LeakyRelu", ["v"], "a", {"alpha": 0.01}),
        ("Div", ["a", "k"], "half", {}),
        ("Dropout", ["half"], "d", {}),
        ("Gemm", ["d", "V"], "z", {"transB": 1, "alpha": 0.5}),
        ("Softplus", ["z"], "p", {}),
        ("Mul", ["p", "k"], "q", {}),
        ("Neg", ["q"], "y", {}),
    ]
    constants = {"m": [1.0, 2.0], "f": [[0.5, 4.0]], "W": W, "b": [b], "k": 2.0, "V": V.T}
    net = Network.from_onnx(written(tmp_path / "net.onnx", model_of(onnx, nodes, constants)))
    assert (net.sizes, net.hidden, net.output) == ((2, 3, 2), ("leaky_relu",), "softplus")
    A = RNG.normal(size=(5, 2))
    v = (A - [1, 2]) * [0.5, 4] @ W + b
    expected = -2 * np.log1p(np.exp(np.where(v > 0, v, 0.01 * v) / 2 @ V / 2))
    assert apart(expected, net.predict(A)) < 1e-6
    assert np.allclose(net.scale.arrays["input_offset"], [1, 2])


def test_a_node_that_no_network_has_is_named(onnx, tmp_path):
    W = np.eye(2)
    gemm = ("Gemm", ["X", "W"], "z", {})
    for nodes, words in (
        ([("Conv", ["X", "W"], "y", {})], r"node 'the y' \(Conv\): expected Gemm"),
        ([gemm, ("Softmax", ["z"], "y", {"axis": 0})], r"node 'the y' \(Softmax\): expected axis=-1, got 0"),
        ([gemm, ("LeakyRelu", ["z"], "y", {"alpha": 0.3})], r"node 'the y' \(LeakyRelu\): expected alpha=0.01"),
        ([gemm, ("Add", ["z", "z"], "y", {})], r"node 'the y' \(Add\): expected one of its two inputs"),
        ([gemm, ("Relu", ["z"], "a", {}), ("Tanh", ["a"], "y", {})], r"'the y' \(Tanh\): expected one activation"),
        ([("Gemm", ["W", "X"], "y", {})], r"node 'the y' \(Gemm\): expected constant weights"),
        ([("Tanh", ["X"], "y", {})], r"node 'the y' \(Tanh\): expected a layer before the first activation"),
        ([("Add", ["y", "W"], "y", {})], "expected one of its two inputs"),
        ([("Identity", ["y"], "y", {})], "round in a circle"),
        ([], "expected a node that gives 'y'"),
        ([("Add", ["X", "k"], "y", {})], "expected a dense layer at least"),
    ):
        path = written(tmp_path / "net.onnx", model_of(onnx, nodes, {"W": W, "k": 2.0}))
        with pytest.raises(ValueError, match=words):
            Network.from_onnx(path)
    two = model_of(onnx, [gemm, ("Relu", ["z"], "y", {})], {"W": W}, outputs=("y", "z"))
    with pytest.raises(ValueError, match="expected one output, or output= for one of 'y', 'z'"):
        Network.from_onnx(written(tmp_path / "net.onnx", two))
    assert Network.from_onnx(tmp_path / "net.onnx", output="z").output == "identity"
    with pytest.raises(FileNotFoundError):
        Network.from_onnx(tmp_path / "none.onnx")


def test_external_data_of_onnx_are_refused(onnx, tmp_path):
    model = model_of(onnx, [("Gemm", ["X", "W"], "y", {})], {"W": np.eye(2)})
    (tmp_path / "secret").write_bytes(np.eye(2, dtype=np.float32).tobytes())
    onnx.external_data_helper.set_external_data(model.graph.initializer[0], "secret")
    with pytest.raises(ValueError, match="tensor 'W': expected its numbers in the file, got external data"):
        Network.from_onnx(written(tmp_path / "net.onnx", model))


def test_a_graph_that_shares_what_it_computes_is_read_in_no_time(onnx, tmp_path):
    """Written out in full, x + x + ... would be larger than any memory."""
    nodes = [("Gemm", ["X", "W"], "a0", {})] + [("Mul", [f"a{i}", f"a{i}"], f"a{i + 1}", {}) for i in range(200)]
    nodes += [("Sigmoid", ["a200"], "s", {}), ("Mul", ["a200", "s"], "y", {})]
    with pytest.raises(ValueError, match="expected one of its two inputs to be a constant"):
        Network.from_onnx(written(tmp_path / "net.onnx", model_of(onnx, nodes, {"W": np.eye(2)})))


# --- PyTorch.


@pytest.fixture
def torch():
    return pytest.importorskip("torch", reason="PyTorch is not installed")


@pytest.mark.parametrize("name", [name for name in ALL if name not in ("sin", "step", "exp")])
def test_torch_agrees_and_comes_back(torch, name):
    for scale in SCALES.values():
        for dtype, least in (("float64", 1e-14), ("float32", 1e-6)):
            net = made(name, scale, dtype)
            A = samples(net).astype(dtype)
            module = net.to_torch()
            with torch.no_grad():
                found = module(torch.tensor(A)).numpy()
            assert found.dtype == net.dtype
            assert apart(net.predict(A), found) < least
            back = Network.from_torch(torch.nn.Sequential(torch.nn.Flatten(), module, torch.nn.Dropout()))
            assert (back.sizes, back.hidden, back.output) == (net.sizes, net.hidden, net.output)
            assert np.array_equal(back.parameters, net.parameters)
            assert apart(back.predict(A), found) < least


def test_what_torch_or_a_network_does_not_have_is_named(torch):
    nn = torch.nn
    for name in ("sin", "step", "exp", bpjit.activation(lambda z: 2 * z, name="doubled_for_torch")):
        with pytest.raises(ValueError, match=f"{name}: torch.nn has no module for this activation"):
            made(name).to_torch()
    linear, repeated, without = (nn.Linear(2, 2) for _ in range(3))
    repeated.weight = nn.Parameter(torch.zeros(1).expand(10**9, 10**9))
    del without.weight
    for modules, words in (
        ([nn.Conv1d(1, 1, 1)], r"got \[0\] Conv1d"),
        ([linear, nn.Sequential(nn.LeakyReLU(0.2))], r"negative_slope=0.01, got .*=0.2 in \[1\]\[0\] LeakyReLU"),
        ([linear, nn.GELU()], "expected GELU with approximate='tanh'"),
        ([linear, nn.Linear(3, 1)], r"\[1\] Linear: expected 2 inputs, got 3"),
        ([linear, nn.ReLU(), nn.Tanh()], "expected one activation for each layer, got tanh after relu"),
        ([nn.Linear(2, 2).half()], "expected float32 or float64, got torch.float16"),
        ([nn.Linear(2, 2, dtype=torch.complex64)], "expected float32 or float64, got torch.complex64"),
        ([nn.Linear(10**6, 10**6, device="meta")], "expected numbers, got a tensor on the device meta"),
        ([repeated], "expected numbers each in its place"),
        ([without], "weight"),
        ([], "expected a dense layer"),
    ):
        with pytest.raises(ValueError, match=f"module: .*{words}"):
            Network.from_torch(nn.Sequential(*modules))
    with pytest.raises(TypeError, match=r"module: expected an nn.Sequential of PyTorch, got 3"):
        Network.from_torch(3)


@pytest.mark.parametrize(
    ("package", "call", "words"),
    [
        ("torch", lambda net: net.to_torch(), "to_torch needs PyTorch: python -m pip install torch"),
        ("torch", lambda net: Network.from_torch(3), "from_torch needs PyTorch"),
        ("onnx", lambda net: net.to_onnx("a.onnx"), r"to_onnx needs onnx: python -m pip install 'bpjit\[onnx\]'"),
        ("onnx", lambda net: Network.from_onnx("a.onnx"), "from_onnx needs onnx"),
        ("sklearn", lambda net: net.to_sklearn(), "to_sklearn needs scikit-learn"),
        ("sklearn", lambda net: Network.from_sklearn(3), "from_sklearn needs scikit-learn"),
    ],
)
def test_a_missing_package_is_named(package, call, words, monkeypatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ImportError, match=words):
        call(Network.random((2, 1)))
