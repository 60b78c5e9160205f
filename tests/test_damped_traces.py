"""Steps of Levenberg–Marquardt laid open: held against dense algebra by the reference, and against training itself."""

import json
import re
import shutil
import subprocess

import numpy as np
import pytest

import bpjit
import reference
from bpjit import BayesianRegularization, LevenbergMarquardt
from bpjit.tracing.numbers import numbers_of
from test_trace_rendering import STYLES, Balanced, evaluated

WEIGHTS = [1.0, 2.0, 0.5, 1.5, 0.0, 1.0, 3.0]
KINDS = {
    "no hidden layer": ((2, 1), "tanh", "sigmoid", "squared", {}),
    "squared": ((1, 3, 1), "tanh", "identity", "squared", {}),
    "two hidden layers": ((1, 2, 2, 1), "softsign", "sigmoid", "squared", {}),
    "softmax, squared": ((2, 1, 3), "sigmoid", "softmax", "squared", {"lam": 0.98}),
    "sigmoid": ((2, 2, 2), "tanh", "sigmoid", "cross_entropy", {}),
    "softmax": ((2, 1, 3), "tanh", "softmax", "cross_entropy", {"sample_weight": WEIGHTS}),
    "weights": ((1, 2, 2), "softplus", "identity", "squared", {"sample_weight": WEIGHTS, "lam": 0.99}),
    "chosen": ((2, 4, 1), "tanh", "identity", "squared", {"trainable": np.arange(17) % 3 > 0, "lam": 0.9}),
}
RULES = {"lm": LevenbergMarquardt(mu=1e-4), "br": BayesianRegularization(mu=1e-3, settled=0.5)}
CASES = [(kind, "lm") for kind in KINDS] + [(kind, "br") for kind in ("squared", "softmax", "two hidden layers")]


def made(kind, rule, dtype="float64", m=7):
    """A network, data as numbers of float32, and settings."""
    sizes, hidden, output, loss, extra = KINDS[kind]
    rng = np.random.default_rng(len(kind))
    net = bpjit.Network.random(sizes, hidden, output, init="normal", seed=4, dtype=dtype)
    X = rng.normal(size=(m, sizes[0])).astype(np.float32).astype(float)
    Y = rng.dirichlet(np.ones(sizes[-1]), m) if loss == "cross_entropy" else rng.uniform(0, 1, (m, sizes[-1]))
    return net, X, Y.astype(np.float32).astype(float), {"rule": RULES[rule], "loss": loss, **extra}


def parts(net):
    p = net.parameters.astype(float)
    return (*reference.unflatten(p, net.sizes), [*net.hidden, net.output])


