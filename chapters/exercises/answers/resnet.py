"""Mistakes that people make in the sheet *ResNet*: exercise -> mistake -> the answer with it.

The grader must take points for each of them (tests/grading). They differ from the solution in one idea.
"""

BLOCK = """
class Block(nn.Module):
    def __init__(self, c_in, c_out, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(c_out)
        self.conv2 = nn.Conv2d(c_out, c_out, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(c_out)
        self.stride, self.more = stride, c_out - c_in

    def forward(self, x):
        f = F.relu(self.bn1(self.conv1(x)))
        f = self.bn2(self.conv2(f))
        x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))
        return F.relu(f + x)


def make_block(c_in, c_out, stride):
    return Block(c_in, c_out, stride)
"""

PAD = "x = F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, 0, self.more))"


def block(*swaps):
    """The right block with each ``(right, wrong)`` exchanged."""
    text = BLOCK
    for right, wrong in swaps:
        if text.count(right) != 1:
            raise ValueError(f"{right!r} stands {text.count(right)} times in the block: need once")
        text = text.replace(right, wrong)
    return text


WRONG = {
    "diagnose": {
        "the gap between training and test": """
def diagnose(shallow, deep, margin):
    train, test = deep[-1]
    if test - train <= margin:
        return "fine"
    return "optimisation" if train > shallow[-1][0] + margin else "over-fitting"
""",
        "the gap of the deep network says over-fitting": """
def diagnose(shallow, deep, margin):
    if deep[-1][1] - shallow[-1][1] <= margin:
        return "fine"
    return "over-fitting" if deep[-1][1] - deep[-1][0] > margin else "optimisation"
""",
        "took the first pass": """
def diagnose(shallow, deep, margin):
    train, test = (b - a for a, b in zip(shallow[0], deep[0]))
    return "fine" if test <= margin else "optimisation" if train > margin else "over-fitting"
""",
        "took the best pass": """
def diagnose(shallow, deep, margin):
    train, test = (min(r[i] for r in deep) - min(r[i] for r in shallow) for i in (0, 1))
    return "fine" if test <= margin else "optimisation" if train > margin else "over-fitting"
""",
        "forgot the margin": """
def diagnose(shallow, deep, margin):
    train, test = (b - a for a, b in zip(shallow[-1], deep[-1]))
    return "fine" if test <= 0 else "optimisation" if train > 0 else "over-fitting"
""",
        "looked at the training error alone": """
def diagnose(shallow, deep, margin):
    train = deep[-1][0] - shallow[-1][0]
    return "optimisation" if train > margin else "fine"
""",
        "took one for the other": """
def diagnose(shallow, deep, margin):
    train, test = (b - a for a, b in zip(shallow[-1], deep[-1]))
    return "fine" if test <= margin else "over-fitting" if train > margin else "optimisation"
""",
    },
    "batch_norm": {
        "each image for itself": """
def batch_norm(x, gamma, beta, mean, var, training, eps=1e-5):
    axes = (2, 3)
    used = (x.mean(axes)[:, :, None, None], x.var(axes, unbiased=False)[:, :, None, None]) if training else (mean, var)
    if training:
        mean = 0.9 * mean + 0.1 * x.mean((0, 2, 3))
        var = 0.9 * var + 0.1 * x.var((0, 2, 3), unbiased=True)
    m, v = used if training else (t[:, None, None] for t in used)
    g, b = gamma[:, None, None], beta[:, None, None]
    return g * (x - m) / (v + eps).sqrt() + b, mean, var
""",
        "all channels together": """
def batch_norm(x, gamma, beta, mean, var, training, eps=1e-5):
    axes = (0, 2, 3)
    used = (x.mean().expand(len(mean)), x.var(unbiased=False).expand(len(mean))) if training else (mean, var)
    if training:
        mean = 0.9 * mean + 0.1 * used[0]
        var = 0.9 * var + 0.1 * x.var(axes, unbiased=True)
    m, v, g, b = (t[:, None, None] for t in (*used, gamma, beta))
    return g * (x - m) / (v + eps).sqrt() + b, mean, var
""",
        "eps outside of the root": """
def batch_norm(x, gamma, beta, mean, var, training, eps=1e-5):
    axes = (0, 2, 3)
    used = (x.mean(axes), x.var(axes, unbiased=False)) if training else (mean, var)
    if training:
        mean = 0.9 * mean + 0.1 * used[0]
        var = 0.9 * var + 0.1 * x.var(axes, unbiased=True)
    m, v, g, b = (t[:, None, None] for t in (*used, gamma, beta))
    return g * (x - m) / (v.sqrt() + eps) + b, mean, var
""",
        "the unbiased variance in the batch": """
def batch_norm(x, gamma, beta, mean, var, training, eps=1e-5):
    axes = (0, 2, 3)
    used = (x.mean(axes), x.var(axes, unbiased=True)) if training else (mean, var)
    if training:
        mean = 0.9 * mean + 0.1 * used[0]
        var = 0.9 * var + 0.1 * x.var(axes, unbiased=True)
    m, v, g, b = (t[:, None, None] for t in (*used, gamma, beta))
    return g * (x - m) / (v + eps).sqrt() + b, mean, var
""",
        "the biased variance is kept": """
def batch_norm(x, gamma, beta, mean, var, training, eps=1e-5):
    axes = (0, 2, 3)
    used = (x.mean(axes), x.var(axes, unbiased=False)) if training else (mean, var)
    if training:
        mean = 0.9 * mean + 0.1 * used[0]
        var = 0.9 * var + 0.1 * x.var(axes, unbiased=False)
    m, v, g, b = (t[:, None, None] for t in (*used, gamma, beta))
    return g * (x - m) / (v + eps).sqrt() + b, mean, var
""",
        "took momentum the other way": """
def batch_norm(x, gamma, beta, mean, var, training, eps=1e-5):
    axes = (0, 2, 3)
    used = (x.mean(axes), x.var(axes, unbiased=False)) if training else (mean, var)
    if training:
        mean = 0.1 * mean + 0.9 * used[0]
        var = 0.1 * var + 0.9 * x.var(axes, unbiased=True)
    m, v, g, b = (t[:, None, None] for t in (*used, gamma, beta))
    return g * (x - m) / (v + eps).sqrt() + b, mean, var
""",
        "kept the last batch": """
def batch_norm(x, gamma, beta, mean, var, training, eps=1e-5):
    axes = (0, 2, 3)
    used = (x.mean(axes), x.var(axes, unbiased=False)) if training else (mean, var)
    if training:
        mean = used[0]
        var =  x.var(axes, unbiased=True)
    m, v, g, b = (t[:, None, None] for t in (*used, gamma, beta))
    return g * (x - m) / (v + eps).sqrt() + b, mean, var
""",
        "the batch in prediction, too": """
def batch_norm(x, gamma, beta, mean, var, training, eps=1e-5):
    axes = (0, 2, 3)
    used = (x.mean(axes), x.var(axes, unbiased=False))
    if training:
        mean = 0.9 * mean + 0.1 * used[0]
        var = 0.9 * var + 0.1 * x.var(axes, unbiased=True)
    m, v, g, b = (t[:, None, None] for t in (*used, gamma, beta))
    return g * (x - m) / (v + eps).sqrt() + b, mean, var
""",
        "moved the running numbers in prediction": """
def batch_norm(x, gamma, beta, mean, var, training, eps=1e-5):
    axes = (0, 2, 3)
    used = (x.mean(axes), x.var(axes, unbiased=False)) if training else (mean, var)
    mean = 0.9 * mean + 0.1 * x.mean(axes)
    var = 0.9 * var + 0.1 * x.var(axes, unbiased=True)
    m, v, g, b = (t[:, None, None] for t in (*used, gamma, beta))
    return g * (x - m) / (v + eps).sqrt() + b, mean, var
""",
        "shifted before it scaled": """
def batch_norm(x, gamma, beta, mean, var, training, eps=1e-5):
    axes = (0, 2, 3)
    used = (x.mean(axes), x.var(axes, unbiased=False)) if training else (mean, var)
    if training:
        mean = 0.9 * mean + 0.1 * used[0]
        var = 0.9 * var + 0.1 * x.var(axes, unbiased=True)
    m, v, g, b = (t[:, None, None] for t in (*used, gamma, beta))
    return g * ((x - m) / (v + eps).sqrt() + b), mean, var
""",
        "divided by the variance": """
def batch_norm(x, gamma, beta, mean, var, training, eps=1e-5):
    axes = (0, 2, 3)
    used = (x.mean(axes), x.var(axes, unbiased=False)) if training else (mean, var)
    if training:
        mean = 0.9 * mean + 0.1 * used[0]
        var = 0.9 * var + 0.1 * x.var(axes, unbiased=True)
    m, v, g, b = (t[:, None, None] for t in (*used, gamma, beta))
    return g * (x - m) / (v + eps) + b, mean, var
""",
    },
    "make_block": {
        "one normalisation for both places": block(
            ("        self.bn2 = nn.BatchNorm2d(c_out)\n", ""), ("self.bn2(", "self.bn1(")
        ),
        "biases in front of the normalisations": block(
            ("stride, 1, bias=False", "stride, 1"), ("3, 1, 1, bias=False", "3, 1, 1")
        ),
        "a ReLU in front of the sum": block(("self.bn2(self.conv2(f))", "F.relu(self.bn2(self.conv2(f)))")),
        "no ReLU behind the sum": block(("F.relu(f + x)", "f + x")),
        "cut out a corner": block(
            (":: self.stride, :: self.stride", ": x.shape[2] // self.stride, : x.shape[3] // self.stride")
        ),  # fmt: skip
        "averaged the pixels": block(
            ("x[:, :, :: self.stride, :: self.stride]", "F.avg_pool2d(x, self.stride)")
        ),
        "zeros in front of the channels": block(("0, 0, self.more", "0, self.more, 0")),
        "a projection in place of the zeros": block(
            (
                "self.stride, self.more = stride, c_out - c_in",
                "self.short = nn.Conv2d(c_in, c_out, 1, stride, bias=False) if stride > 1 else nn.Identity()",
            ),
            (f"        {PAD}\n", ""),
            ("f + x", "f + self.short(x)"),
        ),  # fmt: skip
        "wrote into the map it was given": block(
            (f"        {PAD}\n", f"        if x.shape != f.shape:\n            {PAD}\n        x += f\n"),
            ("F.relu(f + x)", "F.relu(x)"),
        ),
    },
    "fit": {
        "PyTorch's own start": """
def fit(net, x, y):
    optimiser = torch.optim.Adam(net.parameters(), 0.002)
    for _ in range(60 if len(net) < 20 else 20):
        some = torch.randint(len(x), (32,))
        loss = F.cross_entropy(net(x[some]), y[some])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
""",
        "He's start in every layer": """
def fit(net, x, y):
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.bias)
            nn.init.kaiming_normal_(layer.weight)
    optimiser = torch.optim.Adam(net.parameters(), 0.002)
    for _ in range(60 if len(net) < 20 else 20):
        some = torch.randint(len(x), (32,))
        loss = F.cross_entropy(net(x[some]), y[some])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
""",
        "zeros, as in a residual block": """
def fit(net, x, y):
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.bias)
            if layer.in_channels == layer.out_channels:
                nn.init.zeros_(layer.weight)
            else:
                nn.init.kaiming_normal_(layer.weight)
    optimiser = torch.optim.Adam(net.parameters(), 0.002)
    for _ in range(10):
        some = torch.randint(len(x), (32,))
        loss = F.cross_entropy(net(x[some]), y[some])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
""",
        "the identity in the first layer, too": """
def fit(net, x, y):
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.bias)
            nn.init.dirac_(layer.weight)
    optimiser = torch.optim.Adam(net.parameters(), 0.002)
    for _ in range(20):
        some = torch.randint(len(x), (32,))
        loss = F.cross_entropy(net(x[some]), y[some])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
""",
        "only the start, no training": """
def fit(net, x, y):
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.bias)
            if layer.in_channels == layer.out_channels:
                nn.init.dirac_(layer.weight)
            else:
                nn.init.kaiming_normal_(layer.weight)
""",
        "steps a hundred times too large": """
def fit(net, x, y):
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.bias)
            if layer.in_channels == layer.out_channels:
                nn.init.dirac_(layer.weight)
            else:
                nn.init.kaiming_normal_(layer.weight)
    optimiser = torch.optim.Adam(net.parameters(), 0.2)
    for _ in range(20):
        some = torch.randint(len(x), (32,))
        loss = F.cross_entropy(net(x[some]), y[some])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
""",
        "trained a copy": """
import copy


def fit(net, x, y):
    net = copy.deepcopy(net)
    for layer in net:
        if isinstance(layer, nn.Conv2d):
            nn.init.zeros_(layer.bias)
            if layer.in_channels == layer.out_channels:
                nn.init.dirac_(layer.weight)
            else:
                nn.init.kaiming_normal_(layer.weight)
    optimiser = torch.optim.Adam(net.parameters(), 0.002)
    for _ in range(2):
        some = torch.randint(len(x), (32,))
        loss = F.cross_entropy(net(x[some]), y[some])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
""",
    },
    "stages": {
        "basic blocks everywhere": """
def stages():
    return [("basic", 4), ("basic", 4), ("basic", 4)]
""",
        "bottlenecks everywhere": """
def stages():
    return [("bottleneck", 3), ("bottleneck", 3), ("bottleneck", 4)]
""",
        "bottlenecks where maps are large": """
def stages():
    return [("bottleneck", 4), ("basic", 4), ("basic", 4)]
""",
        "counted blocks for layers": """
def stages():
    return [("basic", LAYERS // 3), ("basic", LAYERS // 3), ("bottleneck", LAYERS // 3)]
""",
        "all layers in the last stage": """
def stages():
    return [("basic", 1), ("basic", 1), ("bottleneck", 10)]
""",
        "the same number everywhere": """
def stages():
    return [("basic", 3), ("basic", 3), ("bottleneck", 3)]
""",
        "number first": """
def stages():
    return [(4, "basic"), (4, "basic"), (5, "bottleneck")]
""",
    },
}
