"""Networks as ONNX files."""

from __future__ import annotations

import json
from os import PathLike
from typing import Any

import numpy as np

from ..common.arguments import as_dtype, as_flag
from ..common.files import write_whole
from ..networks.architecture import HasArchitecture
from . import onnx_activations
from .chain import biases_of, split

OPSET, IR_VERSION = 17, 8
LARGEST = 2**31 - 2**20  # bytes: what protobuf can hold, less some for all but the weights


def need_onnx(what: str) -> Any:
    """The package, or an ``ImportError`` that says how to get it."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError(f"{what} needs onnx: python -m pip install 'bpjit[onnx]', or onnx") from error
    return onnx


class Graph:
    """Nodes and constants as they are written, in one dtype."""

    def __init__(self, onnx: Any, dtype: np.dtype) -> None:
        self.onnx, self.dtype = onnx, dtype
        self.kind = onnx.TensorProto.FLOAT if dtype == np.float32 else onnx.TensorProto.DOUBLE
        self.nodes: list[Any] = []
        self.constants: dict[str, Any] = {}
        self.numbers: dict[float, str] = {}

    def constant(self, name: str, value: Any, dtype: Any = None) -> str:
        """The name of an array, of words too."""
        array = np.asarray(value, dtype or self.dtype)
        if dtype is object:
            words = [str(word).encode() for word in array.ravel()]
            made = self.onnx.helper.make_tensor(name, self.onnx.TensorProto.STRING, array.shape, words)
        else:
            made = self.onnx.numpy_helper.from_array(np.ascontiguousarray(array), name)
        self.constants[name] = made
        return name

    def number(self, value: Any) -> str:
        """The name of what is called so, or is a number: infinity is the largest of its kind."""
        if isinstance(value, str):
            return value
        value = float(np.finfo(self.dtype).max) if value == np.inf else float(value)
        if value not in self.numbers:
            self.numbers[value] = self.constant(f"c{len(self.numbers)}", value)
        return self.numbers[value]

    def apply(self, operator: str, operands: list[Any], name: str = "", **attributes: Any) -> str:
        """Write a node; returns what its output is called, which is what the node is called too."""
        name = name or f"{operator}_{len(self.nodes)}"
        given = [self.number(operand) for operand in operands]
        if operator == "Softmax":
            attributes = {"axis": -1}
        self.nodes.append(self.onnx.helper.make_node(operator, given, [name], name=name, **attributes))
        return name

    def as_output(self, name: str, called: str) -> str:
        """Let what is called ``name`` be called otherwise."""
        return self.apply("Identity", [name], called)


def to_onnx(net: HasArchitecture, path: str | PathLike[str], dtype: Any = None, labels: bool | None = None) -> None:
    """Write a network; see ``Network.to_onnx``."""
    onnx = need_onnx("to_onnx")
    kind = net.dtype if dtype is None else as_dtype("dtype", dtype)
    if len(net.parameters) * kind.itemsize > LARGEST:
        raise ValueError(f"path: expected a network of at most 2 GB, which ONNX files may have, got {net!r}")
    with np.errstate(over="ignore"):
        beyond = not np.isfinite(net.parameters.astype(kind)).all()
    if beyond:
        raise ValueError(f"dtype: expected one that holds all parameters, got {kind}")
    known = None if net.columns is None else net.columns.classes
    plain = net.scale is None or "target_factor" not in net.scale.arrays
    if labels is None:
        labels = known is not None or net.output == "softmax" or (net.output == "sigmoid" and net.sizes[-1] == 1)
        labels = labels and plain
    graph = Graph(onnx, kind)
    y_hat = _outputs(graph, net)
    outputs = _classes(graph, net, y_hat, known) if as_flag("labels", labels) else [_last(graph, net, y_hat)]
    helper = onnx.helper
    inputs = [helper.make_tensor_value_info("X", graph.kind, ["batch", net.sizes[0]])]
    made = helper.make_graph(graph.nodes, "bpjit", inputs, outputs, list(graph.constants.values()))
    model = helper.make_model(
        made,
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=IR_VERSION,
        producer_name="bpjit",
    )
    words = {"bpjit.activations": json.dumps(sorted(set(map(str, net._activations))))}
    if net.columns is not None:
        words["bpjit.columns"] = net.columns.to_words()
    helper.set_model_props(model, words)
    onnx.checker.check_model(model)
    write_whole(path, model.SerializeToString())


def _outputs(graph: Graph, net: HasArchitecture) -> str:
    """What gives ŷ."""
    arrays = net.scale.arrays if net.scale is not None else {}
    x = "X"
    if arrays:
        high, low = split(arrays["input_offset"], graph.dtype)
        x = graph.apply("Sub", [x, graph.constant("input_offset", high)])
        if low.any():
            x = graph.apply("Sub", [x, graph.constant("input_offset_rest", low)])
        x = graph.apply("Div", [x, graph.constant("input_factor", arrays["input_factor"])])
    for number, (W, b, name) in enumerate(zip(net.weights, biases_of(net), net._activations, strict=True)):
        given = [x, graph.constant(f"weights_{number}", W), graph.constant(f"biases_{number}", b)]
        x = graph.apply("Gemm", given, f"layer_{number}")
        if name != "identity":
            x = onnx_activations.write(name, x, graph.apply)
    if "target_factor" in arrays:
        x = graph.apply("Mul", [x, graph.constant("target_factor", arrays["target_factor"])])
        x = graph.apply("Add", [x, graph.constant("target_offset", arrays["target_offset"])])
    return x


def _last(graph: Graph, net: HasArchitecture, y_hat: str, called: str = "variable") -> Any:
    width = max(2, net.sizes[-1]) if called == "probabilities" else net.sizes[-1]
    if called == "probabilities" and net.sizes[-1] == 1:
        rest = graph.apply("Sub", [1.0, y_hat])
        graph.apply("Concat", [rest, y_hat], called, axis=1)
    else:
        graph.as_output(y_hat, called)
    return graph.onnx.helper.make_tensor_value_info(called, graph.kind, ["batch", width])


def _classes(graph: Graph, net: HasArchitecture, y_hat: str, known: tuple[Any, ...] | None) -> list[Any]:
    """Labels as ``classify`` gives them, and the probabilities of classes; other outputs stay as they are."""
    kinds = graph.onnx.TensorProto
    if net.sizes[-1] == 1:
        above = graph.apply("GreaterOrEqual", [y_hat, net._architecture.cut])
        axes = graph.constant("axes", [1], np.int64)
        numbers = graph.apply("Squeeze", [graph.apply("Cast", [above], to=kinds.INT64), axes])
    else:
        numbers = graph.apply("ArgMax", [y_hat], axis=1, keepdims=0)
    kind = kinds.INT64
    if known is None:
        graph.as_output(numbers, "label")
    else:
        kind, dtype = {
            str: (kinds.STRING, object),
            bool: (kinds.BOOL, np.bool_),
            int: (kinds.INT64, np.int64),
            float: (kinds.DOUBLE, np.float64),
        }[type(known[0])]
        graph.apply("Gather", [graph.constant("classes", known, dtype), numbers], "label")
    label = graph.onnx.helper.make_tensor_value_info("label", kind, ["batch"])
    odds = net.output in ("sigmoid", "softmax") and (net.scale is None or "target_factor" not in net.scale.arrays)
    return [label, _last(graph, net, y_hat, "probabilities" if odds else "variable")]
