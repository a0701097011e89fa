"""Window arithmetic on integers: how large a map becomes, and what one of its units sees. Knows no torch."""

from __future__ import annotations

from fractions import Fraction
from math import ceil, floor
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


class UpsampledSpan(NamedTuple):
    """What units behind an enlargement see: of the map before it, whose units see ``base``.

    Unit ``i`` reads the whole numbers from ``first + i * step`` to ``last + i * step`` there. ``step`` is a
    fraction below 1, so that neighbours may read one and two units in turn; ``size`` is what the most seeing
    unit sees.
    """

    base: Span
    first: Fraction
    last: Fraction
    step: Fraction

    @property
    def size(self) -> int:
        """Pixels that a unit sees at most."""
        alike = self.step.denominator == 1  # every unit stands alike between those of the base
        reads = floor(self.last) - ceil(self.first) if alike else floor(self.last - self.first)
        return self.base.size + reads * self.base.stride

    @property
    def stride(self) -> Fraction:
        """Pixels from one unit to the next."""
        return self.step * self.base.stride

    @property
    def start(self) -> int:
        """First pixel that unit 0 sees; that of unit ``i`` lies less than a unit of the base behind its stride."""
        return self.base.start + ceil(self.first) * self.base.stride

    def through(self, kernel: int, stride: int = 1, pad: int = 0, dilation: int = 1) -> UpsampledSpan:
        """Behind one more sliding window."""
        first, last = self.first - pad * self.step, self.last + ((kernel - 1) * dilation - pad) * self.step
        return UpsampledSpan(self.base, first, last, self.step * stride)

    def union(self, other: Span | UpsampledSpan) -> Span | UpsampledSpan:
        """The smallest that holds both: exact on the same base, else in pixels."""
        if isinstance(other, UpsampledSpan) and (other.base, other.step) == (self.base, self.step):
            return UpsampledSpan(
                self.base, min(self.first, other.first), max(self.last, other.last), self.step
            )
        return self.bounding_span().union(
            other.bounding_span() if isinstance(other, UpsampledSpan) else other
        )

    def bounding_span(self) -> Span:
        """In pixels, with ends that may be fractions: unit ``i`` sees no pixel outside."""
        stride = self.base.stride
        size = self.base.size + (self.last - self.first) * stride
        return Span(size, self.stride, self.base.start + self.first * stride)


def resample(
    span: Span | UpsampledSpan, first: Fraction, last: Fraction, step: Fraction
) -> Span | UpsampledSpan:
    """Behind units that read those from ``first + i * step`` to ``last + i * step`` of a map that sees ``span``."""
    if isinstance(span, UpsampledSpan):
        first, last = span.first + first * span.step, span.last + last * span.step
        return UpsampledSpan(span.base, first, last, span.step * step)
    if step.denominator == 1:  # no enlargement: every unit reads alike
        low, high = ceil(first), floor(last)
        return Span(
            span.size + (high - low) * span.stride, span.stride * int(step), span.start + low * span.stride
        )
    return UpsampledSpan(span, first, last, step)
