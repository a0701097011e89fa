"""Mistakes that people make in the sheet *Ensembles*: exercise -> mistake -> the answer with it.

The grader must take points for each of them (tests/grading). They differ from the solution in one idea.
"""

from string import Template

SOFTMAX = """
def softmax(z):
    terms = [math.exp(value - max(z)) for value in z]
    return [term / sum(terms) for term in terms]
def mean(rows):
    return [sum(column) / len(rows) for column in zip(*rows)]
"""

REPORT = Template(
    """
def honest_team(answers, y, size):
    half, team = len(y) // 2, []
    chooses, judges = $halves
    def share(members, part):
        return ($said == y[part]).double().mean().item()
    for _ in range(size):
        rest = [m for m in range(len(answers)) if $free]
        team.append(max(rest, key=lambda m: share($candidates, chooses)))
    return team, share(team, judges)
"""
)
RIGHT = dict(
    halves="slice(0, half), slice(half, None)",
    said="answers[members][:, part].mean(0).argmax(1)",
    free="m not in team",
    candidates="[*team, m]",
)

TRAINING = Template(
    """
def train_team(x, y, new):
    def member():
        $before
        net = nn.Sequential(nn.Conv2d(1, 8, 4, stride=2), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 6 * 6, 10))
        optimiser = torch.optim.SGD(net.parameters(), 0.05, momentum=0.9)
        for _ in range($epochs):
            for batch in torch.randperm($seen).split(24):
                loss = F.cross_entropy(net(x[batch]), $labels)
                optimiser.zero_grad()
                loss.backward()
                $step
        with torch.no_grad():
            return $answer
    return $team
"""
)
WELL = dict(
    before="pass",
    epochs=6,
    seen="len(x)",
    labels="y[batch]",
    step="optimiser.step()",
    answer="net(new).softmax(1)",
    team="torch.stack([member() for _ in range(3)])",
)

