"""Mistakes that people make in the sheet *GoogLeNet*: exercise -> mistake -> the answer with it.

The grader must take points for each of them (tests/grading). They differ from the solution in one idea.
"""

TABLE = """
def misprints(rows, c_in):
    wrong = [[], []]
    for name, side, c1, r3, c3, r5, c5, pool, params, ops in rows:
        {weights}
        if abs(weights / {kilo} - params) > 1:
            wrong[0].append(name)
        if abs({macs} / 1e6 - ops) > 1:
            wrong[1].append(name)
        c_in = {out}
    return wrong
"""
SIX = "weights = c_in * (c1 + r3 + r5 + pool) + 9 * r3 * c3 + 25 * r5 * c5"
RIGHT = {"weights": SIX, "kilo": "1024", "macs": "weights * side**2", "out": "c1 + c3 + c5 + pool"}


def table(**changed):
    return TABLE.format(**RIGHT | changed)


PATHS = """
def four_paths(x, one, reduce3, three, reduce5, five, pool):
    def conv(x, layer, relu=True):
        weight, bias = layer
        x = F.conv2d(x, weight, bias, padding=weight.shape[-1] // 2)
        return x.relu() if relu else x
    {ends}
    return torch.cat([{order}], 1)
"""
ENDS = """a = conv(x, one)
    b = conv(conv(x, reduce3), three)
    c = conv(conv(x, reduce5), five)
    d = conv(F.max_pool2d(x, 3, 1, 1), pool)"""


def paths(old="", new="", order="a, b, c, d"):
    assert old in ENDS
    return PATHS.format(ends=ENDS.replace(old, new) if old else ENDS, order=order)


