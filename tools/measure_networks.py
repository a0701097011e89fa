"""Measures every network of the book, and a few that are not in it, and stores the rows for the pages.

    python tools/measure_networks.py            # data/runs/measured-cpu.json, some twelve minutes
    python tools/measure_networks.py --device cuda --batch 32

Needs torchvision, and a machine that does nothing else. Three rounds visit every network; those whose times
scatter are visited again. On the CPU one thread runs, tied to one core. An interrupted run goes on where it was,
from _build/runs/; the stored file is written when all is done, and keeps the times of the one before it.
"""

import argparse
import json
import os
import platform
import time
from dataclasses import asdict
from datetime import date
from pathlib import Path

import torch
import torchvision
from torchvision import models

import cnnlib
from cnnlib import measuring
from cnnlib.experiments import record as book
from cnnlib.measuring import roofline

ROOT = Path(__file__).resolve().parents[1]
INSIDE = ("alexnet", "resnet18", "mobilenet_v2")  # whose layers are timed one by one
OTHERS = ("mobilenet_v3_large", "mnasnet1_0", "vit_b_16")  # of torchvision
ROOMS = ("models", "costs", "measuring")  # whose code can change a row


def jobs(wanted):
    """Label -> (function that builds, image), of all networks or of those wanted."""
    ours = {
        name: (lambda name=name: cnnlib.build(name), cnnlib.models.image_shape(name))
        for name in cnnlib.list_models()
    }
    known = {name: (getattr(models, name), (3, 224, 224)) for name in OTHERS} | ours
    return {name: known[name] for name in wanted or known}


def pinned():
    """One thread, on the last of the cores that this process may use; its number, where the system has such a call."""
    torch.set_num_threads(1)
    if not hasattr(os, "sched_setaffinity"):
        return None
    core = max(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {core})
    return core


def header(args, on_cpu):
    """All that the numbers depend on; unfinished rows with another header are not continued."""
    versions = {v.__name__: v.__version__ for v in (torch, torchvision)}
    if not on_cpu:
        where = {"device": torch.cuda.get_device_name(args.device), "clock": "wall clock"}
    else:
        where = {
            "device": f"{book.processor()}, 1 thread", "clock": "CPU time of the process",
            "instructions": book.instructions(), "core": pinned(), "cores": os.cpu_count(),
            "cache_sizes": roofline.cache_sizes(),
        }  # fmt: skip
    return {
        "name": f"measured-{torch.device(args.device).type}",
        **where,
        "system": f"{platform.system()} {platform.machine()}",
        "versions": versions | {"python": platform.python_version()},
        "code": {"version": cnnlib.__version__, "digest": book.code_digest(ROOMS)},
        "batch": args.batch,
    }


def before(path):
    """Of the survey that this one replaces: date, how it was made, load where it was told, forward times by name."""
    if not path.is_file():
        return None
    old = json.loads(path.read_text(encoding="utf-8"))
    loads = [r["load_before"] for r in old.get("rounds", [])]
    how = {key: old[key] for key in ("date", "script", "made") if key in old}
    load = [min(loads), max(loads)] if loads else None
    return how | {"load": load, "forward": {r["name"]: r["forward"] for r in old["rows"]}}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--more", type=int, default=3, help="rounds at most for networks whose times scatter")
    parser.add_argument("--only", nargs="*", help="some networks, to try; nothing is stored in data/")
    args = parser.parse_args()
    on_cpu = args.device == "cpu"
    began, head, known = time.perf_counter(), header(args, on_cpu), jobs(args.only)
    device, clock = torch.device(args.device), time.process_time if on_cpu else time.perf_counter
    unfinished = ROOT / "_build/runs" / (f"{head['name']}-some.json" if args.only else f"{head['name']}.json")
    stored = ROOT / "data/runs" / unfinished.name if not args.only else unfinished.with_suffix(".done.json")
    options = {
        "batch": args.batch,
        "device": device,
        "clock": clock,
        "rounds": args.rounds,
        "more": args.more,
    }
    record = measuring.survey(known, head, unfinished, book.save, **options)
    sweep = measuring.batches(cnnlib.build("resnet18"), (3, 224, 224), device=device, clock=clock)
    batches = [asdict(row) for row in sweep]
    inside = {
        name: [
            asdict(row) for row in measuring.layers(cnnlib.build(name), (3, 224, 224), 1, device, 15, clock)
        ]
        for name in INSIDE
    }
    today, roof = date.today().isoformat(), asdict(roofline.machine(device, clock=clock))
    layers = {"date": today, "machine": roof, "networks": inside}
    how = " ".join(f"--{key} {getattr(args, key)}" for key in ("device", "batch", "rounds", "more"))
    more = {"script": f"python tools/measure_networks.py {how}", "date": today, "layers": layers}
    book.save(stored, record | more | {"batches": batches, "other": before(stored)})
    unfinished.unlink()
    unsteady = [r["name"] for r in record["rows"] if r["spread"] > record["bound"]]
    print(f"{stored}: {len(record['rows'])} networks in {(time.perf_counter() - began) / 60:.1f} minutes")
    print(f"spread above {record['bound']:.0%} after all rounds: {', '.join(unsteady) or 'none'}")


if __name__ == "__main__":
    main()
