"""CNN Architectures: from LeNet to SENet.

Names resolve on first use (PEP 562), so that ``import cnnlib`` is instant and imports no torch.
"""

from importlib import import_module

__version__ = "0.1.0"

_HOME = {
    "build": "arch",
    "list_models": "arch",
    "trace": "cost",
    "check": "grading",
}
_MODULES = {
    "arch", "augment", "calibration", "classify", "conventions", "cost", "datasets", "diagram",
    "ensemble", "folder", "grading", "layers", "league", "measure", "pareto", "plot", "probe", "recipes",
    "roofline", "runs", "schedule", "shapes", "show", "stream", "table", "train", "views", "weights",
}  # fmt: skip

__all__ = sorted(_HOME.keys() | _MODULES)


def __getattr__(name: str):
    if name in _HOME:
        return getattr(import_module(f"cnnlib.{_HOME[name]}"), name)
    if name in _MODULES:
        return import_module(f"cnnlib.{name}")
    raise AttributeError(f"module 'cnnlib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
