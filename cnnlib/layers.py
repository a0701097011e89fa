"""Building blocks that two or more networks share."""

from __future__ import annotations

from collections import OrderedDict

from torch import Tensor, nn
from torch.nn import functional as F


def chain(**layers: nn.Module) -> nn.Sequential:
    """Named layers in order; the names become the keys of the state dict."""
    return nn.Sequential(OrderedDict(layers))


class LocalResponseNorm(nn.Module):
    """Divides each unit by the energy of its neighbours in ``n`` adjacent channels.

    (N, C, H, W) -> (N, C, H, W).  b_i = a_i / (k + alpha * sum a_j^2)^beta, the sum running over channels
    i - n/2 ... i + n/2 (Krizhevsky et al. 2012, sec. 3.3). ``torch.nn.LocalResponseNorm`` takes the *mean*
    of the squares instead of the sum, so the same ``alpha`` there is ``n`` times weaker.
    """

    def __init__(self, n: int = 5, k: float = 2.0, alpha: float = 1e-4, beta: float = 0.75) -> None:
        super().__init__()
        self.n, self.k, self.alpha, self.beta = n, k, alpha, beta

    def forward(self, x: Tensor) -> Tensor:
        """Normalise across channels."""
        squares = x.square().flatten(2)[:, None]  # (N, 1, C, HW), so that one window slides over channels
        energy = F.avg_pool2d(squares, (self.n, 1), 1, (self.n // 2, 0), divisor_override=1)
        return x / (self.k + self.alpha * energy).pow(self.beta).view_as(x)

    def extra_repr(self) -> str:
        """The four constants, as ``print(net)`` shows them."""
        return f"n={self.n}, k={self.k}, alpha={self.alpha}, beta={self.beta}"
