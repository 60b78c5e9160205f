"""Dense networks out of ONNX files, whoever wrote them. Nothing in a file is believed before it is checked."""

from __future__ import annotations

import json
import math
from os import PathLike
from typing import Any

import numpy as np

from ..common.arguments import describe
from ..common.files import as_path, damaged
from ..networks.columns import Columns
from ..networks.network import Network
from ..own.shipped import of
from .chain import Activation, Affine, Dense, Link, as_network
from .onnx_activations import Z, patterns
from .to_onnx import need_onnx

AFFINE = {"Add": "add", "Sub": "subtract", "Mul": "multiply", "Div": "divide"}
PASSING = ("Identity", "Dropout", "Flatten", "Cast")  # numbers pass when the network predicts
MOST_NAMES = 64  # of activations that a file may give as hints
USUAL: dict[str, dict[str, tuple[Any, tuple[Any, ...]]]] = {  # attributes: what they are where unsaid, what they may be
    "LeakyRelu": {"alpha": (0.01, (0.01, float(np.float32(0.01))))},
    "Softmax": {"axis": (-1, (-1, 1))},
    "Gelu": {"approximate": (b"none", (b"tanh",))},
    "Swish": {"alpha": (1.0, (1.0,))},
    "Flatten": {"axis": (1, (1, -1))},
    "Concat": {"axis": (None, (1, -1))},
    "Gemm": {"transA": (0, (0,))},
}


def from_onnx(path: str | PathLike[str], output: str | None = None) -> Network:
    """Read a network; see ``Network.from_onnx``."""
    onnx = need_onnx("from_onnx")
    name = as_path(path)
    with open(name, "rb") as file:
        data = file.read()
    with damaged(f"expected an ONNX file of a dense network, {name!r} is none"), np.errstate(all="ignore"):
        model = onnx.ModelProto()
        try:
            model.ParseFromString(data)
        except Exception as error:  # protobuf's, of whichever of its versions
            raise ValueError("it is damaged, or no ONNX file") from error
        words = {entry.key: entry.value for entry in model.metadata_props}
        names = json.loads(words.get("bpjit.activations", "[]"))
        columns = Columns.from_words(words["bpjit.columns"]) if "bpjit.columns" in words else None
        reading = Reading(onnx, model.graph, names if isinstance(names, list) else [])
        return as_network(reading.chain(output), columns)


