"""Stands in for the package where Python takes the folder of this clone for it.

That happens to a Python which is started beside the clone: the folder has the package's name and
lies first in ``sys.path``. Without this file it would be an empty namespace package. What is
imported is what would be without the clone, and else the package inside it.
"""

import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

_clone = Path(__file__).resolve().parent
_elsewhere = [entry for entry in sys.path if Path(entry or ".").resolve() != _clone.parent]
_found = [finder.find_spec(__name__, _elsewhere) for finder in sys.meta_path]
_specs = [spec for spec in _found if spec is not None and spec.loader is not None]
if not _specs and __name__ == "nbt_embed":
    _inside = spec_from_file_location(__name__, _clone / "nbt_embed" / "__init__.py")
    _specs = [_inside]
if not _specs:
    raise ImportError(f"{_clone} is a clone of nbt_embed: start Python inside of it, or elsewhere")
_module = module_from_spec(_specs[0])
sys.modules[__name__] = _module
_specs[0].loader.exec_module(_module)
