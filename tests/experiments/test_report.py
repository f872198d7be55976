"""The report is one inert, self-contained page; JSON and the table hold the same figures."""

from __future__ import annotations

import io
import json
import re
from html.parser import HTMLParser

import pytest
from examples_of_cells import cells
from rich.console import Console

from transferlm.errors import SettingError
from transferlm.experiments.cells import Arm
from transferlm.experiments.curves import linear_axis, log_axis, styles
from transferlm.experiments.gains import gains
from transferlm.experiments.report import console_table, result_json, write_report
from transferlm.experiments.verdict import verdict

FT, FE = "fine_tuning", "feature_extraction"
ACCURACIES = {8: (0.62, 0.58, 0.31, 0.41), 64: (0.89, 0.76, 0.68, 0.77)}
EVIL = "<script>alert(1)</script>"


def comparison(source="minilm", counts=(8, 64), seeds=range(5)):
    arms = ((source, FT), (source, FE), (f"{source}-untrained", FT), ("tfidf", FE))
    made = cells(
        {(*arm, labels): share for labels in counts for arm, share in zip(arms, ACCURACIES[labels], strict=True)},
        seeds=seeds,
    )
    found = gains(made)
    return made, found, verdict(made, found)


class Page(HTMLParser):
    """What a browser would see: tags, attributes and text."""

    def __init__(self, content):
        super().__init__()
        self.tags, self.attributes, self.words = [], [], []
        self.feed(content)

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += [(tag, *attribute) for attribute in attributes]

    def handle_data(self, words):
        self.words.append(words)

    @property
    def text(self):
        return " ".join(" ".join(self.words).split())


@pytest.fixture
def written(tmp_path):
    def write(title="Report", facts=None, **which):
        path = tmp_path / "deep" / "report.html"
        found = comparison(**which)
        write_report(path, title, *found, facts or {})
        assert [entry.name for entry in path.parent.iterdir()] == ["report.html"]
        return Page(path.read_text(encoding="utf-8")), *found

    return write


def test_it_shows_verdict_curves_tables_gains_and_facts(written):
    facts = {"training data": {"file": "评论.csv", "rows": 5452}, "seeds": [0, 1, 2], "machine": "2 cores"}
    page, _, found, answer = written(facts=facts)
    assert answer.headline in page.text
    assert answer.lines[0] in page.text
    assert page.tags.count("figure") == 4
    assert page.tags.count("polyline") == 4 * 4
    for words in ("评论.csv", "5452", "0, 1, 2", "2 cores", "Macro-F1, %", "Time a run, seconds", "±"):
        assert words in page.text
    gain = found[0]
    assert f"{100 * gain.gain:+.1f} [{100 * gain.low:+.1f}, {100 * gain.high:+.1f}]" in page.text


def test_it_asks_for_nothing_from_outside_and_runs_no_script(written):
    page, *_ = written()
    assert not {"script", "iframe", "object", "embed", "img", "form", "base"} & set(page.tags)
    outside = [value for _, name, value in page.attributes if name in ("href", "src", "srcset", "xlink:href")]
    assert outside == ["data:,"]
    assert not any(name.startswith("on") for _, name, _ in page.attributes)
    assert not re.search(r"url\(|@import", str(page.words))


def test_names_with_markup_are_inert(written):
    hostile = {EVIL: EVIL, "inner": {EVIL: [EVIL, '"><img src=x onerror=alert(1)>']}}
    page, *_ = written(title=EVIL, facts=hostile, source=EVIL)
    assert "script" not in page.tags
    assert "img" not in page.tags
    assert page.text.count(EVIL) > 10


def test_one_label_count_is_shown_as_dots_with_their_scores(written):
    page, made, *_ = written(counts=(64,))
    assert "polyline" not in page.tags
    assert "Learning curves" not in page.text
    assert page.tags.count("circle") >= 4 * 3
    best = sum(cell.scores["accuracy"] for cell in made if cell.arm == ("minilm", FT, 64)) / 5
    assert f"{100 * best:.1f}" in page.text


