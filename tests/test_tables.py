"""One row of csrc/nbt_tables.h for every fact: what is forgotten does not compile or fails here."""

import re
import shutil
import subprocess
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
from compiled import KERNEL
from conftest import Tool
from settings import still

from nbt_embed import Config, Learner, memory_of
from nbt_embed._build import choices
from nbt_embed._kernel import ffi, lib
from nbt_embed.amalgamation import amalgamate
from nbt_embed.config import CHOICES, NAMES
from nbt_embed.errors import ConfigError
from nbt_embed.reference import CELLS, ESTIMATORS, Settings

STRICT = "-std=c99 -Wall -Wextra -Wpedantic -Wconversion -Wdouble-promotion -Werror -fsyntax-only"

# ---- Omissions that do not compile ---------------------------------------------------------------

Edit = tuple[str, str, str]  # file, what stands there, what stands there instead
OMISSIONS: dict[str, tuple[Any, ...]] = {  # with what the compiler's message names
    "a config field without its row": (
        "nbt_field_input_limit",
        ("nbt.h", "    float input_limit; ", "    float shrink;\n    float input_limit; "),
    ),
    "a last config field without its row": (
        "nbt_fields_are_all",
        ("nbt.h", "} nbt_config;", "    float shrink, grow;\n} nbt_config;"),
    ),
    "a last config field without its row, where the structure is filled up": (
        "missing initializer for field",
        ("nbt.h", "} nbt_config;", "    float shrink;\n} nbt_config;"),
    ),
    "the row of a config field with the kind of another": (
        "distinct pointer types",
        ("nbt_tables.h", "X(decay, REAL,", "X(decay, COUNT,"),
    ),
    "a field of the middle without its row": (
        "nbt_field_cell",
        ("nbt_tables.h", "X(max_delay, COUNT, 0, 1048576, 0, 0, 0)  ", ""),
    ),
    "a counter without its row": (
        "nbt_counters_are_all",
        ("nbt.h", "} nbt_counters;", "    uint64_t more;\n} nbt_counters;"),
    ),
    "a cell without its row": (
        "nbt_CELL_END_in_order",
        ("nbt.h", "    NBT_CELL_END ", "    NBT_CELL_NEW,\n    NBT_CELL_END "),
    ),
    "the row of a cell without its enumerator": (
        "NBT_CELL_NEW",
        ("nbt_tables.h", "    X(LSTM, lstm,", "    X(NEW, gated, 2, 1, 0, 1, 0, 0) X(LSTM, lstm,"),
    ),
    "a cell without its function": (
        "units_forgotten",
        ("nbt_tables.h", "X(GATED, gated,", "X(GATED, forgotten,"),
    ),
    "a cell with more gates than its function has": (
        "too many arguments to function",
        ("nbt_tables.h", "X(GATED, gated,       2,", "X(GATED, gated,       3,"),
    ),
    "nine estimators, one more than nbt_choice knows": (
        "nbt_choice_knows_all",
        ("nbt.h", "    NBT_EST_END\n", "    NBT_EST_A, NBT_EST_B, NBT_EST_C, NBT_EST_END\n"),
        (
            "nbt_tables.h",
            "0, 0, 0,     1)",
            "0, 0, 0, 1) X(A, a, 0, 0, 0, 0) X(B, b, 0, 0, 0, 0) X(C, c, 0, 0, 0, 0)",
        ),
    ),
    "an estimator without its cases": (
        "nbt_estimate_covers_all",
        ("nbt.h", "    NBT_EST_END\n", "    NBT_EST_NEW, NBT_EST_END\n"),
        ("nbt_tables.h", "0, 0, 0,     1)", "0, 0, 0, 1) X(NEW, new, 0, 1, 0, 0)"),
    ),
    "a link without its cases": (
        "nbt_link_covers_all",
        ("nbt.h", "    NBT_LINK_END\n", "    NBT_LINK_NEW, NBT_LINK_END\n"),
        ("nbt_tables.h", "bernoulli,     0)", "bernoulli, 0) X(NEW, new, 0)"),
    ),
    "a saved array with an unknown content": (
        "NEW",
        ("nbt_tables.h", "covariance, FACTOR, 0,", "covariance, NEW, 0,"),
    ),
    "an array that is shown without its view": (
        "nbt_every_array_has_its_view",
        ("nbt.h", "    NBT_ARRAY_END\n", "    NBT_ARRAY_NEW, NBT_ARRAY_END\n"),
    ),
    "a gap in the learner's header": (
        "nbt_word_opened",
        ("nbt_tables.h", "X(UNSAVED, ring_head,", "X(UNSAVED, odd, 0, 0) X(UNSAVED, ring_head,"),
    ),
}  # fmt: skip


