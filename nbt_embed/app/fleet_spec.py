"""What a fleet's TOML file asks for: devices, stream, perturbations, settings, horizons.

docs/fleet-command.md says what every key means; ``EXAMPLE`` is a file to begin with.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from itertools import product
from pathlib import Path
from typing import Any, cast

from nbt_embed._kernel_config import memory_of
from nbt_embed.app.fleet_keys import (
    Keys,
    Lines,
    one_of,
    plain,
    real,
    sequence,
    text,
    texts,
    truth,
    whole,
)
from nbt_embed.app.models import without_units
from nbt_embed.app.options import ReadOptions
from nbt_embed.config import NAMES, Config
from nbt_embed.errors import ConfigError, StreamError, shown, similar
from nbt_embed.fleet.perturb import (
    KINDS,
    OF_DEVICE,
    OF_SPELLS,
    SHAPES,
    Distribution,
    Kind,
    Perturbation,
    Shape,
)
from nbt_embed.options import FURTHEST

RLS_NAME = "RLS"
_DEFAULT = "default"
SIMULATED = "simulated"
_MOST_DEVICES, _MOST_ROWS, _MOST_SETTINGS = 10_000_000, 1_000_000_000, 1000
_TABLES = tuple(shape for shape in SHAPES if shape != "fixed")  # which is written as a number
_VALUES = ("value", *_TABLES)
# What the stream and the horizons decide.
_DECIDED = ("n_in", "n_out", "max_delay", "hold_missing", "anchor", "link", "seed")
_SETTINGS = tuple(name for name in NAMES if name not in _DECIDED)
_FLAGS = tuple(one.name for one in fields(Config) if "bool" in str(one.type))
_WHY_DECIDED = {
    "seed": "every device has its own: give `seed` at the top of the file",
    "max_delay": "follows from `horizons`",
    "link": "give `link` in [stream.read]",
}


@dataclass(frozen=True)
class StreamSpec:
    """Where samples come from.

    Attributes: paths, of files, () for the simulated sensor; own, whether every device has its own
    recording; device_column, of a long Parquet file, or None; noise, missing, of the simulated
    sensor; read, how files are read.
    """

    paths: tuple[str, ...] = ()
    own: bool = True
    device_column: str | None = None
    noise: float = 0.02
    missing: float = 0.02
    read: ReadOptions = field(default_factory=ReadOptions)


@dataclass(frozen=True)
class Spec:
    """A fleet.

    Attributes:
        title: what results call it.
        devices: how many; None: one for each recording.
        seed: of the devices and all that they draw.
        rows: of each device at most; None: all of its recording.
        horizons: rows between a forecast and its label.
        stream: where samples come from.
        perturbations: what devices draw.
        clean_targets: whether targets are without gain, offset, noise and faults.
        settings: name -> settings of a learner; of a grid all combinations.
        rls: whether recursive least squares runs beside them.
        text: the file.
    """

    title: str
    devices: int | None
    seed: int
    rows: int | None
    horizons: tuple[int, ...]
    stream: StreamSpec
    perturbations: tuple[Perturbation, ...]
    clean_targets: bool
    settings: Mapping[str, Mapping[str, Any]]
    rls: bool
    text: str
    _lines: Lines
    _paths: Mapping[str, Mapping[str, tuple[str | int, ...]]]

    def configs(self, n_in: int, n_out: int, link: str) -> tuple[dict[str, Config], list[str]]:
        """Learners by name, and a sentence for each that is left out: the same as another one.

        Args: n_in; n_out, of classes their number; link, of the targets.
        Errors: ConfigError names line and key of a setting that the kernel refuses.
        """
        found: dict[str, Config] = {}
        notes = []
        decided: dict[str, Any] = {"link": link, "hold_missing": True, "seed": self.seed}
        for name, settings in self.settings.items():
            try:
                config = Config(n_in, n_out, **settings, **decided)
                memory_of(config)
            except ConfigError as error:
                raise self._refused(name, str(error)) from None
            same = [other for other, one in found.items() if one == config]
            if same:
                notes.append(f"{name} is left out: it is the same learner as {same[0]}")
            else:
                found[name] = config
        if self.rls:
            rls = replace(without_units(next(iter(found.values()))), seed=self.seed)
            same = [other for other, one in found.items() if one == rls]
            if same:
                notes.append(f"{same[0]} is recursive least squares; {RLS_NAME} is not run twice")
            else:
                found = {RLS_NAME: rls, **found}
        return found, notes

    def refused(self, path: tuple[str | int, ...], text: str) -> ConfigError:
        """An error about a key, with its line."""
        return self._lines.error(path, text)

    def _refused(self, name: str, error: str) -> ConfigError:
        """The kernel's error with the place of the setting that it names."""
        paths = self._paths[name]
        path = paths.get(error.partition(" = ")[0])
        where = "" if len(self.settings) == 1 else f"setting {shown(name)}: "
        if path is None:
            return self._lines.error(next(iter(paths.values()), ()), f"{where}{error}")
        table = ".".join(str(part) for part in path[:-1] if isinstance(part, str))
        return self._lines.error(path, f"{where}{table}.{error}")