class Reading:
    """A graph, followed from an output back to the input."""

    def __init__(self, onnx: Any, graph: Any, names: list[Any]) -> None:
        self.onnx, self.graph = onnx, graph
        self.producer = {name: node for node in graph.node for name in node.output if name}
        self.tensors = {tensor.name: tensor for tensor in graph.initializer}
        inputs = [value.name for value in graph.input if value.name not in self.tensors]
        if len(inputs) != 1:
            raise ValueError(f"expected a graph of one input, got {len(inputs)}")
        self.input, self.patterns = inputs[0], list(patterns(names[:MOST_NAMES]))
        self.constants: dict[str, np.ndarray | None] = {}  # by name, None for what is none

    def chain(self, output: str | None) -> list[Link]:
        """All that is done to the input, in its order."""
        name, found = self.output_called(output), list[Link]()
        for _ in range(len(self.graph.node) + 1):
            if name == self.input:
                return found[::-1]
            if name not in self.producer:
                raise ValueError(f"expected a node that gives {name!r}, got none")
            link, name = self.step(self.producer[name], name)
            if link is not None:
                found.append(link)
        raise ValueError("its nodes go round in a circle")

    def output_called(self, wanted: str | None) -> str:
        names = [value.name for value in self.graph.output]
        if wanted is not None:
            if wanted not in names:
                raise ValueError(f"output: expected one of {', '.join(map(repr, names))}, got {describe(wanted)}")
            return wanted
        for usual in ("probabilities", "variable"):
            if usual in names:
                return usual
        if len(names) != 1:
            raise ValueError(
                f"expected one output, or output= for one of {', '.join(map(repr, names))}, got none named"
            )
        return str(names[0])

    def step(self, node: Any, name: str) -> tuple[Link | None, str]:
        """(what the node that gives ``name`` does, None for nothing; the name of what it does it to)."""
        kind, where = node.op_type, f"node {node.name or name!r} ({node.op_type})"
        given = list(node.input)
        if node.domain not in ("", "ai.onnx"):
            raise ValueError(f"{where}: expected an operator of ONNX itself, got one of {node.domain!r}")
        if name != node.output[0]:
            raise ValueError(f"{where}: expected its first output to be used, got {name!r}")
        if kind in PASSING and given:
            self.check_passing(node, where)
            return None, given[0]
        if kind in ("Gemm", "MatMul") and len(given) > 1:
            return self.dense(node, where), given[0]
        if kind == "Concat":  # (1 − p, p) for p
            return None, self.of_two_classes(node, where)
        for activation, pattern in self.patterns:
            bound: dict[str, str] = {}
            if self.match(pattern, name, bound):
                return Activation(self.activation(activation, node, where), where), bound[Z]
        if kind == "Neg" and given:
            return Affine("multiply", np.array(-1.0), where), given[0]
        if kind in AFFINE and len(given) == 2:
            return self.affine(kind, given, where)
        raise ValueError(
            f"{where}: expected Gemm, MatMul, Add, Sub, Mul, Div or an activation, from the output back to the input, "
            "which is all that a network here can be"
        )

    # --- Constants.

    def constant(self, name: str) -> np.ndarray | None:
        """The array of this name, if it is a constant of numbers."""
        if name not in self.constants:
            tensor = self.tensors.get(name)
            node = None if tensor is not None else self.producer.get(name)
            if node is not None and node.op_type == "Constant":
                tensor = next((each.t for each in node.attribute if each.name == "value"), None)
                number = next((each.f for each in node.attribute if each.name == "value_float"), None)
                self.constants[name] = None if number is None else np.array(number, np.float32)
            if tensor is not None:
                self.constants[name] = self.array(tensor)
        return self.constants.setdefault(name, None)

    def array(self, tensor: Any) -> np.ndarray | None:
        """What a tensor holds: no more numbers than the file does. None where these are no floats."""
        kinds = self.onnx.TensorProto
        fields = {kinds.FLOAT: ("float_data", np.float32), kinds.DOUBLE: ("double_data", np.float64)}
        if tensor.data_location == kinds.EXTERNAL or tensor.external_data:
            raise ValueError(f"tensor {tensor.name!r}: expected its numbers in the file, got external data")
        if tensor.data_type not in fields:
            return None
        name, dtype = fields[tensor.data_type]
        dims = list(tensor.dims)
        if len(dims) > 8 or any(dim <= 0 for dim in dims):
            raise ValueError(f"tensor {tensor.name!r}: expected a shape, got {dims[:8]}")
        raw = tensor.raw_data
        there = len(raw) / np.dtype(dtype).itemsize if raw else len(getattr(tensor, name))
        if there != math.prod(dims):
            raise ValueError(f"tensor {tensor.name!r}: expected numbers for its shape {dims}, got {there:g} of them")
        if raw:
            return np.frombuffer(raw, np.dtype(dtype).newbyteorder("<")).astype(dtype).reshape(dims)
        return np.array(getattr(tensor, name), dtype).reshape(dims)

    def attribute(self, node: Any, name: str, usual: Any) -> Any:
        for attribute in node.attribute:
            if attribute.name == name:
                return self.onnx.helper.get_attribute_value(attribute)
        return usual

    def check_attributes(self, node: Any, where: str) -> None:
        """Attributes must be as ours are."""
        for name, (usual, allowed) in USUAL.get(node.op_type, {}).items():
            got = self.attribute(node, name, usual)
            if got not in allowed:
                raise ValueError(f"{where}: expected {name}={allowed[0]!r}, got {got!r}")

    # --- Nodes.

    def check_passing(self, node: Any, where: str) -> None:
        self.check_attributes(node, where)
        floats = (self.onnx.TensorProto.FLOAT, self.onnx.TensorProto.DOUBLE)
        if node.op_type == "Cast" and self.attribute(node, "to", None) not in floats:
            raise ValueError(f"{where}: expected to=FLOAT or DOUBLE, got another type")
        if node.op_type == "Dropout" and len(node.input) > 2 and node.input[2]:
            raise ValueError(f"{where}: expected one that predicts, without training_mode")

    def dense(self, node: Any, where: str) -> Dense:
        self.check_attributes(node, where)
        W = self.constant(node.input[1])
        if W is None or W.ndim != 2:
            raise ValueError(f"{where}: expected constant weights of shape (fan_in, fan_out) as its second input")
        b = np.zeros(W.shape[1], W.dtype)
        if node.op_type == "Gemm":
            alpha, beta = (float(self.attribute(node, name, 1.0)) for name in ("alpha", "beta"))
            W = W.T if self.attribute(node, "transB", 0) else W
            W = W if alpha == 1 else (W * alpha).astype(W.dtype)
            b = np.zeros(W.shape[1], W.dtype)
            if len(node.input) > 2 and node.input[2]:
                c = self.constant(node.input[2])
                if c is None or c.size not in (1, len(b)) or c.shape[-1:] not in ((), (1,), (len(b),)):
                    raise ValueError(f"{where}: expected {len(b)} constant biases as its third input")
                b = np.broadcast_to(c.reshape(-1) if beta == 1 else c.reshape(-1) * beta, b.shape)
        return Dense(W, b, where)

    def affine(self, kind: str, given: list[str], where: str) -> tuple[Link, str]:
        a, c = map(self.constant, given)
        array = a if c is None else c
        if (a is None) == (c is None) or array is None or array.shape[:-1] != (1,) * (array.ndim - 1):
            raise ValueError(f"{where}: expected one of its two inputs to be a constant number, or one for each column")
        array = array.reshape(-1) if array.ndim else array
        if c is None and kind in ("Sub", "Div"):
            raise ValueError(f"{where}: expected the constant as its second input, got it as its first")
        return Affine(AFFINE[kind], array, where), given[1] if c is None else given[0]

    def of_two_classes(self, node: Any, where: str) -> str:
        self.check_attributes(node, where)
        if len(node.input) == 2:
            rest, p = node.input
            if self.match(("Sub", 1.0, Z), rest, {Z: p}):
                return str(p)
        raise ValueError(f"{where}: expected 1 − p and p of two classes, got something else")

    # --- Activations.

    def match(self, pattern: Any, name: str, bound: dict[str, str]) -> bool:
        """Whether what is called ``name`` is made as the pattern says, of one thing, which is then ``bound``."""
        if pattern is Z:
            return bound.setdefault(Z, name) == name
        if not isinstance(pattern, tuple):
            value = self.constant(name)
            return value is not None and value.size == 1 and bool(value.reshape(())[()] == value.dtype.type(pattern))
        node = self.producer.get(name)
        if node is None or node.op_type != pattern[0] or len(node.input) != len(pattern) - 1:
            return False
        return all(self.match(part, each, bound) for part, each in zip(pattern[1:], node.input, strict=True))

    def activation(self, name: str, node: Any, where: str) -> str:
        """The activation with what the attributes of its node say."""
        if node.op_type == "Elu":
            alpha = float(self.attribute(node, "alpha", 1.0))
            return name if alpha == 1 else str(of("activation", "elu")(alpha=alpha))
        self.check_attributes(node, where)
        return name
