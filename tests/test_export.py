"""Networks as C99 and JavaScript: they compile without a warning, under sanitizers, and compute what bpjit computes."""

import base64
import functools
import json
import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

import bpjit
from bpjit.export import noting, running
from bpjit.formulas import exp, select

README = Path(__file__).parents[1] / "scripts" / "README.md"
X = np.random.default_rng(0).normal(size=(1000, 3)) * 2
SIZES = (3, 5, 4, 2)
STRICT = "-std=c99 -Wall -Wextra -Wconversion -pedantic -Werror"
EXACT = f"{STRICT} -ffp-contract=off"
BUILT_IN = ["sigmoid", "tanh", "relu", "leaky_relu", "softplus", "softsign", "identity", "sin", "step"]
BOUNDED = ("sigmoid", "tanh", "softsign", "sin", "step")


@bpjit.activation(name="int-*/")
def own(z, a=1.5):
    return select(abs(z) < a, z * exp(-abs(z)), a / (1 + z * z))


def all_networks(dtype="float64"):
    """By the name of a file, networks of one shape, of every activation."""
    kinds = {name: (name, name) for name in BUILT_IN}
    kinds |= {"soft": ("tanh", "softmax")}
    if dtype == "float64":
        kinds |= {"of-own": ([own, own(a=0.5)], "elu"), "2 gelu": (["silu", "gelu"], "exp")}
    scale = bpjit.Scale.standard(X * 5 + 3, X[:, :2] * 7 - 2)
    nets = {name: bpjit.Network.random(SIZES, *each, seed=1, dtype=dtype) for name, each in kinds.items()}
    return nets | {"scaled": bpjit.Network.random(SIZES, "tanh", "identity", seed=1, dtype=dtype, scale=scale)}


def compiled(folder, nets, body, *compilers, options=EXACT, **settings):
    """What programs print that include the headers of these networks, each as compiled by one of ``compilers``; in
    ``body`` NAME is what names of a header begin with."""
    headers, parts = "", ""
    for name, net in nets.items():
        net.to_c(folder / f"{name}.h", **settings)
        begin = name.replace(" ", "_").replace("-", "_").lstrip("2_")
        headers += f"#define {begin.upper()}_TOLERANCE 0\n" if options == EXACT else ""
        headers += f'#include "{name}.h"\n'
        parts += body.replace("NAME", begin)
    text = f"#include <stdio.h>\n{headers}int main(void) {{\n{parts}return 0;\n}}\n"
    (folder / "main.c").write_text(text, encoding="utf-8")
    return [run_c(folder, compiler, options) for compiler in compilers]


@functools.cache
def sanitizers(compiler):
    """Those that a compiler has here, if it has."""
    options = ["-fsanitize=address,undefined"]
    command = [compiler, *options, "-x", "c", "-", "-o", os.devnull]
    done = subprocess.run(command, input=b"int main(void) { return 0; }", capture_output=True, check=False)
    return options if done.returncode == 0 else []


def run_c(folder, compiler, options):
    """What main.c prints."""
    command = [compiler, *options.split(), *sanitizers(compiler), "main.c", "-o", compiler, "-lm"]
    subprocess.run(command, cwd=folder, check=True)
    return subprocess.run([f"./{compiler}"], cwd=folder, check=True, capture_output=True).stdout


COMPILERS = [name for name in ("gcc", "clang") if shutil.which(name)]
needs_compiler = pytest.mark.skipif(not COMPILERS, reason="no compiler of C here")
needs_node = pytest.mark.skipif(shutil.which("node") is None, reason="no node here")

OUTPUTS = """{
    FILE *file = fopen("X", "rb");
    REAL x[3], y_hat[2];
    while (fread(x, sizeof x, 1, file) == 1) { NAME_predict(x, y_hat); fwrite(y_hat, sizeof y_hat, 1, stdout); }
    fclose(file);
    if (NAME_test()) return 1;
}
"""


