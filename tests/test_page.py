"""Pages of runs: one file, no network, numbers of the document, names that stay names."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from itertools import pairwise
from typing import Any

import numpy as np
import pytest

for library in ("bokeh", "jinja2"):
    pytest.importorskip(library, reason="pages need the extra 'app'")

from sample_run import HOSTILE, Run, class_run, hostile_run, sample_run

from nbt_embed.app import look, tables
from nbt_embed.app.figures import axis_of
from nbt_embed.app.page import fewer, page
from nbt_embed.app.results import Pictures

VOID = {"meta", "link", "input", "br", "img", "hr"}
SVG_PARTS = {"line", "rect", "path"}
RAW = {"script", "style"}


@dataclass
class Element:
    """A tag, its attributes, its children and texts in order."""

    tag: str
    attributes: dict[str, str]
    children: list[Any] = field(default_factory=list)

    @property
    def text(self) -> str:
        """All texts in it."""
        texts = [one if isinstance(one, str) else one.text for one in self.children]
        return " ".join("".join(texts).split())

    def all(self, *tags: str) -> Iterator[Element]:
        """Elements of these tags in it, in their order; of any tag without."""
        for one in self.children:
            if isinstance(one, Element):
                if not tags or one.tag in tags:
                    yield one
                yield from one.all(*tags)


class Tree(HTMLParser):
    """A page as elements; a tag that is not closed in turn is an error."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.root = Element("root", {})
        self.open = [self.root]
        self.feed(text)
        self.close()
        assert self.open == [self.root], [one.tag for one in self.open]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(names) == len(set(names)), names
        element = Element(tag, {name: value or "" for name, value in attrs})
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in SVG_PARTS
        self.handle_starttag(tag, attrs)
        self.handle_endtag(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)


def tree(text: str) -> Element:
    return Tree(text).root


def shown(name: str) -> str:
    """A name as the page shows it, with its blanks made equal."""
    return " ".join(tables.safe(name).split())


def embedded(root: Element) -> Any:
    (script,) = [one for one in root.all("script") if one.attributes.get("id") == "document"]
    return json.loads("".join(script.children))


def cells(table: Element) -> list[list[str]]:
    return [
        [cell.text for cell in row.all("th", "td")]
        for body in table.all("tbody")
        for row in body.all("tr")
    ]


RUNS: dict[str, Callable[[], Run]] = {
    "one": lambda: sample_run(400),
    "nine": lambda: sample_run(400, 3, (1, 5, 20), dated=False),
    "classes": class_run,
    "hostile": hostile_run,
}


@pytest.fixture(scope="module", params=RUNS)
def run(request: pytest.FixtureRequest) -> tuple[dict[str, Any], Pictures, Element]:
    """Return a document, its pictures, and its page."""
    document, pictures = RUNS[request.param]()
    return document, pictures, tree(page(document, pictures))


def test_it_asks_nothing_of_a_network(run: Any) -> None:
    _, _, root = run
    for element in root.all():
        assert element.tag not in ("iframe", "object", "embed", "img", "base", "form")
        for name, value in element.attributes.items():
            assert name not in ("src", "srcset", "action", "background")
            assert not name.startswith("on")
            if name == "href":
                assert value == "data:,"
            assert "url(" not in value
    for style in root.all("style"):
        assert not re.search(r"url\(|@import|//", "".join(style.children))


def test_it_holds_the_document(run: Any) -> None:
    document, _, root = run
    assert embedded(root) == document


def test_the_verdict_stands_first(run: Any) -> None:
    document, _, root = run
    (main,) = root.all("main")
    first = next(main.all())
    assert first.tag == "section"
    said = [one.text for one in first.all("p")]
    assert said == [shown(sentence) for sentence in document["verdict"]]


def test_scores_are_those_of_the_document(run: Any) -> None:
    document, _, root = run
    (main,) = root.all("main")
    found = [one for one in main.all("table") if "scored rows" in one.text]
    assert len(found) == len(document["horizons"])
    measures = tables.measures(document)
    first = next(iter(measures))
    for table, horizon in zip(found, document["horizons"], strict=True):
        rows = cells(table)
        for row, line in zip(rows, horizon["targets"], strict=False):
            scores = line["scores"]
            ranked = [s[first] for s in scores.values() if s[first] is not None]

            def marked(score: dict[str, Any], best: float = min(ranked)) -> str:
                text = "-" if score[first] is None else f"{score[first]:.4g}"
                return f"{text}best" if score[first] == best else text

            own = scores["learner"]
            expected = [shown(line["target"]), f"{line['scored_rows']:,}", marked(own)]
            for key in list(measures)[1:]:
                share = key in ("skill", "accuracy")
                expected.append(f"{100 * own[key]:.1f} %" if share else f"{own[key]:.4g}")
            others = [key for key in document["models"] if key in scores and key != "learner"]
            expected += [marked(scores[key]) for key in others]
            assert row == expected
        if horizon["ratios"]:
            ratios = [f"{horizon['ratios'][key]['learner_over']:.4g}" for key in others]
            assert [text for text in rows[-1] if text] == ["mean ratio", *ratios]


