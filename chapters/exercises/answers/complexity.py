"""Mistakes that people make in the sheet *Comparing complexity*: exercise -> mistake -> the answer with it.

The grader must take points for each of them (tests/grading). They differ from the solution in one idea.
"""

WRONG = {
    "one_of_batch": {
        "weights for every image": """
def one_of_batch(batch, weights, maps, start, each, watts):
    seconds = start / batch + each
    return batch * (weights + maps), seconds, watts * seconds
""",
        "forgot the weights": """
def one_of_batch(batch, weights, maps, start, each, watts):
    seconds = start / batch + each
    return batch * maps, seconds, watts * seconds
""",
        "the seconds of the whole batch": """
def one_of_batch(batch, weights, maps, start, each, watts):
    seconds = start + batch * each
    return weights + batch * maps, seconds, watts * seconds
""",
        "a start for every image": """
def one_of_batch(batch, weights, maps, start, each, watts):
    seconds = start + each
    return weights + batch * maps, seconds, watts * seconds
""",
        "the joules of the whole batch": """
def one_of_batch(batch, weights, maps, start, each, watts):
    seconds = start / batch + each
    return weights + batch * maps, seconds, watts * (start + batch * each)
""",
        "joules are watts": """
def one_of_batch(batch, weights, maps, start, each, watts):
    seconds = start / batch + each
    return weights + batch * maps, seconds, watts
""",
    },
    "what_they_count": {
        "trusted the first network": """
def what_they_count(printed, known):
    name, value = next(iter(printed.items()))
    conv, linear = known[name]
    ways = {"MACs": conv + linear, "FLOPs": 2 * conv + 2 * linear, "conv MACs": conv, "conv FLOPs": 2 * conv}
    return min(ways, key=lambda way: abs(ways[way] / 1e9 - value))
""",
        "knew of no linear layers": """
def what_they_count(printed, known):
    hits = {"MACs": 0, "FLOPs": 0}
    for name, value in printed.items():
        total = sum(known[name]) / 1e9
        hits["MACs"] += abs(total - value) < abs(2 * total - value)
        hits["FLOPs"] += abs(total - value) >= abs(2 * total - value)
    return max(hits, key=hits.get)
""",
        "added the sheet up": """
def what_they_count(printed, known):
    conv, linear = (sum(pair[i] for pair in known.values()) / 1e9 for i in (0, 1))
    ways = {"MACs": conv + linear, "FLOPs": 2 * conv + 2 * linear, "conv MACs": conv, "conv FLOPs": 2 * conv}
    return min(ways, key=lambda way: abs(ways[way] - sum(printed.values())))
""",
        "close enough is enough": """
def what_they_count(printed, known):
    ways = {"MACs": (1, 1), "FLOPs": (2, 1), "conv MACs": (1, 0), "conv FLOPs": (2, 0)}
    def hits(way):
        f, l = ways[way]
        return sum(abs(f * (known[n][0] + l * known[n][1]) / 1e9 / v - 1) < 0.3 for n, v in printed.items())
    return max(ways, key=hits)
""",
        "every number must fit": """
def what_they_count(printed, known):
    ways = {"conv FLOPs": (2, 0), "conv MACs": (1, 0), "FLOPs": (2, 1), "MACs": (1, 1)}
    for way, (f, l) in ways.items():
        if all(abs(f * (known[n][0] + l * known[n][1]) / 1e9 - v) <= 0.006 for n, v in printed.items()):
            return way
    return "conv FLOPs"
""",
        "one network that fits is enough": """
def what_they_count(printed, known):
    ways = {"conv MACs": (1, 0), "conv FLOPs": (2, 0), "MACs": (1, 1), "FLOPs": (2, 1)}
    for way, (f, l) in ways.items():
        if any(abs(f * (known[n][0] + l * known[n][1]) / 1e9 - v) <= 0.006 for n, v in printed.items()):
            return way
""",
    },
    "undominated": {
        "better in everything": """
def undominated(networks):
    def beats(a, b):
        return a[1] > b[1] and all(x < y for x, y in zip(a[2], b[2]))
    return [n[0] for n in networks if not any(beats(o, n) for o in networks)]
""",
        "equals dominate each other": """
def undominated(networks):
    def beats(a, b):
        return a is not b and a[1] >= b[1] and all(x <= y for x, y in zip(a[2], b[2]))
    return [n[0] for n in networks if not any(beats(o, n) for o in networks)]
""",
        "walked up by the first cost, and forgot ties": """
def undominated(networks):
    best, kept = 0, []
    for name, accuracy, costs in sorted(networks, key=lambda n: n[2][0]):
        if accuracy >= best:
            best = accuracy
            kept.append(name)
    return [n[0] for n in networks if n[0] in kept]
""",
        "looked at the first currency only": """
def undominated(networks):
    def beats(a, b):
        return a[1] >= b[1] and a[2][0] <= b[2][0] and (a[1] > b[1] or a[2][0] < b[2][0])
    return [n[0] for n in networks if not any(beats(o, n) for o in networks)]
""",
        "added the currencies up": """
def undominated(networks):
    def beats(a, b):
        x, y = sum(a[2]), sum(b[2])
        return a[1] >= b[1] and x <= y and (a[1] > b[1] or x < y)
    return [n[0] for n in networks if not any(beats(o, n) for o in networks)]
""",
        "sorted by cost": """
def undominated(networks):
    def beats(a, b):
        pairs = [(a[1], b[1])] + [(-x, -y) for x, y in zip(a[2], b[2])]
        return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)
    return [n[0] for n in sorted(networks, key=lambda n: n[2]) if not any(beats(o, n) for o in networks)]
""",
        "one of each accuracy": """
def undominated(networks):
    def beats(a, b):
        pairs = [(a[1], b[1])] + [(-x, -y) for x, y in zip(a[2], b[2])]
        return all(x >= y for x, y in pairs) and any(x > y for x, y in pairs)
    kept = {n[1]: n[0] for n in networks[::-1] if not any(beats(o, n) for o in networks)}
    return [n[0] for n in networks if n[0] in kept.values()]
""",
    },
    "under_the_roof": {
        "first computes, then moves": """
def under_the_roof(layers, batch, peak, bandwidth):
    times = [(2 * m * batch / peak, 4 * (w + batch * (r + o)) / bandwidth) for m, w, r, o in layers]
    return sum(c + b for c, b in times), sum(b > c for c, b in times)
""",
        "one roof for the whole network": """
def under_the_roof(layers, batch, peak, bandwidth):
    times = [(2 * m * batch / peak, 4 * (w + batch * (r + o)) / bandwidth) for m, w, r, o in layers]
    return max(sum(c for c, b in times), sum(b for c, b in times)), sum(b > c for c, b in times)
""",
        "a MAC as one operation": """
def under_the_roof(layers, batch, peak, bandwidth):
    times = [(m * batch / peak, 4 * (w + batch * (r + o)) / bandwidth) for m, w, r, o in layers]
    return sum(max(t) for t in times), sum(b > c for c, b in times)
""",
        "numbers for bytes": """
def under_the_roof(layers, batch, peak, bandwidth):
    times = [(2 * m * batch / peak, (w + batch * (r + o)) / bandwidth) for m, w, r, o in layers]
    return sum(max(t) for t in times), sum(b > c for c, b in times)
""",
        "weights for every image": """
def under_the_roof(layers, batch, peak, bandwidth):
    times = [(2 * m * batch / peak, 4 * batch * (w + r + o) / bandwidth) for m, w, r, o in layers]
    return sum(max(t) for t in times), sum(b > c for c, b in times)
""",
        "maps once a batch": """
def under_the_roof(layers, batch, peak, bandwidth):
    times = [(2 * m * batch / peak, 4 * (w + r + o) / bandwidth) for m, w, r, o in layers]
    return sum(max(t) for t in times), sum(b > c for c, b in times)
""",
        "the time of one image": """
def under_the_roof(layers, batch, peak, bandwidth):
    times = [(2 * m / peak, 4 * (w / batch + r + o) / bandwidth) for m, w, r, o in layers]
    return sum(max(t) for t in times), sum(b > c for c, b in times)
""",
        "forgot what a layer writes": """
def under_the_roof(layers, batch, peak, bandwidth):
    times = [(2 * m * batch / peak, 4 * (w + batch * r) / bandwidth) for m, w, r, o in layers]
    return sum(max(t) for t in times), sum(b > c for c, b in times)
""",
    },
    "serve": {
        "the most accurate": """
def serve():
    return "resnext50_32x4d", 1
""",
        "the fewest MACs": """
def serve():
    return "squeezenet1_1", 1
""",
        "one at a time": """
def serve():
    return "densenet121", 1
""",
        "a large batch": """
def serve():
    return "densenet121", 32
""",
        "as many as the memory holds, of few weights": """
def serve():
    return "densenet169", 2
""",
        "forgot that the first one waits": """
def serve():
    return "resnet34", 14
""",
        "the batch first": """
def serve():
    return 3, "densenet121"
""",
    },
}