@needs_compiler
@pytest.mark.parametrize("dtype", ["float64", pytest.param("float32", marks=pytest.mark.slow)])
def test_c_computes_the_recorded_formulas_bit_for_bit(dtype, tmp_path):
    nets, given = all_networks(dtype), X.astype(dtype)
    given.tofile(tmp_path / "X")
    body = OUTPUTS.replace("REAL", "double" if dtype == "float64" else "float")
    for printed in compiled(tmp_path, nets, body, *COMPILERS):
        found = np.frombuffer(printed, dtype).reshape(len(nets), len(X), 2)
        for (name, net), y_hat in zip(nets.items(), found, strict=True):
            scale = {} if net.scale is None else {key: a.astype(dtype) for key, a in net.scale.arrays.items()}
            assert np.array_equal(y_hat, running.outputs(net, scale, given)), name
            tolerance = 1e-14 if dtype == "float64" else 1e-5
            if name != "step":  # which jumps
                assert np.all(abs(y_hat - net.predict(given)) <= tolerance * (1 + abs(y_hat))), name


@needs_compiler
def test_c_with_the_functions_of_its_library(tmp_path):
    X.tofile(tmp_path / "X")
    nets = {name: net for name, net in all_networks().items() if name in ("2 gelu", "softplus", "soft", "sin")}
    body = OUTPUTS.replace("REAL", "double")
    (printed,) = compiled(tmp_path, nets, body, COMPILERS[0], options=STRICT, libm=True)
    found = np.frombuffer(printed).reshape(len(nets), len(X), 2)
    for net, y_hat in zip(nets.values(), found, strict=True):
        assert np.all(abs(y_hat - net.predict(X)) <= 1e-14 * (1 + abs(y_hat)))


@needs_compiler
def test_classes_in_c_and_a_test_that_finds_what_differs(tmp_path):
    nets = {name: net for name, net in all_networks().items() if name in ("sigmoid", "soft")}
    one = bpjit.Network.random((3, 4, 1), "relu", "tanh", seed=2)
    classes = {**nets, "one": one}
    X.tofile(tmp_path / "X")
    body = OUTPUTS.replace("REAL", "double").replace(
        "NAME_predict(x, y_hat); fwrite(y_hat, sizeof y_hat, 1, stdout);", "(void) y_hat; putchar(NAME_classify(x));"
    )
    (printed,) = compiled(tmp_path, classes, body, COMPILERS[0])
    found = np.frombuffer(printed, np.uint8).reshape(3, len(X))
    assert np.array_equal(found, [net.classify(X) for net in classes.values()])
    header = (tmp_path / "one.h").read_text("utf-8")
    changed = re.sub(r"(one_parameters\[21\] = {)[^,]*", r"\g<1>2.0", header)
    (tmp_path / "one.h").write_text(changed, encoding="utf-8")
    subprocess.run([COMPILERS[0], "main.c", "-o", "other", "-lm"], cwd=tmp_path, check=True)
    assert subprocess.run(["./other"], cwd=tmp_path, capture_output=True, check=False).returncode == 1


def test_functions_by_arithmetic_alone_are_as_exact_as_those_of_vectors():
    x = np.concatenate([np.linspace(-800, 800, 20001), [0.0, 1e-310, 5e-324, np.inf, -np.inf, np.nan]])
    for single, dtype in enumerate((np.float64, np.float32)):
        x = x.astype(dtype)
        for name in noting.FUNCTIONS:
            with np.errstate(all="ignore"):
                y = running.run(noting.function(name, bool(single)), x)[0]
                right = getattr(np, name)(x.astype(np.longdouble)).astype(dtype)
                ulps = abs(y - right) / np.maximum(np.spacing(abs(right)), 1.5e-16 if dtype == np.float64 else 3e-8)
            assert y.dtype == dtype
            assert np.array_equal(np.isnan(y), np.isnan(right)), name
            assert np.nanmax(np.where(np.isfinite(right), ulps, 0)) <= 3, name
            assert np.array_equal(y[~np.isfinite(right)], right[~np.isfinite(right)], equal_nan=True), name


LEARN = """{
    FILE *file = fopen("XY", "rb");
    double x[5], error, J[6];
    while (fread(x, sizeof x, 1, file) == 1) {
        NAME_jacobian(x, J);
        fwrite(J, sizeof J, 1, stdout);
        error = NAME_learn(x, x + 3, 0.1);
        fwrite(&error, sizeof error, 1, stdout);
    }
    fclose(file);
    fwrite(NAME_parameters, sizeof NAME_parameters, 1, stdout);
}
"""