def held_against_algebra(step, X, Y, settings):
    """Every number of a step, by loops and dense matrices."""
    damped, p, loss = step.damped, step.before.parameters.astype(float), settings["loss"]
    c = np.array(settings.get("sample_weight") or np.ones(len(X)))
    c = (c / c[c > 0].mean()).astype(step.before.dtype).astype(float)
    trained = np.flatnonzero(settings.get("trainable", np.ones(len(p), bool)))
    weights, thresholds, activations = parts(step.before)
    J, r = [], []
    for x, y, c_k in zip(X[c > 0], Y[c > 0], c[c > 0], strict=True):
        z_slopes = reference.slopes_of_net_inputs(weights, thresholds, activations, x)
        z, b = reference.forward(weights, thresholds, activations, x)
        y_hat = b[-1]
        if activations[-1] == "softmax":
            by_z = np.diag(y_hat) - np.outer(y_hat, y_hat)
        else:
            by_z = np.diag([reference.ACTIVATIONS[activations[-1]](z_j)[1] for z_j in z[-1]])
        J.append(np.sqrt(c_k) * (z_slopes if loss == "cross_entropy" else by_z @ z_slopes)[:, trained])
        r.append(np.sqrt(c_k) * (y - y_hat))
    J, r = np.concatenate(J), np.concatenate(r)
    close = {"rtol": 1e-10, "atol": 1e-12}
    np.testing.assert_allclose(damped.jacobian, J, **close)
    np.testing.assert_allclose(damped.residuals, r, **close)
    H = reference.gauss_newton(weights, thresholds, activations, loss, X, Y, c)[np.ix_(trained, trained)]
    np.testing.assert_allclose(damped.curvature, H, **close)
    if loss == "squared":
        np.testing.assert_allclose(J.T @ J, H, **close)
    gradient = -damped.scale * J.T @ r + damped.penalty * p[trained]
    np.testing.assert_allclose(damped.gradient, gradient, **close)

    def objective(vector):
        E = reference.error(*reference.unflatten(vector, step.before.sizes), activations, loss, X, Y, c)
        E *= np.sum(c) / np.count_nonzero(c)  # which is 1, but for rounding to float32
        return E, damped.scale * np.count_nonzero(c) * E + 0.5 * damped.penalty * np.sum(vector[trained] ** 2)

    assert (step.error, damped.objective) == pytest.approx(objective(p), rel=1e-12)
    mu = damped.attempts[0].mu
    for attempt in damped.attempts:
        assert attempt.mu == pytest.approx(mu, rel=1e-12)
        A = damped.scale * H + (damped.penalty + mu) * np.eye(len(trained))
        np.testing.assert_allclose(attempt.matrix, A, **close)
        delta = np.linalg.solve(A, -gradient)
        np.testing.assert_allclose(attempt.delta, delta, rtol=1e-8, atol=1e-9 * np.abs(delta).max())
        there = p.copy()
        there[trained] += attempt.delta
        there = there.astype(step.before.dtype).astype(float)
        assert (attempt.error, attempt.objective) == pytest.approx(objective(there), rel=1e-12)
        assert attempt.taken == (attempt is damped.attempts[-1]) == (attempt.objective < damped.objective)
        mu *= 0.1 if attempt.taken else 10.0
    assert damped.mu_after == pytest.approx(mu, rel=1e-12)
    assert step.error_after == pytest.approx(damped.attempts[-1].error, rel=1e-12)
    return H, damped.attempts


