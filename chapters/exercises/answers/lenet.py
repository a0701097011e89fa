"""Mistakes that people make in the sheet *LeNet-5*: exercise -> mistake -> the answer with it.

The grader must take points for each of them (tests/grading). They differ from the solution in one idea.
"""

WRONG = {
    "three_ways": {
        "forgot the biases": """
def three_ways(c_in, side, c_out, kernel):
    units = c_out * (side - kernel + 1) ** 2
    a, b = units * c_in * side**2, units * c_in * kernel**2
    return [(a, a), (b, b), (c_out * c_in * kernel**2, b)]
""",
        "a bias for every input map": """
def three_ways(c_in, side, c_out, kernel):
    units = c_out * (side - kernel + 1) ** 2
    a, window = units * (c_in * side**2 + 1), c_in * (kernel**2 + 1)
    return [(a, a), (units * window, units * window), (c_out * window, units * window)]
""",
        "units as on the old map": """
def three_ways(c_in, side, c_out, kernel):
    units = c_out * side**2
    a, window = units * (c_in * side**2 + 1), c_in * kernel**2 + 1
    return [(a, a), (units * window, units * window), (c_out * window, units * window)]
""",
        "shared the connections, too": """
def three_ways(c_in, side, c_out, kernel):
    units = c_out * (side - kernel + 1) ** 2
    a, window = units * (c_in * side**2 + 1), c_in * kernel**2 + 1
    return [(a, a), (units * window, units * window), (c_out * window, c_out * window)]
""",
        "own biases in the shared layer": """
def three_ways(c_in, side, c_out, kernel):
    units = c_out * (side - kernel + 1) ** 2
    a, window = units * (c_in * side**2 + 1), c_in * kernel**2 + 1
    return [(a, a), (units * window, units * window), (c_out * (window - 1) + units, units * window)]
""",
        "looked at one input map only": """
def three_ways(c_in, side, c_out, kernel):
    units = c_out * (side - kernel + 1) ** 2
    a, window = units * (side**2 + 1), kernel**2 + 1
    return [(a, a), (units * window, units * window), (c_out * window, units * window)]
""",
    },
    "partial": {
        "ignored the table": """
def partial(x, weight, bias, links):
    return F.conv2d(x, weight, bias)
""",
        "wrote zeros into the weights": """
def partial(x, weight, bias, links):
    weight.data.mul_(links[:, :, None, None])
    return F.conv2d(x, weight, bias)
""",
        "took the weights out of the graph": """
def partial(x, weight, bias, links):
    hidden = (weight.data * links[:, :, None, None]).requires_grad_()
    return F.conv2d(x, hidden, bias)
""",
        "hid the missing weights from the output alone": """
def partial(x, weight, bias, links):
    mask = links[:, :, None, None]
    return F.conv2d(x, weight + (weight * mask - weight).detach(), bias)
""",
        "divided by the number of links": """
def partial(x, weight, bias, links):
    mask = links / links.sum(1, keepdim=True)
    return F.conv2d(x, weight * mask[:, :, None, None], bias)
""",
        "the links of the first map for all": """
def partial(x, weight, bias, links):
    return F.conv2d(x, weight * links[:1, :, None, None], bias)
""",
        "no bias": """
def partial(x, weight, bias, links):
    return F.conv2d(x, weight * links[:, :, None, None])
""",
        "put a border round the map": """
def partial(x, weight, bias, links):
    return F.conv2d(x, weight * links[:, :, None, None], bias, padding=weight.shape[-1] // 2)
""",
    },
    "subsample": {
        "averaged the window": """
def subsample(x, weight, bias):
    a = F.avg_pool2d(x, 2) * weight[:, None, None] + bias[:, None, None]
    return 1.7159 * torch.tanh(2 * a / 3)
""",
        "took the largest of the window": """
def subsample(x, weight, bias):
    a = F.max_pool2d(x, 2) * weight[:, None, None] + bias[:, None, None]
    return 1.7159 * torch.tanh(2 * a / 3)
""",
        "a bias for every pixel of the window": """
def subsample(x, weight, bias):
    a = 4 * F.avg_pool2d(x, 2) * weight[:, None, None] + 4 * bias[:, None, None]
    return 1.7159 * torch.tanh(2 * a / 3)
""",
        "weighted the bias, too": """
def subsample(x, weight, bias):
    a = (4 * F.avg_pool2d(x, 2) + bias[:, None, None]) * weight[:, None, None]
    return 1.7159 * torch.tanh(2 * a / 3)
""",
        "the weights along the rows": """
def subsample(x, weight, bias):
    a = 4 * F.avg_pool2d(x, 2) * weight + bias[:, None, None]
    return 1.7159 * torch.tanh(2 * a / 3)
""",
        "squashed before the weight": """
def subsample(x, weight, bias):
    a = 1.7159 * torch.tanh(2 * 4 * F.avg_pool2d(x, 2) / 3)
    return a * weight[:, None, None] + bias[:, None, None]
""",
        "the plain tanh": """
def subsample(x, weight, bias):
    return torch.tanh(4 * F.avg_pool2d(x, 2) * weight[:, None, None] + bias[:, None, None])
""",
        "did not squash": """
def subsample(x, weight, bias):
    return 4 * F.avg_pool2d(x, 2) * weight[:, None, None] + bias[:, None, None]
""",
    },
    "drawing_loss": {
        "forgot the rubbish class": """
def drawing_loss(x, codes, y, j):
    d = (x[:, None] - codes).square().sum(2)
    return (d.gather(1, y[:, None])[:, 0] + torch.logsumexp(-d, 1)).mean()
""",
        "the formula as it stands": """
def drawing_loss(x, codes, y, j):
    d = (x[:, None] - codes).square().sum(2)
    rest = torch.log(torch.exp(torch.tensor(-j)) + torch.exp(-d).sum(1))
    return (d.gather(1, y[:, None])[:, 0] + rest).mean()
""",
        "e to the plus j": """
def drawing_loss(x, codes, y, j):
    d = (x[:, None] - codes).square().sum(2)
    all_ = torch.cat([-d, torch.full_like(d[:, :1], j)], 1)
    return (d.gather(1, y[:, None])[:, 0] + torch.logsumexp(all_, 1)).mean()
""",
        "a rubbish class for every code": """
def drawing_loss(x, codes, y, j):
    d = (x[:, None] - codes).square().sum(2)
    all_ = torch.cat([-d, torch.full_like(d, -j)], 1)
    return (d.gather(1, y[:, None])[:, 0] + torch.logsumexp(all_, 1)).mean()
""",
        "added the losses up": """
def drawing_loss(x, codes, y, j):
    d = (x[:, None] - codes).square().sum(2)
    all_ = torch.cat([-d, torch.full_like(d[:, :1], -j)], 1)
    return (d.gather(1, y[:, None])[:, 0] + torch.logsumexp(all_, 1)).sum()
""",
        "distances, not their squares": """
def drawing_loss(x, codes, y, j):
    d = (x[:, None] - codes).square().sum(2).sqrt()
    all_ = torch.cat([-d, torch.full_like(d[:, :1], -j)], 1)
    return (d.gather(1, y[:, None])[:, 0] + torch.logsumexp(all_, 1)).mean()
""",
        "mean over the pixels": """
def drawing_loss(x, codes, y, j):
    d = (x[:, None] - codes).square().mean(2)
    all_ = torch.cat([-d, torch.full_like(d[:, :1], -j)], 1)
    return (d.gather(1, y[:, None])[:, 0] + torch.logsumexp(all_, 1)).mean()
""",
        "left the sum out": """
def drawing_loss(x, codes, y, j):
    d = (x[:, None] - codes).square().sum(2)
    return d.gather(1, y[:, None])[:, 0].mean()
""",
    },
    "widths": {
        "one map, and one unit that all ten outputs read": """
def widths():
    c3 = MAPS
    return 1, c3, (PARAMS - 26 - 26 * c3 - 21) // (25 * c3 + 2), 1
""",
        "hardly any units in F6": """
def widths():
    c3, f6 = MAPS, 10
    fixed = 26 * 3 + c3 * 76 + f6 + 10 * f6 + 10
    return 3, c3, (PARAMS - fixed) // (25 * c3 + 1 + f6), f6
""",
        "the widths of 1998": """
def widths():
    return 6, 16, 120, 84
""",
        "shrank everything alike": """
def widths():
    return 4, 12, 85, 60
""",
        "saved in F6": """
def widths():
    return 6, 16, 120, 70
""",
        "gave up maps of C3": """
def widths():
    return 5, 12, (PARAMS - 9000) // 385, 84
""",
        "all for C5": """
def widths():
    return 1, MAPS, PARAMS // (25 * MAPS), 10
""",
        "left parameters unspent": """
def widths():
    return 3, MAPS, 70, 84
""",
    },
}
