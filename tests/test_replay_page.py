"""The page of a replay in a real browser: it opens without errors and asks the network for nothing, plays, obeys mouse
and keys, and shows the numbers that Python computes.
"""

import time
from pathlib import Path

import numpy as np
import pytest

import bpjit
from cases import slow

sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")

X = np.array([[0, 0], [0, 1], [1, 0], [1, 1]], float)
Y = np.array([0.0, 1.0, 1.0, 0.0])
WIDTHS = {"desktop": 1280, "phone": 400}
EVIL = "</script><script>document.title='broken'</script><img src=x onerror=\"document.title='broken'\">"


def xor(**more):
    net = bpjit.Network.random((2, 4, 1), seed=0)
    return bpjit.train(net, X, Y, **{"eta": 5.0, "stop": 100, **more})


def classes():
    rng = np.random.default_rng(0)
    A = rng.normal(size=(60, 2))
    stop = [bpjit.EarlyStopping(patience=20), bpjit.MaxEpochs(60)]
    labels = (A[:, 0] > 0) + (A[:, 1] > 0).astype(int)
    net = bpjit.Network.random((2, 12, 3), "tanh", "softmax")
    return bpjit.train(net, A[:40], labels[:40], eta=0.1, stop=stop, validation=(A[40:], labels[40:]))


def line():
    x = np.linspace(-3, 3, 30)[:, None]
    net = bpjit.Network.random((1, 6, 2), "tanh", "identity")
    return bpjit.train(net, x, np.hstack([np.sin(x), np.cos(x)]), rule="adam", eta=0.05, updates=5, stop=80)


def many_outputs():
    A = np.random.default_rng(0).normal(size=(90, 20))
    net = bpjit.Network.random((20, 15, 9, 12), ["relu", "softplus"], "softmax")
    return bpjit.train(net, A, A[:, :12].argmax(1), eta=0.05, stop=40)


def surface():
    A = np.random.default_rng(0).uniform(-1, 1, (50, 2))
    net = bpjit.Network.random((2, 5, 1), "tanh", "identity")
    return bpjit.train(net, A, A[:, 0] * A[:, 1], eta=0.1, lam=1 - 1e-5, stop=40)


def no_hidden_layer():
    return bpjit.train(bpjit.Network.random((2, 1), output="sigmoid"), X, [0, 0, 0, 1], eta=1.0, stop=30)


KINDS = {kind.__name__: kind for kind in (xor, classes, line, many_outputs, surface, no_hidden_layer)}


class Page:
    """An open page, and what it complained of or asked for."""

    def __init__(self, browser, path, width=1280, **more):
        self.tab = browser.new_page(viewport={"width": width, "height": 900}, **more)
        self.complaints, self.requests = [], []
        self.tab.on("console", lambda message: self.complaints.append(message.text))
        self.tab.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.tab.on("request", lambda request: self.requests.append(request.url))
        self.tab.goto(path.as_uri())
        self.tab.wait_for_selector("html[data-ready]")

    def text(self, selector):
        return self.tab.inner_text(selector)

    def inside(self, layer, unit):
        """The number in a unit of the diagram."""
        return number(self.tab.text_content(f".unit[data-layer='{layer}'][data-unit='{unit}'] .value"))

    def choose(self, layer, unit):
        self.tab.click(f".unit[data-layer='{layer}'][data-unit='{unit}'] circle")

    def wait_for(self, condition):
        """Until this holds in the page; its security policy forbids Playwright's own way."""
        end = time.monotonic() + 20
        while not self.tab.evaluate(condition):
            assert time.monotonic() < end, condition
            self.tab.wait_for_timeout(20)

    def shown(self):
        """The results of a trace by their names."""
        results = self.tab.eval_on_selector_all("#trace .result", "all => all.map(r => [r.dataset.name, r.innerHTML])")
        return {name: number(text) for name, text in results}

    @property
    def frame(self):
        return int(self.tab.input_value("#slider"))

    @property
    def epoch(self):
        return float(self.text("#now b").replace(",", ""))


