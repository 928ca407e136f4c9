"""Results stand still: without a kernel, without CSS and in another process, what is shown still tells it all."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import duckdb
import pytest
from made import MANY, WINDOW, all_results, of_small, order_of_a_set, pictures, shown, town

import replaykit as rk

TAGS = {"table", "caption", "thead", "tbody", "tr", "th", "td", "p", "b", "br", "pre"}
ATTRIBUTES = {"class", "style", "scope"}
CLASSES = {"tex2jax_ignore", "mathjax_ignore"}
STYLE = re.compile(r"(text-align:(left|right|center)|border-collapse:collapse|border-left:4px solid #[0-9A-F]{6})$")
NO_HTML = {"window"}
FRAMES = {"town's violations", "violations", "muted"}  # DataFrames, which read as pandas' own


@pytest.fixture(scope="module")
def results():
    """Give every result by name."""
    return all_results()


@pytest.fixture(scope="module")
def htmls(results):
    """Give what each shows as HTML, by name."""
    return {name: one._repr_html_() for name, one in results.items() if name not in NO_HTML}


class Reader(HTMLParser):
    """Reads HTML as a person would with all CSS removed, and lists what a code host would refuse or a browser run."""

    def __init__(self, html):
        super().__init__()
        self.text = ""
        self.refused: list[str] = []
        self.rows: list[int] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Begin lines at blocks, and look at names and values of attributes."""
        self.refused += [] if tag in TAGS else [tag]
        for name, value in attrs:
            self.refused += [] if name in ATTRIBUTES else [name]
            if name == "style":
                self.refused += [one for one in value.split(";") if not STYLE.match(one)]
            if name == "class":
                self.refused += sorted(set(value.split()) - CLASSES)
        self.rows += [-1] if tag == "table" else []
        if tag == "tr":
            self.rows[-1] += 1
        self.open += [] if tag == "br" else [tag]
        self.text += "\n" if tag in {"p", "br", "tr", "caption", "pre"} else " | " if tag in {"td", "th"} else ""

    def handle_endtag(self, tag):
        """Close what was opened last."""
        assert self.open.pop() == tag

    def handle_data(self, data):
        """Keep the text."""
        self.text += data


def read(html):
    """Return a reader of HTML that was well formed."""
    reader = Reader(html)
    assert reader.open == []
    return reader


def words(text):
    """Return text with single spaces."""
    return " ".join(text.split())


def test_there_is_neither_script_nor_style_sheet_nor_link(htmls):
    """A code host drops them, and JupyterLab would run them."""
    assert {name: read(html).refused for name, html in htmls.items()} == {name: [] for name in htmls}


@pytest.mark.parametrize(
    "html",
    ["<script>1</script>", "<style>p {}</style>", '<p onclick="1">x</p>', "<a>x</a>", '<p href="//x">x</p>',
     "<p id=x>x</p>", '<p style="background:url(x)">x</p>', '<p style="display:none">x</p>', '<p class="widget">x</p>'],
)  # fmt: skip
def test_the_reader_refuses_what_may_not_be_there(html):
    """So that the test before this one can fail."""
    assert len(read(html).refused) == 1


def test_tables_are_bounded_and_say_how_to_get_the_rest(results, htmls):
    """Three hundred rows are not shown, and the call that gives them is."""
    readers = {name: read(html) for name, html in htmls.items()}

    assert max(max(reader.rows) for reader in readers.values() if reader.rows) <= 200
    assert max(map(len, htmls.values())) < 200_000
    more = {"glance": ".events", "replay": ".actions", "one diff": ".added", "moment": '["jobs"]', "check": ".frame",
            "violations": ".iloc[50:]", "rewound": ".frame"}  # fmt: skip
    for name, call in more.items():
        cut = re.findall(r"… [\d,]+ more \w+ \([\d,]+ in all\): (\S+)", readers[name].text)
        assert call in [one.rstrip(",;") for one in cut], name
    assert "more row" not in readers["verdict"].text
    assert f"… {MANY + 1 - 20} more rows ({MANY + 1} in all)" in readers["moment"].text
    assert f"… {MANY + 2 - 20} more rows ({MANY + 2} in all)" in readers["glance"].text


def test_each_begins_with_its_finding_as_a_sentence(results, htmls):
    """A reader without CSS sees text first, and the first line says what was found."""
    for name, html in htmls.items():
        first = words(read(html).text.strip().split("\n")[0])
        assert re.search(r"\d|No clock", first), name
        assert "|" not in first, name
        sentence = getattr(results[name], "sentence", None)
        if isinstance(sentence, str) and not name.endswith("determinism"):
            assert words(sentence)[:400] in words(read(html).text), name


