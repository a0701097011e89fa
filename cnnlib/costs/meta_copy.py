"""A copy of a network without numbers, to run for its shapes alone. The network itself is never touched."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from functools import cache, partial
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin

from cnnlib.costs.clone import META, Cloner
from cnnlib.costs.receptive_field import each
from cnnlib.models import WrongImageError

Shape = tuple[int, ...]
Result = TypeVar("Result")


def without_garbage_collection(count: Callable[[], Result]) -> Result:
    """What ``count`` returns, without garbage collection meanwhile: of all it makes nothing is garbage.

    PyTorch imports parts of itself at their first use, and the frames of an import keep alive what was alive then.
    A count in which that happened is made once more.
    """
    on, imported = gc.isenabled(), len(sys.modules)
    gc.disable()
    try:
        found = count()
        return found if len(sys.modules) == imported else count()
    finally:
        if on:
            gc.enable()


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


def _smallest_input(module: nn.Module, axes: int) -> Shape:
    """The smallest map that one window of a convolution or pool fits into, padding taken off."""
    padding = module.padding if not isinstance(module.padding, str) else 0
    spans = [d * (k - 1) + 1 for k, d in zip(
        each(module.kernel_size, axes), each(getattr(module, "dilation", 1), axes), strict=True)]  # fmt: skip
    return tuple(max(1, n - 2 * p) for n, p in zip(spans, each(padding, axes), strict=True))


def _needs(module: nn.Module, input_shapes: Shape) -> str:
    """What a layer says of the input it was built for."""
    conv = isinstance(module, nn.modules.conv._ConvNd)
    if conv and len(input_shapes) != len(module.kernel_size) + 2:
        return f"; it needs {len(module.kernel_size)} axes behind batch and channels"
    if conv and input_shapes[1:2] != (module.in_channels,):
        return f"; it needs {module.in_channels} channels"
    pool = isinstance(module, nn.modules.pooling._MaxPoolNd | nn.modules.pooling._AvgPoolNd)
    if (conv and not module.transposed) or pool:
        return f"; it needs a map of at least {'×'.join(map(str, _smallest_input(module, len(input_shapes) - 2)))}"
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
    names = [name for name, module in net.named_modules() if isinstance(module, torch.jit.ScriptModule)]
    where = f"layer {names[0]!r}" if names and names[0] else type(net).__name__
    raise ValueError(f"{where} is scripted and hides its layers: trace the Python module")


@cache
def _has_own_modes(kind: type) -> bool:
    """Does this class of modules do something of its own when training begins or ends?"""
    return (kind.train, kind.eval) != (nn.Module.train, nn.Module.eval)


def _changed(module: nn.Module) -> bool:
    """Does this module do more than its class says: hooks, or a ``forward`` of its own?"""
    return bool(module._forward_pre_hooks or module._forward_hooks or "forward" in vars(module))


class Observer:
    """Is told of every module that begins and ends in a run; a mode of PyTorch as well, entered around the run."""

    def enter(self, module: nn.Module, args: Sequence) -> None:
        """``module`` begins with these positional arguments."""

    def leave(self, module: nn.Module, args: Sequence, out: object) -> None:
        """``module`` ends with this output."""

    def where(self) -> tuple[str, nn.Module | None, list[Shape]]:
        """The name of the module that runs, the module, and the shapes of its inputs, for the message of an error."""
        return "", None, []

    def around(self, module: nn.Module, forward: Callable) -> Callable:
        """What runs in place of the ``forward`` of ``module``."""
        return partial(self.through, module, forward)

    def through(self, module: nn.Module, forward: Callable, *args, **kwargs) -> object:
        """``forward``, and tells of its begin and end."""
        self.enter(module, args)
        out = forward(*args, **kwargs)
        self.leave(module, args, out)
        return out


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
        with torch.inference_mode(False):
            clone = Cloner(dtype)
            self.module = clone(net)
        if clone.scripted:
            _refuse_scripted(net)
        self.held = clone.tensors
        self.modules = list(self.module.modules())
        lazy = any(isinstance(tensor, UninitializedTensorMixin) for tensor in self.held)
        if lazy:  # a first, uncounted run
            self._train(False)
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
            return [torch.empty((self.batch, *s), dtype=self.dtype, device=META) for s in self.shapes]

    def _train(self, training: bool) -> None:
        if any(map(_has_own_modes, {type(module) for module in self.modules})):
            self.module.train(training)
        else:  # the same, without a check of each
            for module in self.modules:
                vars(module)["training"] = training

    def run(self, inputs: Sequence[Tensor], observer: Observer) -> None:
        """One forward pass in evaluation mode, reported to ``observer``."""
        handles, replaced = [], []
        self._train(False)
        for module in self.modules:
            if _changed(module):
                handles.append(module.register_forward_pre_hook(observer.enter, prepend=True))
                handles.append(module.register_forward_hook(observer.leave))
            else:  # with hooks PyTorch takes a longer way
                vars(module)["forward"] = observer.around(module, module.forward)
                replaced.append(module)
        try:
            self._forward(inputs, torch.no_grad(), observer, observer.where)
        finally:
            for handle in handles:
                handle.remove()
            for module in replaced:
                del vars(module)["forward"]

    def _forward(self, inputs: Sequence[Tensor], grad, mode, where) -> object:
        try:
            with (
                torch.inference_mode(False),
                torch.random.fork_rng(devices=[]),
                META,
                grad,
                mode,
            ):
                return self.module(*inputs)
        except WrongImageError:
            raise  # a network of the book says itself what it needs
        except Exception as error:
            name, module, input_shapes = where()
            needs = _needs(module, input_shapes[0]) if input_shapes else ""
            layer = f"layer {name!r} ({type(module).__name__})" if name else type(module).__name__
            shapes = ", ".join(str(shape) for shape in input_shapes)
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

        self._train(True)
        hooks = torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor)
        out = self._forward(self.inputs(), torch.enable_grad(), hooks, lambda: ("", self.module, self.shapes))
        del out
        return sum(saved.values())