def number(text):
    return float(text.replace("−", "-").replace("·10<sup>", "e").replace("</sup>", ""))


@pytest.fixture
def opened(browser, tmp_path):
    """Writes the replay of a fit and opens it; in the end there must be nothing to complain of."""
    pages = []

    def open_page(fit, width=1280, options=None, **more):
        path = tmp_path / f"{len(pages)}.html"
        fit.replay(path, **more)
        pages.append((Page(browser, path, width, **(options or {})), path))
        return pages[-1][0]

    yield open_page
    for page, path in pages:
        page.tab.close()
        assert page.complaints == []
        assert page.requests == [Path(path).as_uri()]


@pytest.mark.parametrize("rule", ["lm", "br", "scg"])
def test_a_rule_of_second_order_says_what_is_not_shown(rule, opened):
    page = opened(xor(rule=rule, eta=None, stop=20))
    page.choose(1, 0)
    text = page.text("#trace")
    assert f"The rule {rule} makes one step of an epoch from these directions of all samples and from the curva" in text
    assert "makes its steps" not in text
    assert (f"The rule {rule} adds a penalty" in text) == (rule == "br")
    page.tab.keyboard.press("l")
    assert f"规则 {rule} 由所有样本的这些方向以及曲率得出每轮的一步更新" in page.text("#trace")


@pytest.mark.parametrize("kind", ["classes", "many_outputs", *map(slow, ("xor", "line", "surface", "no_hidden_layer"))])
def test_every_kind_of_network_opens_and_plays(kind, opened):
    """At both widths nothing reaches beyond the side of the page, whatever is clicked."""
    fit = KINDS[kind]()
    last = len(fit.network.sizes) - 1
    for width in WIDTHS.values():
        page = opened(fit, width, title=f"A page about {kind}")
        assert page.text("h1") == f"A page about {kind}"
        for layer in range(last + 1):
            page.choose(layer, 0)
            assert page.tab.locator("#trace .result").count() >= 2
            wide, window = page.tab.evaluate("[document.documentElement.scrollWidth, innerWidth]")
            assert window == width
            assert wide <= window
        assert "NaN" not in page.text("body")
        assert "undefined" not in page.text("body")
        page.tab.click("#last")
        assert page.epoch == fit.epochs


def test_play_advances_and_ends(opened):
    page = opened(xor())
    assert page.epoch == 0
    page.tab.select_option("#speed", "4")
    page.tab.click("#play")
    assert page.text("#play") == "❚❚ Pause"
    page.wait_for("Number(document.getElementById('slider').value) > 5")
    page.wait_for("state.frame === data.epochs.length - 1 && !state.playing")
    assert page.text("#play") == "▶ Play"
    assert page.epoch == 100
    page.tab.click("#play")  # from the start again
    page.wait_for("state.playing && state.frame > 0 && state.frame < 90")
    page.tab.click("#play")
    stopped = page.frame
    page.tab.wait_for_timeout(200)
    assert page.frame == stopped


def test_slider_buttons_and_curve_choose_the_moment(opened):
    fit = xor()
    page = opened(fit)
    page.tab.fill("#slider", "40")
    assert page.epoch == 40
    page.tab.click("#step")
    assert page.frame == 41
    page.tab.click("#back")
    page.tab.click("#back")
    assert page.frame == 39
    page.tab.click("#first")
    assert page.frame == 0
    box = page.tab.locator("#curve .training").bounding_box()
    page.tab.mouse.click(box["x"] + 0.75 * box["width"], box["y"] + box["height"] / 2)
    assert abs(page.epoch - 75) <= 1
    mark = page.tab.locator("#curve .mark").bounding_box()
    assert mark["x"] + mark["width"] / 2 == pytest.approx(box["x"] + 0.75 * box["width"], abs=6)
    error = number(page.tab.inner_html("#now .math b"))
    assert error == pytest.approx(xor(stop=int(page.epoch)).error, rel=1e-3)  # four digits are shown