def test_the_numbers_are_in_the_text(results, htmls):
    """Counted here once more, from the recording and with other means than the display's."""
    recording, run = town()
    start, end = WINDOW.bounds()
    inside = recording.events["occurred_at"].between(start, end, inclusive="left")
    texts = {name: words(read(html).text) for name, html in htmls.items()}
    actions = recording.sql(
        "SELECT count(*) AS n FROM actions WHERE occurred_at >= ? AND occurred_at < ?", [start, end]
    )
    open_still = int(run.violations["closed_at"].isna().sum())

    assert (
        f"{int(inside.sum())} events; {len(run.metrics)} ticks; {actions['n'].iloc[0]} actions; "
        f"{len(run.violations)} violations of {run.violations['invariant'].nunique()} invariants, {open_still} still "
        "open; no problems." in texts["town's replay"]
    )
    assert "Verdict: verified. It agrees with" in texts["town's replay"]
    assert f"{len(run.diff)} rows differ in 4 of 9 tables" in texts["town's replay"]
    assert f"{sum(map(len, run.at('2026-03-26T14:25Z').tables.values())):,} rows in 9 tables" in texts["town's moment"]
    assert f"{len(recording):,} events of {len(recording.kinds)} kinds" in texts["town"]
    assert f"{sum(map(len, recording.snapshot(6).tables.values())):,} rows in 9 tables" in texts["town's snapshot"]
    versions = sum(len(run.history(name)) for name in run.history.tables)
    assert f"{versions:,} versions of" in texts["town's history"]
    many = f"{MANY} actions; {MANY} violations of 1 invariant, {MANY} still open; 1 problem, met 1 time."
    assert many in texts["replay"]
    assert "contradicted" in texts["verdict"]
    assert "Problems | problem" in texts["replay"]


def test_a_moment_says_when_it_is_and_what_led_there(results, htmls):
    """A list of tables without a head says nothing of when they were so."""
    assert read(htmls["base"]).text.strip().startswith("State after step 0 (the base), at 2025-12-31T23:59:59Z: 0 rows")
    found = words(read(htmls["moment"]).text)
    assert found.startswith(
        f"State after step {MANY + 2} (event unheard of), at 2026-01-01T00:05:01Z: {MANY + 1} rows in 1"
    )


def test_each_repr_is_one_short_line_without_an_address(results):
    """It is what a terminal, a log and a code host without HTML show."""
    for name, one in results.items():
        if name not in FRAMES:
            text = repr(one)
            assert "\n" not in text, name
            assert 10 < len(text) < 200, name
            assert not re.search(r"0x[0-9a-f]{6,}", text), name
    assert repr(results["replay"]).startswith(f"Replay({MANY + 2} events, ")
    assert re.search(r"0x[0-9a-f]{6,}", repr(object()))


def test_a_long_finding_is_cut_in_its_repr_and_whole_as_text():
    """str() has it all, and so has the HTML."""
    found = rk.Verdict("verified", "word " * 200, None, None)

    assert len(repr(found)) == 199
    assert repr(found).endswith("…)")
    assert str(found).count("word") == 200


def test_a_repr_asks_nothing():
    """With every connection closed a query would raise, as the HTML of a moment does."""
    made = of_small()
    before = {name: repr(one) for name, one in made.items()}
    made["small"].close()
    made["history"]._connection.close()

    assert {name: repr(one) for name, one in made.items()} == before
    with pytest.raises(duckdb.Error):
        made["moment"]._repr_html_()
    with pytest.raises(rk.QueryError, match="closed"):
        made["glance"]._repr_html_()
    assert "closed" in read(made["small"]._repr_html_()).text
    assert "closed" in read(made["snapshot"]._repr_html_()).text


def test_everything_is_the_same_in_another_process_with_another_hash_seed():
    """A committed notebook is compared byte for byte, its pictures too."""
    seed = "2" if os.environ.get("PYTHONHASHSEED") == "1" else "1"
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("made.py"))],
        env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        check=True,
    )
    found = json.loads(done.stdout)

    assert found["order of a set"] != order_of_a_set()
    mine = shown()
    for name in mine:
        assert mine[name] == found["shown"][name], name


def test_pictures_have_a_size_a_sentence_and_a_table():
    """What is checked is the table; a picture that grew with its data would move the page."""
    for name, one in pictures().items():
        size = re.search(r'<svg role="img" aria-label="[^"]{40,}" height="[\d.]+pt"[^>]*? width="([\d.]+)pt"', one.svg)
        size = size or re.search(r'<svg role="img" aria-label="[^"]{40,}"[^>]* width="([\d.]+)pt" height=', one.svg)
        assert size, name
        assert size.group(1) == "720", name
        assert len(one.table), name
        assert not re.search(r"<script|<foreignObject| on\w+=|href=\"(?!#)", one.svg.replace('xlink:href="http', "")), (
            name
        )


def test_the_overview_of_the_incident_is_what_the_logs_say():
    """Its events and actions are counted from the recording, and at its end as many breaches stand as were checked."""
    recording, run = town()
    table = run.plot().table
    edges = [*table.index, run.plot().end]
    logs = {"events": recording.events["occurred_at"], "actions": recording.log("actions")["occurred_at"],
            "ticks": recording.log("ticks")["occurred_at"]}  # fmt: skip
    for name, times in logs.items():
        counts = [int(times.between(a, b, inclusive="left").sum()) for a, b in pairwise(edges)]
        assert table[name].tolist() == counts, name
    breaches = recording.log("checks")
    last = breaches[breaches["tick"] == max(run.checked)]
    assert table["open"].iloc[-1] == last["kind"].nunique() == 1