@pytest.mark.parametrize(("kind", "rule"), CASES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_steps_are_those_of_training_and_of_dense_algebra(kind, rule, dtype):
    net, X, Y, settings = made(kind, rule, dtype)
    trace = bpjit.trace(net, X, Y, steps=3, **settings)
    given = [net, *[step.after for step in trace]]
    for epochs, step in enumerate(trace, 1):
        fit = bpjit.train(net, X, Y, stop=epochs, **settings)
        assert step.after.parameters.tobytes() == fit.network.parameters.tobytes()
        assert step.after.dtype == dtype
        assert (step.number, step.epoch) == (fit.updates, fit.epochs) == (epochs, epochs)
        assert step.before == given[epochs - 1]
        added = (step.before.parameters.astype(float) + step.delta).astype(dtype)
        assert np.array_equal(added, step.after.parameters)
        held_against_algebra(step, X, Y, settings)
    if dtype == "float64":
        expected = reference.damped_epochs(
            net.sizes, net.parameters, [*net.hidden, net.output], settings["loss"], X, Y, epochs=3,
            mu=settings["rule"].mu, trained=settings.get("trainable", np.ones(len(net.parameters), bool)),
            c=settings.get("sample_weight") and np.array(settings["sample_weight"]), lam=settings.get("lam"),
            bayes=rule == "br", settled=0.5,
        )  # fmt: skip
        off = np.linalg.norm(trace.network.parameters - expected.vector) / np.linalg.norm(expected.vector)
        assert off <= 1e-9
        assert trace[-1].damped.mu_after == pytest.approx(expected.mu)


def test_refused_attempts_are_there():
    """Between them the traces show first attempts that were taken, and others."""
    counts = [
        len(step.damped.attempts)
        for kind, rule in CASES
        for net, X, Y, settings in [made(kind, rule)]
        for step in bpjit.trace(net, X, Y, steps=3, **settings)
    ]
    assert min(counts) == 1
    assert max(counts) >= 3


def test_lambda_and_the_evidence_s_settings_are_in_the_system():
    net, X, Y, settings = made("chosen", "lm")
    damped = bpjit.trace(net, X, Y, **settings)[0].damped
    assert (damped.scale, damped.penalty, damped.gamma) == (0.9, pytest.approx(2 * 7 * 0.1), None)
    net, X, Y, settings = made("squared", "br")
    trace = bpjit.trace(net, X, Y, steps=12, **settings)
    fits = [bpjit.train(net, X, Y, stop=epochs, **settings) for epochs in range(1, 12)]
    found = [(s.damped.penalty, s.damped.scale) for s in trace.steps]
    assert len(set(found)) >= 3  # set anew here and there
    for (alpha, beta), fit in zip(found[:11], fits, strict=True):
        assert (alpha, beta) == (fit.evidence.alpha, fit.evidence.beta)
    assert trace[0].damped.gamma == pytest.approx(7 / 100)


def test_a_training_is_taken_up_again():
    net, X, Y, settings = made("weights", "lm")
    first = bpjit.train(net, X, Y, stop=2, **settings)
    later = bpjit.trace(first.network, X, Y, resume=first, epochs=2, **settings)
    whole = bpjit.trace(net, X, Y, epochs=4, **settings)
    for mine, other in zip(later, whole.steps[2:], strict=True):
        assert (mine.number, mine.after) == (other.number, other.after)
        assert mine.damped.attempts[0].mu == other.damped.attempts[0].mu
        assert np.array_equal(mine.damped.attempts[-1].delta, other.damped.attempts[-1].delta)


def test_more_samples_than_a_chunk_holds():
    rng = np.random.default_rng(0)
    net = bpjit.Network.random((1, 2, 1), "tanh", "identity", seed=1)
    X = rng.normal(size=(2300, 1))
    Y = np.sin(X)
    trace = bpjit.trace(net, X, Y, rule="lm", steps=2)
    assert trace.network == bpjit.train(net, X, Y, rule="lm", stop=2).network
    damped = trace[1].damped
    np.testing.assert_allclose(damped.curvature, damped.jacobian.T @ damped.jacobian, rtol=1e-11, atol=1e-11)
    np.testing.assert_allclose(damped.gradient, -damped.jacobian.T @ damped.residuals, rtol=1e-9, atol=1e-10)
    assert "2288 more left out; full=True shows them" in str(trace)


def test_scale_and_class_weights():
    net, X, _, _ = made("softmax", "lm")
    labels = np.array([0, 1, 2, 2, 2, 1, 0])
    scaled = bpjit.Network(
        net.sizes, net.parameters, hidden="tanh", output="softmax", scale=bpjit.Scale.standard(10 * X + 3)
    )
    settings = {"rule": "lm", "class_weight": "balanced"}
    trace = bpjit.trace(scaled, 10 * X + 3, labels, steps=2, **settings)
    assert trace.network == bpjit.train(scaled, 10 * X + 3, labels, stop=2, **settings).network
    assert set(trace[0].damped.c.round(12)) == {round(7 / 6, 12), round(7 / 9, 12)}


# --- Where it ends.


def test_the_trace_ends_where_the_rule_ends():
    net = bpjit.Network.from_arrays([[[2.0]]], [[1.0]], output="identity")
    at_the_end = bpjit.trace(net, [[1.0], [2.0]], [[1.0], [3.0]], rule="lm", steps=5)
    assert len(at_the_end) == 1
    step = at_the_end[0]
    assert (step.damped.ended, step.damped.attempts, step.after) == ("min_grad", (), net)
    assert not step.delta.any()
    assert "no step: training ends by min_grad" in str(at_the_end)
    assert "min_grad" in at_the_end.text(language="zh")

    net, X, Y, settings = made("squared", "lm")
    settings["rule"] = LevenbergMarquardt(mu=1e-4, mu_max=1e-3)
    fit = bpjit.train(net, X, Y, stop=1000, **settings)
    trace = bpjit.trace(net, X, Y, steps=1000, **settings)
    assert fit.stopped_by == trace[-1].damped.ended == "mu_max"
    assert len(trace) == fit.epochs + 1
    assert trace.network == fit.network == trace[-1].before
    assert [attempt.taken for attempt in trace[-1].damped.attempts] == [False] * len(trace[-1].damped.attempts)
    assert trace[-1].damped.attempts[-1].mu <= 1e-3 < 10 * trace[-1].damped.attempts[-1].mu
    assert "refused: E does not fall" in str(bpjit.trace(fit.network, X, Y, **settings))
    json.loads(trace.json())


def test_a_system_that_cannot_be_solved_says_so():
    net = bpjit.Network.from_arrays([[[1e-170]]], [[0.0]], output="identity")
    trace = bpjit.trace(net, [[1e170]], [[2.0]], rule=LevenbergMarquardt(mu_max=0.01))
    assert trace[0].damped.ended == "mu_max"
    assert [(attempt.mu, attempt.delta, attempt.taken) for attempt in trace[0].damped.attempts] == [
        (0.001, None, False),
        (0.01, None, False),
    ]
    assert str(trace).count("refused: the system cannot be solved in floating point") == 2
    assert json.loads(trace.json())["steps"][0]["numbers"]["H"][0][0] is None


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"rule": "lbfgs"}, ValueError, 'rule: "lbfgs", .* has no trace; expected "lm", "br"'),
        ({"rule": "scg"}, ValueError, 'rule: "scg", .* has no trace; expected "lm", "br"'),
        ({"rule": "lm"}, ValueError, "net: .* up to 16, and here are 17; take a smaller network, or let trainable="),
        ({"rule": "br", "trainable": None}, ValueError, "up to 16, and here are 17"),
        ({"rule": "lm", "updates": "stochastic"}, ValueError, "updates: rule"),
        ({"rule": "lm", "loss": "absolute"}, ValueError, "loss: rule"),
        ({"rule": "br", "lam": 0.9}, ValueError, "lam: rule"),
        ({"rule": "lm", "eta": 0.1}, ValueError, "eta: rule"),
        ({"sample_weight": [1.0]}, ValueError, 'sample_weight: .* "lm" and "br" alone; expected None with "sgd"'),
        ({"rule": "adam", "class_weight": "balanced"}, ValueError, 'class_weight: .* expected None with "adam"'),
    ],
)
def test_what_cannot_be_traced(arguments, error, message):
    net = bpjit.Network.random((2, 4, 1), "tanh", "identity", seed=1)
    with pytest.raises(error, match=message):
        bpjit.trace(net, [[0.1, 0.2]], [[0.3]], **arguments)