def errors(tool: Tool, folder: Path, tmp_path: Path) -> str:
    """Return what a compiler has to say about a kernel; nothing if it compiles."""
    kernel = amalgamate("All files of a kernel.", folder=folder)
    (tmp_path / "nbt.h").write_text(kernel.header, encoding="utf-8")
    source = tmp_path / "nbt.c"
    source.write_text(kernel.source, encoding="utf-8")
    command = [tool("gcc"), *STRICT.split(), str(source)]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize("omission", OMISSIONS)
def test_what_is_forgotten_does_not_compile(omission: str, tool: Tool, tmp_path: Path) -> None:
    folder = tmp_path / "csrc"
    shutil.copytree(KERNEL, folder)
    expected, *edits = OMISSIONS[omission]
    for name, before, after in edits:
        text = (folder / name).read_text(encoding="utf-8")
        assert text.count(before) == 1, before
        (folder / name).write_text(text.replace(before, after), encoding="utf-8")
    assert expected in errors(tool, folder, tmp_path)


def test_a_whole_kernel_compiles(tool: Tool, tmp_path: Path) -> None:
    assert not errors(tool, KERNEL, tmp_path)


# ---- Rows that nothing uses ----------------------------------------------------------------------

USED = ("FIELD_LIST", "COUNTER_LIST", "WORD_LIST", "SAVED_ARRAYS", "SCRATCH_ARRAYS")


@pytest.mark.parametrize("table", USED)
def test_the_kernel_uses_every_row(table: str) -> None:
    """A guard that is declared and never called, or an array that costs memory for nothing."""
    tables = (KERNEL / "nbt_tables.h").read_text(encoding="utf-8")
    found = re.search(rf"#define NBT_{table}\(.*?[^\\]\n", tables, re.DOTALL)
    assert found is not None
    # The name is the first entry in lower case.
    rows = re.findall(r"\bXM?\((?:[A-Z]+, )?([a-z]\w*),", found[0])
    assert len(rows) >= 9
    files = (path for path in KERNEL.glob("*.[ch]") if path.name not in ("nbt.h", "nbt_tables.h"))
    code = "".join(path.read_text(encoding="utf-8") for path in files)
    code = re.sub(r"/\*.*?\*/", "", code, flags=re.DOTALL)
    unused = [n for n in rows if not re.search(rf"(->|\.){n}\b|NBT_OF\(l, {n}\)", code)]
    assert not unused


# ---- Fields of the configuration -----------------------------------------------------------------

BASE = Config(3, 3, hidden=4, seed=1, **still())
CHANGED: dict[str, Any] = {name: names[0] for name, names in CHOICES.items()} | {
    "link": "bernoulli",
    "hold_missing": True,
    "rollback_steps": 7,
    "forget": 0.75,
    "levels": (0.25, 0.5),
}
# What a field of streams needs in addition.
FOLLOW = {"follow": True}
MIXTURE = FOLLOW | {"anchored": True, "mix_forget": 0.9}
NEEDS: dict[str, dict[str, Any]] = {
    "anchored": FOLLOW,
    "anchor": MIXTURE,
    "mix_forget": FOLLOW,
    "intervals": FOLLOW,
    "anomaly": FOLLOW,
    "slow_forget": MIXTURE,
    "resonators": {"cell": "columnar", "estimator": "snap1"},
    "head_gain": {"head": 2},
    "linear_lags": MIXTURE | {"linear_forget": 0.9},
    "linear_forget": MIXTURE | {"linear_lags": 2, "linear_forget": 0.9},
}
CHANGED |= {"anchor": (2, None, 0), "linear_lags": 3}


