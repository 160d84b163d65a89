"""The package's modules import each other in one direction, and leave heavy libraries alone."""

from __future__ import annotations

import ast
import subprocess
import sys
from graphlib import TopologicalSorter

from conftest import ROOT

PACKAGE = ROOT / "nbt_embed"


def imports() -> dict[str, set[str]]:
    """The modules of the package that each of them imports, for types too."""
    found: dict[str, set[str]] = {}
    for path in PACKAGE.rglob("*.py"):
        tree = ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        nodes = [node for node in tree if isinstance(node, ast.ImportFrom) and node.module]
        name = ".".join(path.relative_to(PACKAGE).with_suffix("").parts)
        found[name] = set()
        for node in nodes:
            if node.module is not None and node.module.startswith("nbt_embed."):
                module = node.module.removeprefix("nbt_embed.")
                if (PACKAGE / module.replace(".", "/")).is_dir():  # from a package its modules
                    found[name] |= {f"{module}.{one.name}" for one in node.names}
                else:
                    found[name].add(module)
    return found


def test_there_is_no_circle() -> None:
    graph = imports()
    assert "config" in graph["learner"]
    order = list(TopologicalSorter(graph).static_order())  # raises CycleError
    assert order.index("replay") < order.index("learner")


def test_the_learner_knows_nothing_of_what_is_on_the_desk() -> None:
    """Each of core, application, live streams, commands uses those before it, never one after."""
    layers = ("app.", "live.", "commands.")
    for name, others in imports().items():
        if name != "cli":
            own = next((place for place, one in enumerate(layers) if name.startswith(one)), -1)
            assert not any(one.startswith(layers[own + 1 :]) for one in others), name


def test_the_package_needs_numpy_and_cffi_alone() -> None:
    program = "import nbt_embed, sys; print(*{name.split('.')[0] for name in sys.modules})"
    command = [sys.executable, "-c", program]
    loaded = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert "numpy" in loaded
    others = ("matplotlib", "torch", "jax", "scipy", "pandas", "polars", "argparse", "rich")
    for name in (
        *others,
        "plotext",
        "bokeh",
        "jinja2",
        "optuna",
        "shtab",
        "json",
        "html",
        "river",
        "sklearn",
    ):
        assert name not in loaded


def test_the_package_comes_without_the_reference() -> None:
    program = "import nbt_embed, sys; sys.exit('nbt_embed.reference' in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
