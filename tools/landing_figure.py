"""Draw the figure of the landing page from the table of facts: what accuracy has cost.

    python tools/landing_figure.py

Accuracies are torchvision's for its first published weights; MACs and parameters are exact.
"""

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from cnnlib import resources

TARGET = Path(__file__).resolve().parents[1] / "_assets" / "landing.svg"
SHOWN = {  # name in the facts: name on the page, and where its label goes (points right, points up)
    "alexnet": ("AlexNet", 16, -4),
    "vgg16": ("VGG-16", -22, -33),
    "googlenet": ("GoogLeNet", -2, 9),
    "squeezenet1_1": ("SqueezeNet", -20, -14),
    "resnet18": ("ResNet-18", 0, -18),
    "resnet50": ("ResNet-50", -58, 9),
    "resnet152": ("ResNet-152", -84, 6),
    "resnext101_32x8d": ("ResNeXt-101", -30, 18),
    "densenet121": ("DenseNet-121", -92, 3),
    "mobilenet_v2": ("MobileNet v2", -20, 8),
    "efficientnet_b0": ("EfficientNet-B0", -50, 8),
    "convnext_tiny": ("ConvNeXt-T", -30, 12),
}
GROUPS = (("2012 to 2014", "#d55e00", range(2012, 2015)), ("2015 to 2017", "#0072b2", range(2015, 2018)),
          ("after", "#5f6b6d", range(2018, 2030)))  # fmt: skip


def rows():
    """The facts that the figure draws."""
    facts = {r["name"]: r for r in resources.facts("architectures") if r["source"] == "torchvision"}
    return [(label, facts[name]) for name, (label, *_) in SHOWN.items()]


def draw():
    figure = Figure(figsize=(7.2, 4.6), layout="constrained", facecolor="white")
    ax = figure.add_subplot()
    for (_, dx, dy), (label, fact) in zip(SHOWN.values(), rows(), strict=True):
        colour = next(c for _, c, years in GROUPS if int(fact["year"]) in years)
        x, y, area = fact["macs"] / 1e9, fact["top1"], fact["params"] / 1e5
        ax.scatter(x, y, s=area, color=colour, alpha=0.75, lw=0.8, edgecolor="white", zorder=3)
        ax.annotate(label, (x, y), (dx, dy), textcoords="offset points", fontsize=11, color="#20262e")
    for name, colour, _ in GROUPS:
        ax.scatter([], [], s=60, color=colour, label=name)
    ax.legend(title="published", frameon=False, loc="lower right", fontsize=11, title_fontsize=11)
    ax.set(xscale="log", xlabel="multiply-adds for one image (billions)", ylabel="images named right (%)")
    ax.set(xlim=(0.2, 40), ylim=(54, 86))
    ax.set_xticks([0.3, 1, 3, 10, 30], ["0.3", "1", "3", "10", "30"])
    ax.minorticks_off()
    ax.grid(color="#e3e6e8", lw=0.8)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(labelsize=11)
    ax.xaxis.label.set_size(12)
    ax.yaxis.label.set_size(12)
    return figure


def main():
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "cnn", "font.family": "sans-serif"}):
        draw().savefig(TARGET, metadata={"Date": None, "Creator": None})
    print(f"{TARGET.name}: {TARGET.stat().st_size / 1024:.0f} KiB")


if __name__ == "__main__":
    main()