def test_an_error_beyond_all_numbers():
    net = bpjit.Network.from_arrays([[[1e200]]], [[0.0]], output="identity")
    with pytest.raises(FloatingPointError, match="X, Y: the error of the network is beyond all numbers"):
        bpjit.trace(net, [[1e200]], [[0.0]], rule="lm")


# --- How it shows itself.


@pytest.fixture(scope="module")
def traces():
    found = []
    for kind, rule in CASES:
        net, X, Y, settings = made(kind, rule)
        found.append(bpjit.trace(net, X, Y, steps=2, **settings))
    wide = bpjit.Network.random((1, 5, 1), "tanh", "identity", seed=1)
    x = np.linspace(-1, 1, 40)[:, None]
    return [*found, bpjit.trace(wide, x, np.sin(3 * x), rule="lm")]


@pytest.mark.parametrize(("notation", "language"), STYLES)
def test_every_form_in_every_style(traces, notation, language):
    for trace in traces:
        styled = trace.styled(notation=notation, language=language)
        text = str(styled)
        assert not re.search(r"[\\{}\0]", text)
        assert "nan" not in text
        words = {"en": ("residuals", "Jacobian matrix", "attempt 1", "taken: "), "zh": ("残差", "雅可比矩阵", "采用：")}
        for form in (text, styled.markdown(), styled.latex(), styled.html(), styled.latex(standalone=True)):
            assert all(word in form for word in words[language])
            assert ("residuals" in form) == (language == "en")
        parser = Balanced()
        parser.feed(styled.html(standalone=True))
        assert parser.open == []
        assert "th" in parser.tags
        assert not re.search(r"[\\{}]", re.sub(r"<style>.*?</style>", "", styled.html()))


