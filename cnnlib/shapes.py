"""Window arithmetic on integers: how large a map becomes, and what one of its units sees. Knows no torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from math import ceil, floor, gcd, inf, lcm
from typing import NamedTuple


def out_size(
    n: int, kernel: int, stride: int = 1, pad: int = 0, dilation: int = 1, ceil_mode: bool = False
) -> int:
    """Side of the map that a sliding window puts out along one axis.

    ``n``: input side in pixels; ``pad``: zeros added on *each* side; a window covers
    ``dilation * (kernel - 1) + 1`` pixels. A last, partial window is dropped, unless ``ceil_mode``
    keeps it, which pooling layers offer (the window must still start inside the image or its left pad).

    >>> out_size(227, kernel=11, stride=4, pad=2)
    56

    Raises ``ValueError`` if an argument is not a whole number in range or the window does not fit.
    """
    for name, value, least in (
        ("n", n, 1), ("kernel", kernel, 1), ("stride", stride, 1), ("pad", pad, 0), ("dilation", dilation, 1)
    ):  # fmt: skip
        if isinstance(value, bool) or not isinstance(value, int) or value < least:
            raise ValueError(f"{name}={value!r}: need a whole number of at least {least}")
    window = dilation * (kernel - 1) + 1
    slack = n + 2 * pad - window
    if slack < 0:
        raise ValueError(
            f"a window of {window} pixels does not fit into n={n} with pad={pad} ({n + 2 * pad} pixels): "
            "enlarge the image or the padding, or take a smaller kernel"
        )
    out = -(-slack // stride) + 1 if ceil_mode else slack // stride + 1
    if ceil_mode and (out - 1) * stride >= n + pad:
        out -= 1
    return out


class Span(NamedTuple):
    """What the units of a map see along one image axis, in input pixels.

    Unit ``i`` sees the ``size`` pixels from ``start + i * stride`` on; a negative start lies in the padding.
    The receptive field of a map is ``size``. The image itself is ``Span(1, 1, 0)``.
    """

    size: int = 1
    stride: int = 1
    start: int = 0

    def through(self, kernel: int, stride: int = 1, pad: int = 0, dilation: int = 1) -> Span:
        """The span behind one more sliding window (Araujo, Norris, Sim 2019, eq. 2 and 3)."""
        size = self.size + (kernel - 1) * dilation * self.stride
        return Span(size, self.stride * stride, self.start - pad * self.stride)

    def union(self, other: Span) -> Span:
        """The smallest span that holds both: what a sum or a concatenation of two paths sees."""
        start = min(self.start, other.start)
        end = max(self.start + self.size, other.start + other.size)
        return Span(end - start, max(self.stride, other.stride), start)


class PeriodicSpan(NamedTuple):
    """What units behind an enlargement see: neighbours differ, and the pattern repeats.

    Unit ``r + m * len(first)`` sees the pixels ``first[r] + m * advance`` to ``last[r] + m * advance``.
    """

    first: tuple[float, ...]  # a unit that sees nothing has first = inf, last = -inf
    last: tuple[float, ...]
    advance: int

    @property
    def size(self) -> int:
        """Pixels that a unit sees at most."""
        return max(0, *(high - low + 1 for low, high in zip(self.first, self.last, strict=True)))

    @property
    def stride(self) -> Fraction:
        """Pixels from one unit to the next, in the mean."""
        return Fraction(self.advance, len(self.first))

    @property
    def start(self) -> float:
        """First pixel that unit 0 sees."""
        return self.first[0]

    def pixels(self, unit: int) -> tuple[float, float]:
        """First and last pixel that ``unit`` sees."""
        turns, r = divmod(unit, len(self.first))
        return self.first[r] + turns * self.advance, self.last[r] + turns * self.advance

    def through(self, kernel: int, stride: int = 1, pad: int = 0, dilation: int = 1) -> Span | PeriodicSpan:
        """Behind one more sliding window."""
        window = range(-pad, (kernel - 1) * dilation - pad + 1, dilation)
        return self._read(Fraction(stride), lambda i: [i * stride + t for t in window])

    def union(self, other: Span | PeriodicSpan) -> Span | PeriodicSpan:
        """What holds both, unit by unit; both have the same stride."""
        other = _periodic(other)
        both = [(*self.pixels(i), *other.pixels(i)) for i in range(lcm(len(self.first), len(other.first)))]
        return _plainest([min(p[0], p[2]) for p in both], [max(p[1], p[3]) for p in both], self.stride)

    def _read(self, step: Fraction, units: Callable[[int], Sequence[int]]) -> Span | PeriodicSpan:
        """Behind units that read ``units(i)`` of these, ``step`` further from one to the next."""
        period = step.denominator * (len(self.first) // gcd(len(self.first), step.numerator))
        seen = [[self.pixels(unit) for unit in units(i)] for i in range(period)]
        first = [min((low for low, _ in pixels), default=inf) for pixels in seen]
        last = [max((high for _, high in pixels), default=-inf) for pixels in seen]
        return _plainest(first, last, step * self.stride)


def _periodic(span: Span | PeriodicSpan) -> PeriodicSpan:
    return (
        PeriodicSpan((span.start,), (span.start + span.size - 1,), span.stride)
        if type(span) is Span
        else span
    )


def _plainest(first: list[float], last: list[float], stride: Fraction) -> Span | PeriodicSpan:
    """A plain span if all units see alike."""
    alike = stride.denominator == 1 and all(
        (low, high) == (first[0] + i * stride, last[0] + i * stride)
        for i, (low, high) in enumerate(zip(first, last, strict=True))
    )
    if alike and first[0] < inf:
        return Span(last[0] - first[0] + 1, int(stride), first[0])
    return PeriodicSpan(tuple(first), tuple(last), int(stride * len(first)))


def resample(
    span: Span | PeriodicSpan, first: Fraction, last: Fraction, step: Fraction
) -> Span | PeriodicSpan:
    """Behind units that read those from ``first + i * step`` to ``last + i * step`` of a map that sees ``span``."""
    return _periodic(span)._read(step, lambda i: range(ceil(first + i * step), floor(last + i * step) + 1))