def test_few_seeds_are_noted(written):
    page, *_ = written(seeds=range(2))
    assert "only 2 seeds: the interval is weak" in page.text


def test_without_gains_and_facts_there_is_still_a_page(tmp_path):
    made = cells({("minilm", FT, 8): 0.7}, seeds=[0])
    write_report(tmp_path / "r.html", "alone", made, [], verdict(made, []), {})
    page = Page((tmp_path / "r.html").read_text(encoding="utf-8"))
    assert "Not measured" in page.text
    assert "Gains" not in page.text


def test_points_of_the_curves_stand_where_their_scores_are(written):
    page, made, *_ = written()
    lines = [value for tag, name, value in page.attributes if tag == "polyline" and name == "points"]
    heights = [float(line.split()[-1].split(",")[1]) for line in lines[:4]]
    order = {FT + "minilm": 0, FE + "minilm": 1, FT + "minilm-untrained": 2, FE + "tfidf": 3}
    means = [0.0] * 4
    for cell in made:
        if cell.labels == 64:
            means[order[cell.strategy + cell.source]] += cell.scores["accuracy"] / 5
    slopes = [(heights[0] - heights[k]) / (means[0] - means[k]) for k in (1, 2, 3)]
    assert slopes == pytest.approx([slopes[0]] * 3, rel=0.02)
    assert slopes[0] < 0  # up the page is down in pixels


def test_a_place_that_cannot_be_written_is_one_clear_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SettingError, match="can't be written"):
        write_report(tmp_path / "file" / "r.html", "t", *comparison(), {})


def test_json_has_the_promised_form_and_every_figure():
    made, found, answer = comparison()
    document = json.loads(json.dumps(result_json(made, found, answer, {"rows": 10})))
    assert set(document) == {"cells", "gains", "verdict", "facts"}
    assert len(document["cells"]) == 2 * 4 * 5
    assert set(document["cells"][0]) == {*("source", "strategy", "labels", "seed", "scores", "seconds", "peak_bytes")}
    assert set(document["gains"][0]) == {*("source", "strategy", "labels", "metric", "against", "gain", "low", "high")}
    assert document["gains"][0]["gain"] == found[0].gain
    assert document["verdict"] == str(answer)


def test_the_table_shows_each_arm_and_takes_brackets_for_words():
    made, found, _ = comparison(source="[red]minilm[/red]")
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(console_table(made, found))
    text = console.export_text()
    assert text.count("[red]minilm[/red]") == 2 * 3
    assert f"{100 * found[0].gain:+.1f}" in text


def test_an_untrained_twin_has_its_sources_colour_and_every_other_arm_its_own():
    arms = [Arm(f"m{k}", FT, 8) for k in range(6)] + [Arm("m0-untrained", FT, 8), Arm("tfidf", FE, 8)]
    looks = styles(arms)
    assert looks["m0", FT].hue == looks["m0-untrained", FT].hue
    assert looks["m0-untrained", FT].untrained
    others = [looks[f"m{k}", FT] for k in range(6)] + [looks["tfidf", FE]]
    assert len({look.hue for look in others}) == 7


@pytest.mark.parametrize("values", [[0.5, 0.5], [0.0, 1.0], [0.871, 0.874], [1.0]])
def test_a_score_axis_holds_its_values_between_round_ticks(values):
    axis = linear_axis(values, 300, 20)
    assert axis.low <= min(values) + 1e-9
    assert axis.high >= max(values) - 1e-9
    assert 2 <= len(axis.ticks) <= 9
    assert len({tick.text for tick in axis.ticks}) == len(axis.ticks)


@pytest.mark.parametrize("values", [[0.0, 0.0], [5.0], [0.002, 90_000.0], [1.0, 10.0]])
def test_a_time_axis_holds_its_values_however_far_apart(values):
    axis = log_axis(values, 300, 20)
    assert axis.low <= max(min(values), 1e-3) <= max(*values, 1e-3) <= axis.high
    assert 2 <= len(axis.ticks) <= 10
