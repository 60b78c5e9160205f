"""How traces show themselves: text, Markdown, LaTeX, HTML and JSON, in both notations and languages."""

import html.parser
import itertools
import json
import re
import shutil
import subprocess
import unicodedata

import numpy as np
import pytest

import bpjit
from bpjit.tracing.equations import ACTIVATIONS
from bpjit.tracing.notation import Style
from cases import HIDDEN, LOSSES, slow
from test_tracing import PAIRS, S1

STYLES = list(itertools.product(("book", "delta"), ("en", "zh")))
RULES = ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "rprop", "quickprop")


@pytest.fixture(scope="module")
def traces():
    """Traces that between them use every formula there is."""
    rng, made = np.random.default_rng(4), [bpjit.trace(S1, [0.05, 0.10], [0.01, 0.99], eta=0.5)]
    for index, (output, loss) in enumerate(PAIRS):
        net = bpjit.Network.random((3, 4, 3, 2), HIDDEN[index % len(HIDDEN)], output, seed=index)
        rule = RULES[index % len(RULES)]
        made.append(
            bpjit.trace(
                net,
                rng.normal(size=(4, 3)),
                rng.dirichlet(np.ones(2), 4),
                loss=loss,
                rule=rule,
                updates="accumulated",
                epochs=2,
                lam=(None, 0.99)[index % 2],
                trainable=(None, [True, (True, False), True])[index % 2],
            )
        )
    assert {trace.setting.rule.name for trace in made} == set(RULES)
    assert {trace.setting.loss for trace in made} == set(LOSSES)
    return made


class Balanced(html.parser.HTMLParser):
    """Every tag that opens must close, in order."""

    def __init__(self):
        super().__init__()
        self.open, self.tags = [], set()

    def handle_starttag(self, tag, attributes):
        self.tags.add(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


@pytest.mark.parametrize(("notation", "language"), [STYLES[0], slow(*STYLES[1]), slow(*STYLES[2]), STYLES[3]])
@pytest.mark.parametrize("full", [False, slow(True)])
def test_every_form_in_every_style(traces, notation, language, full):
    for trace in traces[::4] if full else traces:
        styled = trace.styled(notation=notation, language=language, full=full)
        text = str(styled)
        assert not re.search(r"[\\{}\0]", text)
        assert "nan" not in text
        words = "样本" if language == "zh" else "sample"
        for form in (text, styled.markdown(), styled.latex(), styled.html(), styled.latex(standalone=True)):
            assert words in form
            assert ("sample" in form) == (language == "en")
        assert ("γ" in text) == (notation == "book")
        assert ("δ" in text) == (notation == "delta")
        parser = Balanced()
        parser.feed(styled.html(standalone=True))
        assert parser.open == []
        assert {"html", "body", "table", "sub"} <= parser.tags
        assert not re.search(r"[\\{}]", re.sub(r"<style>.*?</style>", "", styled.html()))
        assert styled.markdown().count("$$") % 2 == 0


def test_equations_with_the_numbers_put_in():
    text = str(bpjit.trace(S1, [0.05, 0.10], [0.01, 0.99], eta=0.5))
    assert "g_1 = ŷ_1(1−ŷ_1)(y_1−ŷ_1) = 0.7514·0.2486·(0.01−0.7514) = −0.1385" in text
    assert "e_1 = b_1(1−b_1)Σ_j w_1j g_j = 0.5933·0.4067·(0.4·(−0.1385) + 0.5·0.0381)   = −0.008771" in text
    assert "Δθ_1  = −η g_1    = −0.5·(−0.1385)       = 0.06925" in text
    assert "w_11 ← w_11 + Δw_11 = 0.4 + (−0.04108)  = 0.3589" in text
    delta = bpjit.trace(S1, [0.05, 0.10], [0.01, 0.99], eta=0.5).text(notation="delta", digits=6)
    assert re.search("Δw⁽²⁾_11 = −η δ⁽²⁾_1 out⁽¹⁾_1 = −0.5·0.138499·0.59327 += −0.0410835", delta)


def evaluated(piece):
    """The value of a right-hand side, where it is plain arithmetic; else None."""
    piece = piece.split(" = ")[0].replace("−", "-").replace("·", "*").replace("½[", "0.5*(").replace("]", ")")
    piece = re.sub(
        r"10([⁻⁰¹²³⁴-⁹]+)",
        lambda found: "10**" + found[1].translate(str.maketrans("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789")),
        piece,
    )
    piece = piece.replace("²", "**2").replace("exp", "np.exp").replace("ln", "np.log").replace("√", "np.sqrt")
    if not re.fullmatch(r"(?:[\d.+*/() e-]|np\.(?:exp|log|sqrt)|\|)+", piece) or "|" in piece:
        return None
    try:
        return float(eval(piece, {"np": np}))
    except SyntaxError:
        return None


@pytest.mark.parametrize("notation", ["book", "delta"])
def test_the_numbers_put_in_give_the_value(traces, notation):
    """Every line whose numbers are plain arithmetic is computed once more from the text."""
    computed = 0
    for trace in traces:
        for line in trace.text(notation=notation, digits=12, full=True).splitlines():
            parts = [part.strip() for part in re.split(r" [=←] ", line)]
            values = [evaluated(part) for part in parts[-2:]]
            if len(parts) >= 3 and None not in values:
                assert values[0] == pytest.approx(values[1], rel=1e-8, abs=1e-10), line
                computed += 1
    assert computed > 1000


def test_rows_are_aligned(traces):
    wide = lambda text: sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)  # noqa: E731
    for language in ("en", "zh"):
        text = traces[0].text(language=language)
        places = {wide(line[: line.index(" = ")]) for line in text.splitlines() if re.match(r" +g_\d", line)}
        assert len(places) == 1
        titles = [(above, line) for above, line in itertools.pairwise(text.splitlines()) if set(line) == {"="}]
        assert titles
        assert all(wide(above) == len(line) for above, line in titles)