def test_keys(opened):
    page = opened(xor())
    press = page.tab.keyboard.press
    press("ArrowRight")
    press("ArrowRight")
    press("ArrowLeft")
    assert page.frame == 1
    press("End")
    assert page.epoch == 100
    press("Home")
    assert page.frame == 0
    press("+")
    assert page.tab.input_value("#speed") == "2"
    press("-")
    press("-")
    assert page.tab.input_value("#speed") == "0.5"
    press("Space")
    page.wait_for("state.playing && state.frame > 0")
    press("Space")
    assert page.text("#play") == "▶ Play"
    press("l")
    assert page.text("#play") == "▶ 播放"
    page.tab.focus(".unit[data-layer='1'][data-unit='2']")
    press("Enter")
    assert page.text("#trace h3") == "隐层神经元 3"


def test_the_trace_shows_python_s_numbers(opened):
    """Four digits are shown, so a part in a thousand."""
    fit = xor(stop=60)
    page = opened(fit)
    page.tab.fill("#slider", "37")
    page.tab.select_option("#sample", "2")
    net = xor(stop=37).network
    sample = bpjit.lay_open(net, X[2], Y[2])
    hidden, output = sample.layers
    page.choose(1, 3)
    after = bpjit.train(net, X[2:3], Y[2:3], eta=5.0, stop=1).network
    expected = {
        "sum": hidden.sums[3],
        "out": hidden.outputs[3],
        "back": hidden.backs[3],
        "term": hidden.gradient_terms[3],
        "weight0": (after.v - net.v)[0, 3],
        "weight1": (after.v - net.v)[1, 3],
        "threshold": (after.gamma - net.gamma)[3],
    }
    assert page.shown() == pytest.approx(expected, rel=1e-3)
    names = set(page.text("#trace").split())
    assert names.issuperset({"α4", "e4", "Δγ4"})
    page.choose(2, 0)
    expected = {
        "sum": output.sums[0],
        "out": output.outputs[0],
        "error": sample.error,
        "term": output.gradient_terms[0],
        **{f"weight{h}": (after.w - net.w)[h, 0] for h in range(4)},
        "threshold": (after.theta - net.theta)[0],
    }
    assert page.shown() == pytest.approx(expected, rel=1e-3)
    assert [page.inside(1, h) for h in range(4)] == pytest.approx(hidden.outputs, abs=0.005 + 1e-9)


def test_formulas_fit_activation_loss_and_rule(opened):
    page = opened(line())
    page.choose(2, 1)
    text = page.text("#trace")
    assert "Direction of descent by this sample" in text
    assert "The rule adam makes its steps from these directions." in text
    assert "η" not in text
    page.choose(1, 0)
    assert "tanh(" in page.text("#trace")
    page = opened(classes())
    page.tab.click("#last")
    page.choose(2, 2)
    shown = page.shown()
    header_sample = page.tab.evaluate("data.samples[0]")
    assert shown["term"] == pytest.approx(header_sample["y"][2] - shown["out"], abs=1e-3)
    assert "and 5 more" in page.text("#trace")  # twelve weights, seven written out


def test_untrained_parameters_are_named(opened):
    page = opened(xor(train_thresholds=False, stop=5))
    page.choose(1, 0)
    assert "0 (not trained)" in page.text("#trace")
    assert "threshold" not in page.shown()


def test_samples_can_be_chosen_in_the_picture_and_the_table(opened):
    page = opened(xor())
    page.tab.locator("#picture .sampleDot").nth(1).click()
    assert page.tab.input_value("#sample") == "1"
    page = opened(many_outputs())
    page.tab.locator("#picture tbody tr").nth(4).click()
    assert page.tab.input_value("#sample") == "4"
    assert page.tab.locator("#picture tbody tr.chosen").count() == 1


