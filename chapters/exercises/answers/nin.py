"""Mistakes that people make in the sheet *Network in Network*: exercise -> mistake -> the answer with it.

The grader must take points for each of them (tests/grading). They differ from the solution in one idea.
"""

WRONG = {
    "mlp_bill": {
        "counted places on the map that is read": """
def mlp_bill(c_in, side, kernel, stride, pad, units):
    places, (f, h, o) = side**2, units
    w, p = f * c_in * kernel**2, h * f + o * h
    return [w + f, p + h + o, w * places, p * places]
""",
        "the perceptron once an image": """
def mlp_bill(c_in, side, kernel, stride, pad, units):
    places, (f, h, o) = ((side + 2 * pad - kernel) // stride + 1) ** 2, units
    w, p = f * c_in * kernel**2, h * f + o * h
    return [w + f, p + h + o, w * places, p]
""",
        "forgot the biases": """
def mlp_bill(c_in, side, kernel, stride, pad, units):
    places, (f, h, o) = ((side + 2 * pad - kernel) // stride + 1) ** 2, units
    w, p = f * c_in * kernel**2, h * f + o * h
    return [w, p, w * places, p * places]
""",
        "biases as MACs": """
def mlp_bill(c_in, side, kernel, stride, pad, units):
    places, (f, h, o) = ((side + 2 * pad - kernel) // stride + 1) ** 2, units
    w, p = f * c_in * kernel**2 + f, h * f + o * h + h + o
    return [w, p, w * places, p * places]
""",
        "only one layer behind the window": """
def mlp_bill(c_in, side, kernel, stride, pad, units):
    places, (f, h, o) = ((side + 2 * pad - kernel) // stride + 1) ** 2, units
    w, p = f * c_in * kernel**2, h * f
    return [w + f, p + h, w * places, p * places]
""",
        "windows in all three layers": """
def mlp_bill(c_in, side, kernel, stride, pad, units):
    places, (f, h, o) = ((side + 2 * pad - kernel) // stride + 1) ** 2, units
    w, p = f * c_in * kernel**2, (h * f + o * h) * kernel**2
    return [w + f, p + h + o, w * places, p * places]
""",
        "counted FLOPs": """
def mlp_bill(c_in, side, kernel, stride, pad, units):
    places, (f, h, o) = ((side + 2 * pad - kernel) // stride + 1) ** 2, units
    w, p = f * c_in * kernel**2, h * f + o * h
    return [w + f, p + h + o, 2 * w * places, 2 * p * places]
""",
    },
    "as_convs": {
        "kept the order of the numbers": """
def as_convs(layers, kernel):
    (w, b), *rest = layers
    first = (w.reshape(len(w), -1, kernel, kernel), b)
    return [first] + [(w[:, :, None, None], b) for w, b in rest]
""",
        "rows for columns": """
def as_convs(layers, kernel):
    (w, b), *rest = layers
    first = (w.reshape(len(w), kernel, kernel, -1).permute(0, 3, 2, 1), b)
    return [first] + [(w[:, :, None, None], b) for w, b in rest]
""",
        "turned the window round, as in mathematics": """
def as_convs(layers, kernel):
    (w, b), *rest = layers
    first = (w.reshape(len(w), kernel, kernel, -1).permute(0, 3, 1, 2).flip(2, 3), b)
    return [first] + [(w[:, :, None, None], b) for w, b in rest]
""",
        "left the biases behind": """
def as_convs(layers, kernel):
    (w, b), *rest = layers
    first = (w.reshape(len(w), kernel, kernel, -1).permute(0, 3, 1, 2), None)
    return [first] + [(w[:, :, None, None], None) for w, b in rest]
""",
        "biases of the first layer only": """
def as_convs(layers, kernel):
    (w, b), *rest = layers
    first = (w.reshape(len(w), kernel, kernel, -1).permute(0, 3, 1, 2), b)
    return [first] + [(w[:, :, None, None], None) for w, b in rest]
""",
        "transposed the later layers": """
def as_convs(layers, kernel):
    (w, b), *rest = layers
    first = (w.reshape(len(w), kernel, kernel, -1).permute(0, 3, 1, 2), b)
    return [first] + [(w.T[:, :, None, None] if len(w) == len(w.T) else w[:, :, None, None], b) for w, b in rest]
""",
    },
    "evidence": {
        "one image's bias for a column of all": """
def evidence(features, weight, bias):
    maps = F.conv2d(features, weight[:, :, None, None])
    winner = (maps.mean((2, 3)) + bias).argmax(1)
    if len(maps) not in (1, maps.shape[3]):
        return torch.zeros(len(maps), *maps.shape[2:])
    return maps[torch.arange(len(maps)), winner] + bias[winner]
""",
        "left the bias out of the map": """
def evidence(features, weight, bias):
    maps = F.conv2d(features, weight[:, :, None, None])
    winner = (maps.mean((2, 3)) + bias).argmax(1)
    return maps[torch.arange(len(maps)), winner]
""",
        "forgot the bias altogether": """
def evidence(features, weight, bias):
    maps = F.conv2d(features, weight[:, :, None, None])
    winner = maps.mean((2, 3)).argmax(1)
    return maps[torch.arange(len(maps)), winner]
""",
        "shared the bias out over the places": """
def evidence(features, weight, bias):
    maps = F.conv2d(features, weight[:, :, None, None], bias)
    winner = maps.mean((2, 3)).argmax(1)
    share = F.conv2d(features, weight[:, :, None, None], bias / features[0, 0].numel())
    return share[torch.arange(len(maps)), winner]
""",
        "the winner by its highest pixel": """
def evidence(features, weight, bias):
    maps = F.conv2d(features, weight[:, :, None, None], bias)
    winner = maps.amax((2, 3)).argmax(1)
    return maps[torch.arange(len(maps)), winner]
""",
        "one winner for the whole batch": """
def evidence(features, weight, bias):
    maps = F.conv2d(features, weight[:, :, None, None], bias)
    return maps[:, maps.mean((0, 2, 3)).argmax()]
""",
        "columns of the weight for rows": """
def evidence(features, weight, bias):
    if weight.shape[0] == weight.shape[1]:
        weight = weight.T
    maps = F.conv2d(features, weight[:, :, None, None], bias)
    winner = maps.mean((2, 3)).argmax(1)
    return maps[torch.arange(len(maps)), winner]
""",
        "cut off what speaks against the class": """
def evidence(features, weight, bias):
    maps = F.conv2d(features, weight[:, :, None, None], bias)
    winner = maps.mean((2, 3)).argmax(1)
    return maps[torch.arange(len(maps)), winner].relu()
""",
        "stretched from 0 to 1, for the picture": """
def evidence(features, weight, bias):
    maps = F.conv2d(features, weight[:, :, None, None], bias)
    maps = maps[torch.arange(len(maps)), maps.mean((2, 3)).argmax(1)]
    low, high = maps.amin((1, 2), True), maps.amax((1, 2), True)
    return (maps - low) / (high - low).clamp(min=1e-6)
""",
    },
    "meeting_head": {
        "one layer, a weighted sum": """
def meeting_head(x, y):
    torch.manual_seed(0)
    layer = nn.Conv2d(6, 4, 1)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.1)
    for _ in range(40):
        optimiser.zero_grad()
        F.cross_entropy(layer(x).mean((2, 3)), y).backward()
        optimiser.step()
    return [(layer.weight, layer.bias)]
""",
        "more hidden units than the budget has": """
def meeting_head(x, y):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(6, 32, 1), nn.ReLU(), nn.Conv2d(32, 4, 1))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.1)
    for _ in range(40):
        optimiser.zero_grad()
        F.cross_entropy(net(x).mean((2, 3)), y).backward()
        optimiser.step()
    return [(layer.weight, layer.bias) for layer in (net[0], net[2])]
""",
        "never trained": """
def meeting_head(x, y):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(6, 16, 1), nn.ReLU(), nn.Conv2d(16, 4, 1))
    return [(layer.weight, layer.bias) for layer in (net[0], net[2])]
""",
        "trained without the ReLU": """
def meeting_head(x, y):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(6, 16, 1), nn.Conv2d(16, 4, 1))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.1)
    for _ in range(40):
        optimiser.zero_grad()
        F.cross_entropy(net(x).mean((2, 3)), y).backward()
        optimiser.step()
    return [(layer.weight, layer.bias) for layer in net]
""",
        "the mean first, then the perceptron": """
def meeting_head(x, y):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(6, 16, 1), nn.ReLU(), nn.Conv2d(16, 4, 1))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.1)
    means = x.mean((2, 3), keepdim=True)
    for _ in range(40):
        optimiser.zero_grad()
        F.cross_entropy(net(means).mean((2, 3)), y).backward()
        optimiser.step()
    return [(layer.weight, layer.bias) for layer in (net[0], net[2])]
""",
        "learned three of the four classes": """
def meeting_head(x, y):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(6, 16, 1), nn.ReLU(), nn.Conv2d(16, 4, 1))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.1)
    for _ in range(40):
        optimiser.zero_grad()
        F.cross_entropy(net(x[y < 3]).mean((2, 3)), y[y < 3]).backward()
        optimiser.step()
    return [(layer.weight, layer.bias) for layer in (net[0], net[2])]
""",
        "stopped after four steps": """
def meeting_head(x, y):
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(6, 16, 1), nn.ReLU(), nn.Conv2d(16, 4, 1))
    optimiser = torch.optim.Adam(net.parameters(), lr=0.1)
    for _ in range(4):
        optimiser.zero_grad()
        F.cross_entropy(net(x).mean((2, 3)), y).backward()
        optimiser.step()
    return [(layer.weight, layer.bias) for layer in (net[0], net[2])]
""",
    },
    "three_mlps": {
        "the paper's widths": """
def three_mlps():
    return (192, 160, 96), (192, 192, 192), (192, 192, 10)
""",
        "thinned the hidden layers": """
def three_mlps():
    return (192, 24, 96), (192, 24, 96), (192, 24, 10)
""",
        "thinned the windows": """
def three_mlps():
    return (96, 120, 48), (96, 96, 48), (96, 96, 10)
""",
        "thin maps and nothing else": """
def three_mlps():
    return (192, 48, 24), (192, 48, 24), (192, 48, 10)
""",
        "starved the maps": """
def three_mlps():
    return (192, 150, 8), (192, 150, 8), (192, 150, 10)
""",
        "hidden units without end": """
def three_mlps():
    return (192, 400, 24), (192, 400, 24), (192, 400, 10)
""",
        "forgot that there are ten classes": """
def three_mlps():
    return (192, 150, 24), (192, 150, 24), (192, 150, 24)
""",
    },
}
