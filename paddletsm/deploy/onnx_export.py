# Copyright (c) 2026 The paddletsm authors.
# SPDX-License-Identifier: Apache-2.0
"""A saved Paddle graph as ONNX: the dozen operators that these networks consist of.

.pdmodel operators, parameters -> BN folded into convolutions -> ONNX nodes -> checked -> .onnx
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from paddletsm.errors import ConfigError, ExportError
from paddletsm.utils.text import listing

# The first with ReduceMax and ReduceMean over axes that all present runtimes read.
OPSET = 13
_IR_VERSION = 8
_ARRAYS = Mapping[str, np.ndarray]


def import_onnx() -> ModuleType:
    """The optional package.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import onnx
    except ImportError as err:
        raise ConfigError(
            "the formats onnx and int8 need the package onnx; pip install 'paddletsm[onnx]'"
        ) from err
    return onnx


def write_onnx(program: Any, parameters: _ARRAYS, path: Path) -> None:
    """Write a Paddle program as an ONNX model.

    Args:
        program: ``paddle.static.Program`` for inference, first axis of its input free.
        parameters: name -> value of its persistable variables.
        path: .onnx file.

    Raises:
        ConfigError: the package onnx is not installed.
        ExportError: the program has an operator that is not known here.
    """
    onnx = import_onnx()
    graph = _Graph(program, parameters)
    graph.translate()
    model = onnx.helper.make_model(
        onnx.helper.make_graph(
            graph.nodes,
            path.stem,
            [graph.value_info(name) for name in graph.inputs],
            [graph.value_info(name) for name in graph.outputs],
            initializer=[
                onnx.numpy_helper.from_array(value, name)
                for name, value in graph.used_constants().items()
            ],
        ),
        opset_imports=[onnx.helper.make_opsetid("", OPSET)],
        producer_name="paddletsm",
    )
    model.ir_version = _IR_VERSION
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, str(path))


class _Graph:
    """Collects nodes and constants while it walks through the operators of a program."""

    def __init__(self, program: Any, parameters: _ARRAYS) -> None:
        self._block = program.global_block()
        self._ops = list(self._block.ops)
        self.constants = {name: np.asarray(value) for name, value in parameters.items()}
        self.nodes: list[Any] = []
        feeds = sorted((op for op in self._ops if op.type == "feed"), key=lambda op: op.attr("col"))
        self.inputs = [op.output("Out")[0] for op in feeds]
        self.outputs: list[str] = []
        self._readers = Counter(name for op in self._ops for name in set(op.input_arg_names))
        self._alias: dict[str, str] = {}
        self._convolutions: dict[str, tuple[Any, str, str]] = {}

    def translate(self) -> None:
        """Turn every operator into nodes."""
        unknown = sorted({op.type for op in self._ops} - set(_TRANSLATORS))
        if unknown:
            raise ExportError(
                f"the network has operators that cannot be written as ONNX: {listing(unknown)}; "
                "export it without --format onnx"
            )
        for op in self._ops:
            _TRANSLATORS[op.type](self, op)

    def value_info(self, name: str) -> Any:
        """Name, type and shape of an input or output; the first axis is free."""
        onnx = import_onnx()
        shape = ["N", *list(self._block.var(name).shape)[1:]]
        return onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    def used_constants(self) -> dict[str, np.ndarray]:
        """Constants that some node reads."""
        read = {name for node in self.nodes for name in node.input}
        return {name: value for name, value in self.constants.items() if name in read}

    def node(self, kind: str, inputs: Sequence[str], output: str, **attributes: Any) -> None:
        """Append one ONNX node; ``attributes`` are its own."""
        names = [self._alias.get(name, name) for name in inputs]
        self.nodes.append(
            import_onnx().helper.make_node(
                kind, names, [output], name=f"{kind}_{len(self.nodes)}", **attributes
            )
        )

    def constant(self, values: Any, dtype: type = np.int64) -> str:
        """Name of a new constant."""
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.asarray(values, dtype)
        return name

    def same(self, output: str, source: str) -> None:
        """Let one name stand for another."""
        self._alias[output] = self._alias.get(source, source)

    def shape(self, name: str) -> list[int]:
        """Shape of a Paddle variable, -1 for a free axis."""
        return list(self._block.var(name).shape)

    def batch_norm(self, op: Any) -> None:
        """Fold it into the convolution in front of it, if nothing else reads that one's result."""
        x, y = op.input("X")[0], op.output("Y")[0]
        scale, shift = self._affine(op)
        folded = self._convolutions.get(x)
        if folded is None or self._readers[x] > 1:
            shape = (1, -1, 1, 1)
            product = f"{y}_scaled"
            self.node("Mul", [x, self.constant(scale.reshape(shape), np.float32)], product)
            self.node("Add", [product, self.constant(shift.reshape(shape), np.float32)], y)
            return
        node, weight, _ = folded
        node.input[1] = self.constant(
            self.constants[weight] * scale[:, None, None, None], np.float32
        )
        node.input.append(self.constant(shift, np.float32))
        node.output[0] = y

    def _affine(self, op: Any) -> tuple[np.ndarray, np.ndarray]:
        names = ("Scale", "Bias", "Mean", "Variance")
        gamma, beta, mean, variance = (
            self.constants[op.input(name)[0]].astype(np.float64) for name in names
        )
        scale = gamma / np.sqrt(variance + op.attr("epsilon"))
        return scale, beta - mean * scale

    def convolution(self, op: Any) -> None:
        weight, output = op.input("Filter")[0], op.output("Output")[0]
        top, left = op.attr("paddings")[:2]
        self.node(
            "Conv",
            [op.input("Input")[0], weight],
            output,
            strides=op.attr("strides"),
            pads=[top, left, top, left],
            dilations=op.attr("dilations"),
            group=op.attr("groups"),
            kernel_shape=list(self.constants[weight].shape[2:]),
        )
        self._convolutions[output] = (self.nodes[-1], weight, output)


