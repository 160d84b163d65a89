"""Settings: one list of names, types and defaults, whatever way they are passed in."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from dataclasses import fields
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import ROOT

from nbt_embed import Config, Learner, memory_of
from nbt_embed.config import CHOICES, NAMES
from nbt_embed.errors import ConfigError
from nbt_embed.streams import from_arrays


def written(path: Path, owner: str, function: str | None) -> list[tuple[str, str, str]]:
    """Names, types and defaults as a file says them: of a class's fields, or of keywords."""
    text = path.read_text(encoding="utf-8")
    (kind,) = (
        node
        for node in ast.parse(text).body
        if isinstance(node, ast.ClassDef) and node.name == owner
    )

    def source(node: ast.AST) -> str:
        return ast.unparse(node)

    if function is None:
        found = [node for node in kind.body if isinstance(node, ast.AnnAssign) and node.value]
        return [(source(one.target), source(one.annotation), source(one.value)) for one in found]  # type: ignore[arg-type]
    (method,) = (
        node
        for node in kind.body
        if isinstance(node, ast.FunctionDef) and node.name == function and node.args.kwonlyargs
    )
    pairs = zip(method.args.kwonlyargs, method.args.kw_defaults, strict=True)
    return [(one.arg, source(one.annotation), source(value)) for one, value in pairs]  # type: ignore[arg-type]


def test_the_keywords_of_learner_are_the_fields_of_config() -> None:
    package = ROOT / "nbt_embed"
    config = written(package / "config.py", "Config", None)
    assert written(package / "learner.py", "Learner", "__init__") == config
    assert tuple(name for name, _, _ in config) == NAMES[2:]
    shown = inspect.signature(Learner).parameters
    for field in fields(Config)[2:]:
        assert shown[field.name].kind is inspect.Parameter.KEYWORD_ONLY
        assert (shown[field.name].annotation, shown[field.name].default) == (
            field.type,
            field.default,
        )


class WithMore(Learner):
    """A subclass that takes something else."""

    def __init__(self, name: str) -> None:
        super().__init__(1, 1, hidden=2)
        self.name = name


def test_a_subclass_shows_its_own_arguments() -> None:
    assert list(inspect.signature(WithMore).parameters) == ["name"]
    assert repr(WithMore("a")) == "WithMore(1, 1, hidden=2)"


TYPES = """
from nbt_embed import Config, Learner
Learner(1, 1, hidden=8, link="categorical", estimator=None, decay=1, hold_missing=True)
Learner(Config(1, 1, cell="lstm"))
Learner(1, 1, hidden="x")  # wrong
Learner(1, 1, link="softmax")  # wrong
Learner(1, 1, hiden=3)  # wrong
Learner(1)  # wrong
Learner(1, 1, decay="fast")  # wrong
Config(1, 1, cell="gru")  # wrong
Config(1, 1, filter="adam")  # wrong
Learner(1, 1).run([0.0], [0.0])  # wrong
Learner(1, 1).run([0.0], [0.0], horizon=0)
"""


@pytest.mark.slow
def test_a_type_checker_refuses_wrong_settings(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    program = tmp_path / "program.py"
    program.write_text(TYPES)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path)]
    result = subprocess.run(
        [*command, str(program)], capture_output=True, text=True, check=False, cwd=ROOT
    )
    refused = {int(line.split(":")[1]) for line in result.stdout.splitlines() if ": error:" in line}
    lines = enumerate(TYPES.splitlines(), 1)
    assert refused == {number for number, line in lines if "# wrong" in line}, result.stdout


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden": 8.0}, r"^hidden = 8\.0: expected an integer$"),
        ({"hidden": "8"}, r"^hidden = '8': expected an integer$"),
        ({"hidden": None}, "^hidden = None: expected an integer$"),
        ({"hidden": 2**40}, r"^hidden = 1099511627776: expected a value from 0 to 4096$"),
        ({"hidden": -(2**70)}, r"^hidden = -1180591620717411303424: expected a value from 0 to"),
        ({"n_in": 1.5}, r"^n_in = 1\.5: expected an integer$"),
        ({"n_out": 0}, r"^n_out = 0: expected a value from 1 to"),
        ({"lags": np.array([1, 2])}, r"^lags = array\(\[1, 2\]\): expected an integer$"),
        ({"seed": -1}, r"^seed = -1: expected a value from 0 to 18446744073709551615$"),
        ({"seed": 2**64}, r"^seed = 18446744073709551616: expected a value from 0 to"),
        ({"decay": "0.9"}, r"^decay = '0\.9': expected a number$"),
        ({"decay": 1j}, "^decay = 1j: expected a number$"),
        ({"decay": None}, "^decay = None: expected a number$"),
        ({"decay": 1e300}, r"^decay = 1e\+300: expected a value from 0 to 1$"),
        ({"decay": float("inf")}, "^decay = inf: expected a value from 0 to 1$"),
        ({"decay": 10**400}, "^decay = 1000.*: expected a number$"),
        ({"hold_missing": "no"}, "^hold_missing = 'no': expected True or False$"),
        ({"hold_missing": 2}, "^hold_missing = 2: expected True or False$"),
        ({"hold_missing": None}, "^hold_missing = None: expected True or False$"),
        ({"link": "softmax"}, r"^link = 'softmax': expected one of 'gaussian', 'categorical'"),
        ({"cell": np.array(["tanh"])}, "^cell = array.*: expected one of 'tanh'"),
        ({"norm": None}, "^norm = None: expected one of 'euclidean'"),
    ],
)
def test_a_wrong_setting_is_named_as_python_names_it(
    settings: dict[str, Any], message: str
) -> None:
    given = {"n_in": 1, "n_out": 1, **settings}
    for build in (lambda: Learner(**given), lambda: memory_of(Config(**given))):
        with pytest.raises(ConfigError, match=message):
            build()


