"""nbt.h and the docstring of ``Config`` state the range and the default of every setting."""

import re

import pytest
from conftest import ROOT

from nbt_embed import Config
from nbt_embed.config import NAMES

HEADER = (ROOT / "csrc" / "nbt.h").read_text(encoding="utf-8")
TABLES = (ROOT / "csrc" / "nbt_tables.h").read_text(encoding="utf-8")
ROW = re.compile(r"X\((\w+), (COUNT|REAL|ABOVE), ([^,]+), ([^,]+),")
NUMBER = re.compile(r"\d+(?:\.\d+)?(?:e-?\d+)?")

# Where other fields narrow the range of the table: in nbt.h, in Config.
NARROWED = {
    "linear_forget": ("(0.5, 1]", "(0.5, 1]"),
    "resonators": ("0..n_hidden", "0..4096, at most hidden"),
}
# Defaults that are those of another field, in words.
IN_WORDS = ("n_in", "n_out", "hidden", "resonators", "head", "anchor", "levels")


def shown(number: str) -> str:
    """A number of the table as the comments write it."""
    return re.sub(r"f$|\.0f$", "", number).replace("NBT_INTERVALS_MAX", "8")


def ranges() -> dict[str, tuple[str, str]]:
    """The range of every numeric field of the table, as nbt.h and ``Config`` state it."""
    rows = TABLES[TABLES.index("#define NBT_FIELD_LIST") : TABLES.index("/* Defaults that")]
    found = {}
    for name, kind, low, high in ROW.findall(rows):
        left = "[" if kind == "REAL" else "("
        text = f"{left}{shown(low)}, {shown(high)}]"
        if kind == "COUNT":
            text = f"{low}..{shown(high)}"
        if text != "0..1":  # a flag
            found[name] = NARROWED.get(name, (text, text))
    return found


def in_header() -> dict[str, str]:
    """The comment on every field of ``nbt_config``, in one line."""
    struct = HEADER[HEADER.index("typedef struct nbt_config") : HEADER.index("} nbt_config;")]
    found = re.findall(r"(\w+); */\*(.*?)\*/", struct, re.DOTALL)
    return {name: re.sub(r"\s+", " ", text) for name, text in found}


def in_config() -> dict[str, str]:
    """The description of every attribute in the docstring of ``Config``, in one line."""
    attributes = (Config.__doc__ or "").split("Attributes:")[1]
    parts = re.split(r"\n {8}(\w+): ", attributes)
    return {
        name: re.sub(r"\s+", " ", text) for name, text in zip(parts[1::2], parts[2::2], strict=True)
    }


RANGES = ranges()
COMMENTS = in_header()
DESCRIPTIONS = in_config()


def kernels(name: str) -> str:
    """The kernel's name of a setting."""
    return "n_hidden" if name == "hidden" else name


def default(text: str) -> str:
    """What a description states as the default."""
    return re.split(r" Range| Cost", re.split(r"Default:? ", text)[1])[0]


def test_the_table_is_read() -> None:
    assert RANGES["info_rate"] == ("(0, 0.5]",) * 2
    assert RANGES["n_hidden"] == ("0..4096",) * 2
    assert RANGES["tau_min"] == ("(1, 1e9]",) * 2


def test_every_setting_is_described() -> None:
    assert sorted(DESCRIPTIONS) == sorted(NAMES)
    assert {kernels(name) for name in NAMES} - set(COMMENTS) == {"anchor", "levels"}


@pytest.mark.parametrize("name", RANGES)
def test_ranges_are_those_of_the_kernel(name: str) -> None:
    header, config = RANGES[name]
    assert f"Range {header}" in COMMENTS[name]
    assert f"Range: {config}" in DESCRIPTIONS["hidden" if name == "n_hidden" else name]


@pytest.mark.parametrize("link", ["gaussian", "categorical"])
@pytest.mark.parametrize("name", sorted(set(NAMES) - set(IN_WORDS)))
def test_defaults_are_those_of_the_kernel(name: str, link: str) -> None:
    value = getattr(Config(1, 2, link=link), name)  # type: ignore[arg-type]
    if link != "gaussian" and (value in (0, False) or name in ("link", "gate")):
        return  # off, or of the gaussian link alone
    described, commented = default(DESCRIPTIONS[name]), default(COMMENTS[name])
    if isinstance(value, str):
        assert f'"{value}"' in described
        assert value in commented
    elif isinstance(value, bool):
        assert described.split()[0].rstrip(".") == str(value)
        assert commented.split()[0].rstrip(".") == str(int(value))
    else:
        assert value in map(float, NUMBER.findall(described))
        assert value in map(float, NUMBER.findall(commented))