def test_the_boundary_is_where_the_network_s_is(opened):
    """Every point of the thick line, taken back to inputs, has ŷ = ½."""
    fit = xor(stop=300)
    page = opened(fit)
    page.tab.click("#last")
    points = page.tab.evaluate("""() => {
      const d = document.querySelector("#picture .bound").getAttribute("d");
      const unit = (low, high, from, to, v) => low + (v - from) / (to - from) * (high - low);
      const { low, high } = data.box;
      return d.split(/[ML]/).filter(Boolean).map(p => p.split(" ").map(Number)).map(([x, y]) => [
        unit(low[0], high[0], picture.toX(low[0]), picture.toX(high[0]), x),
        unit(low[1], high[1], picture.toY(low[1]), picture.toY(high[1]), y)]);
    }""")
    assert len(points) > 40
    assert np.abs(fit.network.predict(points)[:, 0] - 0.5).max() < 0.02  # straight across a cell of the mesh


def test_areas_of_classes_are_painted_where_they_are(opened):
    fit = classes()
    page = opened(fit)
    page.tab.click("#last")
    colors, places = page.tab.evaluate("""() => {
      const { width, height } = picture.canvas, { low, high } = data.box, colors = [], places = [];
      const pixels = picture.canvas.getContext("2d").getImageData(0, 0, width, height).data;
      for (let i = 1; i < 12; i++) for (let j = 1; j < 12; j++) {
        const at = 4 * (Math.round((1 - j / 12) * height) * width + Math.round(i / 12 * width));
        colors.push([...pixels.slice(at, at + 3)]);
        places.push([low[0] + i / 12 * (high[0] - low[0]), low[1] + j / 12 * (high[1] - low[1])]);
      }
      return [colors, places];
    }""")
    palette = np.array(page.tab.evaluate("[0, 1, 2].map(classColor)"))
    away = np.abs(np.array(colors)[:, None] - palette).max(axis=2)
    painted = np.where(away.min(axis=1) <= 12, away.argmin(axis=1), -1)  # seams between cells are a little off
    y_hat = fit.network.predict(places)
    clear = np.diff(np.sort(y_hat, axis=1), axis=1)[:, -1] > 0.1  # away from borders
    assert clear.sum() > 80
    assert np.array_equal(painted[clear], y_hat.argmax(1)[clear])
    assert set(painted) >= {0, 1, 2}


def test_languages(opened):
    page = opened(xor(), language="zh", title="异或")
    assert page.tab.get_attribute("html", "lang") == "zh-CN"
    assert page.text("#networkCard h2") == "网络"
    assert "点击网络中的一个神经元" in page.text("#trace")
    page.choose(1, 1)
    assert page.text("#trace h3") == "隐层神经元 2"
    page.tab.click("[data-language=en]")
    assert page.tab.get_attribute("html", "lang") == "en"
    assert page.text("#trace h3") == "Hidden unit 2"
    english = "2-4-1, sigmoid; standard BP, an update after each sample, sgd, squared; 4 samples; stopped by MaxEpochs"
    chinese = "2-4-1，sigmoid；标准 BP，每个样本更新一次，sgd，squared；4 个样本；停止条件：MaxEpochs"
    assert page.text("#facts") == english
    page.tab.click("[data-language=zh]")
    assert page.text("#facts") == chinese


def test_names_are_text_and_nothing_else(opened):
    page = opened(xor(), title=EVIL, inputs=[EVIL, "right"], outputs=[EVIL])
    assert page.text("h1") == EVIL
    assert page.tab.title() == EVIL
    page.choose(0, 0)
    assert EVIL in page.text("#trace h3")
    page.tab.click("[data-language=zh]")
    assert page.tab.locator("img").count() == 0
    assert page.tab.title() == EVIL


def test_dark_mode_has_its_own_colours(opened):
    pages = [opened(xor(), options={"color_scheme": scheme}) for scheme in ("light", "dark")]
    papers = [page.tab.evaluate("getComputedStyle(document.body).backgroundColor") for page in pages]
    inks = [page.tab.evaluate("getComputedStyle(document.body).color") for page in pages]
    assert papers[0] != papers[1]
    bright = [[sum(map(int, c[4:-1].split(","))) for c in pair] for pair in zip(papers, inks, strict=True)]
    assert bright[0][0] - bright[0][1] > 500
    assert bright[1][1] - bright[1][0] > 500