def test_numbers_of_numpy_become_those_of_python() -> None:
    config = Config(
        np.int64(2),  # type: ignore[arg-type]
        np.uint8(1),  # type: ignore[arg-type]
        hidden=np.int32(4),  # type: ignore[arg-type]
        decay=np.float32(0.9),  # type: ignore[arg-type]
        hold_missing=np.bool_(True),  # type: ignore[arg-type]
        gate=3,
    )
    assert config == Config(2, 1, hidden=4, decay=0.9, hold_missing=True, gate=3.0)
    types = {
        name: type(getattr(config, name)) for name in ("n_in", "decay", "gate", "hold_missing")
    }
    assert types == {"n_in": int, "decay": float, "gate": float, "hold_missing": bool}


# What the settings of streams need in addition.
MIXTURE: dict[str, Any] = {"follow": True, "anchored": True, "mix_forget": 0.99}
STREAM: dict[str, dict[str, Any]] = {
    "anchor": {"follow": True, "anchored": True},
    "anchored": {"follow": True},
    "mix_forget": {"follow": True},
    "slow_forget": MIXTURE,
    "head_gain": {"head": 2},
    "linear_lags": MIXTURE | {"linear_forget": 0.9},
    "linear_forget": MIXTURE | {"linear_lags": 2},
}
FLOATS = [field.name for field in fields(Config) if str(field.type).startswith("float")]


@pytest.mark.parametrize("name", FLOATS)
def test_every_float_compares_equal_after_saving(name: str) -> None:
    rng = np.random.default_rng(len(name))
    usual = getattr(Config(2, 1), name)
    for share in [0.1, 1 / 3, *rng.random(20)]:
        between = 0.95 + 0.05 * share if name == "forget" else (usual or 1.0) * (0.9 + 0.1 * share)
        settings: dict[str, Any] = {**STREAM.get(name, {}), name: between}
        config = Config(2, 1, hidden=2, **settings)
        assert Learner.from_bytes(Learner(config).to_bytes()).config == config
        assert np.float32(getattr(config, name)) == np.float32(between)
        assert Config(2, 1, hidden=2, **settings | {name: getattr(config, name)}) == config


@pytest.mark.parametrize("link", CHOICES["link"])
@pytest.mark.parametrize("n_in", [1, 14, 20, 10_001])
def test_defaults_compare_equal_after_saving(link: str, n_in: int) -> None:
    settings: dict[str, Any] = {"link": link, "filter": "sgd", "estimator": "frozen"}
    config = Config(n_in, 2, hidden=1, **settings)
    assert Learner.from_bytes(Learner(config).to_bytes()).config == config


@pytest.mark.parametrize(
    ("text", "config"),
    [
        ("Config(1, 1)", Config(1, 1)),
        ("Config(3, 1, hidden=8)", Config(3, 1, hidden=8, tau_max=64)),
        ("Config(1, 2, cell='lstm')", Config(1, 2, cell="lstm", estimator="nobacktrack")),
        (
            "Config(1, 2, link='categorical', rate=0.24)",
            Config(1, 2, link="categorical", rate=0.24),
        ),
        (
            "Config(1, 2, cell='gated', estimator='residual')",
            Config(1, 2, estimator="residual"),
        ),
        ("Config(1, 2, head=8)", Config(1, 2, head=8, head_gain=2)),
        ("Config(1, 2)", Config(1, 2, cell="columnar", estimator="snap1")),
        (
            "Config(1, 2, hidden=4, cell='resonator')",
            Config(1, 2, hidden=4, cell="resonator", resonators=4),
        ),
    ],
)
def test_what_is_shown_is_short_and_makes_the_same(text: str, config: Config) -> None:
    assert repr(config) == text
    assert eval(text) == config
    assert repr(Learner(config)) == text.replace("Config", "Learner")
    assert eval(text.replace("Config", "Learner")).config == config


def test_streams_are_shown_without_their_numbers() -> None:
    assert len(repr(from_arrays(np.zeros((100, 3))))) < 120


class Cells(HTMLParser):
    """The cells of a table; every tag that is opened is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.open: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, _: Any) -> None:
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.cells.append(data)


def test_notebooks_show_a_table() -> None:
    config = Config(2, 1, hidden=4)
    cells = Cells(config._repr_html_()).cells
    pairs = dict(zip(cells[1::2], cells[2::2], strict=True))
    assert pairs == {name: repr(getattr(config, name)) for name in NAMES}
    learner = Learner(config)
    learner.predict([1.0, 2.0])
    cells = Cells(learner._repr_html_()).cells
    pairs = dict(zip(cells[1::2], cells[2::2], strict=True))
    assert cells[0] == "Learner(2, 1, hidden=4)"
    assert pairs["memory"] == f"{learner.memory.total:,} bytes"
    assert (pairs["predictions"], pairs["forecasts that wait"], pairs["labels"]) == ("1", "1", "0")


def test_a_choice_of_another_kind_of_text_is_kept_as_plain_text() -> None:
    config = Config(2, 2, link=np.str_("bernoulli"))  # type: ignore[arg-type]
    assert repr(config) == "Config(2, 2, link='bernoulli')"
    assert type(config.link) is str