def read_spec(path: str) -> Spec:
    """The spec of a file. Errors: StreamError (no file), ConfigError (line, key, what to do)."""
    try:
        data = Path(path).read_bytes()
    except FileNotFoundError:
        raise StreamError(f"{path}: no such file: `nbt-embed fleet --example` writes one") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise StreamError(f"{path}: cannot be read ({reason}): name a TOML file") from None
    try:
        return parse(data.decode("utf-8-sig"), path)
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: is no UTF-8 text: expected a TOML file") from None


def parse(source: str, name: str) -> Spec:
    """The spec of a TOML text.

    Args: source; name, of the file, in whose folder relative paths begin. Errors: ConfigError.
    """
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        import tomli as tomllib  # type: ignore[no-redef, import-not-found, unused-ignore]
    try:
        table = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: is no TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{name}: is no TOML that can be read: too many nested lists") from None
    lines = Lines(name, source)
    top = Keys(table, lines)
    title = top.take("title", text, "a text", Path(name).stem)
    devices = top.take(
        "devices", whole(1, _MOST_DEVICES), f"an integer from 1 to {_MOST_DEVICES}", None
    )
    seed = top.take("seed", whole(0), "an integer from 0", 0)
    rows = top.take("rows", whole(2, _MOST_ROWS), f"an integer from 2 to {_MOST_ROWS}", None)
    horizons = top.take(
        "horizons", _horizons, f"a list of different integers from 0 to {FURTHEST}", (1,)
    )
    stream = _stream(top.table("stream"), Path(name).parent)
    if not stream.paths:
        devices, rows = devices or 100, rows or 5000
    if 0 in horizons:
        if len(horizons) > 1 and stream.read.inputs is None:
            top.fail(
                "horizons", list(horizons),
                "at 0 the targets are no inputs, and at other horizons they are; run 0 alone, or "
                "name stream.read.inputs",
            )  # fmt: skip
        if not stream.paths:
            top.fail("horizons", list(horizons), "targets of the simulated sensor are its inputs")
        stream = replace(stream, read=replace(stream.read, targets_as_inputs=False))
    clean = top.take("targets", one_of(("perturbed", "clean")), "", "perturbed") == "clean"
    perturbations = tuple(_perturbations(top.table("perturbations")))
    settings, paths = _settings(top)
    baselines = top.table("baselines")
    rls = baselines.take("rls", truth, "true or false", True)
    baselines.end()
    top.end()
    return Spec(
        title, devices, seed, rows, horizons, stream, perturbations, clean, settings, rls, source,
        lines, paths,
    )  # fmt: skip


def _horizons(value: Any) -> tuple[int, ...]:
    convert = whole(0, FURTHEST)
    found = tuple(convert(one) for one in sequence(value))
    if not found or len(set(found)) < len(found):
        raise ValueError
    return found


def _stream(keys: Keys, folder: Path) -> StreamSpec:
    share, amount = real(0, 1), real(0, 1000)
    sources = keys.take("source", texts, '"simulated", or a file, a folder, or a list of them',
                        (SIMULATED,))  # fmt: skip
    own = keys.take("recordings", one_of(("own", "shared")), "", None)
    if sources == (SIMULATED,):
        noise = keys.take("noise", amount, "a number from 0 to 1000", 0.02)
        missing = keys.take("missing", share, "a number from 0 to 1", 0.02)
        keys.end()
        return StreamSpec(own=own != "shared", noise=noise, missing=missing)
    column = keys.take("device_column", text, "the name of a column", None)
    read = _read_options(keys.table("read"))
    keys.end()
    if column is not None and own is not None:
        keys.fail("recordings", own, "device_column says already whose every row is; leave it out")
    if column is not None:
        if len(sources) > 1:
            keys.fail("source", list(sources), "device_column needs one Parquet file or folder")
        if read != ReadOptions(time=read.time, inputs=read.inputs, targets=read.targets):
            keys.fail("device_column", column, "with it, [stream.read] has time, inputs, targets")
    paths = tuple(str(folder / one) for one in sources)
    return StreamSpec(paths, own == "own" or column is not None, column, read=read)