def _feed(graph: _Graph, op: Any) -> None:
    """Nothing to be computed: ``inputs`` knows it."""


def _fetch(graph: _Graph, op: Any) -> None:
    name = op.input("X")[0]
    if name in graph._alias:
        graph.node("Identity", [name], name)
    graph.outputs.append(name)


def _unary(kind: str) -> Callable[[_Graph, Any], None]:
    def translate(graph: _Graph, op: Any) -> None:
        graph.node(kind, [op.input("X")[0]], op.output("Out")[0])

    return translate


def _binary(kind: str) -> Callable[[_Graph, Any], None]:
    def translate(graph: _Graph, op: Any) -> None:
        x, y = op.input("X")[0], op.input("Y")[0]
        axis = op.attr("axis")
        if axis not in (-1, 0) and graph.shape(y) != graph.shape(x):  # a bias per channel
            tail = [1] * (len(graph.shape(x)) - axis - len(graph.shape(y)))
            name = f"{y}_{op.output('Out')[0]}"
            graph.constants[name] = graph.constants[y].reshape([-1, *tail])
            y = name
        graph.node(kind, [x, y], op.output("Out")[0])

    return translate


def _relu6(graph: _Graph, op: Any) -> None:
    low, high = graph.constant(0.0, np.float32), graph.constant(6.0, np.float32)
    graph.node("Clip", [op.input("X")[0], low, high], op.output("Out")[0])


def _dropout(graph: _Graph, op: Any) -> None:
    graph.same(op.output("Out")[0], op.input("X")[0])


def _scale(graph: _Graph, op: Any) -> None:
    x, y = op.input("X")[0], op.output("Out")[0]
    if op.attr("bias"):
        raise ExportError("the operator scale with an offset cannot be written as ONNX")
    graph.node("Mul", [x, graph.constant(op.attr("scale"), np.float32)], y)


def _reshape(graph: _Graph, op: Any) -> None:
    if op.input("ShapeTensor") or op.input("Shape"):
        raise ExportError("a reshape to a computed shape cannot be written as ONNX")
    shape = graph.constant(op.attr("shape"))
    graph.node("Reshape", [op.input("X")[0], shape], op.output("Out")[0])


