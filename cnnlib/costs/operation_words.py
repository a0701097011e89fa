"""Each operation as another program can replay it: a word that says how shapes follow, its inputs, its settings."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from cnnlib.costs.places import depends
from cnnlib.costs.receptive_field import each, pool_settings

Settings = dict[str, object]


class NotExportable(ValueError):
    """The structure of a network hangs on the image, or on an operation that nobody can replay."""


def _conv(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    x, weight, _, stride, pad, dilation, transposed = args[:7]
    n = weight.ndim - 2
    if transposed or depends(weight) or n != 2:
        raise NotExportable("only convolutions of maps with fixed weights are known")
    settings = {
        "out": weight.shape[0], "per": weight.shape[1], "kernel": weight.shape[2:],
        "stride": each(stride, n), "pad": each(pad, n), "dilation": each(dilation, n),
    }  # fmt: skip
    return "conv", [x], settings


def _linear(i: int) -> Callable[[Sequence, Tensor], tuple[str, list, Settings]]:
    def written(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
        x, weight = args[i : i + 2]
        if depends(weight) or not depends(x) or (i and depends(args[0])):
            raise NotExportable("only products of a map with fixed weights are known")
        return "linear", [x], {"in": x.shape[-1], "out": out.shape[-1]}

    return written


def _pool(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    kernel, stride, pad = pool_settings(args)
    maximum = len(args) > 4 and not isinstance(args[4], bool)
    dilation = args[4] if maximum else 1
    ceil = args[5] if maximum and len(args) > 5 else args[4] if len(args) > 4 and not maximum else False
    settings = {
        "kernel": kernel,
        "stride": stride,
        "pad": pad,
        "dilation": each(dilation, 2),
        "ceil": bool(ceil),
    }
    return "pool", [args[0]], settings


def _max_pool(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    word, ins, settings = _pool(args, out)
    return word, ins, {**settings, "max": True}


def _dims(x: Tensor, dims: object) -> list[int]:
    dims = range(x.ndim) if dims is None or dims == [] else dims
    return [d % x.ndim for d in (dims if isinstance(dims, Sequence) else [dims])]


def _reduced(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    x, dims = args[0], args[1] if len(args) > 1 else None
    return "reduce", [x], {"dims": _dims(x, dims), "keep": out.ndim == x.ndim}


def _normed(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    return "same", [args[0]], {"channels": args[0].shape[1]}


def _layer_norm(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    return "norm", [args[0]], {"last": args[1]}


def _same(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    return "same", [args[0]], {}


def _joined(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    return "join", [t for t in args if isinstance(t, Tensor)], {}


def _slice(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    x, (dim, start, end, step) = args[0], (*args[1:], *(0, None, None, 1)[len(args) - 1 :])
    end = None if end is not None and end > 2**60 else end
    return "slice", [x], {"dim": dim % x.ndim, "start": start or 0, "end": end, "step": step}


def _picked(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    picks = [(i, pick) for i, pick in enumerate(args[1]) if pick is not None]
    ((dim, pick),) = picks if len(picks) == 1 else [(0, None)]
    if pick is None or depends(pick) or pick.ndim != 1 or pick.dtype is torch.bool or dim != 1:
        raise NotExportable("only a fixed list of channels can be picked")
    return "pick", [args[0]], {"dim": dim, "length": out.shape[dim]}


def _strided(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    if out.shape != args[0].shape:
        raise NotExportable("its output lies anywhere in the memory of its input")
    return "lost", [args[0]], {}


def _permuted(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    return "permute", [args[0]], {"dims": [d % out.ndim for d in args[1]]}


def _transposed(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    dims = list(range(out.ndim))
    i, j = args[1:3] if len(args) > 2 else (0, -1)
    dims[i], dims[j] = dims[j], dims[i]
    return "permute", [args[0]], {"dims": dims}


def _squeezed(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    x = args[0]
    dims = [i for i in _dims(x, args[1] if len(args) > 1 else None) if x.shape[i] == 1]
    return "squeeze", [x], {"dims": dims}


def _view(args: Sequence, out: Tensor) -> tuple[str, list, Settings]:
    return "view", [args[0]], {"asked": tuple(args[1]) if len(args) > 1 else tuple(out.shape)}


def _written(names: str, way: Callable) -> dict[str, Callable]:
    return dict.fromkeys(names.split(), way)


WORDS: dict[str, Callable[[Sequence, Tensor], tuple[str, list, Settings]]] = {
    **_written("convolution", _conv),
    **_written("mm", _linear(0)),
    **_written("addmm", _linear(1)),
    **_written("max_pool2d_with_indices max_pool2d", _max_pool),
    **_written("avg_pool2d", _pool),
    "_adaptive_avg_pool2d": lambda args, out: ("adaptive", [args[0]], {"sizes": args[1]}),
    **_written("mean sum amax amin", _reduced),
    "native_batch_norm": _normed,
    **_written("native_layer_norm", _layer_norm),
    **_written(
        """relu relu6 threshold hardtanh hardswish hardsigmoid sigmoid tanh silu gelu elu celu selu leaky_relu
        softplus mish hardshrink softshrink neg pow square sqrt rsqrt exp log log1p abs sin cos reciprocal clamp
        clamp_min clamp_max clone contiguous alias detach dropout""",
        _same,
    ),
    **_written("add sub rsub mul div maximum minimum prelu _prelu_kernel", _joined),
    "cat": lambda args, out: ("cat", list(args[0]), {"dim": (args[1] if len(args) > 1 else 0) % out.ndim}),
    **_written("view _unsafe_view reshape _reshape_alias view_copy flatten", _view),
    "permute": _permuted,
    **_written("transpose t numpy_T", _transposed),
    "unsqueeze": lambda args, out: ("unsqueeze", [args[0]], {"dim": args[1] % out.ndim}),
    "squeeze": _squeezed,
    "slice": _slice,
    "index": _picked,
    "constant_pad_nd": lambda args, out: ("pad", [args[0]], {"pads": tuple(args[1])}),
    "as_strided": _strided,
    **_written(
        "_softmax _log_softmax",
        lambda args, out: ("along", [args[0]], {"dim": args[1] % out.ndim}),
    ),
}  # fmt: skip
SPLITS = ("split", "split_with_sizes", "chunk", "unsafe_split", "unsafe_chunk")