def base(name: str) -> Config:
    """Return a configuration with which a field can be set."""
    if name == "levels":  # their number is another setting
        return replace(BASE, follow=True, intervals=None, levels=(0.25, 0.75))
    needs = {key: value for key, value in NEEDS.get(name, {}).items() if key != name}
    return replace(BASE, **needs)


def changed(name: str) -> Config:
    """Return the base with another value of one field: of any new one too."""
    value = getattr(base(name), name)
    if name not in CHANGED:
        value = value + 1 if isinstance(value, int) else value * 0.5 + 0.25
        value = max(value, NEEDS.get(name, {}).get(name, value))
    change: dict[str, Any] = {name: CHANGED.get(name, value)}
    if name == "intervals":
        change["levels"] = None
    return replace(base(name), **change)


def test_every_field_of_the_kernel_is_a_setting() -> None:
    """The anchor and the levels are arrays of the learner."""
    kernel = [name for name, _ in ffi.typeof("nbt_config").fields] + ["anchor", "levels"]
    assert sorted(NAMES) == sorted("hidden" if name == "n_hidden" else name for name in kernel)


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_shapes_the_hash_and_is_saved(name: str) -> None:
    config, before = changed(name), base(name)
    if name == "linear_forget":
        before = replace(before, linear_forget=0.95)
    elif name == "linear_lags":
        before = replace(before, linear_lags=1)
    assert getattr(config, name) != getattr(before, name)
    learner = Learner(config)
    assert learner.hash() != Learner(before).hash()
    again = Learner.from_bytes(learner.to_bytes())
    assert again.config == config
    assert again.hash() == learner.hash()


@pytest.mark.parametrize(
    "name", [field.name for field in fields(Config) if str(field.type).startswith("float")]
)
def test_every_number_has_a_range_that_its_error_names(name: str) -> None:
    def refusal(value: float) -> str:
        change: dict[str, Any] = {name: value}
        try:
            memory_of(replace(base(name), **change))
        except ConfigError as error:
            return str(error)
        return ""

    said = re.fullmatch(
        rf"{name} = 1e\+30: expected a value (from|above) (\S+) (to|and up to) (\S+)", refusal(1e30)
    )
    assert said is not None, refusal(1e30)
    low, high = float(said[2]), float(said[4])
    assert refusal(low).startswith(f"{name} = ") == (said[1] == "above")
    assert not refusal(high).startswith(f"{name} = ")


# ---- Choices -------------------------------------------------------------------------------------

ENDS = {"cell": "CELL", "estimator": "EST", "norm": "NORM", "filter": "FILTER", "link": "LINK"}


@pytest.mark.parametrize("field", CHOICES)
def test_the_names_of_the_choices_are_the_kernels(field: str) -> None:
    assert len(CHOICES[field]) == getattr(lib, f"NBT_{ENDS[field]}_END")
    tables = (KERNEL / "nbt_tables.h").read_text(encoding="utf-8")
    listed = re.findall(
        r'"(\w+)"', choices(tables).split(f"{field.capitalize()} = ")[1].split("\n")[0]
    )
    assert tuple(listed) == CHOICES[field]


def test_tables_without_a_list_are_refused() -> None:
    with pytest.raises(ValueError, match="no names in NBT_CELL_LIST"):
        choices("#define NBT_FILTER_LIST(X) \\\n    X(SGD, sgd)\n")


def test_the_reference_has_every_cell_and_estimator() -> None:
    assert set(CELLS) == set(CHOICES["cell"])
    assert CHOICES["estimator"] == tuple(ESTIMATORS)


@pytest.mark.parametrize("cell", CHOICES["cell"])
def test_cells_have_the_shape_of_the_reference(cell: Any) -> None:
    resonators = BASE.hidden if cell == "resonator" else 0
    shape = Learner(replace(BASE, cell=cell, estimator="frozen", resonators=resonators))
    settings = Settings(BASE.n_in, BASE.n_out, BASE.hidden, cell=cell)
    assert shape.array("state").size == settings.n_state
    assert len(shape.array("theta")) == settings.n_rows
