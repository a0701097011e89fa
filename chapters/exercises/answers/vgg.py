"""Mistakes that people make in the sheet *VGG*: exercise -> mistake -> the answer with it.

The grader must take points for each of them (tests/grading). They differ from the solution in one idea.
"""

LEFT_OUT = """
def left_out(plan, side, macs, outputs):
    rows, c_in = [], 3
    for item in plan:
        if item == "M":
            side //= 2
        else:
            rows.append((9 * c_in * item * side**2, item * side**2))
            c_in = item
    lost = tuple(map(sum, zip(*rows)))
    lost = lost[0] - macs, lost[1] - outputs
    return [i for i, row in enumerate(rows, 1) if row == lost]
"""

LINEAR_PROBE = """
def linear_probe(x, y):
    mean, size = x.mean(0), x.std(0)
    z, target = (x - mean) / size, F.one_hot(y, 10)
    weight, bias = torch.zeros(10, x.shape[1]), torch.zeros(10)
    for _ in range(100):
        error = ((z @ weight.T + bias).softmax(1) - target) / len(x)
        weight -= 0.5 * (error.T @ z + 0.03 * weight)
        bias -= 0.5 * error.sum(0)
    weight = weight / size
    return weight, bias - weight @ mean
"""


def with_fault(solution: str, right: str, wrong: str) -> str:
    """A solution with some of its words exchanged."""
    if right not in solution:
        raise ValueError(f"right={right!r}: no such words in the solution; copy them from it")
    return solution.replace(right, wrong)


