"""Found first by every Python process under `assay run`: looks on, then makes way for the `sitecustomize` it hides.

Only the standard library is used: the interpreter may be one in which the client is not installed.
"""

import contextlib
import importlib
import os
import sys
import types


def _begin() -> None:
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [path for path in sys.path if os.path.abspath(path) != here]
    folder = os.environ.get("ASSAY_OBSERVED", "")
    if folder and os.path.isdir(folder):
        # a package of the observing modules alone; importing `assay` would need what it needs
        package = types.ModuleType("assay_observing")
        package.__path__ = [os.path.dirname(here)]
        sys.modules["assay_observing"] = package
        importlib.import_module("assay_observing.process").begin(folder)


def _make_way() -> None:
    ours = sys.modules.pop("sitecustomize")
    try:
        importlib.import_module("sitecustomize")
    except ImportError as error:
        if error.name != "sitecustomize":
            raise
    finally:
        sys.modules.setdefault("sitecustomize", ours)  # it is still being imported


with contextlib.suppress(Exception):
    _begin()
_make_way()
