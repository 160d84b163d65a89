"""The specification of a fleet in TOML: devices, stream, perturbations, settings, horizons.

docs/guide/fleet-command.md describes every key; templates/fleet.toml is an example.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nbt_embed._extras import needs
from nbt_embed._kernel_config import memory_of
from nbt_embed.app.fleet_keys import (
    Keys,
    Lines,
    any_text,
    anything,
    marks,
    one_of,
    real,
    sequence,
    text,
    texts,
    truth,
    whole,
)
from nbt_embed.app.fleet_spec_perturb import perturbations_of
from nbt_embed.app.fleet_spec_settings import RLS_NAME, settings_of
from nbt_embed.app.models import without_units
from nbt_embed.app.options import ReadOptions
from nbt_embed.config import Config
from nbt_embed.errors import ConfigError, StreamError, shown
from nbt_embed.fleet.perturb import (
    Perturbation,
)
from nbt_embed.options import FURTHEST

SIMULATED = "simulated"
_MOST_DEVICES, _MOST_ROWS = 10_000_000, 1_000_000_000
READ_KEYS: dict[str, tuple[Callable[[Any], Any], str]] = {
    **dict.fromkeys(
        ("time", "time_format", "delimiter", "decimal", "quote", "encoding"), (any_text, "a text")
    ),
    **dict.fromkeys(("inputs", "targets"), (texts, "a name or a list of names, each once")),
    "missing": (marks, "a list of texts and numbers"),
    "skip": (whole(0), "an integer from 0"),
    "header": (truth, "true or false"),
    "resample": (real(1e-9, 1e12), "seconds above 0"),
    "link": (one_of(("gaussian", "categorical")), ""),
}
"""Keys of [stream.read]: converter, and expected value."""


@dataclass(frozen=True)
class StreamSpec:
    """The source of samples.

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
        title: in the results.
        devices: their number; None: one per recording.
        seed: of the devices and their drawn values.
        rows: most rows of a device; None: its whole recording.
        horizons: rows between a forecast and its label.
        stream: the source of samples.
        perturbations: of the devices.
        clean_targets: whether targets are without gain, offset, noise and faults.
        settings: name -> settings of a learner; for a grid all combinations.
        rls: whether recursive least squares also runs, for comparison.
        text: of the file.
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
        """Return learners by name, and a sentence for each that equals another and is left out.

        Args: n_in; n_out, for classes their number; link, of the targets.
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
        """Return an error about a key, with its line."""
        return self._lines.error(path, text)

    def _refused(self, name: str, error: str) -> ConfigError:
        """Return the kernel's error with the line of the setting that it names."""
        paths = self._paths[name]
        path = paths.get(error.partition(" = ")[0])
        where = "" if len(self.settings) == 1 else f"setting {shown(name)}: "
        if path is None:
            return self._lines.error(next(iter(paths.values()), ()), f"{where}{error}")
        table = ".".join(str(part) for part in path[:-1] if isinstance(part, str))
        return self._lines.error(path, f"{where}{table}.{error}")


def read_spec(path: str) -> Spec:
    """Read a specification. Errors: StreamError (no file), ConfigError (line, key, remedy)."""
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
        raise ConfigError(f"{path}: is not UTF-8 text: expected a TOML file") from None


def parse(source: str, name: str) -> Spec:
    """Parse a TOML text.

    Args: source; name, of the file, whose folder is the base of relative paths.
    Errors: ConfigError, MissingExtraError.
    """
    try:
        import tomllib
    except ModuleNotFoundError:  # Python 3.10
        with needs("a fleet's spec"):
            import tomli as tomllib  # type: ignore[no-redef, import-not-found, unused-ignore]
    try:
        table = tomllib.loads(source)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{name}: is not TOML: {error}") from None
    except RecursionError:
        raise ConfigError(f"{name}: is not valid TOML: the lists are nested too deeply") from None
    lines = Lines(name, source)
    top = Keys(table, lines)
    title = top.take("title", text, "a text", Path(name).stem)
    devices = top.take(
        "devices", whole(1, _MOST_DEVICES), f"an integer from 1 to {_MOST_DEVICES}", None
    )
    seed = top.take("seed", whole(0), "an integer from 0 to 9223372036854775807", 0)
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
                "at 0 the targets are not inputs, and at other horizons they are; run 0 alone, or "
                "name stream.read.inputs",
            )  # fmt: skip
        if not stream.paths:
            top.fail(
                "horizons", list(horizons), "the targets of the simulated sensor are its inputs"
            )
        stream = replace(stream, read=replace(stream.read, targets_as_inputs=False))
    clean = top.take("targets", one_of(("perturbed", "clean")), "", "perturbed") == "clean"
    perturbations = tuple(perturbations_of(top.table("perturbations")))
    settings, paths = settings_of(top)
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
        keys.fail(
            "recordings", own, "device_column already assigns every row to a device; leave it out"
        )
    if column is not None:
        if len(sources) > 1:
            keys.fail("source", list(sources), "device_column needs one Parquet file or folder")
        if read != ReadOptions(time=read.time, inputs=read.inputs, targets=read.targets):
            keys.fail("device_column", column, "with it, [stream.read] has time, inputs, targets")
    paths = tuple(str(folder / one) for one in sources)
    return StreamSpec(paths, own == "own" or column is not None, column, read=read)


def _read_options(keys: Keys) -> ReadOptions:
    if "gap" in keys:
        gap = keys.take("gap", anything, "", None)
        keys.fail("gap", gap, "the learners of a fleet are not reset; leave it out")
    found = {
        name: keys.take(name, convert, expected, None)
        for name, (convert, expected) in READ_KEYS.items()
    }
    keys.end()
    return ReadOptions(**{name: value for name, value in found.items() if value is not None})
