"""What `--out` writes: forecast and observed value, in the row that the forecast is about."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest

pl = pytest.importorskip("polars", reason="needs the extra [app]")

from nbt_embed import Config, Learner
from nbt_embed.app.forecasts import Writer
from nbt_embed.app.recording import from_stream
from nbt_embed.app.trial import Plan, run_trial
from nbt_embed.simulation import simulated_sensor
from nbt_embed.streams import Stream, from_arrays


def written(stream: Stream, config: Config, horizons: tuple[int, ...], name: str) -> bytes:
    with (
        from_stream(stream, "a") as recording,
        Writer(recording, config, horizons, name) as writer,
    ):
        run_trial(recording, config, Plan(horizons, threshold=0.9, hold_off=0), writer)
        writer.file.seek(0)
        return writer.file.read()


@pytest.mark.parametrize("name", ["x.csv", "x.parquet", "X.PQ", "-"])
@pytest.mark.parametrize("horizons", [(3,), (0,), (4, 1)])
def test_every_forecast_stands_in_the_row_that_it_is_about(
    name: str, horizons: tuple[int, ...]
) -> None:
    stream = simulated_sensor(700)
    config = Config(3, 3, hidden=3, hold_missing=True)
    data = written(stream, config, horizons, name)
    parquet = name.lower().endswith(("parquet", "pq"))
    table = (pl.read_parquet if parquet else pl.read_csv)(io.BytesIO(data))
    assert table["row"].to_list() == list(range(700 + max(horizons)))
    target = "current_A"
    np.testing.assert_array_equal(
        table[target].to_numpy()[:700].astype(np.float32), stream.targets[:, 1]
    )
    for horizon in horizons:
        ending = f"_{horizon}" if len(horizons) > 1 else ""
        alone = Learner(3, 3, hidden=3, hold_missing=True, max_delay=max(horizon - 1, 0))
        run = alone.run(
            stream.inputs, stream.targets, horizon=horizon, intervals=True, anomaly=True
        )
        assert run.intervals is not None
        assert run.anomaly is not None

        def column(what: str, ending: str = ending) -> list[float | None]:
            values: list[float | None] = table[f"{target}_{what}{ending}"].to_list()
            return values

        made = slice(horizon, 700 + horizon)
        for what, expected in (
            ("forecast", run.y[:, 1]),
            ("low_80", run.intervals[:, 1, 2]),
            ("high_95", run.intervals[:, 1, 5]),
        ):
            found = np.array(column(what)[made], np.float32)
            np.testing.assert_array_equal(found, expected)  # as many digits as a float32 needs
            assert column(what)[:horizon] == [None] * horizon
        scores = np.array([np.nan if one is None else one for one in column("score")], np.float32)
        np.testing.assert_array_equal(scores[:700], run.anomaly[:, 1])
        alarms = np.array(column("alarm")[:700]) == 1
        assert alarms.any()
        assert (scores[:700][alarms] > 0.9).all()
        assert column("alarm")[700:] == [None] * max(horizons)


def test_classes_have_their_names() -> None:
    state = np.arange(300) // 5 % 2
    inputs = np.eye(2, dtype=np.float32)[state]
    labels = state[:, np.newaxis].astype(np.float32)
    labels[7] = np.nan
    stream = Stream(inputs, labels, ("a", "b"), ("status",))
    config = Config(2, 2, hidden=2, link="categorical")
    with (
        from_stream(stream, "a", classes=("idle", "run")) as recording,
        Writer(recording, config, (1,), "x.csv") as writer,
    ):
        run_trial(recording, config, Plan((1,)), writer)
        writer.file.seek(0)
        table = pl.read_csv(io.BytesIO(writer.file.read()))
    assert table.columns == ["row", "status", "status_forecast", "status_probability"]
    expected = [None if row == 7 else ("idle", "run")[state[row]] for row in range(300)]
    assert table["status"].to_list() == [*expected, None]
    assert set(table["status_forecast"].to_list()[1:]) == {"idle", "run"}
    assert (table["status_probability"].to_numpy()[1:] >= 0.5).all()


def test_names_that_meet_are_told_apart() -> None:
    wave = np.sin(np.arange(60.0))
    stream = from_arrays(
        np.stack([wave, wave, wave], axis=1), input_names=("row", "temp", "temp_forecast")
    )
    data = written(stream, Config(3, 3, hidden=1, intervals=0, anomaly=False), (1,), "x.csv")
    header = data.decode().splitlines()[0].split(",")
    assert len(set(header)) == len(header) == 7
    assert header[:3] == ["row", "row_", "row_forecast"]


def test_nothing_is_left_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    written(from_arrays(np.arange(50.0)), Config(1, 1, hidden=1), (1,), "x.parquet")
    assert list(tmp_path.iterdir()) == []
