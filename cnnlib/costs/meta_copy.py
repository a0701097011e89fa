"""A copy of a network without numbers, to run for its shapes alone. The network itself is never touched."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from functools import cache, partial
from numbers import Integral
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedTensorMixin
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_any, tree_map

from cnnlib.costs.clone import META, Cloner
from cnnlib.costs.refusals import refuse_scripted, sentence, where_raised
from cnnlib.models import WrongImageError

Shape = tuple[int, ...]
Result = TypeVar("Result")
_STAYS = frozenset(
    getattr(Tensor, name) for name in ("cpu", "cuda", "xpu", "ipu", "pin_memory") if hasattr(Tensor, name)
)
# Numbers of these, drawn on the CPU by name and few, decide what runs: which paths to drop, say. They are drawn.
_DRAWS = frozenset((torch.rand, torch.randn, torch.randint, torch.randperm))


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


def _whole(n: object) -> bool:
    """A whole number, also one of numpy's."""
    return isinstance(n, Integral) and not isinstance(n, bool)


def _shapes(image: object) -> list[Shape]:
    """One shape, or a list of them for several inputs."""
    shapes = image if isinstance(image, list) else [image]
    for shape in shapes:
        if not isinstance(shape, tuple) or not all(_whole(n) and n > 0 for n in shape):
            raise ValueError(
                f"image={image!r}: need the shape of one image as whole numbers, such as (3, 224, 224), "
                "or a list of such shapes for several inputs"
            )
    return [tuple(map(int, shape)) for shape in shapes]


def _device(value: object) -> bool:
    """Is this the name of a device? A tensor's dtype may be a string in no call of PyTorch."""
    return isinstance(value, torch.device | str) or (isinstance(value, int) and not isinstance(value, bool))


def _foreign(value: object) -> bool:
    return isinstance(value, Tensor) and not value.is_meta


class MetaDevice(TorchFunctionMode):
    """Puts all tensors of a run on ``meta``: new ones, moved ones, and those that came from outside with numbers."""

    def __torch_function__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func in _STAYS:
            return args[0]
        if func in _DRAWS and str(kwargs.get("device")) == "cpu":
            drawn = func(*args, **{k: v for k, v in kwargs.items() if k != "generator"})
            if drawn.ndim < 2:
                return drawn
        if kwargs.get("device") is not None or kwargs.get("generator") is not None:
            kwargs = {**kwargs, "device": META} if "device" in kwargs else dict(kwargs)
            kwargs.pop("generator", None)  # none makes numbers there, so that its state stays as it is
        if func is Tensor.to:
            first, *rest = args
            if rest and isinstance(rest[0], Tensor):
                rest[0] = rest[0].dtype
            elif rest and _device(rest[0]):
                rest[0] = META
            if isinstance(kwargs.get("other"), Tensor):
                kwargs = {"dtype": kwargs["other"].dtype}
            args = (first, *rest)
        if func is Tensor.type and len(args) == 2 and not isinstance(args[1], torch.dtype):
            kind = getattr(torch, args[1].rpartition(".")[2]) if isinstance(args[1], str) else args[1]
            return args[0].to(kind.dtype)
        try:
            return func(*args, **kwargs)
        except (RuntimeError, NotImplementedError):
            if not tree_any(_foreign, (args, kwargs)):
                raise
        here = tree_map(lambda t: torch.empty_like(t, device=META) if _foreign(t) else t, (args, kwargs))
        return func(*here[0], **here[1])


@contextmanager
def autocast_allowed() -> Iterator[None]:
    """``torch.autocast`` of the device that an input is on: there is none for ``meta``, so that of the CPU, unfelt."""
    begin = torch.autocast.__init__

    def init(self: torch.autocast, device_type: str, *args, **kwargs) -> None:
        begin(self, "cpu" if device_type == "meta" else device_type, *args, **kwargs)

    torch.autocast.__init__ = init
    try:
        yield
    finally:
        torch.autocast.__init__ = begin


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
        """``module`` begins with these arguments."""

    def leave(self, module: nn.Module, args: Sequence, out: object) -> None:
        """``module`` ends with this output."""

    def where(self) -> tuple[str, nn.Module, list[Shape]] | None:
        """The name of the module that runs, the module, and the shapes of its inputs, if it is known."""
        return None

    def around(self, module: nn.Module, forward: Callable) -> Callable:
        """What runs in place of the ``forward`` of ``module``."""
        return partial(self.through, module, forward)

    def through(self, module: nn.Module, forward: Callable, *args, **kwargs) -> object:
        """``forward``, and tells of its begin and end."""
        self.enter(module, (*args, *kwargs.values()))
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
        if not _whole(batch) or batch < 1:
            raise ValueError(f"batch={batch!r}: need a whole number of at least 1")
        self.name = getattr(net, "name", type(net).__name__)
        self.shapes, self.batch = _shapes(image), int(batch)
        real = (p.dtype for p in net.parameters() if p.is_floating_point())
        imaginary = (p.dtype for p in net.parameters() if p.is_complex())
        self.dtype = dtype or next(real, None) or next(imaginary, torch.float32)
        with torch.inference_mode(False):
            clone = Cloner(dtype if dtype and dtype.is_floating_point else None)
            self.module = clone(net)
        if clone.scripted:
            refuse_scripted(net)
        self.held = clone.tensors
        self.modules = list(self.module.modules())
        lazy = any(isinstance(tensor, UninitializedTensorMixin) for tensor in self.held)
        if lazy:  # a first, uncounted run
            self._train(False)
            self._forward(self.inputs(), torch.no_grad(), nullcontext(), lambda: None)

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

        def enter(module: nn.Module, args: Sequence, kwargs: dict) -> None:
            observer.enter(module, (*args, *kwargs.values()))

        for module in self.modules:
            if _changed(module):
                handles.append(module.register_forward_pre_hook(enter, prepend=True, with_kwargs=True))
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
                MetaDevice(),
                autocast_allowed(),
                grad,
                mode,
            ):
                return self.module(*inputs)
        except WrongImageError:
            raise  # a network of the book says itself what it needs
        except Exception as error:
            at = where() or where_raised(error, self.module)
            raise ValueError(sentence(self.name, self.shapes, at, self.module.training, error)) from error

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
        out = self._forward(self.inputs(), torch.enable_grad(), hooks, lambda: None)
        del out
        return sum(saved.values())
