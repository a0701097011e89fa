"""Mistakes that people make in the sheet *Batch normalisation*: exercise -> mistake -> the answer with it.

The grader must take points for each of them (tests/grading). They differ from the solution in one idea.
"""

NORM = """
def batch_norm(x, gamma, beta, mean, var, training, eps=1e-5):
    axes = (0, 2, 3)
    used = (x.mean(axes), x.var(axes, unbiased=False)) if training else (mean, var)
    if training:
        mean = 0.9 * mean + 0.1 * used[0]
        var = 0.9 * var + 0.1 * x.var(axes, unbiased=True)
    m, v, g, b = (t[:, None, None] for t in (*used, gamma, beta))
    return g * (x - m) / (v + eps).sqrt() + b, mean, var
"""
FRONT = """
def fold_front(gamma, beta, mean, var, eps, weight, bias):
    scale = gamma / (var + eps).sqrt()
    shift = beta - mean * scale
    moved = (weight * shift[:, None, None]).sum((1, 2, 3))
    weight = weight * scale[:, None, None]
    return weight, moved if bias is None else bias + moved
"""
COMPANY = """
import copy


def company(net, x):
    with torch.no_grad():
        together = copy.deepcopy(net)(x)
        alone = [copy.deepcopy(net)(x[i:i + 1]) for i in range(len(x))]
    return (together - torch.cat(alone)).abs().amax(1)
"""


def swapped(right, *swaps):
    """The right answer with each ``(right, wrong)`` exchanged."""
    for old, new in swaps:
        if right.count(old) != 1:
            raise ValueError(f"{old!r} stands {right.count(old)} times in the answer: need once")
        right = right.replace(old, new)
    return right


RUNNING = """        mean = 0.9 * mean + 0.1 * used[0]
        var = 0.9 * var + 0.1 * x.var(axes, unbiased=True)
"""