def tables_of(text):
    """Tables in a Markdown text: cells in rows."""
    blocks = re.findall(r"(?:^\|.*\|$\n?)+", text, re.M)
    return [[[cell.strip(" $") for cell in line.strip("|").split("|")] for line in b.splitlines()] for b in blocks]


def as_number(text):
    return float(text.replace(r"\cdot 10^{", "e").replace("}", ""))


@pytest.mark.parametrize("notation", ["book", "delta"])
def test_matrices_are_named_by_their_parameters_and_hold_the_numbers(traces, notation):
    for trace in traces:
        tables = iter(tables_of(trace.markdown(notation=notation, digits=12, full=True)))
        for step in trace:
            numbers = {name: np.asarray(value) for name, value in numbers_of(step, notation == "book").items()}
            columns = json.loads(trace.json(notation=notation))["steps"][0]["columns"]
            several = len(step.damped.attempts) > 1
            marks = [str(k + 1) if several else "" for k in range(len(step.damped.attempts))]
            names = ["J", *["J"] * (len(step.damped.jacobian) > 30), "H", "gradient"]
            for name in [*names, *(f"{kind}{mark}" for mark in marks for kind in ("A", "Delta"))]:
                head, line, *rows = next(tables)
                assert {*line} == {"---"}
                assert len(head) == len(columns) + 1
                read = np.array([[as_number(cell) for cell in row[1:]] for row in rows])
                if name == "J" and len(step.damped.jacobian) > 30:
                    right = numbers["J"][:30] if rows[0][0] == "r_{1}" else numbers["J"][30:]
                elif name == "gradient":
                    right = np.stack([read[0], numbers["gradient"]])
                else:
                    right = np.atleast_2d(numbers[name])
                np.testing.assert_allclose(read, right, rtol=1e-11)
        assert next(tables, None) is None


def test_text_is_aligned_and_says_what_to_read():
    net = bpjit.Network.from_arrays([[[2.0]]], [[1.0]], output="identity")
    trace = bpjit.trace(net, [[3.0], [1.0]], [[4.0], [0.0]], rule="lm", sample_weight=[3, 1])
    expected = """\
  Levenberg–Marquardt
    residuals
      r_1 = √(c_1) (y_1−ŷ_1) = √(1.5)·(4−5) = −1.225
      r_2 = √(c_2) (y_1−ŷ_1) = √(0.5)·(0−1) = −0.7071
    Jacobian matrix
      J=√(c_k) ∂ŷ_j/∂w
      J      w_11      θ_1
      r_1   3.674   −1.225
      r_2  0.7071  −0.7071
    Gauss–Newton matrix
      H=JᵀJ
      H     w_11  θ_1
      w_11    14   −5
      θ_1     −5    2
    gradient
      ∇=∂(mE)/∂w=−Jᵀr
      m=2
         w_11  θ_1
      w     2    1
      ∇     5   −2
    attempt 1
      μ=0.001,  A=H+μI,  A Δ=−∇
      A     w_11    θ_1
      w_11    14     −5
      θ_1     −5  2.001
              w_11     θ_1
      Δ  −0.001658  0.9954
      E = E(w)→E(w+Δ) = 0.5→1.154·10⁻⁶
      μ ← 0.1·0.001   = 0.0001
      (taken: E falls)
"""
    assert expected in str(trace)
    assert "{\\small\\[J=\\begin{bmatrix}\n3.674 & -1.225 \\\\\n0.7071 & -0.7071\n\\end{bmatrix}\\]}" in trace.latex()
    assert "columns: $w_{11},\\,\\theta_{1}$" in trace.latex()
    assert "| $r_{1}$ | $3.674$ | $-1.225$ |" in trace.markdown()
    assert "<tr><th>J</th><th>w<sub>11</sub></th><th>θ<sub>1</sub></th></tr>" in trace.html()