def _read_options(keys: Keys) -> ReadOptions:
    found: dict[str, Any] = {}
    for name in ("time", "time_format", "delimiter", "decimal", "quote", "encoding"):
        if name in keys:
            found[name] = keys.take(name, _any_text, "a text", "")
    for name in ("inputs", "targets"):
        if name in keys:
            found[name] = keys.take(name, texts, "a name or a list of names, each once", ())
    if "missing" in keys:
        found["missing"] = keys.take("missing", _marks, "a list of texts and numbers", ())
    if "skip" in keys:
        found["skip"] = keys.take("skip", whole(0), "an integer from 0", 0)
    if "header" in keys:
        found["header"] = keys.take("header", truth, "true or false", True)
    if "resample" in keys:
        found["resample"] = keys.take("resample", real(1e-9, 1e12), "seconds above 0", 0.0)
    if "link" in keys:
        found["link"] = keys.take("link", one_of(("gaussian", "categorical")), "", "")
    if "gap" in keys:
        gap = keys.take("gap", lambda one: one, "", None)
        keys.fail("gap", gap, "a fleet does not reset its learners; leave it out")
    keys_known = [
        "time", "time_format", "inputs", "targets", "missing", "delimiter", "decimal", "skip",
        "header", "quote", "encoding", "resample", "link",
    ]  # fmt: skip
    Keys(dict(keys.rest()), keys.lines, keys.path, keys_known).end()
    return ReadOptions(**found)


def _any_text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError
    return value


def _marks(value: Any) -> tuple[str, ...]:
    found = value if isinstance(value, list) else [value]
    if not all(isinstance(one, (str, int, float)) and not isinstance(one, bool) for one in found):
        raise TypeError
    return tuple(str(one) for one in found)


def _perturbations(keys: Keys) -> Iterator[Perturbation]:
    for kind in KINDS:
        if kind not in keys:
            keys.take(kind, plain, "", "")  # a name to suggest
            continue
        value: Any = keys.take(kind, lambda one: one, "", None)
        several = isinstance(value, list) and any(isinstance(one, dict) for one in value)
        for place, one in enumerate(value if several else [value]):
            path = (*keys.path, kind, *([place] if several else []))
            yield _perturbation(kind, one, keys, path)
    keys.end()


def _perturbation(kind: Kind, value: Any, keys: Keys, path: tuple[str | int, ...]) -> Perturbation:
    said = f"{'.'.join(str(part) for part in path if isinstance(part, str))}"
    try:
        if not isinstance(value, dict):
            return Perturbation(kind, _distribution(value))
        inner = Keys(value, keys.lines, path, _VALUES)
        more: dict[str, Any] = {}
        if kind not in OF_DEVICE:
            more["channels"] = inner.take("channels", texts, "a name or a list of names", None)
            more["together"] = inner.take("together", truth, "true or false", False)
        if kind in OF_SPELLS:
            more["length"] = inner.take("length", real(1, 1e12), "mean rows, from 1", 10.0)
        if kind in ("offset", "noise"):
            more["unit"] = inner.take("unit", one_of(("channel", "sd")), "", "channel")
        drawn = [
            (name, inner.take(name, lambda one: one, "", None)) for name in _VALUES if name in inner
        ]
        inner.end()
        if len(drawn) != 1:
            raise ConfigError(f"{said} = {shown(value)}: expected one of {', '.join(_VALUES)}")
        name, numbers = drawn[0]
        made = _distribution(numbers) if name == "value" else _drawn(cast("Shape", name), numbers)
        return Perturbation(kind, made, **more)
    except ConfigError as error:
        if str(error).startswith(keys.lines.name):
            raise
        told = str(error)
        if not told.startswith((said, kind)):
            told = f"{said}: {told}"
        elif not told.startswith(said):
            told = f"perturbations.{told}"
        raise keys.lines.error(path, told) from None


