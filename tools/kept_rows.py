"""Puts what a benchmark measured where a page can show it, data/runs/NAME.json, with what the numbers depend on."""

import os
import platform
import sys
from datetime import date
from pathlib import Path

import torch
import torchvision

from cnnlib.experiments import record as book

RUNS = Path(__file__).resolve().parents[1] / "data" / "runs"


def keep(name: str, device: torch.device, tables: dict[str, list[dict]], **more: object) -> None:
    """``tables``: rows by name; ``more``: what else they depend on. ``load``: programs that wanted a core."""
    on_cpu = device.type == "cpu"
    versions = {module.__name__: module.__version__ for module in (torch, torchvision)}
    record = {
        "name": name,
        "device": book.processor() if on_cpu else torch.cuda.get_device_name(device),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "load": [round(load, 1) for load in os.getloadavg()],
        "versions": versions | {"python": platform.python_version()},
        "date": date.today().isoformat(),
        "script": f"python {' '.join([Path(sys.argv[0]).as_posix(), *sys.argv[1:]])}",
    }
    book.save(RUNS / f"{name}.json", record | more | tables)


def provenance(record: dict) -> str:
    """The sentence on the machine that stands below the tables."""
    low, high = min(record["load"]), max(record["load"])
    threads = f"{record['threads']} thread{'s' * (record['threads'] > 1)} a process"
    torch_is = f"PyTorch {record['versions']['torch'].partition('+')[0]}"
    return (
        f"Measured on {record['date']} by `{record['script']}`: {record['device']}, {record['cores']} cores, "
        f"{threads}, {torch_is}. The load of the machine was {low:g} to {high:g}, the benchmark's own work in it: "
        "trust the ratios, of runs taken one after the other, more than the times."
    )