def with_losses(of_own):
    """By the name of a file, (a network, its loss): with each loss, each way from it to g_j."""
    scale = bpjit.Scale.standard(X * 5 + 3, X[:, :2] * 7 - 2)
    if of_own:
        fourth = bpjit.loss(lambda y_hat, y: (y_hat - y) ** 4, name="*//*")
        kinds = {
            "poisson": ("tanh", "exp", "poisson"),
            "log_cosh": ("tanh", "tanh", "log_cosh"),
            "quantile": ("elu", "softmax", bpjit.formulas.quantile(quantile=0.25)),
            "fourth": ("relu", "sin", fourth),
        }
    else:
        kinds = {
            "squared": ("sigmoid", "sigmoid", None),
            "binary": (["sin", "softsign"], "sigmoid", "cross_entropy"),
            "absolute": ("softplus", "identity", "absolute"),
            "huber": ("leaky_relu", "softplus", "huber"),
            "categorical": ("tanh", "softmax", None),
            "softmax": ("tanh", "softmax", "squared"),
        }
    nets = {name: (bpjit.Network.random(SIZES, *kind[:2], seed=1), kind[2]) for name, kind in kinds.items()}
    return nets | {"scaled": (bpjit.Network.random(SIZES, "tanh", "identity", seed=1, scale=scale), None)}