def _distribution(value: Any) -> Distribution:
    """A number, a range [low, high], or a table with the name of a distribution."""
    if isinstance(value, dict):
        names = list(value)
        if len(names) != 1 or names[0] not in _TABLES:
            raise ConfigError(
                f"{shown(value)}: {similar(names[0] if names else '', _TABLES)}expected a table "
                f"with one of {', '.join(_TABLES)}"
            )
        return _drawn(cast("Shape", names[0]), value[names[0]])
    numbers = value if isinstance(value, list) else [value]
    if not all(_is_number(one) for one in numbers) or (isinstance(value, list) and len(value) != 2):
        raise ConfigError(
            f"{plain(value)}: expected a number, a range [low, high], or a table such as "
            "{ normal = [0, 1] }"
        )
    return _drawn("uniform" if isinstance(value, list) else "fixed", numbers)


def _drawn(shape: Shape, numbers: Any) -> Distribution:
    if not isinstance(numbers, list) or not all(_is_number(one) for one in numbers):
        raise ConfigError(f"{shape} = {plain(numbers)}: expected a list of numbers")
    return Distribution(shape, tuple(float(one) for one in numbers))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


_Settings = dict[str, dict[str, Any]]
_Paths = dict[str, dict[str, tuple[str | int, ...]]]


def _settings(top: Keys) -> tuple[_Settings, _Paths]:
    """Learners by name, and where each of their settings stands."""
    common = dict(_taken(top.table("settings")))
    common_paths: dict[str, tuple[str | int, ...]] = {name: ("settings", name) for name in common}
    found: _Settings = {}
    paths: _Paths = {}
    grid = _grid(top.table("grid"), common)
    for values in product(*grid.values()) if grid else ():
        chosen = dict(zip(grid, values, strict=True))
        name = ", ".join(f"{key} {_value_text(value)}" for key, value in chosen.items())
        found[name] = {**common, **chosen}
        paths[name] = {**common_paths, **{key: ("grid", key) for key in grid}}
        if len(found) > _MOST_SETTINGS:
            raise top.lines.error(
                ("grid",), f"grid: has more than {_MOST_SETTINGS} combinations; leave values out"
            )
    for keys in top.tables("variant", _SETTINGS):
        name = keys.take("name", text, "a text", "")
        if not name or name in found or name == RLS_NAME:
            why = "is taken" if name else "is missing"
            raise keys.lines.error(
                (*keys.path, "name"), f"{keys.called('name')} = {name!r}: {why}; give every "
                "variant a name of its own",
            )  # fmt: skip
        own = dict(_taken(keys))
        found[name] = {**common, **own}
        paths[name] = {**common_paths, **{key: (*keys.path, key) for key in own}}
    if not found:
        found[_DEFAULT], paths[_DEFAULT] = common, common_paths
    return found, paths


def _taken(keys: Keys) -> Iterator[tuple[str, Any]]:
    for name, value in keys.rest():
        _check_name(keys, name)
        _check_value(keys, name, value)
        yield name, tuple(value) if isinstance(value, list) else value


def _grid(keys: Keys, common: Mapping[str, Any]) -> dict[str, list[Any]]:
    found: dict[str, list[Any]] = {}
    for name, values in keys.rest():
        _check_name(keys, name)
        if name in common:
            keys.fail(name, values, "stands in [settings] too; leave one of the two out")
        if not isinstance(values, list) or not values:
            keys.fail(name, values, "expected a list of values to combine")
        for one in values:
            _check_value(keys, name, one)
        made = [tuple(one) if isinstance(one, list) else one for one in values]
        texts_of = [repr(one) for one in made]
        if len(set(texts_of)) < len(texts_of):
            keys.fail(name, values, "names a value twice")
        found[name] = made
    return found


def _check_value(keys: Keys, name: str, value: Any) -> None:
    """Python would take true for 1."""
    if isinstance(value, bool) and name not in _FLAGS:
        keys.fail(name, value, "expected a number or a text")


def _check_name(keys: Keys, name: str) -> None:
    if name in _SETTINGS:
        return
    called = keys.called(name)
    if name in _DECIDED:
        why = _WHY_DECIDED.get(name, "follows from the stream; leave it out")
        raise keys.lines.error((*keys.path, name), f"{called}: {why}")
    raise keys.lines.error(
        (*keys.path, name),
        f"{called}: no such setting: {similar(name, _SETTINGS)}there are {', '.join(_SETTINGS)}",
    )


def _value_text(value: Any) -> str:
    if isinstance(value, tuple):
        return " ".join(_value_text(one) for one in value) or "none"
    return value if isinstance(value, str) else plain(value)
