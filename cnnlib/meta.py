"""A copy of a network without numbers, to run for its shapes alone. The network itself is never touched."""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, nullcontext
from functools import cache

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin

from cnnlib.axes import each
from cnnlib.layers import Unfit

Shape = tuple[int, ...]


def _collect(value: object, found: dict[int, Tensor], seen: set[int]) -> None:
    """Finds the tensors of a module, also those of modules that it keeps in lists, tuples and dictionaries."""
    if isinstance(value, Tensor):
        found[id(value)] = value
    elif isinstance(value, nn.Module | dict | list | tuple | set) and id(value) not in seen:
        seen.add(id(value))
        inner = vars(value) if isinstance(value, nn.Module) else value
        for item in inner.values() if isinstance(inner, dict) else inner:
            if isinstance(item, Tensor | nn.Module) or (isinstance(item, dict | list | tuple | set) and item):
                _collect(item, found, seen)


_ATOMS = (int, float, complex, bool, str, bytes, type(None), type, torch.dtype, torch.device)


def _clone(value: object, memo: dict[int, object]) -> object:
    """``copy.deepcopy``, with a short way for modules and plain containers: a network is little else."""
    if isinstance(value, _ATOMS):
        return value
    if id(value) in memo:
        return memo[id(value)]
    kind = type(value)
    if kind in (dict, OrderedDict):
        new = memo[id(value)] = kind()
        new.update((_clone(k, memo), _clone(v, memo)) for k, v in value.items())
        return new
    if kind is list:
        new = memo[id(value)] = []
        new.extend(_clone(v, memo) for v in value)
        return new
    if isinstance(value, nn.Module) and _plain(kind):
        new = memo[id(value)] = kind.__new__(kind)
        state = value.__getstate__() if hasattr(value, "__getstate__") else vars(value)
        new.__setstate__({k: _clone(v, memo) for k, v in state.items()})
        return new
    return copy.deepcopy(value, memo)


@cache
def _plain(kind: type) -> bool:
    """Does this class of modules copy itself as ``nn.Module`` does?"""
    ways = ("__deepcopy__", "__getstate__", "__reduce__", "__reduce_ex__", "__getnewargs__", "__getnewargs_ex__")
    return all(getattr(kind, way, None) is getattr(nn.Module, way, None) for way in ways)


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


class MetaCopy:
    """The network on PyTorch's ``meta`` device: shapes, dtypes and structure, no numbers and no memory."""

    def __init__(self, net: nn.Module, image: object, batch: int, dtype: torch.dtype | None) -> None:
        net = getattr(net, "_orig_mod", net)  # compiled: the module that was compiled
        if isinstance(net, nn.DataParallel | nn.parallel.DistributedDataParallel):
            net = net.module
        if not isinstance(net, nn.Module):
            raise ValueError(f"net={type(net).__name__}: need a torch.nn.Module")
        for name, module in net.named_modules():
            if isinstance(module, torch.jit.ScriptModule):
                where = f"layer {name!r}" if name else type(module).__name__
                raise ValueError(f"{where} is scripted and hides its layers: trace the Python module")
        if isinstance(batch, bool) or not isinstance(batch, int) or batch < 1:
            raise ValueError(f"batch={batch!r}: need a whole number of at least 1")
        self.name = getattr(net, "name", type(net).__name__)
        self.shapes, self.batch = _shapes(image), batch
        floats = [p.dtype for p in net.parameters() if p.is_floating_point()]
        self.dtype = dtype or (floats[0] if floats else torch.float32)
        with torch.inference_mode(False):
            found: dict[int, Tensor] = {}
            _collect(net, found, set())
            memo = {key: _without_numbers(tensor, dtype) for key, tensor in found.items()}
            self.held = list(memo.values())  # deepcopy writes more into the memo
            self.module = _clone(net, memo)
        if any(
            isinstance(t, UninitializedTensorMixin) for t in self.tensors()
        ):  # lazy layers: a first, uncounted run
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
        leave: Callable[[object], None],
        where: Callable[[], tuple[str, nn.Module, list[Shape]]],
    ) -> None:
        """One forward pass in evaluation mode; ``enter`` and ``leave`` are called around every module."""
        self.module.eval()
        with ExitStack() as stack:
            for module in self.module.modules():
                before = module.register_forward_pre_hook(lambda m, args: enter(m, args), prepend=True)
                after = module.register_forward_hook(lambda m, args, out: leave(out))
                stack.callback(before.remove)
                stack.callback(after.remove)
            self._forward(inputs, torch.no_grad(), mode, where)

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
