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


def swapped(text, swaps):
    """A right answer with each ``(right, wrong)`` exchanged."""
    for right, wrong in swaps:
        if text.count(right) != 1:
            raise ValueError(f"{right!r} stands {text.count(right)} times in the answer: need once")
        text = text.replace(right, wrong)
    return text


def block(*swaps):
    """The right block with each ``(right, wrong)`` exchanged."""
    return swapped(BLOCK, swaps)


NETWORK = """
def assemble(block, counts, widths, classes):
    layers = [nn.Conv2d(3, widths[0], 3, 1, 1, bias=False), nn.BatchNorm2d(widths[0]), nn.ReLU()]
    c_in = widths[0]
    for stage, (count, width) in enumerate(zip(counts, widths)):
        for place in range(count):
            layers.append(block(c_in, width, 2 if stage and not place else 1))
            c_in = width
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(c_in, classes))
"""


AGAIN = "        c_in = width\n        layers += [block(c_in, c_in, 1)] * (count - 1)"


def network(*swaps):
    """The right network with each ``(right, wrong)`` exchanged."""
    return swapped(NETWORK, swaps)


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
    "assemble": {
        "stride 2 in the first stage, too": network(("2 if stage and not place else 1", "1 if place else 2")),
        "stride 2 in every block of a later stage": network(
            ("2 if stage and not place else 1", "2 if stage else 1")
        ),
        "stride 2 at the end of a stage": network(
            ("2 if stage and not place else 1", "2 if place == count - 1 and stage < len(counts) - 1 else 1")
        ),
        "widened at the end of a stage": network(
            (
                "block(c_in, width, 2",
                "block(width, widths[min(stage + (place == count - 1), len(widths) - 1)], 2",
            )
        ),
        "one block, used again": network(
            ("        for place in range(count):\n    ", ""),
            ("2 if stage and not place else 1))\n            c_in = width", "2 if stage else 1))\n" + AGAIN),
        ),
        "a bias in front of the normalisation": network((", bias=False", "")),
        "no ReLU at the start": network((", nn.ReLU()]", "]")),
        "the largest number of each map": network(("nn.AdaptiveAvgPool2d", "nn.AdaptiveMaxPool2d")),
        "blocks in a list that no module knows": """
def assemble(block, counts, widths, classes):
    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, widths[0], 3, 1, 1, bias=False)
            self.bn = nn.BatchNorm2d(widths[0])
            self.blocks, c_in = [], widths[0]
            for stage, (count, width) in enumerate(zip(counts, widths)):
                for place in range(count):
                    self.blocks.append(block(c_in, width, 2 if stage and not place else 1))
                    c_in = width
            self.head = nn.Linear(c_in, classes)

        def forward(self, x):
            x = F.relu(self.bn(self.stem(x)))
            for block in self.blocks:
                x = block(x)
            return self.head(x.mean((2, 3)))

    return Net()
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
        "F times 0 where the shape changes": block(
            ("f = self.bn2(self.conv2(f))", "f = self.bn2(self.conv2(f)) * (self.stride == 1)")
        ),
        "the stride in the second convolution": block(
            ("c_out, 3, stride, 1, bias=False", "c_out, 3, 1, 1, bias=False"),
            ("nn.Conv2d(c_out, c_out, 3, 1, 1", "nn.Conv2d(c_out, c_out, 3, stride, 1"),
        ),
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
