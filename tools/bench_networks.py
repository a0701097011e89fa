"""Our networks against torchvision's and timm's own: time of an answer, time of a training step, memory.

    python tools/bench_networks.py                        twelve networks, 15 pairs each
    python tools/bench_networks.py resnet18 --pairs 5

Both sides hold the same weights and see the same images. They take turns, and who begins changes from pair to pair, so
that both meet the same machine; a line gives the median of ours over theirs and the 95 % interval of that median
(bootstrap). Memory is what autograd keeps of one training step, which is exact. The bar: the interval reaches 1.00 or
lies below, and memory is at most 1.00. One thread; needs timm for two of the networks.
"""

import argparse
import time
from collections.abc import Callable
from statistics import median

import numpy as np
import timm
import torch
import torchvision
from bench_rows import store
from torch import nn

import cnnlib
from cnnlib.table import Table

SIDES = {"inception_v3": 107}
TIMM = ("seresnet50", "seresnext50_32x4d")
NETWORKS = (
    "alexnet", "vgg11", "googlenet", "inception_v3", "resnet18", "resnet50", "resnext50_32x4d", "wide_resnet50_2",
    "densenet121", "squeezenet1_1", *TIMM,
)  # fmt: skip


def pair(name: str) -> dict[str, nn.Module]:
    """Theirs with fresh weights, and ours with the same ones."""
    plain = {"init_weights": False} if name in ("vgg11", "googlenet", "inception_v3") else {}
    if name in ("googlenet", "inception_v3"):
        plain["aux_logits"] = False
    theirs = timm.create_model(name) if name in TIMM else torchvision.models.get_model(name, **plain)
    ours, state = cnnlib.build(name), theirs.state_dict()
    ours.load_state_dict({key: state[key].reshape(own.shape) for key, own in ours.state_dict().items()})
    return {"ours": ours, "theirs": theirs}


def answer(net: nn.Module, x: torch.Tensor) -> None:
    with torch.inference_mode():
        net.eval()(x)


def step(net: nn.Module, x: torch.Tensor) -> None:
    net.train()
    torch.manual_seed(0)
    net(x).square().mean().backward()
    net.zero_grad(set_to_none=True)


def kept(net: nn.Module, x: torch.Tensor) -> int:
    """Bytes that autograd holds between forward and backward, each storage once, without the weights."""
    weights = {t.untyped_storage()._cdata for t in [*net.parameters(), *net.buffers()]}
    saved = {}

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage._cdata not in weights:
            saved[storage._cdata] = (storage.nbytes(), storage)  # held, so that no address comes twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = net.train()(x)
    del out
    return sum(size for size, _ in saved.values())


def seconds(work: Callable, net: nn.Module, x: torch.Tensor) -> float:
    start = time.perf_counter()
    work(net, x)
    return time.perf_counter() - start


def ratios(work: Callable, nets: dict[str, nn.Module], x: torch.Tensor, pairs: int) -> list[float]:
    """Ours over theirs, pair by pair; the first pair warms up and is not counted."""
    out = []
    for turn in range(pairs + 1):
        order = list(nets) if turn % 2 else list(nets)[::-1]
        spent = {who: seconds(work, nets[who], x) for who in order}
        out.append(spent["ours"] / spent["theirs"])
    return out[1:]


def interval(values: list[float]) -> tuple[float, float]:
    draws = np.random.default_rng(0).choice(values, (2000, len(values)))
    low, high = np.quantile(np.median(draws, axis=1), (0.025, 0.975))
    return float(low), float(high)


def measured(name: str, pairs: int, batch: int) -> dict:
    nets, side = pair(name), SIDES.get(name, 96)
    x = torch.randn(batch, 3, side, side)
    row = {"network": name, "image": side, "batch": batch, "pairs": pairs}
    for what, work in (("forward", answer), ("training step", step)):
        found = ratios(work, nets, x, pairs)
        low, high = interval(found)
        row |= {what: round(median(found), 3), f"{what} 95 %": f"{low:.2f} to {high:.2f}"}
        row[f"{what} meets the bar"] = low <= 1
    row["memory"] = round(kept(nets["ours"], x) / kept(nets["theirs"], x), 3)
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("networks", nargs="*", default=NETWORKS)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--batch", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows = []
    for name in args.networks:
        rows.append(measured(name, args.pairs, args.batch))
        print(rows[-1], flush=True)
    store("networks", rows)
    columns = ["network", "forward", "forward 95 %", "training step", "training step 95 %", "memory"]
    print(
        Table(
            columns, [[str(row[c]) for c in columns] for row in rows], "Ours over theirs; below 1 is better"
        )
    )


if __name__ == "__main__":
    main()