WRONG = {
    "exchange": {
        "all layers read c_in": """
def exchange(kernel, c_in, c_out):
    layers = (kernel - 1) // 2
    return [layers, kernel**2 * c_in * c_out, layers * 9 * c_in * c_out]
""",
        "widened in the last layer": """
def exchange(kernel, c_in, c_out):
    layers = (kernel - 1) // 2
    return [layers, kernel**2 * c_in * c_out, 9 * c_in * c_out + (layers - 1) * 9 * c_in**2]
""",
        "a layer for every three pixels": """
def exchange(kernel, c_in, c_out):
    layers = -(-kernel // 3)
    return [layers, kernel**2 * c_in * c_out, 9 * c_in * c_out + (layers - 1) * 9 * c_out**2]
""",
        "a layer for every two pixels, and one": """
def exchange(kernel, c_in, c_out):
    layers = (kernel + 1) // 2
    return [layers, kernel**2 * c_in * c_out, 9 * c_in * c_out + (layers - 1) * 9 * c_out**2]
""",
        "counted the biases": """
def exchange(kernel, c_in, c_out):
    layers = (kernel - 1) // 2
    stack = (9 * c_in + 1) * c_out + (layers - 1) * (9 * c_out + 1) * c_out
    return [layers, (kernel**2 * c_in + 1) * c_out, stack]
""",
        "one filter": """
def exchange(kernel, c_in, c_out):
    layers = (kernel - 1) // 2
    return [layers, kernel**2 * c_in, 9 * c_in + (layers - 1) * 9 * c_out]
""",
        "a window of 3 x 1": """
def exchange(kernel, c_in, c_out):
    layers = (kernel - 1) // 2
    return [layers, kernel * c_in * c_out, 3 * c_in * c_out + (layers - 1) * 3 * c_out**2]
""",
    },
    "one_window": {
        "one bias for all outputs": """
def one_window(a, a_bias, b, b_bias):
    turned = a.transpose(0, 1).flip(2, 3)
    kernel = F.conv2d(b, turned, padding=a.shape[-1] - 1)
    return kernel, b_bias + (b.sum((2, 3)) * a_bias).sum()
""",
        "forgot the flip": """
def one_window(a, a_bias, b, b_bias):
    kernel = F.conv2d(b, a.transpose(0, 1), padding=a.shape[-1] - 1)
    return kernel, b_bias + b.sum((2, 3)) @ a_bias
""",
        "flipped the result": """
def one_window(a, a_bias, b, b_bias):
    kernel = F.conv2d(b, a.transpose(0, 1).flip(2, 3), padding=a.shape[-1] - 1)
    return kernel.flip(2, 3), b_bias + b.sum((2, 3)) @ a_bias
""",
        "only the first channel in the middle": """
def one_window(a, a_bias, b, b_bias):
    kernel = F.conv2d(b[:, :1], a[:1].transpose(0, 1).flip(2, 3), padding=a.shape[-1] - 1)
    return kernel, b_bias + b.sum((2, 3)) @ a_bias
""",
        "averaged over the channels in the middle": """
def one_window(a, a_bias, b, b_bias):
    kernel = F.conv2d(b, a.transpose(0, 1).flip(2, 3), padding=a.shape[-1] - 1)
    return kernel / len(a), b_bias + b.sum((2, 3)) @ a_bias
""",
        "added the biases": """
def one_window(a, a_bias, b, b_bias):
    kernel = F.conv2d(b, a.transpose(0, 1).flip(2, 3), padding=a.shape[-1] - 1)
    return kernel, b_bias + a_bias.sum()
""",
        "forgot the first bias": """
def one_window(a, a_bias, b, b_bias):
    kernel = F.conv2d(b, a.transpose(0, 1).flip(2, 3), padding=a.shape[-1] - 1)
    return kernel, b_bias
""",
        "let one weight of each window read the bias": """
def one_window(a, a_bias, b, b_bias):
    kernel = F.conv2d(b, a.transpose(0, 1).flip(2, 3), padding=a.shape[-1] - 1)
    return kernel, b_bias + b.mean((2, 3)) @ a_bias
""",
        "the second layer first": """
def one_window(a, a_bias, b, b_bias):
    kernel = F.conv2d(b, a.transpose(0, 1).flip(2, 3), padding=a.shape[-1] - 1)
    return kernel.transpose(0, 1), b_bias + b.sum((2, 3)) @ a_bias
""",
    },
    "left_out": {
        "looked at the MACs alone": with_fault(LEFT_OUT, "if row == lost", "if row[0] == lost[0]"),
        "looked at the outputs alone": with_fault(LEFT_OUT, "if row == lost", "if row[1] == lost[1]"),
        "either total fits": with_fault(
            LEFT_OUT, "if row == lost", "if row[0] == lost[0] or row[1] == lost[1]"
        ),
        "the first that fits": with_fault(LEFT_OUT, "if row == lost]", "if row == lost][:1]"),
        "counted from 0": with_fault(LEFT_OUT, "enumerate(rows, 1)", "enumerate(rows)"),
        "counted the pools as rows": with_fault(
            LEFT_OUT, "            side //= 2\n", "            side //= 2\n            rows.append((0, 0))\n"
        ),
        "a pool takes a quarter of each side": with_fault(LEFT_OUT, "side //= 2", "side //= 4"),
        "rounded the pool up": with_fault(LEFT_OUT, "side //= 2", "side = (side + 1) // 2"),
        "layers read as many channels as they make": with_fault(
            LEFT_OUT, "9 * c_in * item", "9 * item * item"
        ),
        "counted FLOPs": with_fault(LEFT_OUT, "(9 * c_in", "(18 * c_in"),
    },
    "linear_probe": {
        "read the features as they are": """
def linear_probe(x, y):
    target = F.one_hot(y, 10)
    weight, bias = torch.zeros(10, x.shape[1]), torch.zeros(10)
    for _ in range(100):
        error = ((x @ weight.T + bias).softmax(1) - target) / len(x)
        weight -= 0.01 * error.T @ x
        bias -= 0.01 * error.sum(0)
    return weight, bias
""",
        "a layer for features of one size, handed in as it is": with_fault(
            LINEAR_PROBE,
            "    weight = weight / size\n    return weight, bias - weight @ mean",
            "    return weight, bias",
        ),
        "forgot to put the mean into the bias": with_fault(LINEAR_PROBE, "bias - weight @ mean", "bias"),
        "multiplied by the size in place of dividing": with_fault(
            LINEAR_PROBE, "weight = weight / size", "weight = weight * size"
        ),
        "stopped after one step": with_fault(LINEAR_PROBE, "range(100)", "range(1)"),
        "least squares": """
def linear_probe(x, y):
    known = torch.cat([x, torch.ones(len(x), 1)], 1).double()
    found = torch.linalg.lstsq(known, F.one_hot(y, 10).double(), driver="gelsd").solution.float()
    return found[:-1].T, found[-1]
""",
        "the nearest mean of a class": """
def linear_probe(x, y):
    means = torch.stack([x[y == digit].mean(0) for digit in range(10)])
    return means, -means.square().sum(1) / 2
""",
        "up the hill": with_fault(LINEAR_PROBE, "- target) / len(x)", "- target) / -len(x)"),
        "the labels as numbers": with_fault(
            LINEAR_PROBE, "F.one_hot(y, 10)", "y[:, None].float().expand(-1, 10) / 10"
        ),
    },
    "break_up": {
        "all into 3 x 3": """
def break_up():
    return [[3] * 5, [3] * 2, [3] * 3, [3] * 3, [3] * 4]
""",
        "all but the first into 3 x 3": """
def break_up():
    return [[11], [3, 3], [3, 3, 3], [3, 3, 3], [3, 3, 3, 3]]
""",
        "none": """
def break_up():
    return [[11], [5], [7], [7], [9]]
""",
        "the largest two": """
def break_up():
    return [[3] * 5, [5], [7], [7], [3, 3, 3, 3]]
""",
        "as few maps as can be": """
def break_up():
    return [[11], [5], [3, 5], [3, 5], [5, 5]]
""",
        "added the windows up": """
def break_up():
    return [[11], [5], [3, 4], [7], [3, 3, 3]]
""",
        "multiplied the windows": """
def break_up():
    return [[11], [5], [7], [7], [3, 3]]
""",
        "the widening layers": """
def break_up():
    return [[11], [3, 3], [7], [3, 3, 3], [3, 3, 3, 3]]
""",
    },
}
