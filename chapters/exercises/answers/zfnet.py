"""Mistakes that people make in the sheet *ZFNet*: exercise -> mistake -> the answer with it.

The grader must take points for each of them (tests/grading). They differ from the solution in one idea.
"""

COVERED = """
def covered(score, image, side, step):
    whole = score(image[None])[0]
    tops, lefts = (range(0, n - side + 1, step) for n in image.shape[1:])
    falls = torch.zeros(len(tops), len(lefts))
    for r, top in enumerate(tops):
        for s, left in enumerate(lefts):
            copy = image.clone()
            copy[:, top:top + side, left:left + side] = 0
            falls[r, s] = whole - score(copy[None])[0]
    return falls
"""


def with_fault(right: str, wrong: str) -> str:
    """The solution of ``covered`` with one of its lines exchanged."""
    if right not in COVERED:
        raise ValueError(f"right={right!r}: no such words in the solution; copy them from it")
    return COVERED.replace(right, wrong)


WRONG = {
    "folded_periods": {
        "did not look from above": """
def folded_periods(pixels, periods, step):
    return periods % (pixels // step)
""",
        "left the wave as it was": """
def folded_periods(pixels, periods, step):
    return periods
""",
        "divided the periods as the pixels": """
def folded_periods(pixels, periods, step):
    return periods // step
""",
        "cut off at half of the samples": """
def folded_periods(pixels, periods, step):
    return min(periods, pixels // step // 2)
""",
        "mirrored once, at the samples": """
def folded_periods(pixels, periods, step):
    return min(periods, abs(pixels // step - periods))
""",
        "folded at half of the samples": """
def folded_periods(pixels, periods, step):
    return periods % (pixels // step // 2)
""",
        "counted on all pixels": """
def folded_periods(pixels, periods, step):
    left = periods * step % pixels
    return min(left, pixels - left)
""",
    },
    "unpool": {
        "of two numbers for one place one was lost": """
def unpool(signal, x, kernel, step):
    _, places = F.max_pool2d(x, kernel, step, return_indices=True)
    return F.max_unpool2d(signal, places, kernel, step, output_size=x.shape)
""",
        "brought the maxima back, not the signal": """
def unpool(signal, x, kernel, step):
    top, places = F.max_pool2d(x, kernel, step, return_indices=True)
    back = torch.zeros_like(x).flatten(2)
    return back.scatter_add_(2, places.flatten(2), top.flatten(2)).view_as(x)
""",
        "to the corner of each window": """
def unpool(signal, x, kernel, step):
    back = torch.zeros_like(x)
    h, w = signal.shape[2:]
    back[:, :, : h * step : step, : w * step : step] = signal
    return back
""",
        "to every place of the window": """
def unpool(signal, x, kernel, step):
    back = torch.zeros_like(x)
    for i in range(signal.shape[2]):
        for j in range(signal.shape[3]):
            top, left = i * step, j * step
            back[:, :, top : top + kernel, left : left + kernel] += signal[:, :, i : i + 1, j : j + 1]
    return back
""",
        "looked for the largest absolute value": """
def unpool(signal, x, kernel, step):
    _, places = F.max_pool2d(x.abs(), kernel, step, return_indices=True)
    back = torch.zeros_like(x).flatten(2)
    return back.scatter_add_(2, places.flatten(2), signal.flatten(2)).view_as(x)
""",
        "rectified on the way": """
def unpool(signal, x, kernel, step):
    _, places = F.max_pool2d(x, kernel, step, return_indices=True)
    back = torch.zeros_like(x).flatten(2)
    return back.scatter_add_(2, places.flatten(2), signal.relu().flatten(2)).view_as(x)
""",
        "the switches of the first channel for all": """
def unpool(signal, x, kernel, step):
    _, places = F.max_pool2d(x, kernel, step, return_indices=True)
    places = places[:, :1].expand_as(signal)
    back = torch.zeros_like(x).flatten(2)
    return back.scatter_add_(2, places.flatten(2), signal.flatten(2)).view_as(x)
""",
        "averaged where two meet": """
def unpool(signal, x, kernel, step):
    _, places = F.max_pool2d(x, kernel, step, return_indices=True)
    total, count = (torch.zeros_like(x).flatten(2).scatter_add_(2, places.flatten(2), v.flatten(2))
                    for v in (signal, torch.ones_like(signal)))
    return (total / count.clamp_min(1)).view_as(x)
""",
    },
    "spread": {
        "turned the filters round": """
def spread(y, weight, stride, pad, size):
    image = y.new_zeros(len(y), weight.shape[1], size[0] + 2 * pad, size[1] + 2 * pad)
    k = weight.shape[-1]
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            stamp = torch.einsum("no,oikl->nikl", y[:, :, i, j], weight.flip(2, 3))
            image[:, :, i * stride : i * stride + k, j * stride : j * stride + k] += stamp
    return image[:, :, pad : pad + size[0], pad : pad + size[1]]
""",
        "exchanged rows and columns of the filters": """
def spread(y, weight, stride, pad, size):
    image = y.new_zeros(len(y), weight.shape[1], size[0] + 2 * pad, size[1] + 2 * pad)
    k = weight.shape[-1]
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            stamp = torch.einsum("no,oilk->nikl", y[:, :, i, j], weight)
            image[:, :, i * stride : i * stride + k, j * stride : j * stride + k] += stamp
    return image[:, :, pad : pad + size[0], pad : pad + size[1]]
""",
        "wrote over what was there": """
def spread(y, weight, stride, pad, size):
    image = y.new_zeros(len(y), weight.shape[1], size[0] + 2 * pad, size[1] + 2 * pad)
    k = weight.shape[-1]
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            stamp = torch.einsum("no,oikl->nikl", y[:, :, i, j], weight)
            image[:, :, i * stride : i * stride + k, j * stride : j * stride + k] = stamp
    return image[:, :, pad : pad + size[0], pad : pad + size[1]]
""",
        "forgot the steps": """
def spread(y, weight, stride, pad, size):
    image = y.new_zeros(len(y), weight.shape[1], size[0] + 2 * pad, size[1] + 2 * pad)
    k = weight.shape[-1]
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            stamp = torch.einsum("no,oikl->nikl", y[:, :, i, j], weight)
            image[:, :, i : i + k, j : j + k] += stamp
    return image[:, :, pad : pad + size[0], pad : pad + size[1]]
""",
        "did not cut off the padding": """
def spread(y, weight, stride, pad, size):
    image = y.new_zeros(len(y), weight.shape[1], size[0] + 2 * pad, size[1] + 2 * pad)
    k = weight.shape[-1]
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            stamp = torch.einsum("no,oikl->nikl", y[:, :, i, j], weight)
            image[:, :, i * stride : i * stride + k, j * stride : j * stride + k] += stamp
    return image
""",
        "cut the padding off at one end": """
def spread(y, weight, stride, pad, size):
    image = y.new_zeros(len(y), weight.shape[1], size[0] + 2 * pad, size[1] + 2 * pad)
    k = weight.shape[-1]
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            stamp = torch.einsum("no,oikl->nikl", y[:, :, i, j], weight)
            image[:, :, i * stride : i * stride + k, j * stride : j * stride + k] += stamp
    return image[:, :, : size[0], : size[1]]
""",
        "made the result no larger than the windows reach": """
def spread(y, weight, stride, pad, size):
    k, (h, w) = weight.shape[-1], y.shape[2:]
    image = y.new_zeros(len(y), weight.shape[1], (h - 1) * stride + k, (w - 1) * stride + k)
    for i in range(h):
        for j in range(w):
            stamp = torch.einsum("no,oikl->nikl", y[:, :, i, j], weight)
            image[:, :, i * stride : i * stride + k, j * stride : j * stride + k] += stamp
    return image[:, :, pad : image.shape[2] - pad, pad : image.shape[3] - pad]
""",
        "one channel's filter for all": """
def spread(y, weight, stride, pad, size):
    image = y.new_zeros(len(y), weight.shape[1], size[0] + 2 * pad, size[1] + 2 * pad)
    k = weight.shape[-1]
    for i in range(y.shape[2]):
        for j in range(y.shape[3]):
            stamp = y[:, :, i, j].sum(1)[:, None, None, None] * weight[0]
            image[:, :, i * stride : i * stride + k, j * stride : j * stride + k] += stamp
    return image[:, :, pad : pad + size[0], pad : pad + size[1]]
""",
    },
    "covered": {
        "all four faults": """
def covered(score, image, side, step):
    rows = []
    for top in range(0, image.shape[1] - side, step):
        row = []
        for left in range(0, image.shape[2] - side, step):
            image[:, top:top + side, top:top + side] = 0
            row.append(score(image[None])[0])
        rows.append(torch.stack(row))
    return torch.stack(rows) if rows else torch.zeros(0, 0)
""",
        "the squares pile up": with_fault("copy = image.clone()", "copy = image"),
        "the squares pile up on a copy": with_fault("            copy = image.clone()\n", "").replace(
            "whole = ", "copy = image.clone()\n    whole = "
        ),
        "the last squares are missing": with_fault("n - side + 1", "n - side"),
        "the square stays on the diagonal": with_fault("left:left + side", "top:top + side"),
        "the score, not how much it falls": with_fault(
            "whole - score(copy[None])[0]", "score(copy[None])[0]"
        ),
        "how much it rises": with_fault("whole - score(copy[None])[0]", "score(copy[None])[0] - whole"),
        "a place for every pixel": with_fault(" + 1, step)", " + 1, 1)"),
        "the axes exchanged": with_fault("return falls", "return falls.T"),
        "covered all but the square": with_fault(
            "copy = image.clone()\n            copy[:, top:top + side, left:left + side] = 0",
            "copy = torch.zeros_like(image)\n            copy[:, top:top + side, left:left + side] = "
            "image[:, top:top + side, left:left + side]",
        ),
    },
    "before_step": {
        "no window": """
def before_step():
    return [1.0]
""",
        "the mean of all pixels that are allowed": """
def before_step():
    n = 3 * STEP - 1
    return [1 / n] * n
""",
        "the mean of a step": """
def before_step():
    return [1 / STEP] * STEP
""",
        "the mean of two steps": """
def before_step():
    return [1 / (2 * STEP)] * (2 * STEP)
""",
        "a triangle that does not add up to 1": """
def before_step():
    n = 3 * STEP // 2
    return [*range(1, n), n, *range(n - 1, 0, -1)]
""",
        "a triangle that is too wide": """
def before_step():
    n = 3 * STEP
    return [v / n**2 for v in [*range(1, n), n, *range(n - 1, 0, -1)]]
""",
        "a triangle that is too narrow": """
def before_step():
    n = STEP
    return [v / n**2 for v in [*range(1, n), n, *range(n - 1, 0, -1)]]
""",
        "an edge detector": """
def before_step():
    return [-1.0, 2.0, -1.0]
""",
    },
}