@needs_compiler
@pytest.mark.parametrize("of_own", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_c_learns_bit_for_bit_as_the_book_line_by_line(of_own, tmp_path, monkeypatch):
    """And as OnlineLearner but for rounding; its Jacobian is that of bpjit."""
    nets = with_losses(of_own)
    Y = np.random.default_rng(1).dirichlet(np.ones(2), len(X))
    np.hstack([X, Y]).tofile(tmp_path / "XY")
    headers, parts = "", ""
    for name, (net, loss) in nets.items():
        net.to_c(tmp_path / f"{name}.h", learn=True, jacobian=True, loss=loss)
        headers, parts = f'{headers}#include "{name}.h"\n', parts + LEARN.replace("NAME", name)
    (tmp_path / "main.c").write_text(f"#include <stdio.h>\n{headers}int main(void) {{\n{parts}return 0;\n}}\n", "utf-8")
    printed = [run_c(tmp_path, compiler, EXACT) for compiler in COMPILERS]
    few = 50
    read = {name: line_by_line(net, loss, few, Y, monkeypatch) for name, (net, loss) in nets.items()}
    monkeypatch.undo()
    for text in printed:
        found = np.frombuffer(text).reshape(len(nets), -1)
        for (name, (net, loss)), numbers in zip(nets.items(), found, strict=True):
            each, learnt = numbers[:-54].reshape(-1, 7), numbers[-54:]
            assert np.array_equal(each[:few, 6], read[name]), name
            learner = bpjit.OnlineLearner(net, eta=0.1, loss=loss)
            assert close(bpjit.jacobian(net, X[0], by="inputs").ravel(), each[0, :6]), name
            errors = np.array([learner.learn(x, y) for x, y in zip(X, Y, strict=True)])
            assert close(errors, each[:, 6]), name
            assert close(learner.network.parameters, learnt), name


def close(a, b):
    return np.all(abs(a - b) <= 1e-14 * (1 + abs(a).max()))


def line_by_line(net, loss, few, Y, monkeypatch):
    """The errors of the first samples, from the kernels' readable lines run in Python with the recorded functions."""
    from bpjit.kernels.layout import code_of_loss, lay_out
    from bpjit.kernels.readable import online
    from bpjit.maths import formulas
    from bpjit.maths.own import Own
    from bpjit.maths.tape import function_of
    from bpjit.networks.evaluation import as_loss, as_samples

    loss = as_loss(loss, net)
    of_own = [function_of(name.tape).__globals__ for name in (*net._activations, loss) if isinstance(name, Own)]
    for helper in formulas.MACHINE:
        name = helper.__name__.removesuffix("_of")
        if name in noting.FUNCTIONS:
            tape = noting.function(name, single=False)
            recorded = lambda z, tape=tape: np.float64(running.run(tape, np.full(1, z))[0][0])  # noqa: E731
            for scope in (vars(formulas), vars(online), *of_own):
                if helper.__name__ in scope:
                    monkeypatch.setitem(scope, helper.__name__, recorded)
    layers = lay_out(net.sizes, net._activations).view(np.recarray)
    D = as_samples(net, X[:few], Y[:few], loss)
    p, u, errors = net.parameters.copy(), net._architecture.units(), []
    for x, y in zip(D.X, D.Y, strict=True):
        online.outputs(layers, p, x, u)
        errors.append(online.output_terms(layers, code_of_loss(loss), y, u))
        online.hidden_terms(layers, p, u)
        online.update(layers, p, np.float64(0.1), u)
    return errors


@needs_compiler
def test_the_program_of_the_readme_compiles(tmp_path):
    program = re.search(r"```c\n(.*?)```", README.read_text("utf-8"), re.DOTALL)[1]
    scale = bpjit.Scale.standard(X[:, :2], X[:, 2:])
    net = bpjit.Network.random((2, 8, 1), "tanh", "identity", scale=scale)
    net.to_c(tmp_path / "plant.h", dtype="float32", learn=True)
    (tmp_path / "main.c").write_text(f"{program}\nint main(void) {{ return control(20, 0.5f, 3) > 1e30f; }}\n", "utf-8")
    run_c(tmp_path, COMPILERS[0], STRICT)


BY_THE_BROWSER = ("softplus", "sin")  # which take Math.log1p and Math.sin


@pytest.fixture(scope="module")
def modules(tmp_path_factory):
    """The folder of modules of JavaScript, and by the name of a file its network."""
    folder, nets = tmp_path_factory.mktemp("modules"), all_networks()
    scale = nets["scaled"].scale
    nets["single"] = bpjit.Network.random((3, 4, 1), "tanh", "sigmoid", seed=1)
    kinds = ("wide", (3, 45, 9, 6, 2), scale), ("of-many", (3, 45, 130, 1), None), ("layerless", (3, 2), scale)
    for name, sizes, given in kinds:
        nets[name] = bpjit.Network.random(sizes, "tanh", "identity", seed=1, scale=given)
    nets["probabilities"] = bpjit.Network.random((3, 45, 9), "relu", "softmax", seed=1)
    for name, net in nets.items():
        net.to_javascript(folder / f"{name}.mjs")
    return folder, nets


def agrees(name, net, found):
    """Whether a module's outputs are those of ``predict``, and where it computes exp and tanh itself, those of the
    recorded formulas to the last bit."""
    y_hat = net.predict(X)
    assert found.shape == y_hat.shape
    assert np.all(abs(found - y_hat) <= 1e-15 * (1 + abs(y_hat).max())), name
    if name not in BY_THE_BROWSER:
        assert np.array_equal(found, running.outputs(net, net.scale.arrays if net.scale else {}, X)), name


@needs_node
def test_javascript_computes_what_predict_computes(modules):
    folder, nets = modules
    program = f"const X = {json.dumps(X.tolist())};\nconst show = (y) => console.log(JSON.stringify(y));\n"
    for k, name in enumerate(nets):
        program += f'import * as n{k} from "./{name}.mjs";\nshow(X.map((x) => n{k}.predict(x)));\n'
    program += 'import * as soft from "./soft.mjs";\nshow(X.map((x) => soft.classify(x)));\n'
    program += "const given = [0, 0];\nshow([soft.predict(X[5], given) === given, given, soft.predict([1, NaN, 2])]);\n"
    program += "const itself = [...X[7]];\nshow(soft.predict(itself, itself));\n"
    (folder / "all.mjs").write_text(program, encoding="utf-8")
    done = subprocess.run(["node", "all.mjs"], cwd=folder, check=True, capture_output=True, text=True)
    *lines, classes, into, itself = map(json.loads, done.stdout.splitlines())
    for (name, net), line in zip(nets.items(), lines, strict=True):
        agrees(name, net, np.array(line))
    soft = list(nets).index("soft")
    assert np.array_equal(classes, nets["soft"].classify(X))
    assert into == [True, lines[soft][5], [None, None]]  # as JSON says NaN
    assert itself[:2] == lines[soft][7]


def test_modules_are_small_and_classify_what_lies_within_bounds(modules):
    folder, nets = modules
    for name, net in nets.items():
        text = (folder / f"{name}.mjs").read_text("utf-8")
        assert ("export const classify" in text) == (net.output in (*BOUNDED, "softmax")), name
    for name in BUILT_IN:
        bpjit.Network.random((2, 4, 1), name, name).to_javascript(folder / "xor.mjs")
        assert (folder / "xor.mjs").stat().st_size <= 5000


def test_a_browser_computes_what_predict_computes(modules, browser):
    folder, nets = modules
    page = browser.new_page()
    for name, net in nets.items():
        module = base64.b64encode((folder / f"{name}.mjs").read_bytes()).decode()
        program = (
            "async ([module, X]) => { const { predict } = await import(`data:text/javascript;base64,${module}`); "
            "return JSON.stringify(X.map((x) => predict(x))); }"
        )
        agrees(name, net, np.array(json.loads(page.evaluate(program, [module, X.tolist()]))))
    page.close()


@pytest.mark.parametrize(("path", "begin"), [("int.h", "int_"), ("2 fast-net.v2.h", "fast_net_"), ("__N.h", "N_")])
def test_names_begin_with_that_of_the_file(path, begin, tmp_path):
    bpjit.Network.random((2, 1)).to_c(tmp_path / path)
    assert f"void {begin}predict(" in (tmp_path / path).read_text("utf-8")


def test_what_cannot_be_exported_is_said(tmp_path):
    net = bpjit.Network.random((2, 1))
    for path in ("网络.h", "12.h", ".h"):
        with pytest.raises(ValueError, match="path: expected a file whose name has a letter from a to z"):
            net.to_c(tmp_path / path)
    with pytest.raises(ValueError, match="dtype"):
        net.to_c(tmp_path / "net.h", dtype="int8")
    with pytest.raises(TypeError, match="libm: expected True or False"):
        net.to_c(tmp_path / "net.h", libm="yes")
    for settings in ({"learn": 1}, {"jacobian": "inputs"}):
        with pytest.raises(TypeError, match=f"{next(iter(settings))}: expected True or False"):
            net.to_c(tmp_path / "net.h", **settings)
    with pytest.raises(ValueError, match="loss: expected None without learn=True"):
        net.to_c(tmp_path / "net.h", loss="huber")
    with pytest.raises(ValueError, match='"step" has no slope'):
        bpjit.Network.random((2, 1), output="step").to_c(tmp_path / "net.h", learn=True)
    rooted = bpjit.activation(lambda z: bpjit.formulas.sqrt(1 + z * z), name="rooted")
    with pytest.raises(ValueError, match="libm: expected True"):
        bpjit.Network.random((2, 1), output=rooted).to_c(tmp_path / "net.h")
    far = bpjit.Network.random((1, 1), output="identity", scale=bpjit.Scale([0], [1e300]))
    with pytest.raises(ValueError, match="dtype: expected one that holds the network's scale"):
        far.to_c(tmp_path / "net.h", dtype="float32")
    assert list(tmp_path.iterdir()) == []


def on_a_small_controller(folder, kind):
    """Compile ``net_predict`` of net.h, of numbers of this kind, for Cortex-M0; returns the bytes of its code and
    tables, and what it calls."""
    head = f"void run(const {kind} *x, {kind} *y)"
    text = f'#include "net.h"\n{head};\n{head} {{ net_predict(x, y); }}\n'
    (folder / "main.c").write_text(text, encoding="utf-8")
    options = f"{STRICT} -ffreestanding -mcpu=cortex-m0 -mthumb -Os -c main.c -o main.o"
    subprocess.run(["arm-none-eabi-gcc", *options.split()], cwd=folder, check=True)
    size, symbols = (
        subprocess.run([f"arm-none-eabi-{tool}", "main.o"], cwd=folder, check=True, capture_output=True, text=True)
        for tool in ("size", "nm")
    )
    called = {line.split()[-1] for line in symbols.stdout.splitlines() if " U " in line}
    return int(size.stdout.splitlines()[1].split()[0]), called


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("arm-none-eabi-gcc") is None, reason="no compiler for ARM here")
@pytest.mark.parametrize("output", ["sigmoid", "softmax"])
def test_a_small_network_fits_a_small_controller(output, tmp_path):
    """4-8-3 on Cortex-M0: at most 2 KB, and nothing is called but arithmetic."""
    bpjit.Network.random((4, 8, 3), "sigmoid", output).to_c(tmp_path / "net.h", dtype="float32")
    text_size, called = on_a_small_controller(tmp_path, "float")
    assert text_size <= 2048
    assert all("__aeabi_f" in name for name in called)


