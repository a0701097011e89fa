"""The real paths of a network: which layer reads what, found by running it once without numbers.

Rows of a cost stand in the order of the run; a graph also knows the branches and where they join.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from cnnlib.costs.meta_copy import MetaCopy, Observer, Shape

# What a function called in forward() is shown as; a unary function that is not here moves numbers only.
_UNARY = {
    "relu": "ReLU", "relu6": "ReLU6", "sigmoid": "Sigmoid", "tanh": "Tanh", "silu": "SiLU", "gelu": "GELU",
    "dropout": "Dropout", "softmax": "Softmax", "max_pool2d": "MaxPool2d", "avg_pool2d": "AvgPool2d",
    "adaptive_avg_pool2d": "AdaptiveAvgPool2d", "mean": "mean", "amax": "max", "pad": "pad", "sum": "sum",
}  # fmt: skip
_JOINS = {"add": "+", "mul": "×", "cat": "concat"}
_SAME = {"iadd": "add", "imul": "mul", "radd": "add", "rmul": "mul", "concat": "cat"}


@dataclass(frozen=True)
class Node:
    """One layer, or one operation of a ``forward``, and the places of the nodes that it reads."""

    name: str
    kind: str
    out: Shape
    reads: tuple[int, ...]
    module: nn.Module | None = None  # without numbers

    @property
    def groups(self) -> int:
        """Channel groups of a convolution that do not see each other."""
        return getattr(self.module, "groups", 1)

    @property
    def joins(self) -> bool:
        """Whether several paths meet here."""
        return len(self.reads) > 1


class _Recorder(Observer, TorchFunctionMode):
    """Marks each tensor with the node that made it."""

    def __init__(self, copy: MetaCopy) -> None:
        super().__init__()
        self.names = {module: name for name, module in copy.module.named_modules()}
        self.nodes: list[Node] = []
        self.stack: list[tuple[nn.Module, list[int]]] = []

    def mark(self, out: object, node: Node | int) -> None:
        if isinstance(node, Node):
            self.nodes.append(node)
            node = len(self.nodes) - 1
        for tensor in tree_leaves(out):
            if isinstance(tensor, Tensor):
                tensor._cnnlib_node = node

    @staticmethod
    def sources(args: object) -> tuple[int, ...]:
        marks = (getattr(t, "_cnnlib_node", None) for t in tree_leaves(args) if isinstance(t, Tensor))
        return tuple(dict.fromkeys(m for m in marks if m is not None))

    def inside_leaf(self) -> bool:
        return bool(self.stack) and next(self.stack[-1][0].children(), None) is None

    def enter(self, module: nn.Module, args: object) -> None:
        self.stack.append((module, list(self.sources(args))))

    def leave(self, _module: nn.Module, _args: object, out: object) -> None:
        leaf = self.inside_leaf()
        module, reads = self.stack.pop()
        if leaf and not isinstance(module, nn.Identity | nn.Flatten):
            first = next(t for t in tree_leaves(out) if isinstance(t, Tensor))
            name, kind = self.names[module], type(module).__name__
            self.mark(out, Node(name, kind, tuple(first.shape[1:]), tuple(reads), module))
        elif leaf:
            self.mark(out, reads[0])

    def where(self) -> tuple[str, nn.Module, list[Shape]]:
        module = self.stack[-1][0]
        return self.names[module], module, []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        reads = self.sources((args, kwargs))
        if self.inside_leaf() or not reads or not any(isinstance(t, Tensor) for t in tree_leaves(out)):
            return out
        name = getattr(func, "__name__", "").strip("_")
        name = _SAME.get(name, name)
        kind = _JOINS.get(name, name) if len(reads) > 1 else _UNARY.get(name)
        if kind is None:
            self.mark(out, reads[0])
        else:
            parent = self.names[self.stack[-1][0]] if self.stack else ""
            first = next(t for t in tree_leaves(out) if isinstance(t, Tensor))
            self.mark(out, Node(f"{parent}:{name}" if parent else name, kind, tuple(first.shape[1:]), reads))
        return out


def layer_graph(net: nn.Module, image: Shape) -> list[Node]:
    """The nodes of ``net`` in the order of the run, the image (C, H, W) first; no network runs for real.

    Raises ``ValueError`` if the network cannot run on such images.
    """
    copy = MetaCopy(net, image, 1, None)
    recorder = _Recorder(copy)
    inputs = copy.inputs()
    recorder.mark(inputs, Node("image", "input", tuple(inputs[0].shape[1:]), ()))
    copy.run(inputs, recorder)
    return recorder.nodes


def fused(nodes: list[Node], follows) -> list[tuple[Node, tuple[Node, ...]]]:
    """Nodes, each with those behind it that ``follows`` and that nobody else reads: a layer and its ReLU."""
    readers = [0] * len(nodes)
    for node in nodes:
        for i in node.reads:
            readers[i] += 1
    head, out = {}, []
    for i, node in enumerate(nodes):
        before = node.reads[0] if len(node.reads) == 1 else None
        if before is not None and follows(node) and readers[before] == 1 and not _bare(nodes[before]):
            head[i] = head[before]
            first, rest = out[head[i]]
            out[head[i]] = first, (*rest, node)
        else:
            head[i] = len(out)
            out.append((replace(node, reads=tuple(dict.fromkeys(head[r] for r in node.reads))), ()))
    return out


def _bare(node: Node) -> bool:
    return not node.reads or node.joins