WRONG = {
    "batches_until": {
        "took momentum for what stays": """
def batches_until(gap, momentum):
    return math.ceil(math.log(gap) / math.log(momentum))
""",
        "a straight line": """
def batches_until(gap, momentum):
    return math.ceil((1 - gap) / momentum)
""",
        "one over the momentum": """
def batches_until(gap, momentum):
    return math.ceil(1 / momentum)
""",
        "one batch too many": """
def batches_until(gap, momentum):
    return math.floor(math.log(gap) / math.log(1 - momentum)) + 1
""",
        "rounded down": """
def batches_until(gap, momentum):
    return math.floor(math.log(gap) / math.log(1 - momentum) + 1e-9)
""",
        "how much has arrived, not what is left": """
def batches_until(gap, momentum):
    return math.ceil(math.log(1 - gap) / math.log(1 - momentum))
""",
    },
    "batch_norm": {
        "each image for itself": swapped(
            NORM,
            (
                "used = (x.mean(axes), x.var(axes, unbiased=False))",
                "used = (x.mean((2, 3)).mean(0), x.var((2, 3), unbiased=False).mean(0))",
            ),
        ),
        "all channels together": swapped(
            NORM,
            (
                "used = (x.mean(axes), x.var(axes, unbiased=False))",
                "used = (x.mean().expand(len(mean)), x.var(unbiased=False).expand(len(mean)))",
            ),
        ),
        "eps outside of the root": swapped(NORM, ("(v + eps).sqrt()", "(v.sqrt() + eps)")),
        "the unbiased variance in the batch": swapped(NORM, ("unbiased=False", "unbiased=True")),
        "the biased variance is kept": swapped(
            NORM, ("0.1 * x.var(axes, unbiased=True)", "0.1 * x.var(axes, unbiased=False)")
        ),
        "took momentum the other way": swapped(
            NORM,
            ("0.9 * mean + 0.1 * used[0]", "0.1 * mean + 0.9 * used[0]"),
            ("0.9 * var + 0.1 * x", "0.1 * var + 0.9 * x"),
        ),
        "kept the last batch": swapped(
            NORM, (RUNNING, "        mean, var = used[0], x.var(axes, unbiased=True)\n")
        ),
        "the batch in prediction, too": swapped(NORM, (" if training else (mean, var)", "")),
        "moved the running numbers in prediction": swapped(
            NORM,
            (
                "    if training:\n" + RUNNING,
                RUNNING.replace("        ", "    ").replace("used[0]", "x.mean(axes)"),
            ),
        ),
        "shifted before it scaled": swapped(
            NORM, ("g * (x - m) / (v + eps).sqrt() + b", "g * ((x - m) / (v + eps).sqrt() + b)")
        ),
        "divided by the variance": swapped(NORM, ("(v + eps).sqrt()", "(v + eps)")),
        "wrote into the old running numbers": swapped(
            NORM,
            (
                RUNNING,
                "        mean.mul_(0.9).add_(0.1 * used[0])\n"
                "        var.mul_(0.9).add_(0.1 * x.var(axes, unbiased=True))\n",
            ),
        ),
    },
    "fold_front": {
        "as if it stood behind": swapped(
            FRONT,
            (
                "moved = (weight * shift[:, None, None]).sum((1, 2, 3))",
                "moved = shift.mean() + weight.new_zeros(len(weight))",
            ),
            ("weight * scale[:, None, None]", "weight * scale.mean()"),
        ),
        "forgot the shift": swapped(
            FRONT, ("(weight * shift[:, None, None]).sum((1, 2, 3))", "0 * weight.sum((1, 2, 3))")
        ),
        "forgot eps": swapped(FRONT, ("(var + eps)", "var")),
        "eps outside of the root": swapped(FRONT, ("(var + eps).sqrt()", "(var.sqrt() + eps)")),
        "divided by the variance": swapped(FRONT, (".sqrt()", "")),
        "the mean as it is": swapped(FRONT, ("mean * scale", "mean")),
        "scaled the shift a second time": swapped(
            FRONT, ("(weight * shift[:, None, None])", "(weight * (scale * shift)[:, None, None])")
        ),
        "one channel for all": swapped(FRONT, ("weight * scale[:, None, None]", "weight * scale[0]")),
        "let go of the bias": swapped(FRONT, ("moved if bias is None else bias + moved", "moved")),
        "wrote into the weight": swapped(
            FRONT, ("    weight = weight * scale[:, None, None]", "    weight *= scale[:, None, None]")
        ),
    },
    "company": {
        "let the running numbers move": swapped(
            COMPANY,
            ("copy.deepcopy(net)(x)", "net(x)"),
            ("copy.deepcopy(net)(x[i:i + 1])", "net(x[i:i + 1])"),
        ),
        "always in prediction": swapped(
            COMPANY,
            ("    with torch.no_grad():", "    net = copy.deepcopy(net).eval()\n    with torch.no_grad():"),
        ),
        "always in training": swapped(
            COMPANY,
            ("    with torch.no_grad():", "    net = copy.deepcopy(net).train()\n    with torch.no_grad():"),
        ),
        "left the network in prediction": swapped(COMPANY, ("    return (", "    net.eval()\n    return (")),
        "alone in another mode than in company": swapped(
            COMPANY, ("copy.deepcopy(net)(x[i:i + 1])", "copy.deepcopy(net).eval()(x[i:i + 1])")
        ),
        "one copy for all, which remembers": swapped(
            COMPANY,
            (
                "        together = copy.deepcopy(net)(x)",
                "        other = copy.deepcopy(net)\n        together = other(x)\n        other.eval()",
            ),
            ("copy.deepcopy(net)(x[i:i + 1])", "other(x[i:i + 1])"),
        ),
        "kept the sign": swapped(COMPANY, (".abs().amax(1)", ".amax(1)")),
        "the mean of the differences": swapped(COMPANY, ("amax(1)", "mean(1)")),
        "one number for the whole batch": swapped(COMPANY, (".amax(1)", ".max().expand(len(x))")),
        "in pairs": swapped(COMPANY, ("(x[i:i + 1])", "(x[[i, i - 1]])[:1]")),
    },
    "settings": {
        "PyTorch's momentum": """
def settings():
    return 64, 0.1
""",
        "took momentum for what stays": """
def settings():
    return 60, 0.8
""",
        "the largest batch, and a small momentum": """
def settings():
    return MEMORY // 3, 0.05
""",
        "a small batch that fits easily": """
def settings():
    return 16, 0.1
""",
        "forgot the memory": """
def settings():
    return 256, 0.2
""",
        "forgets at once": """
def settings():
    return 60, 0.5
""",
        "a momentum for the noise alone": """
def settings():
    return 64, 2 * 64 * STEADY**2 / (1 + 64 * STEADY**2) / 2
""",
        "momentum first": """
def settings():
    return 0.2, 60
""",
    },
}
