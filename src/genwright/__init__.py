"""genwright trains generative models in one loop, described by one recipe. What
`__all__` names is the whole of its Python interface: `train`, `load`, `inspect` and `report`, the
decorator `measure`, and the classes `Run`, `Recipe` and `GenwrightError`.

What is named here is imported when it is first used, so that the command line answers before torch
is loaded.
"""

import importlib
from typing import TYPE_CHECKING, Any

from genwright.core.version import __version__ as __version__

if TYPE_CHECKING:
    from genwright.api import inspect, train
    from genwright.core.errors import GenwrightError
    from genwright.recipe.schema import Recipe
    from genwright.rewards.user_file import measure
    from genwright.runs.run import Run, load, report

__all__ = ["GenwrightError", "Recipe", "Run", "inspect", "load", "measure", "report", "train"]

_HOMES = {
    "GenwrightError": "genwright.core.errors",
    "Recipe": "genwright.recipe.schema",
    "inspect": "genwright.api",
    "measure": "genwright.rewards.user_file",
    "train": "genwright.api",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'genwright' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES.get(name, "genwright.runs.run")), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