def test_large_networks_are_abbreviated_unless_asked_for_all():
    net = bpjit.Network.random((30, 20, 10), seed=1)
    trace = bpjit.trace(net, np.ones((9, 30)), np.zeros((9, 10)), steps=7)
    text = str(trace)
    assert "608 more left out; full=True shows them" in text  # of 30·20 + 20 parameters
    assert "2 more steps left out" in text
    assert "… + " in text
    whole = trace.text(full=True)
    assert "left out" not in whole
    assert "…" not in whole
    assert whole.count("Δv_30,20") == 2 * 7
    batch = bpjit.trace(net, np.ones((9, 30)), np.zeros((9, 10)), updates="accumulated")
    assert "6 more samples left out" in str(batch)


def test_json_keeps_every_digit(traces):
    for trace in traces:
        for notation in ("book", "delta"):
            record = json.loads(trace.json(notation=notation))
            assert record["format"] == "bpjit trace"
            assert record["notation"] == notation
            for step, written in zip(trace, record["steps"], strict=True):
                last = written["numbers"][f"w{'' if notation == 'book' else len(step.after.weights)}_new"]
                assert np.array_equal(np.array(last), step.after.weights[-1])
                thresholds = written["numbers"][
                    "theta_new" if notation == "book" else f"b{len(step.after.weights)}_new"
                ]
                assert np.array_equal(
                    np.array(thresholds), step.after.thresholds[-1] * (1 if notation == "book" else -1)
                )
                assert written["numbers"]["E"] == step.error
            assert json.loads(json.dumps(record)) == record


def test_json_names_of_s1():
    numbers = json.loads(bpjit.trace(S1, [0.05, 0.10], [0.01, 0.99], eta=0.5).json())["steps"][0]["numbers"]
    assert " ".join(numbers) == (
        "x y alpha b slope_h beta y_hat slope_j E g e v gamma dv dgamma v_new gamma_new "
        "w theta dw dtheta w_new theta_new E_new"
    )
    assert numbers["dw"][0][0] == pytest.approx(-0.04108352)


def test_html_escapes():
    """f'(z) of ReLU holds > and ≤, and nothing of it may become a tag."""
    net = bpjit.Network.random((2, 2, 1), "relu", seed=1)
    page = bpjit.trace(net, [1, 2], [1]).html()
    assert "z&gt;0" in page
    assert "z>0" not in page
    assert page == bpjit.trace(net, [1, 2], [1])._repr_html_()
    assert "http" not in page


@pytest.mark.skipif(shutil.which("pdflatex") is None, reason="pdflatex is not installed")
@pytest.mark.parametrize("notation", ["book", "delta"])
def test_latex_compiles(traces, notation, tmp_path):
    whole = traces[0].latex(standalone=True, notation=notation)
    bodies = [trace.latex(notation=notation) for trace in traces[1:]]
    (tmp_path / "trace.tex").write_text(whole.replace("\\end{document}", "\n".join(bodies) + "\\end{document}"))
    done = subprocess.run(
        ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "trace.tex"], cwd=tmp_path, capture_output=True
    )
    assert done.returncode == 0, done.stdout[-2000:].decode(errors="replace")
    assert (tmp_path / "trace.pdf").stat().st_size > 10_000
    log = (tmp_path / "trace.log").read_text(errors="replace")
    assert "Missing character" not in log
    wide = [float(points) for points in re.findall(r"Overfull \\hbox \(([\d.]+)pt", log)]
    assert all(points < 30 for points in wide), wide


def test_every_activation_has_its_formula():
    assert set(ACTIVATIONS) == {*HIDDEN, "softmax"}


@pytest.mark.parametrize(
    ("style", "message"),
    [
        ({"notation": "books"}, 'did you mean "book"'),
        ({"language": "cn"}, "language: expected one of"),
        ({"digits": 0}, "digits: expected a whole number >= 1"),
        ({"colour": 1}, "style: expected one of"),
    ],
)
def test_styles_that_are_none(style, message):
    trace = bpjit.trace(S1, [0.05, 0.10], [0.01, 0.99])
    for ask in (trace.text, trace.markdown, trace.latex, trace.html, trace.json, trace.styled):
        with pytest.raises(ValueError, match=message):
            ask(**style)


def test_a_style_stays_with_its_trace():
    trace = bpjit.trace(S1, [0.05, 0.10], [0.01, 0.99]).styled(notation="delta", digits=7)
    assert trace.style == Style("delta", "en", 7)
    assert str(trace) == trace.text(notation="delta", digits=7)
    assert repr(trace).startswith("Trace(1 steps, E 0.298371")
