"""Mistakes that people make in the sheet *AlexNet*: exercise -> mistake -> the answer with it.

The grader must take points for each of them (tests/grading). They differ from the solution in one idea.
"""

WRONG = {
    "walk": {
        "rounded up, as Caffe did": """
def walk(side, pad):
    sides = [(side + 2 * pad - 11) // 4 + 1]
    for _ in range(3):
        sides.append(-(-(sides[-1] - 3) // 2) + 1)
    return [*sides, 256 * sides[-1] ** 2]
""",
        "padded one side only": """
def walk(side, pad):
    sides = [(side + pad - 11) // 4 + 1]
    for _ in range(3):
        sides.append((sides[-1] - 3) // 2 + 1)
    return [*sides, 256 * sides[-1] ** 2]
""",
        "halved in the pools": """
def walk(side, pad):
    sides = [(side + 2 * pad - 11) // 4 + 1]
    for _ in range(3):
        sides.append(sides[-1] // 2)
    return [*sides, 256 * sides[-1] ** 2]
""",
        "forgot the first window": """
def walk(side, pad):
    sides = [(side + 2 * pad - 11) // 4]
    for _ in range(3):
        sides.append((sides[-1] - 3) // 2 + 1)
    return [*sides, 256 * sides[-1] ** 2]
""",
        "a fraction of a window": """
def walk(side, pad):
    sides = [(side + 2 * pad - 11) / 4 + 1]
    for _ in range(3):
        sides.append((sides[-1] - 3) / 2 + 1)
    return [*sides, 256 * sides[-1] ** 2]
""",
        "did not square the side": """
def walk(side, pad):
    sides = [(side + 2 * pad - 11) // 4 + 1]
    for _ in range(3):
        sides.append((sides[-1] - 3) // 2 + 1)
    return [*sides, 256 * sides[-1]]
""",
    },
    "grouped": {
        "all filters read the first group": """
def grouped(x, weight, bias, groups, pad):
    return F.conv2d(x[:, : weight.shape[1]], weight, bias, padding=pad)
""",
        "dealt the maps out like cards": """
def grouped(x, weight, bias, groups, pad):
    parts = zip((x[:, g::groups] for g in range(groups)), weight.chunk(groups), bias.chunk(groups))
    return torch.cat([F.conv2d(*part, padding=pad) for part in parts], 1)
""",
        "dealt the filters out like cards": """
def grouped(x, weight, bias, groups, pad):
    parts = [(c, weight[g::groups], bias[g::groups]) for g, c in enumerate(x.chunk(groups, 1))]
    return torch.cat([F.conv2d(*part, padding=pad) for part in parts], 1)
""",
        "added the groups up": """
def grouped(x, weight, bias, groups, pad):
    parts = zip(x.chunk(groups, 1), weight.chunk(groups), bias.chunk(groups))
    return sum(F.conv2d(*part, padding=pad) for part in parts)
""",
        "the biases of the first group for all": """
def grouped(x, weight, bias, groups, pad):
    parts = [(c, w, bias.chunk(groups)[0]) for c, w in zip(x.chunk(groups, 1), weight.chunk(groups))]
    return torch.cat([F.conv2d(*part, padding=pad) for part in parts], 1)
""",
        "turned the groups round": """
def grouped(x, weight, bias, groups, pad):
    parts = zip(x.chunk(groups, 1)[::-1], weight.chunk(groups), bias.chunk(groups))
    return torch.cat([F.conv2d(*part, padding=pad) for part in parts], 1)
""",
        "no bias": """
def grouped(x, weight, bias, groups, pad):
    parts = zip(x.chunk(groups, 1), weight.chunk(groups))
    return torch.cat([F.conv2d(*part, padding=pad) for part in parts], 1)
""",
        "no padding": """
def grouped(x, weight, bias, groups, pad):
    parts = zip(x.chunk(groups, 1), weight.chunk(groups), bias.chunk(groups))
    return torch.cat([F.conv2d(*part) for part in parts], 1)
""",
    },
    "lrn": {
        "the mean, as PyTorch has it": """
def lrn(a, n=5, k=2.0, alpha=1e-4, beta=0.75):
    squares = F.pad(a.square(), (0, 0, 0, 0, n // 2, n // 2))
    return a / (k + alpha * squares.unfold(1, n, 1).mean(-1)) ** beta
""",
        "the channels as a ring": """
def lrn(a, n=5, k=2.0, alpha=1e-4, beta=0.75):
    total = sum(a.square().roll(s, 1) for s in range(-(n // 2), n // 2 + 1))
    return a / (k + alpha * total) ** beta
""",
        "only the channels before": """
def lrn(a, n=5, k=2.0, alpha=1e-4, beta=0.75):
    squares = F.pad(a.square(), (0, 0, 0, 0, n - 1, 0))
    return a / (k + alpha * squares.unfold(1, n, 1).sum(-1)) ** beta
""",
        "neighbours in the map, not in the channels": """
def lrn(a, n=5, k=2.0, alpha=1e-4, beta=0.75):
    total = n * n * F.avg_pool2d(a.square(), n, 1, n // 2)
    return a / (k + alpha * total) ** beta
""",
        "n on either side": """
def lrn(a, n=5, k=2.0, alpha=1e-4, beta=0.75):
    squares = F.pad(a.square(), (0, 0, 0, 0, n - 1, n - 1))
    return a / (k + alpha * squares.unfold(1, 2 * n - 1, 1).sum(-1)) ** beta
""",
        "absolute values, not squares": """
def lrn(a, n=5, k=2.0, alpha=1e-4, beta=0.75):
    squares = F.pad(a.abs(), (0, 0, 0, 0, n // 2, n // 2))
    return a / (k + alpha * squares.unfold(1, n, 1).sum(-1)) ** beta
""",
        "alpha times k, too": """
def lrn(a, n=5, k=2.0, alpha=1e-4, beta=0.75):
    squares = F.pad(a.square(), (0, 0, 0, 0, n // 2, n // 2))
    return a / (alpha * (k + squares.unfold(1, n, 1).sum(-1))) ** beta
""",
        "the power on the sum alone": """
def lrn(a, n=5, k=2.0, alpha=1e-4, beta=0.75):
    squares = F.pad(a.square(), (0, 0, 0, 0, n // 2, n // 2))
    return a / (k + (alpha * squares.unfold(1, n, 1).sum(-1)) ** beta)
""",
    },
    "dropout_average": {
        "rectified the average": """
def dropout_average(x, weight, p):
    total = max(0, sum(a * b for a, b in zip(x, weight)))
    return total, total
""",
        "all masks alike": """
def dropout_average(x, weight, p):
    t = [a * b for a, b in zip(x, weight)]
    got = [max(0, sum(v for i, v in enumerate(t) if m >> i & 1)) / (1 - p) for m in range(2 ** len(t))]
    return sum(got) / len(got), max(0, sum(t))
""",
        "p is the chance to survive": """
def dropout_average(x, weight, p):
    t, average = [a * b for a, b in zip(x, weight)], 0
    for m in range(2 ** len(t)):
        alive = [v for i, v in enumerate(t) if m >> i & 1]
        average += p ** len(alive) * (1 - p) ** (len(t) - len(alive)) * max(0, sum(alive) / p)
    return average, max(0, sum(t))
""",
        "did not divide the survivors": """
def dropout_average(x, weight, p):
    t, average = [a * b for a, b in zip(x, weight)], 0
    for m in range(2 ** len(t)):
        alive = [v for i, v in enumerate(t) if m >> i & 1]
        average += (1 - p) ** len(alive) * p ** (len(t) - len(alive)) * max(0, sum(alive))
    return average, max(0, sum(t))
""",
        "scaled in prediction, too": """
def dropout_average(x, weight, p):
    t, average = [a * b for a, b in zip(x, weight)], 0
    for m in range(2 ** len(t)):
        alive = [v for i, v in enumerate(t) if m >> i & 1]
        average += (1 - p) ** len(alive) * p ** (len(t) - len(alive)) * max(0, sum(alive) / (1 - p))
    return average, max(0, sum(t)) * (1 - p)
""",
        "forgot the rectifier": """
def dropout_average(x, weight, p):
    total = sum(a * b for a, b in zip(x, weight))
    t, average = [a * b for a, b in zip(x, weight)], 0
    for m in range(2 ** len(t)):
        alive = [v for i, v in enumerate(t) if m >> i & 1]
        average += (1 - p) ** len(alive) * p ** (len(t) - len(alive)) * sum(alive) / (1 - p)
    return average, total
""",
    },
    "fit_card": {
        "torchvision's widths": """
def fit_card():
    return [64, 192, 384, 256, 256], 4096
""",
        "shrank the linear layers to nothing": """
def fit_card():
    return [64, 192, 400, 256, 256], 100
""",
        "shrank the convolutions": """
def fit_card():
    return [32, 128, 192, 128, 128], 2048
""",
        "shrank the linear layers and stopped": """
def fit_card():
    return [48, 160, 256, 256, 256], 1024
""",
        "made conv1 do the work": """
def fit_card():
    return [256, 128, 128, 128, 128], 1024
""",
        "the hidden units first": """
def fit_card():
    return 1024, [48, 192, 384, 384, 256]
""",
    },
}
