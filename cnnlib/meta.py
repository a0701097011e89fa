"""A copy of a network without numbers, to run for its shapes alone. The network itself is never touched."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin

from cnnlib.axes import each
from cnnlib.layers import Unfit

Shape = tuple[int, ...]


# Types whose values hold no tensor and can be shared, and containers that an iteration shows whole.
ATOMS = frozenset(
    (int, float, complex, bool, str, bytes, type(None), type, torch.dtype, torch.device, torch.Size)
)
_CONTAINERS = frozenset((dict, OrderedDict, list, tuple, set))


def _collect(value: object, seen: dict[int, object]) -> None:
    """Finds tensors, modules and containers, also those in lists, tuples and dictionaries that a module keeps."""
    if id(value) in seen:
        return
    seen[id(value)] = value
    if isinstance(value, nn.Module):
        value = vars(value)
    if isinstance(value, dict | list | tuple | set):
        for item in value.values() if isinstance(value, dict) else value:
            kind = type(item)
            if kind not in ATOMS and (kind not in _CONTAINERS or item):
                _collect(item, seen)


def _clone(value: object, memo: dict[int, object]) -> object:
    """``copy.deepcopy``, with a short way for modules and plain containers: a network is little else."""
    kind = type(value)
    if kind in ATOMS:
        return value
    if id(value) in memo:
        return memo[id(value)]
    if kind in (dict, OrderedDict):
        new = memo[id(value)] = kind()
        for key, item in value.items():
            new[_clone(key, memo)] = _clone(item, memo)
        return new
    if kind is list:
        new = memo[id(value)] = []
        new.extend(_clone(item, memo) for item in value)
        return new
    if kind in (tuple, set) and all(type(item) in ATOMS for item in value):
        return kind(value)
    if isinstance(value, nn.Module) and _plain(kind):
        new = memo[id(value)] = kind.__new__(kind)
        state = value.__getstate__() if hasattr(value, "__getstate__") else vars(value)
        new.__setstate__({k: v if type(v) in ATOMS else _clone(v, memo) for k, v in state.items()})
        return new
    return copy.deepcopy(value, memo)


@cache
def _plain(kind: type) -> bool:
    """Does this class of modules copy itself as ``nn.Module`` does?"""
    ways = ("deepcopy", "getstate", "reduce", "reduce_ex", "getnewargs", "getnewargs_ex")
    return all(getattr(kind, f"__{way}__", None) is getattr(nn.Module, f"__{way}__", None) for way in ways)


def _without_numbers(tensor: Tensor, dtype: torch.dtype | None) -> Tensor:
    if isinstance(tensor, UninitializedTensorMixin):
        return type(tensor)(device="meta")
    new = torch.empty_like(tensor, device="meta", dtype=dtype if tensor.is_floating_point() else None)
    return nn.Parameter(new, tensor.requires_grad) if isinstance(tensor, nn.Parameter) else new


def _shapes(image: object) -> list[Shape]:
    """One shape, or a list of them for several inputs."""
    shapes = image if isinstance(image, list) else [image]
    for shape in shapes:
        whole = isinstance(shape, tuple | torch.Size) and all(isinstance(n, int) and n > 0 for n in shape)
        if not whole or isinstance(shape, bool):
            raise ValueError(
                f"image={image!r}: need the shape of one image as whole numbers, such as (3, 224, 224), "
                "or a list of such shapes for several inputs"
            )
    return [tuple(shape) for shape in shapes]


def _least(module: nn.Module, axes: int) -> Shape:
    """The smallest map that one window of a convolution or pool fits into, padding taken off."""
    padding = module.padding if not isinstance(module.padding, str) else 0
    spans = [d * (k - 1) + 1 for k, d in zip(
        each(module.kernel_size, axes), each(getattr(module, "dilation", 1), axes), strict=True)]  # fmt: skip
    return tuple(max(1, n - 2 * p) for n, p in zip(spans, each(padding, axes), strict=True))


def _needs(module: nn.Module, got: Shape) -> str:
    """What a layer says of the input it was built for."""
    conv = isinstance(module, nn.modules.conv._ConvNd)
    if conv and got[1:2] != (module.in_channels,):
        return f"; it needs {module.in_channels} channels"
    pool = isinstance(module, nn.modules.pooling._MaxPoolNd | nn.modules.pooling._AvgPoolNd)
    if (conv and not module.transposed) or pool:
        return f"; it needs a map of at least {'×'.join(map(str, _least(module, len(got) - 2)))}"
    if isinstance(module, nn.modules.batchnorm._NormBase):
        return f"; it needs {module.num_features} channels"
    if isinstance(module, nn.Linear):
        return f"; it needs {module.in_features} features in the last axis"
    return ""


def _why(error: Exception) -> str:
    """The first line of what PyTorch says; asking for numbers that are not there is put in plain words."""
    said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "meta" in said.lower():
        return f"it asks for the numbers in a map, and a trace has shapes only (PyTorch says: {said})"
    return f"PyTorch says: {said}"


def _refuse_scripted(net: nn.Module) -> None:
    for name, module in net.named_modules():
        if isinstance(module, torch.jit.ScriptModule):
            where = f"layer {name!r}" if name else type(module).__name__
            raise ValueError(f"{where} is scripted and hides its layers: trace the Python module")


class MetaCopy:
    """The network on PyTorch's ``meta`` device: shapes, dtypes and structure, no numbers and no memory."""

    def __init__(self, net: nn.Module, image: object, batch: int, dtype: torch.dtype | None) -> None:
        net = getattr(net, "_orig_mod", net)  # compiled: the module that was compiled
        if isinstance(net, nn.DataParallel | nn.parallel.DistributedDataParallel):
            net = net.module
        if not isinstance(net, nn.Module):
            raise ValueError(f"net={type(net).__name__}: need a torch.nn.Module")
        if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
            raise ValueError(f"batch={batch!r}: need a whole number of at least 1")
        self.name = getattr(net, "name", type(net).__name__)
        self.shapes, self.batch = _shapes(image), batch
        floats = (p.dtype for p in net.parameters() if p.is_floating_point())
        self.dtype = dtype or next(floats, torch.float32)
        seen: dict[int, object] = {}
        _collect(net, seen)
        if any(isinstance(part, torch.jit.ScriptModule) for part in seen.values()):
            _refuse_scripted(net)
        with torch.inference_mode(False):
            memo = {k: _without_numbers(t, dtype) for k, t in seen.items() if isinstance(t, Tensor)}
            self.held = list(memo.values())  # deepcopy writes more into the memo
            self.module = _clone(net, memo)
        lazy = any(isinstance(tensor, UninitializedTensorMixin) for tensor in self.held)
        if lazy:  # a first, uncounted run
            self.module.eval()
            self._forward(
                self.inputs(), torch.no_grad(), nullcontext(), lambda: ("", self.module, self.shapes)
            )

    def tensors(self) -> Iterator[Tensor]:
        """Every tensor that the network holds: parameters, buffers, and plain attributes."""
        yield from self.held
        yield from self.module.parameters()
        yield from self.module.buffers()

    def inputs(self) -> list[Tensor]:
        """Images of the asked shapes, as a batch."""
        with torch.inference_mode(False):
            return [torch.empty((self.batch, *s), dtype=self.dtype, device="meta") for s in self.shapes]

    def run(
        self,
        inputs: Sequence[Tensor],
        mode,
        enter: Callable[[nn.Module, Sequence], None],
        leave: Callable[[nn.Module, Sequence, object], None],
        where: Callable[[], tuple[str, nn.Module, list[Shape]]],
    ) -> None:
        """One forward pass in evaluation mode; ``enter`` and ``leave`` are called around every module."""
        self.module.eval()
        handles = []
        for module in self.module.modules():
            handles.append(module.register_forward_pre_hook(enter, prepend=True))
            handles.append(module.register_forward_hook(leave))
        try:
            self._forward(inputs, torch.no_grad(), mode, where)
        finally:
            for handle in handles:
                handle.remove()

    def _forward(self, inputs: Sequence[Tensor], grad, mode, where) -> object:
        try:
            with (
                torch.inference_mode(False),
                torch.random.fork_rng(devices=[]),
                torch.device("meta"),
                grad,
                mode,
            ):
                return self.module(*inputs)
        except Unfit:
            raise  # a network of the book says itself what it needs
        except Exception as error:
            name, module, got = where()
            needs = _needs(module, got[0]) if got else ""
            layer = f"layer {name!r} ({type(module).__name__})" if name else type(module).__name__
            shapes = ", ".join(str(shape) for shape in got)
            where_it_was = f"{layer} got {shapes}{needs}" if name or needs else "its forward"
            asked = ", ".join(str(shape) for shape in self.shapes)
            raise ValueError(
                f"{self.name} cannot run on image {asked}: {where_it_was}. {_why(error)}"
            ) from error

    def saved_bytes(self) -> int:
        """Bytes of what autograd keeps in training mode, each storage once, parameters and buffers left out."""
        weights = {t.untyped_storage()._cdata for t in self.tensors()}
        saved: dict[int, int] = {}

        def keep(tensor: Tensor) -> Tensor:
            storage = tensor.untyped_storage()
            if storage._cdata not in weights:
                saved[storage._cdata] = storage.nbytes()
            return tensor

        self.module.train()
        hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
        out = self._forward(self.inputs(), torch.enable_grad(), hooks, lambda: ("", self.module, self.shapes))
        del out
        return sum(saved.values())