def _flatten(graph: _Graph, op: Any) -> None:
    shape = graph.shape(op.output("Out")[0])
    graph.node("Reshape", [op.input("X")[0], graph.constant(shape)], op.output("Out")[0])


def _transpose(graph: _Graph, op: Any) -> None:
    graph.node("Transpose", [op.input("X")[0]], op.output("Out")[0], perm=op.attr("axis"))


def _slice(graph: _Graph, op: Any) -> None:
    if op.attr("decrease_axis"):
        raise ExportError("a slice that drops an axis cannot be written as ONNX")
    bounds = [graph.constant(op.attr(key)) for key in ("starts", "ends", "axes")]
    graph.node("Slice", [op.input("Input")[0], *bounds], op.output("Out")[0])


def _concat(graph: _Graph, op: Any) -> None:
    graph.node("Concat", op.input("X"), op.output("Out")[0], axis=op.attr("axis"))


def _fill_like(graph: _Graph, op: Any) -> None:
    """Zeros of the shape of a tensor whose first axis is free."""
    x, y = op.input("X")[0], op.output("Out")[0]
    graph.node("Shape", [x], f"{y}_shape")
    value = import_onnx().numpy_helper.from_array(np.asarray([op.attr("value")], np.float32))
    graph.node("ConstantOfShape", [f"{y}_shape"], y, value=value)


def _pool(graph: _Graph, op: Any) -> None:
    x, y = op.input("X")[0], op.output("Out")[0]
    is_max = op.attr("pooling_type") == "max"
    if op.attr("global_pooling") or op.attr("adaptive"):
        if not op.attr("global_pooling") and list(op.attr("ksize")) != [1, 1]:
            raise ExportError("an adaptive pooling to more than 1x1 cannot be written as ONNX")
        graph.node("GlobalMaxPool" if is_max else "GlobalAveragePool", [x], y)
        return
    if not is_max:
        raise ExportError("an average pooling over windows cannot be written as ONNX")
    top, left = op.attr("paddings")[:2]
    graph.node(
        "MaxPool",
        [x],
        y,
        kernel_shape=op.attr("ksize"),
        strides=op.attr("strides"),
        pads=[top, left, top, left],
        ceil_mode=int(op.attr("ceil_mode")),
    )


def _mean(graph: _Graph, op: Any) -> None:
    graph.node(
        "ReduceMean",
        [op.input("X")[0]],
        op.output("Out")[0],
        axes=op.attr("dim"),
        keepdims=int(op.attr("keep_dim")),
    )


def _matmul(graph: _Graph, op: Any) -> None:
    names = []
    for key, flag in (("X", "trans_x"), ("Y", "trans_y")):
        name = op.input(key)[0]
        if op.attr(flag):
            order = list(range(len(graph.shape(name))))
            order[-2:] = order[:-3:-1]
            graph.node("Transpose", [name], f"{name}_{op.output('Out')[0]}", perm=order)
            name = f"{name}_{op.output('Out')[0]}"
        names.append(name)
    graph.node("MatMul", names, op.output("Out")[0])


def _softmax(graph: _Graph, op: Any) -> None:
    graph.node("Softmax", [op.input("X")[0]], op.output("Out")[0], axis=op.attr("axis"))


_TRANSLATORS: dict[str, Callable[[_Graph, Any], None]] = {
    "batch_norm": _Graph.batch_norm,
    "concat": _concat,
    "conv2d": _Graph.convolution,
    "depthwise_conv2d": _Graph.convolution,
    "dropout": _dropout,
    "elementwise_add": _binary("Add"),
    "elementwise_div": _binary("Div"),
    "elementwise_mul": _binary("Mul"),
    "feed": _feed,
    "fetch": _fetch,
    "fill_any_like": _fill_like,
    "flatten_contiguous_range": _flatten,
    "matmul_v2": _matmul,
    "pool2d": _pool,
    "reduce_mean": _mean,
    "relu": _unary("Relu"),
    "relu6": _relu6,
    "reshape2": _reshape,
    "scale": _scale,
    "slice": _slice,
    "softmax": _softmax,
    "transpose2": _transpose,
}
