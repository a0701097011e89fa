"""CNN Architectures: from LeNet to SENet.

Ten rooms, each a package that says in its docstring what goes in and what comes out: models, images, costs, training,
measuring, insight, figures, experiments, grading, cli. Names resolve on first use (PEP 562), so that ``import cnnlib``
is instant and imports no torch.
"""

from importlib import import_module

__version__ = "0.1.0"

TYPE_CHECKING = False  # as typing has it, which would take a while to import: what checkers and editors read
if TYPE_CHECKING:
    from cnnlib import costs as costs
    from cnnlib import experiments as experiments
    from cnnlib import experiments as runs
    from cnnlib import figures as figures
    from cnnlib import figures as plot
    from cnnlib import figures as show
    from cnnlib import grading as grading
    from cnnlib import images as datasets
    from cnnlib import images as images
    from cnnlib import insight as insight
    from cnnlib import insight as probe
    from cnnlib import measuring as measuring
    from cnnlib import models as models
    from cnnlib import resources as resources
    from cnnlib import shapes as shapes
    from cnnlib import table as table
    from cnnlib import training as training
    from cnnlib.costs import trace as trace
    from cnnlib.grading import check as check
    from cnnlib.models import build as build
    from cnnlib.models import list_models as list_models

_FUNCTIONS = {"build": "models", "list_models": "models", "trace": "costs", "check": "grading"}
_ROOMS = (
    "models",
    "images",
    "costs",
    "training",
    "measuring",
    "insight",
    "figures",
    "experiments",
    "grading",
)
_PLAIN = ("shapes", "table", "resources")
# Short names for pages and for work at a prompt, where ``images`` is a variable more often than a module.
_SHORT = {
    "datasets": "images",
    "probe": "insight",
    "plot": "figures",
    "show": "figures",
    "runs": "experiments",
}

__all__ = sorted([*_FUNCTIONS, *_ROOMS, *_PLAIN, *_SHORT])


def __getattr__(name: str):
    if name in _FUNCTIONS:
        return getattr(import_module(f"cnnlib.{_FUNCTIONS[name]}"), name)
    if name in __all__:
        return import_module(f"cnnlib.{_SHORT.get(name, name)}")
    raise AttributeError(f"module 'cnnlib' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