CONTROLLERS = {"cortex-m0": "microbit", "cortex-m3": "lm3s6965evb"}  # machines of QEMU that have them
ON_A_CONTROLLER = """
static void ask(int operation, const void *block) { /* QEMU, as a debugger */
    register int r0 __asm__("r0") = operation;
    register const void *r1 __asm__("r1") = block;
    __asm__ volatile("bkpt 0xAB" : "+r"(r0) : "r"(r1) : "memory");
}

static void show(const void *numbers, unsigned size) { /* bytes, in hexadecimal */
    const unsigned char *byte = numbers;
    char text[3];
    text[2] = 0;
    for (; size--; byte++) {
        text[0] = "0123456789abcdef"[*byte >> 4];
        text[1] = "0123456789abcdef"[*byte & 15];
        ask(4, text);
    }
}

void start(void);
void start(void) {
    static const char end[] = "\\n";
    unsigned result[2] = {0x20026, 0}; /* at its end a program stops with */
    unsigned k;
    REAL y_hat[2], error;
    result[1] = (unsigned) net_test();
    for (k = 0; k < 20; k++) {
        net_predict((const REAL *) X + 3 * k, y_hat);
        show(y_hat, sizeof y_hat);
    }
    ask(4, end);
    for (k = 0; k < 20; k++) {
        error = net_learn((const REAL *) X + 3 * k, (const REAL *) Y + 2 * k, (REAL) 0.1);
        show(&error, sizeof error);
    }
    show(net_parameters, sizeof net_parameters);
    ask(0x20, result);
}

__attribute__((section(".vectors"), used)) static const struct {
    unsigned stack;
    void (*start)(void);
} vectors = {0x20004000, start};
"""