def test_intervals_are_those_of_the_document(run: Any) -> None:
    document, _, root = run
    lines = [line for one in document["horizons"] for line in one["targets"]]
    expected = [
        [shown(line["target"])]
        + [
            text
            for one in line["intervals"]
            for text in (f"{100 * one['coverage']:.1f} %", f"{one['width']:.4g}")
        ]
        for line in lines
        if line["intervals"]
    ]
    found = [table for table in root.all("table") if "truth inside" in table.text]
    assert [row for table in found for row in cells(table)] == expected


def test_bytes_alarms_and_costs_are_those_of_the_document(run: Any) -> None:
    document, _, root = run
    body = {table.text.split()[0]: cells(table) for table in root.all("table")}
    own = document["learner"]["memory_bytes"]
    everything = [*document["models"].values(), *document["alternatives"]]
    known = [one for one in everything if one["memory_bytes"] is not None]
    assert [row[1:3] for row in body["Bytes,"]] == [
        [f"{one['memory_bytes']:,}", f"{one['memory_bytes'] / own:.2f} x"] for one in known
    ]
    assert sum(int(row[1].replace(",", "")) for row in body["The"][:-1]) == own
    costs = [table for table in root.all("table") if "processor" in table.text]
    assert [row[0] for row in cells(costs[0])] == [one["processor"] for one in document["costs"]]
    assert [row[3] for row in cells(costs[0])] == [
        f"{one['milliseconds_low']:.4g}" for one in document["costs"]
    ]
    alarms = [one for horizon in document["horizons"] for one in horizon["alarms"] or []]
    listed = [
        row
        for table in root.all("table")
        if table.text.startswith("Alarms")
        for row in cells(table)
    ]
    assert [row[0] for row in listed] == [f"{one['row']:,}" for one in alarms]
    assert [row[-1] for row in listed] == [f"{one['score']:.6f}" for one in alarms]


