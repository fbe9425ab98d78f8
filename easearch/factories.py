"""A user's own factory by its import path, `package.module:factory`: found, called, named again.

Importing runs code: only what the user typed, or wrote into a recipe of theirs, is imported. What a
file names that may come from a stranger is not.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from easearch.errors import EasearchError, GraphError

if TYPE_CHECKING:
    from torch import nn

Factory = Callable[..., "nn.Module"]
FORM = "package.module:factory"


def is_import_path(text: str) -> bool:
    """Whether the text is of the form `package.module:factory`."""
    module, colon, name = text.partition(":")
    return bool(colon) and all(
        word.isidentifier() for part in (module, name) for word in part.split(".")
    )


def find_factory(path: str) -> Factory:
    """The callable that an import path names; what lies in the current directory is found too.

    Raises:
        GraphError: the text is no import path, or nothing that can be called is there.
    """
    if not is_import_path(path):
        raise GraphError(f"expected {FORM}, got '{path}'")
    here = str(Path.cwd())
    if here not in sys.path:  # as `python -m` does: a user's own file lies where they stand
        sys.path.insert(0, here)
    module, _, name = path.partition(":")
    try:
        found: Any = importlib.import_module(module)
        for word in name.split("."):
            found = getattr(found, word)
    except (ImportError, AttributeError) as error:
        raise GraphError(f"expected {FORM}, got '{path}': {error}") from None
    except (Exception, SystemExit) as error:  # whatever a module does when it is imported
        raise GraphError(f"importing {module} failed with {_told(error)}") from error
    if not callable(found):
        raise GraphError(f"expected {path} to be a function, got a {type(found).__name__}")
    return found  # type: ignore[no-any-return]


def made(factory: Factory, arguments: Mapping[str, Any], name: str = "") -> nn.Module:
    """The network that the factory makes; `name` is what errors call it.

    Raises:
        GraphError: the factory fails, or returns something else.
    """
    from torch import nn

    name = name or import_path(factory) or "the factory"
    try:
        model = factory(**arguments)
    except EasearchError:
        raise
    except (Exception, SystemExit) as error:
        raise GraphError(f"{name} failed with {_told(error)}") from error
    if not isinstance(model, nn.Module):
        raise GraphError(f"expected {name} to return an nn.Module, got a {type(model).__name__}")
    return model


def import_path(factory: Factory) -> str:
    """The import path under which another process finds the factory; "" where there is none.

    Lambdas, local functions, bound arguments and what stands in a script itself have none.
    """
    module, name = getattr(factory, "__module__", None), getattr(factory, "__qualname__", None)
    path = f"{module}:{name}"
    if module == "__main__" or not is_import_path(path):
        return ""
    found: Any = sys.modules.get(str(module))
    for word in str(name).split("."):
        found = getattr(found, word, None)
    return path if found == factory else ""


def _told(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