@pytest.mark.slow
@pytest.mark.skipif(
    None in map(shutil.which, ("arm-none-eabi-gcc", "qemu-system-arm")), reason="no compiler for ARM here, or no QEMU"
)
@pytest.mark.parametrize("core", CONTROLLERS)
@pytest.mark.parametrize("name", ["sigmoid", "tanh", "softplus", "sin", "soft", "scaled"])
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_a_controller_predicts_and_learns_bit_for_bit(dtype, name, core, tmp_path, monkeypatch):
    """In QEMU, without an operating system: what ``net_test`` returns is the exit code."""
    net, few = all_networks(dtype)[name], X[:20].astype(dtype)
    Y = np.random.default_rng(1).dirichlet(np.ones(2), 20).astype(dtype)
    net.to_c(tmp_path / "net.h", learn=True)
    arrays = ""
    for kind, array in (("X", few), ("Y", Y)):
        words = ", ".join(f"{word}U" for word in array.ravel().view(np.uint32))
        arrays += f"static const uint32_t {kind}[] = {{{words}}};\n"
    real = "double" if dtype == "float64" else "float"
    text = f'#define NET_TOLERANCE 0\n#include "net.h"\n{arrays}{ON_A_CONTROLLER.replace("REAL", real)}'
    (tmp_path / "main.c").write_text(text, encoding="utf-8")
    options = f"{EXACT} -Os -ffreestanding -nostdlib -fno-strict-aliasing -mthumb -mcpu={core}".split()
    places = [f"-Wl,{each}" for each in ("--section-start=.vectors=0", "-Ttext=0x100", "-Tdata=0x20000000", "-estart")]
    command = ["arm-none-eabi-gcc", *options, *places, "main.c", "-o", "main.elf", "-lgcc"]
    subprocess.run(command, cwd=tmp_path, check=True)
    machine = ["-M", CONTROLLERS[core], "-semihosting", "-nographic", "-monitor", "none", "-serial", "none"]
    command = ["qemu-system-arm", *machine, "-kernel", "main.elf"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done
    shown = re.findall("^[0-9a-f]+$", done.stdout + done.stderr, re.MULTILINE)  # what QEMU says besides has blanks
    outputs, learnt = (np.frombuffer(bytes.fromhex(line), dtype) for line in shown)
    scale = {} if net.scale is None else {key: a.astype(dtype) for key, a in net.scale.arrays.items()}
    assert np.array_equal(outputs.reshape(20, 2), running.outputs(net, scale, few))
    learner = bpjit.OnlineLearner(net, eta=0.1)
    errors = [learner.learn(x, y) for x, y in zip(few, Y, strict=True)]
    tolerance = 1e-14 if dtype == "float64" else 1e-5
    assert np.all(abs(np.append(errors, learner.network.parameters) - learnt) <= tolerance * (1 + abs(learnt).max()))
    if dtype == "float64":
        assert np.array_equal(learnt[:20], line_by_line(net, None, 20, Y, monkeypatch))