def test_the_numbers_put_in_give_the_value(traces):
    computed = 0
    for trace in traces:
        for line in trace.text(digits=12, full=True).splitlines():
            parts = [part.strip() for part in re.split(r" [=←] ", line)]
            if re.match(r" +(r_|μ)", line) and len(parts) > 2:
                values = [evaluated(re.sub(r"√\(([\d.]+)\)", r"\1**0.5", part)) for part in parts[-2:]]
                assert values[0] == pytest.approx(values[1], rel=1e-9, abs=1e-11), line
                computed += 1
    assert computed > 100


def test_biases_turn_the_signs():
    net, X, Y, settings = made("squared", "lm")
    trace = bpjit.trace(net, X, Y, **settings)
    book, delta = (json.loads(trace.json(notation=notation))["steps"][0] for notation in ("book", "delta"))
    signs = np.array([1, 1, 1, -1, -1, -1, 1, 1, 1, -1])
    assert delta["columns"] == [f"w⁽¹⁾_1{k}" for k in "123"] + [f"b⁽¹⁾_{k}" for k in "123"] + [
        *(f"w⁽²⁾_{k}1" for k in "123"),
        "b⁽²⁾_1",
    ]
    book, delta = ({name: np.array(value) for name, value in r["numbers"].items()} for r in (book, delta))
    mark = "1" if len(trace[0].damped.attempts) > 1 else ""
    for name in ("J", "gradient", f"Delta{mark}"):
        assert np.array_equal(delta[name], signs * book[name])
    for name in ("H", f"A{mark}"):
        assert np.array_equal(delta[name], np.outer(signs, signs) * book[name])
    assert np.array_equal(delta["r"], book["r"])


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
def test_latex_compiles(traces, tmp_path):
    whole = traces[0].latex(standalone=True)
    bodies = [trace.latex(notation=notation) for trace in traces[1:] for notation in ("book", "delta")]
    (tmp_path / "trace.tex").write_text(whole.replace("\\end{document}", "\n".join(bodies) + "\\end{document}"))
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "trace.tex"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stdout[-2000:].decode(errors="replace")
    log = (tmp_path / "trace.log").read_text(errors="replace")
    assert "Missing character" not in log
    wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
    assert all(points < 30 for points in wide), wide


# --- A learner's own numbers.


@pytest.mark.parametrize("notation", ["book", "delta"])
def test_the_trace_s_own_numbers_are_right(traces, notation):
    for trace in traces:
        numbers = json.loads(trace.json(notation=notation))["steps"][0]["numbers"]
        assert {"r", "J", "H", "gradient", "mu_new"} < numbers.keys()
        comparison = trace.styled(notation=notation).compare(numbers)
        assert comparison.ok, str(comparison)
        assert all(finding.verdict == "right" for finding in comparison.findings)


def test_wrong_numbers_are_found_and_no_mistake_is_made_up():
    net = bpjit.Network.from_arrays([[[2.0]]], [[1.0]], output="identity")
    trace = bpjit.trace(net, [[3.0], [1.0]], [[4.0], [0.0]], rule="lm")
    right = {"J": [[3, -1], [1, -1]], "r": [-1, -1], "mu": 0.001, "Delta": [-0.000997, 0.9975], "w_new": 1.999}
    assert trace.compare(right).ok
    comparison = trace.compare({**right, "gradient": [4, 2], "mu": 0.0001})
    assert comparison.wrong == ("gradient", "mu")  # the μ after the step is another quantity
    assert comparison.suspicions == ()
    assert not comparison.searched
    assert "mistakes are looked for with rules of first order alone" in str(comparison)
    with pytest.raises(ValueError, match='did you mean "Delta"'):
        trace.compare({"Delt": 1})
