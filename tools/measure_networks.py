"""Measures every network of the book, and a few that are not in it, and stores the rows for the pages.

    python tools/measure_networks.py            # data/runs/measured-cpu.json, some ten minutes
    python tools/measure_networks.py --device cuda --batch 32

Needs torchvision. An interrupted run goes on where it was, from _build/runs/, and a finished one of the
same day and versions takes up what is new. On the CPU one thread runs and its own clock counts, so that other
programs matter little.
"""

import argparse
import json
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
OTHERS = ("mobilenet_v3_large", "mnasnet1_0", "vit_b_16")  # of torchvision
GROUP = 4  # networks that take turns, and are in memory together


def jobs():
    """Label -> (function that builds, image)."""
    ours = {
        name: (lambda name=name: cnnlib.build(name), cnnlib.models.image_shape(name))
        for name in cnnlib.list_models()
    }
    return {name: (getattr(models, name), (3, 224, 224)) for name in OTHERS} | ours


def processor():
    """The model of the CPU, where the system tells."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.is_file() else []
    names = [line.split(":")[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def header(args, on_cpu):
    """All that the numbers depend on; unfinished rows with another header are not continued."""
    versions = {v.__name__: v.__version__ for v in (torch, torchvision)}
    return {
        "name": f"measured-{torch.device(args.device).type}",
        "device": f"{processor()}, 1 thread" if on_cpu else torch.cuda.get_device_name(args.device),
        "clock": "CPU time of the process" if on_cpu else "wall clock",
        "versions": versions | {"python": platform.python_version()},
        "date": date.today().isoformat(),
        "script": f"python tools/measure_networks.py --device {args.device} --batch {args.batch} --runs {args.runs}",
    }


def faster(a, b):
    """The best of two measurements of the machine."""
    return roofline.Machine(a.device, max(a.flops, b.flops), max(a.bandwidth, b.bandwidth))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=1)
    parser.add_argument("--runs", type=int, default=5)
    args = parser.parse_args()
    on_cpu = args.device == "cpu"
    if on_cpu:
        torch.set_num_threads(1)
    options = {"device": args.device, "clock": time.process_time if on_cpu else time.perf_counter}
    head = header(args, on_cpu)
    unfinished = ROOT / "_build" / "runs" / f"{head['name']}.json"
    stored = ROOT / "data" / "runs" / unfinished.name
    record = head | {"machine": asdict(roofline.machine(**options)), "rows": []}
    for path in (unfinished, stored):
        before = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        if all(before.get(key) == head[key] for key in head):
            record = before
            break
    known = jobs()
    record["rows"] = [row for row in record["rows"] if row["name"] in known]
    done = {row["name"] for row in record["rows"]}
    todo = [job for job in known.items() if job[0] not in done]
    while todo:
        group, todo = todo[:GROUP], todo[GROUP:]
        nets = {name: (make(), image) for name, (make, image) in group}
        rows = measuring.networks(nets, args.batch, runs=args.runs, **options)
        record["rows"] += map(asdict, rows)
        best = faster(roofline.Machine(**record["machine"]), roofline.machine(**options))
        record["machine"] = asdict(best)
        book.save(unfinished, record)
        for row in rows:
            print(f"{row.name}: {row.forward:.3g} s forward, {row.step:.3g} s a step", flush=True)
    sweep = measuring.batches(cnnlib.build("resnet18"), (3, 224, 224), runs=args.runs, **options)
    record["batches"] = [asdict(row) for row in sweep]
    order = list(known)
    record["rows"].sort(key=lambda row: order.index(row["name"]))
    book.save(stored, record)
    unfinished.unlink(missing_ok=True)
    print(f"{stored}: {len(record['rows'])} networks")


if __name__ == "__main__":
    main()