# For who marks the question: what brings how many points, and an answer that gets them all.
MARKING = {
    "is_it_efficient": {
        "points": (
            (
                1,
                "The unit: is a GFLOP a MAC or two operations? With an answer that would change one's mind (at 2 "
                "operations it is 0.45 G MACs, at 1 it is 0.9).",
            ),
            (
                1,
                "The accuracy: whose weights, which recipe, how many crops, which images. Half a point for one of "
                "them; the full point needs what would change one's mind (a newer recipe gave ResNet-50 4.7 points, "
                "ten crops cost ten passes).",
            ),
            (
                1,
                "The currency: above the front in MACs is one front of several; time on the machine that will run it, "
                "activations, parameters or memory, with what would change one's mind.",
            ),
            (
                1,
                "The set and the words: which networks were compared, by one run or several seeds, and that a front "
                "has no single 'most efficient' network. One of these, said with its consequence, is enough.",
            ),
        ),
        "model": """
First, what is a GFLOP here? If it is a MAC, the network does 0.9 G MACs; if two operations make a MAC, 0.45, and then
it should be compared with networks of half the size. Second, where does 79.0 come from? A recipe of today gave
ResNet-50 4.7 points without a change to the network, so I would want the same recipe for the neighbours on the front;
if they rise as much, the point falls below it. And if ten crops were averaged, the price is 9 G. Third, efficient in
what? I would ask for the time on the machine that is to run it, and for parameters and memory: MobileNet-V2 needs a
sixth of ResNet-18's MACs and takes longer on a graphics card. If it lies above the front there, too, I believe more.
Fourth, which networks are "all published", and how far do several trainings spread? A lead below that spread is none.

And even then: a front holds many networks, none of which beats another. "The most efficient" needs a budget.
""",
    },
}
