"""Specs of fleets: what may stand in them, and errors that name line, key, value and what to do."""

from __future__ import annotations

from importlib.resources import files

import pytest

for library in ("polars", "rich"):
    pytest.importorskip(library)

from conftest import ROOT

from nbt_embed.app.fleet_spec import parse
from nbt_embed.app.fleet_spec_settings import RLS_NAME
from nbt_embed.errors import ConfigError, StreamError
from nbt_embed.fleet.perturb import Distribution, Perturbation


def test_an_empty_file_is_a_fleet() -> None:
    spec = parse("", "pumps.toml")
    assert (spec.title, spec.devices, spec.rows, spec.horizons) == ("pumps", 100, 5000, (1,))
    configs, notes = spec.configs(3, 3, "gaussian")
    assert list(configs) == [RLS_NAME, "default"]
    assert configs[RLS_NAME].hidden == 0
    assert not notes


def test_perturbations_are_numbers_ranges_and_tables() -> None:
    spec = parse(
        """
        [perturbations]
        gain = 2
        offset = [-1, 1]
        noise = [{ normal = [1, 0.1], channels = "a" },
                 { choice = [1, 3], channels = ["b", "c"], unit = "sd", together = true }]
        dropouts = { value = 0.1, length = 7 }
        start = { uniform = [0, 9] }
        """,
        "f.toml",
    )
    assert spec.perturbations == (
        Perturbation("gain", Distribution("fixed", (2,))),
        Perturbation("offset", Distribution("uniform", (-1, 1))),
        Perturbation("noise", Distribution("normal", (1, 0.1)), ("a",)),
        Perturbation("noise", Distribution("choice", (1, 3)), ("b", "c"), True, unit="sd"),
        Perturbation("dropouts", Distribution("fixed", (0.1,)), length=7),
        Perturbation("start", Distribution("uniform", (0, 9))),
    )


def test_grids_are_products_and_variants_have_names() -> None:
    spec = parse(
        """
        seed = 5
        [settings]
        lags = 3
        [grid]
        hidden = [2, 4]
        cell = ["gated", "columnar"]
        [[variant]]
        name = "levels"
        levels = [0.5, 0.9]
        lags = 1
        """,
        "f.toml",
    )
    configs, _ = spec.configs(3, 3, "gaussian")
    assert list(configs) == [
        RLS_NAME,
        "hidden 2, cell gated",
        "hidden 2, cell columnar",
        "hidden 4, cell gated",
        "hidden 4, cell columnar",
        "levels",
    ]
    assert {config.seed for config in configs.values()} == {5}
    assert [config.lags for config in configs.values()] == [3, 3, 3, 3, 3, 1]
    assert configs["levels"].levels == (0.5, 0.9)
    assert configs["hidden 2, cell gated"].hold_missing


