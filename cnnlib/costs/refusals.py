"""Why a network cannot run on an image, in one sentence: the layer, what it got, what it needs, what PyTorch says."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import nn

from cnnlib.costs.receptive_field import each

Shape = tuple[int, ...]


def _smallest_input(module: nn.Module, axes: int) -> Shape:
    """The smallest map that one window of a convolution or pool fits into, padding taken off."""
    padding = module.padding if not isinstance(module.padding, str) else 0
    spans = [d * (k - 1) + 1 for k, d in zip(
        each(module.kernel_size, axes), each(getattr(module, "dilation", 1), axes), strict=True)]  # fmt: skip
    return tuple(max(1, n - 2 * p) for n, p in zip(spans, each(padding, axes), strict=True))


def needs(module: nn.Module, got: Shape) -> str:
    """What a layer says of the input it was built for, if it did not get such a one."""
    conv = isinstance(module, nn.modules.conv._ConvNd)
    if conv and len(got) != len(module.kernel_size) + 2:
        return f"; it needs {len(module.kernel_size)} axes behind batch and channels"
    if conv and got[1:2] != (module.in_channels,):
        return f"; it needs {module.in_channels} channels"
    pool = isinstance(module, nn.modules.pooling._MaxPoolNd | nn.modules.pooling._AvgPoolNd)
    if (conv and not module.transposed) or pool:
        least = _smallest_input(module, len(got) - 2)
        small = any(n < m for n, m in zip(got[2:], least, strict=True))
        return f"; it needs a map of at least {'×'.join(map(str, least))}" if small else ""
    if isinstance(module, nn.modules.batchnorm._NormBase) and got[1:2] != (module.num_features,):
        return f"; it needs {module.num_features} channels"
    if isinstance(module, nn.Linear) and got[-1:] != (module.in_features,):
        return f"; it needs {module.in_features} features in the last axis"
    return ""


_NUMBERS = (  # what PyTorch says where numbers are asked for that are not there
    "cannot be called on meta", "cannot copy out of meta", "meta tensors", "no data", "not have storage",
    "data-dependent", "aten::_local_scalar_dense", "aten::nonzero", "aten::equal", "is_nonzero", "fake tensor",
    "with 'meta' backend", "from the 'meta'", "meta backend",
)  # fmt: skip


def why(error: Exception) -> str:
    """The first line of what PyTorch says; what it says of the device without numbers is put in plain words."""
    said = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if "more than 1 value per channel" in said:
        return f"a normalisation has one value a channel, and training needs more: take batch=2 (PyTorch says: {said})"
    if "scalar types: Long" in said:
        return f"it looks up whole numbers: trace with dtype=torch.long (PyTorch says: {said})"
    low = said.lower()
    if any(words in low for words in _NUMBERS):
        return f"it asks for the numbers in a map, and a trace has shapes only (PyTorch says: {said})"
    if "meta" in low and "device" in low:
        return f"it works with tensors on a device of its own: move them to that of its input (PyTorch says: {said})"
    return f"PyTorch says: {said}"


def where_raised(error: BaseException, net: nn.Module) -> tuple[str, nn.Module, list[Shape]]:
    """The innermost module of ``net`` that was running when ``error`` was raised."""
    names, found, frame = {m: name for name, m in net.named_modules()}, net, error.__traceback__
    while frame is not None:
        module = frame.tb_frame.f_locals.get("self")
        if isinstance(module, nn.Module) and module in names:
            found = module
        frame = frame.tb_next
    return names[found], found, []


def refuse_scripted(net: nn.Module) -> None:
    """Raises ``ValueError`` that names the first scripted module."""
    names = [name for name, module in net.named_modules() if isinstance(module, torch.jit.ScriptModule)]
    where = f"layer {names[0]!r}" if names and names[0] else type(net).__name__
    raise ValueError(f"{where} is scripted and hides its layers: trace the Python module")


def sentence(
    name: str,
    images: Sequence[Shape],
    at: tuple[str, nn.Module, list[Shape]],
    training: bool,
    error: Exception,
) -> str:
    """The whole of it."""
    layer_name, module, shapes = at
    need = needs(module, shapes[0]) if shapes else ""
    layer = f"layer {layer_name!r} ({type(module).__name__})" if layer_name else type(module).__name__
    got = f" got {', '.join(map(str, shapes))}" if shapes else ""
    place = f"{layer}{got}{need}" if layer_name or need else "its forward"
    asked = ", ".join(map(str, images))
    return f"{name} cannot {'train' if training else 'run'} on image {asked}: {place}. {why(error)}"