WRONG = {
    "two_means": {
        "the mean logits twice": SOFTMAX
        + """
def two_means(logits):
    return softmax(mean(logits)), softmax(mean(logits))
""",
        "the logits as they are": SOFTMAX
        + """
def two_means(logits):
    return mean(logits), softmax(mean(logits))
""",
        "softmax of the mean probabilities": SOFTMAX
        + """
def two_means(logits):
    return mean([softmax(z) for z in logits]), softmax(mean([softmax(z) for z in logits]))
""",
        "added the logits up": SOFTMAX
        + """
def two_means(logits):
    return mean([softmax(z) for z in logits]), softmax([sum(column) for column in zip(*logits)])
""",
        "a geometric mean that does not add up to one": SOFTMAX
        + """
def two_means(logits):
    rows = [softmax(z) for z in logits]
    return mean(rows), [math.prod(column) ** (1 / len(rows)) for column in zip(*rows)]
""",
        "the other way round": SOFTMAX
        + """
def two_means(logits):
    return softmax(mean(logits)), mean([softmax(z) for z in logits])
""",
        "no exponential": """
def two_means(logits):
    rows = [[v / (sum(z) or 1) for v in z] for z in logits]
    p = [sum(c) / len(rows) for c in zip(*rows)]
    return p, p
""",
    },
    "calibration_gap": {
        "probability of the right class": """
def calibration_gap(p, y, count):
    confidence, right = p[torch.arange(len(y)), y], (p.argmax(1) == y).to(p)
    place = (confidence * count).ceil().long() - 1
    return sum((confidence - right)[place == k].sum().abs() for k in range(count)) / len(y)
""",
        "signs left in": """
def calibration_gap(p, y, count):
    confidence, said = p.max(1)
    return (confidence - (said == y).to(p)).mean().abs()
""",
        "every bin counts alike": """
def calibration_gap(p, y, count):
    confidence, said = p.max(1)
    gap, place = confidence - (said == y).to(p), (confidence * count).ceil().long() - 1
    gaps = [gap[place == k].mean().abs() for k in range(count) if (place == k).any()]
    return sum(gaps) / len(gaps)
""",
        "empty bins count too": """
def calibration_gap(p, y, count):
    confidence, said = p.max(1)
    gap, place = confidence - (said == y).to(p), (confidence * count).ceil().long() - 1
    return sum(gap[place == k].mean().abs() for k in range(count) if (place == k).any()) / count
""",
        "the middle of the bin": """
def calibration_gap(p, y, count):
    confidence, said = p.max(1)
    right, place = (said == y).to(p), (confidence * count).ceil().long() - 1
    return sum(((k + 0.5) / count - right[place == k]).sum().abs() for k in range(count)) / len(y)
""",
        "an image is a bin": """
def calibration_gap(p, y, count):
    confidence, said = p.max(1)
    return (confidence - (said == y).to(p)).abs().mean()
""",
        "the worst bin": """
def calibration_gap(p, y, count):
    confidence, said = p.max(1)
    gap, place = confidence - (said == y).to(p), (confidence * count).ceil().long() - 1
    return max(gap[place == k].mean().abs() for k in range(count) if (place == k).any())
""",
        "gaps squared": """
def calibration_gap(p, y, count):
    confidence, said = p.max(1)
    gap, place = confidence - (said == y).to(p), (confidence * count).ceil().long() - 1
    return sum((place == k).sum() * gap[place == k].mean() ** 2
               for k in range(count) if (place == k).any()) / len(y)
""",
    },
    "honest_team": {
        "all three faults": """
def honest_team(answers, y, size):
    team = []
    for _ in range(size):
        shares = torch.stack([(answers[[*team, m]].argmax(2) == y).double().mean() for m in range(len(answers))])
        team.append(int(shares.argmax()))
    return team, float(shares.max())
""",
        "all images choose, all judge": REPORT.substitute(RIGHT | dict(halves="slice(None), slice(None)")),
        "all images choose": REPORT.substitute(RIGHT | dict(halves="slice(None), slice(half, None)")),
        "the first half judges, too": REPORT.substitute(
            RIGHT | dict(halves="slice(0, half), slice(0, half)")
        ),
        "the same network twice": REPORT.substitute(RIGHT | dict(free="True")),
        "mean of the members' shares": REPORT.substitute(
            RIGHT | dict(said="answers[members][:, part].argmax(2)")
        ),
        "the best ones, not the best team": REPORT.substitute(RIGHT | dict(candidates="[m]")),
        "the mean of all networks": REPORT.substitute(
            RIGHT | dict(said="answers[:, part].mean(0).argmax(1)")
        ),
    },
    "line_up": {
        "the best kind only": """
def line_up():
    return 6, 0, 0
""",
        "one of each": """
def line_up():
    return 1, 1, 1
""",
        "the kind that differs most": """
def line_up():
    return 0, 3, 0
""",
        "forgot the parameters": """
def line_up():
    return 0, 3, 3
""",
        "forgot the MACs": """
def line_up():
    return 4, 1, 2
""",
        "two kinds that differ, without the third": """
def line_up():
    return 3, 0, 3
""",
        "numbers of the members, not how many": """
def line_up():
    return 0, 1, 2
""",
    },
    "train_team": {
        "the same start and order for all": TRAINING.substitute(WELL | dict(before="torch.manual_seed(0)")),
        "one network, three times": TRAINING.substitute(WELL | dict(team="torch.stack([member()] * 3)")),
        "one network, and noise on its answers": TRAINING.substitute(
            WELL | dict(epochs=20, team="noisy(member())")
        )
        + """
def noisy(p):
    copies = [p] + [(p + 0.15 * torch.rand_like(p)) for _ in range(5)]
    return torch.stack([q / q.sum(1, keepdim=True) for q in copies])
""",
        "looked at every picture once": TRAINING.substitute(WELL | dict(epochs=1)),
        "looked at the same sixteen pictures only": TRAINING.substitute(WELL | dict(seen=16, epochs=40)),
        "never took a step": TRAINING.substitute(WELL | dict(step="pass", epochs=1)),
        "labels of the first pictures": TRAINING.substitute(WELL | dict(labels="y[:len(batch)]")),
        "logits for probabilities": TRAINING.substitute(WELL | dict(answer="net(new)")),
        "softmax along the pictures": TRAINING.substitute(WELL | dict(answer="net(new).softmax(0)")),
        "averaged at once": TRAINING.substitute(
            WELL | dict(team="torch.stack([member() for _ in range(3)]).mean(0)")
        ),
    },
}

# For who marks the question: what brings how many points, and an answer that gets them all.
MARKING = {
    "ten_at_once": {
        "points": (
            (
                1,
                "What ten improve: squared error and loss are never above the members' mean, usually accuracy; "
                "disagreement marks images to look at. Half a point for only one of these.",
            ),
            (
                1,
                "What they do not: mistakes that all share (the same training images, labels, scanner), and "
                "calibration only if the single network claims too much.",
            ),
            (
                1,
                "The price in numbers: ten passes an image for ever, the second network brings about half of all "
                "there is to gain and the last five nearly nothing; and one alternative for nine passes: a larger "
                "network, views that fit the training, a second reader of the doubtful images, distillation.",
            ),
            (
                1,
                "A number to ask for, tied to the use: errors among the images that the radiologist does not see, on "
                "this hospital's own images, or the share of errors that all members make. Accuracy alone: no point.",
            ),
        ),
        "model": """
Ten networks would lower squared error and loss below the mean of the members, and probably the number of errors. Their
disagreement would also rank the doubtful images better than one network's confidence, and that ranking decides what
the radiologist sees. They would not mend errors that all ten share, such as those of a label or a scanner that the
training images did not have: those come out with ten votes and look certain. Nor need the average be calibrated. If one
network claims too little, the average claims even less.

The price is ten passes an image for as long as the system runs. In the chapter the second network brought about half
of what fifteen bring and the last five nothing, so I would ask for three before ten. Nine passes also buy a larger
network, or a second reader of the hundred most doubtful images.

Before I decide I would ask, on images of this hospital: of the errors that stay unseen because the network is sure, how
many would the ten have flagged?
""",
    },
}