def test_it_reads_in_order(run: Any) -> None:
    _, _, root = run
    (html,) = root.all("html")
    assert html.attributes["lang"] == "en"
    assert next(root.all("title")).text
    (main,) = root.all("main")
    levels = [int(one.tag[1]) for one in root.all("h1", "h2", "h3", "h4")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
    for drawing in (one for one in main.all("div") if one.attributes.get("class") == "drawing"):
        assert drawing.attributes["role"] == "img"
        assert re.search(r"\d", drawing.attributes["aria-label"])


def test_every_target_and_horizon_can_be_chosen(run: Any) -> None:
    document, pictures, root = run
    target, horizon = root.all("select")
    assert [one.text for one in target.all("option")] == [
        shown(name) for name in document["targets"]
    ]
    chosen = {
        f"view-{ahead.attributes['value']}-{one.attributes['value']}"
        for ahead in horizon.all("option")
        for one in target.all("option")
    }
    views = {one.attributes["id"] for one in root.all("template")}
    assert chosen == views
    assert len(views) == len(pictures.tracks)


def test_names_stay_names() -> None:
    document, pictures = hostile_run()
    root, plain = tree(page(document, pictures)), tree(page(*sample_run(300, 3, (1, 5))))
    kinds = [[one.tag for one in tree_.all("script", "template")] for tree_ in (root, plain)]
    assert kinds[0] == kinds[1]  # no element more
    assert next(root.all("h1")).text == HOSTILE[0]
    assert not list(root.all("img"))
    assert "{{ 7 * 7 }}" in root.text
    names = [one.text for one in root.all("th", "td") if "class" in one.attributes]
    assert shown(HOSTILE[2]) in names
    labels = [one.attributes.get("aria-label", "") for one in root.all("div")]
    assert any(HOSTILE[0] in label for label in labels)


def test_what_bokeh_would_set_as_mathematics_is_plain() -> None:
    document, pictures = hostile_run()
    items = [
        "".join(one.children)
        for one in tree(page(document, pictures)).all("script")
        if one.attributes.get("class") == "item"
    ]
    assert items
    for item in map(json.loads, items):
        for model in walk(item["doc"]["roots"]):
            for name in ("axis_label", "text"):
                value = model.get("attributes", {}).get(name)
                if isinstance(value, str) and "$$" in value:
                    assert (model["name"], name) == ("PlainText", "text")


def walk(value: Any) -> Iterator[dict[str, Any]]:
    """Every object in JSON."""
    if isinstance(value, dict):
        yield value
    for one in (
        value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    ):
        yield from walk(one)


def test_it_says_how_points_were_thinned() -> None:
    document, pictures = sample_run(400)
    assert "thinned" not in tree(page(document, pictures)).text.split("const nbtPage")[0]
    thin = Pictures(tuple(replace(one, every=50) for one in pictures.tracks), (), ())
    text = tree(page(document, thin)).text
    assert "of every 50 rows, those with the lowest and the highest label are kept" in text


def test_many_points_are_thinned_to_their_extremes() -> None:
    _, pictures = sample_run(400)
    (track,) = pictures.tracks
    assert fewer(track, 400) is track
    few = fewer(track, 40)
    assert few.every == 20
    assert len(few.row) <= 40
    for piece in range(20):
        rows = slice(20 * piece, 20 * piece + 20)
        inside = (few.row >= rows.start) & (few.row < rows.stop)
        truth = track.truth[rows]
        assert {np.nanmin(truth), np.nanmax(truth)} == set(few.truth[inside].tolist())
    at = few.row
    for name in ("truth", "forecast", "rls", "low", "high", "score", "time"):
        np.testing.assert_array_equal(getattr(few, name), getattr(track, name)[at])
    assert fewer(few, 20).every == 40
    bare = replace(track, low=None, high=None, score=None, time=None)
    assert fewer(bare, 40).low is None


def test_a_run_with_next_to_nothing_has_a_page() -> None:
    document, pictures = sample_run(400)
    (horizon,) = document["horizons"]
    (line,) = horizon["targets"]
    nothing = {key: dict.fromkeys(score) for key, score in line["scores"].items()}
    bare = {
        **document,
        "costs": [],
        "alternatives": [],
        "learner": {**document["learner"], "memory_bytes": 100, "memory": {}},
        "models": {key: {**one, "memory_bytes": None} for key, one in document["models"].items()},
        "horizons": [
            {
                **horizon,
                "winner": None,
                "alarms": None,
                "alarm_threshold": None,
                "better_from_row": None,
                "ratios": {},
                "us_per_row": {},
                "targets": [{**line, "scores": nothing, "intervals": None}],
            }
        ],
    }
    root = tree(page(bare, Pictures((), (), ())))
    assert embedded(root) == bare
    assert not list(root.all("select", "template"))
    assert len(list(root.all("script"))) == 2  # nothing is drawn: no BokehJS
    track = pictures.tracks[0]
    short = replace(
        track,
        **{name: getattr(track, name)[:1] for name in ("row", "time", "truth", "forecast", "rls")},
        low=None,
        high=None,
        score=None,
    )
    empty = replace(
        short,
        **{name: getattr(track, name)[:0] for name in ("row", "time", "truth", "forecast", "rls")},
    )
    for one in (short, empty):
        assert "<template" in page(bare, Pictures((one,), (), ()))


def test_times_are_the_axis_only_where_they_rise() -> None:
    row = np.arange(3)
    rising = np.array(["2026-01-01", "2026-01-02", "2026-01-04"], "datetime64[ns]")
    x, kind, label = axis_of(row, rising)
    assert (kind, label) == ("datetime", "time")
    assert x[0] == 1000 * rising[0].astype("datetime64[s]").astype(int)
    for times in (
        rising[::-1],
        rising[[0, 0, 1]],
        np.array([rising[0], "NaT", rising[2]], rising.dtype),
    ):
        assert axis_of(row, times)[1:] == ("linear", "row")
    assert axis_of(row, np.array([0.5, 1.0, 7.0]))[2] == "time"
    assert axis_of(row, np.array([0.5, np.nan, 7.0]))[2] == "row"
    assert axis_of(row, None)[2] == "row"


def test_errors_that_span_much_have_a_logarithmic_axis() -> None:
    assert look.log_ticks(np.array([0.03, np.nan, 0.7])) == [
        0.01,
        0.02,
        0.05,
        0.1,
        0.2,
        0.5,
        1,
        2,
        5,
    ]
    assert look.log_ticks(np.array([1e-6, 1e3])) == [10.0**n for n in range(-6, 4)]
    for values in ([1.0, 2.0], [0.0, 5.0], [np.nan], []):
        assert look.log_ticks(np.array(values)) is None


def luminance(colour: str) -> float:
    """Of WCAG 2.2."""
    parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts
    ]
    return float(np.dot([0.2126, 0.7152, 0.0722], linear))


def contrast(one: str, other: str) -> float:
    high, low = sorted((luminance(one), luminance(other)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_strokes_contrast_with_both_pages_and_differ_in_more_than_colour() -> None:
    css = page(*sample_run(400)).split("</style>")[0]
    light, dark = re.findall(r"--page: (#\w+);", css)[:2]
    models = ("learner", "frozen", "rls", "nlms", "last", "seasonal", "another")
    strokes = [look.of_model(key) for key in models]
    for one in (*strokes, look.TRUTH, look.ALARM, *map(look.of_expert, range(5))):
        assert contrast(one.light, light) >= 4.5
        assert contrast(one.dark, dark) >= 4.5
    assert len({one.dash for one in strokes}) == len(strokes)
    assert len({look.of_expert(place).hatch for place in range(5)}) == 5