WRONG = {
    "misprints": {
        "every module reads what the first one reads": table(out="c_in"),
        "counted a thousand for K": table(kilo="1000"),
        "windows on the module's own input": table(
            weights="weights = c_in * (c1 + r3 + r5 + pool) + 9 * c_in * c3 + 25 * c_in * c5"
        ),
        "forgot the layer behind the pool": table(
            weights="weights = c_in * (c1 + r3 + r5) + 9 * r3 * c3 + 25 * r5 * c5"
        ),
        "a window of 3 in place of 5": table(
            weights="weights = c_in * (c1 + r3 + r5 + pool) + 9 * r3 * c3 + 9 * r5 * c5"
        ),
        "stacked the reductions, too": table(out="c1 + r3 + c3 + r5 + c5 + pool"),
        "FLOPs for multiply-adds": table(macs="2 * weights * side**2"),
        "one side of the map for its places": table(macs="weights * side"),
    },
    "four_paths": {
        "no ReLU behind the reductions": paths("reduce3)", "reduce3, False)").replace(
            "reduce5)", "reduce5, False)"
        ),
        "no ReLU at the ends": paths("one)", "one, False)")
        .replace("three)\n", "three, False)\n")
        .replace("five)\n", "five, False)\n")
        .replace("pool)\n    return", "pool, False)\n    return"),
        "a ReLU in front of the pool": paths("F.max_pool2d(x, 3, 1, 1)", "F.max_pool2d(x.relu(), 3, 1, 1)"),
        "padded the pool with zeros": paths(
            "F.max_pool2d(x, 3, 1, 1)", "F.max_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 1)"
        ),
        "a mean for the maximum": paths("F.max_pool2d(x, 3, 1, 1)", "F.avg_pool2d(x, 3, 1, 1)"),
        "the projection in front of the pool": paths(
            "conv(F.max_pool2d(x, 3, 1, 1), pool)", "F.max_pool2d(conv(x, pool), 3, 1, 1)"
        ),
        "both windows behind one reduction": paths("conv(x, reduce5)", "conv(x, reduce3)"),
        "stacked with the pool first": paths(order="d, a, b, c"),
        "stacked by size of window, the largest first": paths(order="c, b, a, d"),
        "forgot the pool": paths("F.max_pool2d(x, 3, 1, 1)", "x"),
    },
    "unseen_part": {
        "the transpose for an inverse": """
def unseen_part(x, weight):
    return x - torch.einsum("oc,nchw->nohw", weight.T @ weight, x)
""",
        "rows of length 1, but at any angle": """
def unseen_part(x, weight):
    rows = weight / weight.norm(dim=1, keepdim=True)
    return x - torch.einsum("oc,nchw->nohw", rows.T @ rows, x)
""",
        "as many directions as rows": """
def unseen_part(x, weight):
    rows = torch.linalg.qr(weight.T)[0].T
    return x - torch.einsum("oc,nchw->nohw", rows.T @ rows, x)
""",
        "the first right directions, one for each row": """
def unseen_part(x, weight):
    rows = torch.linalg.svd(weight)[2][: len(weight)]
    return x - torch.einsum("oc,nchw->nohw", rows.T @ rows, x)
""",
        "returned what is seen": """
def unseen_part(x, weight):
    return torch.einsum("oc,nchw->nohw", torch.linalg.pinv(weight) @ weight, x)
""",
        "dropped as many channels as there are rows": """
def unseen_part(x, weight):
    part = x.clone()
    part[:, : len(weight)] = 0
    return part
""",
        "any map that is not seen": """
def unseen_part(x, weight):
    blind = torch.linalg.svd(weight)[2][torch.linalg.matrix_rank(weight):]
    if len(blind) == 0:
        return torch.zeros_like(x)
    return blind[0].view(1, -1, 1, 1).expand_as(x).clone()
""",
        "one row after the other": """
def unseen_part(x, weight):
    for row in weight:
        if row.norm() > 0:
            row = row / row.norm()
            x = x - torch.einsum("o,c,nchw->nohw", row, row, x)
    return x
""",
    },
    "head_factors": {
        "heads pull at every layer": """
def head_factors(gains, heads, weight):
    n, out = len(gains), []
    for i in range(1, n + 1):
        end = math.prod(gains[i:])
        out.append((end + sum(weight * math.prod(gains[i:a]) for a in heads)) / end)
    return out
""",
        "nothing at the layer with the head": """
def head_factors(gains, heads, weight):
    n, out = len(gains), []
    for i in range(1, n + 1):
        end = math.prod(gains[i:])
        out.append((end + sum(weight * math.prod(gains[i:a]) for a in heads if a > i)) / end)
    return out
""",
        "a full loss for every head": """
def head_factors(gains, heads, weight):
    n, out = len(gains), []
    for i in range(1, n + 1):
        end = math.prod(gains[i:])
        out.append((end + sum(math.prod(gains[i:a]) for a in heads if a >= i)) / end)
    return out
""",
        "the heads share the weight": """
def head_factors(gains, heads, weight):
    n, out = len(gains), []
    for i in range(1, n + 1):
        end = math.prod(gains[i:])
        more = sum(weight / len(heads) * math.prod(gains[i:a]) for a in heads if a >= i)
        out.append((end + more) / end)
    return out
""",
        "a head's gradient fades as if it came from the end": """
def head_factors(gains, heads, weight):
    return [1 + weight * sum(a >= i for a in heads) for i in range(1, len(gains) + 1)]
""",
        "a head's gradient does not fade": """
def head_factors(gains, heads, weight):
    n, out = len(gains), []
    for i in range(1, n + 1):
        end = math.prod(gains[i:])
        out.append((end + sum(weight for a in heads if a >= i)) / end)
    return out
""",
        "only the nearest head counts": """
def head_factors(gains, heads, weight):
    n, out = len(gains), []
    for i in range(1, n + 1):
        end = math.prod(gains[i:])
        near = [a for a in heads if a >= i][:1]
        out.append((end + sum(weight * math.prod(gains[i:a]) for a in near)) / end)
    return out
""",
        "the gradient, not the factor": """
def head_factors(gains, heads, weight):
    n, out = len(gains), []
    for i in range(1, n + 1):
        end = math.prod(gains[i:])
        out.append(end + sum(weight * math.prod(gains[i:a]) for a in heads if a >= i))
    return out
""",
    },
    "thin_row": {
        "the paper's row": """
def thin_row():
    return 256, 160, 320, 32, 128, 128
""",
        "counted the reductions as channels out": """
def thin_row():
    return 256, 40, 256, 16, 136, 128
""",
        "thinned the reductions and nothing else": """
def thin_row():
    return 256, 40, 320, 16, 128, 128
""",
        "all of it from 1×1": """
def thin_row():
    return 640, 8, 32, 4, 32, 128
""",
        "all large windows 5×5": """
def thin_row():
    return 384, 4, 32, 36, 288, 128
""",
        "reductions of a single channel": """
def thin_row():
    return 384, 1, 240, 1, 80, 128
""",
        "half of every width": """
def thin_row():
    return 128, 80, 160, 16, 64, 64
""",
    },
}