def test_what_is_the_same_learner_runs_once() -> None:
    configs, notes = parse('[grid]\nhidden = [0, 4]\ncell = ["tanh"]', "f.toml").configs(
        1, 1, "gaussian"
    )
    assert "hidden 4, cell tanh" in configs
    configs, notes = parse("[grid]\nhidden = [0, 4]\nhead=[0]", "f.toml").configs(1, 1, "gaussian")
    assert list(configs) == ["hidden 0, head 0", "hidden 4, head 0"]
    assert notes == ["hidden 0, head 0 is recursive least squares; RLS is not run twice"]
    configs, notes = parse("[grid]\nlags = [2]\n[[variant]]\nname='x'\n", "f.toml").configs(
        1, 1, "gaussian"
    )
    assert notes == ["x is left out: it is the same learner as lags 2"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("devices = 0", "f.toml, line 1: devices = 0: expected an integer from 1 to 10000000"),
        ("\n\ndevices = '7'", "f.toml, line 3: devices = '7': expected an integer"),
        ("devices = true", "devices = true: expected an integer"),
        ("seed = -1", "line 1: seed = -1: expected an integer from 0"),
        ("rows = 2.0", "rows = 2.0: expected an integer from 2"),
        ("device = 3", "line 1: no key 'device': did you mean 'devices'? there are title, devices"),
        ("horizons = 3", "horizons = 3: expected a list of different integers from 0"),
        ("horizons = [1, 1]", r"horizons = [1, 1]: expected a list"),
        ("horizons = [0, 1]", "at 0 the targets are not inputs"),
        ("targets = 'cleen'", "targets: 'cleen': did you mean 'clean'? expected one of perturbed"),
        ("[settings\n", "f.toml: is not TOML: "),
        ("stream = 3", "stream = 3: expected a table"),
        ("[stream]\nsource = []", "line 2: stream.source = []: expected \"simulated\", or a file"),
        ("[stream]\nsorce = 'x'", "line 2: no key 'sorce' in stream: did you mean 'source'?"),
        ("[stream]\nnoise = -1", "line 2: stream.noise = -1: expected a number from 0 to 1000"),
        ("[stream]\nsource='a'\nnoise=1", "line 3: no key 'noise' in stream: "),
        ("[stream]\nsource='a'\nread.input='b'", "line 3: no key 'input' in stream.read: did you"),
        ("[stream]\nsource='a'\n[stream.read]\ngap=1", "line 4: stream.read.gap = 1: the learners"),
        (
            "[stream]\nsource='a'\nrecordings='own'\ndevice_column='b'",
            "line 3: stream.recordings = 'own': device_column already assigns",
        ),
        ("[perturbations]\ngains = 1", "no key 'gains' in perturbations: did you mean 'gain'?"),
        ("[perturbations]\n\ngain = 'x'", "line 3: perturbations.gain: 'x': expected a number, a"),
        (f"[perturbations]\ngain = 1{'0' * 400}", "line 2: perturbations.gain: fixed = [1000"),
        ("[perturbations]\ngain = [1]", "line 2: perturbations.gain: [1]: expected a number, a"),
        ("[perturbations]\ngain = [2, 1]", "perturbations.gain: uniform = [2.0, 1.0]: expected"),
        ("[perturbations]\ndropouts = [0, 2]", "line 2: perturbations.dropouts: uniform = [0.0"),
        (
            "[perturbations.gain]\nvalue = 1\nchanels = ['a']",
            "line 3: no key 'chanels' in perturbations.gain: did you mean 'channels'?",
        ),
        (
            "[perturbations]\ngain = { normal = [1, 1], value = 3 }",
            "line 2: perturbations.gain = {'normal': [1, 1], 'value': 3}: expected one of value",
        ),
        ("[perturbations]\ngain = { norml = [1, 1] }", "in perturbations.gain: did you mean 'norm"),
        (
            "[perturbations]\nstuck = { value = { norml = [1, 1] } }",
            "perturbations.stuck: {'norml': [1, 1]}: did you mean 'normal'?",
        ),
        ("[perturbations]\nnoise = { value = 1, length = 2 }", "no key 'length' in perturbations."),
        (
            "[[perturbations.gain]]\nvalue = 1\n[[perturbations.gain]]\nvalue = nan",
            "line 3: perturbations.gain: fixed = [nan]: expected finite numbers",
        ),
        ("[settings]\nhiden = 4", "line 2: settings.hiden: no such setting: did you mean 'hidden'"),
        ("[settings]\nseed = 4", "settings.seed: every device has its own seed: set `seed` at "
            "the top"),
        ("[settings]\nn_in = 4", "settings.n_in: follows from the stream; leave it out"),
        ("[grid]\nhidden = 4", "line 2: grid.hidden = 4: expected a list of values to combine"),
        ("[grid]\nhidden = [4, 4]", "grid.hidden = [4, 4]: a value is repeated"),
        ("[settings]\nlags=1\n[grid]\nlags = [4]", "line 4: grid.lags = [4]: is also set in "
            "[settings]"),
        ("[[variant]]\nhidden = 4", "variant[1].name = '': is missing"),
        ("[[variant]]\nname='a'\n[[variant]]\nname='a'", "line 4: variant[2].name = 'a': is taken"),
        ("[settings]\nhidden = true", "line 2: settings.hidden = true: expected a number or a"),
        ("[grid]\nlags = [1, true]", "line 2: grid.lags = true: expected a number or a text"),
        ("\n[a.b]\nc = 1", "line 2: no key 'a': there are title, devices"),
        ("perturbations.noise.fixed = [1]", "line 1: no key 'fixed' in perturbations.noise: "),
        ("[baselines]\nrsl = true", "no key 'rsl' in baselines: did you mean 'rls'?"),
    ],
)  # fmt: skip
def test_errors_name_line_key_value_and_what_to_do(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text, "f.toml")
    assert said in str(error.value)
    assert str(error.value).startswith("f.toml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[settings]\n# units\nhidden = 5000", "f.toml, line 3: settings.hidden = 5000: expected a "
         "value from 0 to 4096"),
        ("[settings]\nforget = 0.1", "line 2: settings.forget = 0.1: expected a value above 0.5"),
        ("[settings]\ncell = 'gatd'", "settings.cell = 'gatd': did you mean 'gated'?"),
        ("[settings]\nhidden = 2.5", "settings.hidden = 2.5: expected an integer"),
        ("[grid]\nlags = [2, 2000]", "line 2: setting 'lags 2000': grid.lags = 2000: expected a"),
        ("[[variant]]\nname='a'\n[[variant]]\nname='b'\n\nrate = -1", "line 6: setting 'b': "
         "variant.rate = -1"),
        ("[settings]\nhidden = 4\nresonators = 5", "line 3: settings.resonators = 5: expected a"),
    ],
)  # fmt: skip
def test_the_kernels_ranges_are_told_with_the_line(text: str, said: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse(text, "f.toml").configs(3, 3, "gaussian")
    assert said in str(error.value)


def test_paths_begin_in_the_folder_of_the_spec() -> None:
    spec = parse("[stream]\nsource = ['a.csv', '/b.csv']", "somewhere/f.toml")
    assert spec.stream.paths == ("somewhere/a.csv", "/b.csv")
    assert spec.devices is None


def test_a_file_that_is_none_says_how_to_begin() -> None:
    from nbt_embed.app.fleet_spec import read_spec

    with pytest.raises(StreamError, match="--example"):
        read_spec("/nowhere/f.toml")


def test_what_stands_in_the_example_are_all_keys() -> None:
    """Whoever adds a key shows it in the file that people begin with."""
    text = files("nbt_embed.app").joinpath("templates", "fleet.toml").read_text("utf-8")
    parse(text, "fleet.toml")
    shown = text.replace("# ", "")
    for key in ("title", "devices", "seed", "rows", "horizons", "targets", "source", "recordings",
                "noise", "missing", "device_column", "read", "gain", "offset", "dropouts", "stuck",
                "clock_skew", "start", "channels", "length", "unit", "rls"):  # fmt: skip
        assert f"{key} =" in shown or f"{key}=" in shown, key
    parse((ROOT / "examples" / "fleet.toml").read_text("utf-8"), "fleet.toml")
