"""A second opinion on what a network costs, from a real run with numbers. Shares no code with the engine.

MACs: torch's own FLOP counter. Shapes: forward hooks. What a unit sees: a pulse on each line of the image, and
the gradient of each unit. A counter of calls that torch's counter leaves out (matrix times vector) is not here:
networks that need one are counted by hand in the tests.
"""

import warnings
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import FlopCounterMode


@contextmanager
def plain_kernels():
    """Attention and recurrent layers as matrix products: torch's counter knows no fused kernel on a CPU."""
    fast = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        with sdpa_kernel(SDPBackend.MATH), warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the switch talks about GPUs that this torch was not built for
            with torch.backends.mkldnn.flags(enabled=False):
                yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fast)


def images(shapes, batch=1) -> list[Tensor]:
    """Random images of one shape (C, H, W), or one of each shape of a list."""
    return [torch.randn(batch, *shape) for shape in (shapes if isinstance(shapes, list) else [shapes])]


def macs(net: nn.Module, *inputs: Tensor) -> int:
    """Multiply-adds of one forward pass: torch counts two FLOPs each."""
    with FlopCounterMode(display=False) as counter, torch.no_grad(), plain_kernels():
        net.eval()(*inputs)
    flops = counter.get_total_flops()
    if flops % 2:
        raise ValueError(f"torch counts {flops} FLOPs, no even number")
    return flops // 2


def params(net: nn.Module) -> int:
    """Scalars in all parameters, each tensor once."""
    return sum(tensor.numel() for tensor in {id(p): p for p in net.parameters()}.values())


def shapes(net: nn.Module, *inputs: Tensor) -> list[tuple[str, tuple[int, ...]]]:
    """Name and output shape, without the batch axis, of each call of a module that holds no modules."""
    seen = []

    def note(name):
        return lambda module, args, out: seen.append((name, tuple(tree_leaves(out)[0].shape[1:])))

    with ExitStack() as stack, torch.no_grad():
        for name, module in net.named_modules():
            if next(module.children(), None) is None:
                stack.callback(module.register_forward_hook(note(name)).remove)
        net.eval()(*inputs)
    return seen


def positive(net: nn.Module) -> nn.Module:
    """The network with weights of 1 and no biases, in double precision: nothing that reaches a unit cancels."""
    net = net.double().eval()
    with torch.no_grad():
        for name, tensor in net.named_parameters():
            tensor.fill_(0.0 if name.rsplit(".", 1)[-1] == "bias" else 1.0)
    return net


def lines(image: tuple[int, ...], axis: int) -> Tensor:
    """One picture for each place along a spatial axis, with ones there and zeros elsewhere."""
    n, size = len(image) - 1, image[1 + axis]
    line = torch.eye(size, dtype=torch.float64).view(size, *[1] * (axis + 1), size, *[1] * (n - axis - 1))
    return line.expand(size, *image).clone()


def hull(hit: Tensor) -> tuple[int, int] | None:
    """First and last place that is marked."""
    places = hit.nonzero().flatten().tolist()
    return (places[0], places[-1]) if places else None


def reached_by_pulse(net: nn.Module, image: tuple[int, ...], axis: int = 0) -> list[tuple[int, int] | None]:
    """For each unit of the last map along ``axis``: the first and last place of the image that moves it.

    ``net`` is :func:`positive`, so a pulse raises a unit if and only if it reaches it, through maxima too.
    """
    with torch.no_grad():
        out = net(lines(image, axis))
    moved = (out != 0).movedim(2 + axis, 1).flatten(2).any(2)  # (places, units)
    return [hull(moved[:, unit]) for unit in range(moved.shape[1])]


def reached_by_gradient(
    net: nn.Module, image: tuple[int, ...], axis: int = 0
) -> list[tuple[int, int] | None]:
    """The same by the support of each unit's gradient. A maximum passes it to one place only: leave those out."""
    x = torch.ones(1, *image, dtype=torch.float64, requires_grad=True)
    with torch.enable_grad():
        units = net(x).movedim(2 + axis, 0).flatten(1).sum(1)
    found = []
    for unit in units:
        (grad,) = torch.autograd.grad(unit, x, retain_graph=True)
        found.append(hull((grad != 0).movedim(2 + axis, 0).flatten(1).any(1)))
    return found
