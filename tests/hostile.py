"""Hostile event texts: markup, escapes, links, directions, sizes; and a recording that holds them everywhere it may.

Every text that would act in a browser carries `MARK` as an attribute, tag or address, and sets `window.hostile`.
"""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pandas as pd

import replaykit as rk

MARK = "hostile-marker"
RUN = "window.hostile='yes'"
VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())

CORPUS = {
    "script": f"<script {MARK}>{RUN}</script>",
    "script that ends another": f"</script><script {MARK}>{RUN}</script>",
    "handler": f'<img {MARK} src=x onerror="{RUN}">',
    "handler that leaves an attribute": f"\"' {MARK}=1 autofocus onfocus={RUN} x=\"",
    "handler without spaces": f"<img/{MARK}/src=x/onerror={RUN}>",
    "end of a cell": f'</td></tr></table></p></pre></code></textarea></style><img {MARK} src=x onerror="{RUN}">',
    "end of a comment": f'--><img {MARK} src=x onerror="{RUN}"><!--',
    "svg": f'<svg {MARK} onload="{RUN}"><script>{RUN}</script></svg>',
    "foreign object": f'<svg><foreignObject><iframe {MARK} srcdoc="<script>parent.{RUN}</script>"></iframe>',
    "details": f'<details {MARK} open ontoggle="{RUN}"><summary>x</summary></details>',
    "style": f"<style {MARK}>body {{ display: none }}</style><link {MARK} rel=stylesheet href=//{MARK}.invalid/a.css>",
    "css": f"}} * {{ background: url(http://{MARK}.invalid/css) }} .a {{",
    "css in an attribute": f"color:red;background:url(http://{MARK}.invalid/attribute)",
    "base": f'<base {MARK} href="//{MARK}.invalid/"><meta {MARK} http-equiv=refresh content="0;url=//{MARK}.invalid">',
    "picture": f"<img {MARK} src=http://{MARK}.invalid/picture.png>",
    "frame": f"<iframe {MARK} src=javascript:{RUN}></iframe><object {MARK} data=//{MARK}.invalid></object>",
    "form": f'<form {MARK} action="http://{MARK}.invalid"><button>Sign in</button></form>',
    "link": f'<a {MARK} href="javascript:{RUN}">click</a>',
    "address": f"javascript:{RUN}//{MARK}",
    "data address": f"data:text/html,<script {MARK}>{RUN}</script>",
    "markdown": f"[click](javascript:{RUN}) ![x](http://{MARK}.invalid/markdown.png) `code` **bold** # head",
    "mathematics": f"$\\href{{javascript:{RUN}}}{{x}}$ \\(\\class{{{MARK}}}{{x}}\\)",
    "mustache": "{{constructor.constructor('" + RUN.replace("'", '"') + "')()}} {% raw %}",
    "template literal": "${" + RUN + "} `" + "${" + RUN + "}`",
    "format": "%s %(kind)s {0} {kind!r} {0.__class__.__mro__} %n",
    "function": f"function () {{ {RUN} }}",
    "entity": f"&lt;img {MARK} src=x onerror={RUN}&gt; &#60;b {MARK}&#62;",
    "sql": "'; DROP TABLE events; -- \" $1 ?",
    "ansi": "\x1b[31mred\x1b[0m \x1b]0;title\x07 \x1b]8;;http://x.invalid\x1b\\link\x1b]8;;\x1b\\ \x9b2J",
    "bidi": "abc \u202ecba\u202c \u2066x\u2069 \u200f \u061c",
    "invisible": "a\u200bb\ufeffc\u00add\u2060e\U000e0041",
    "lines": "one\r\ntwo\u2028three\u2029four\x0bfive\x85six\ttab",
    "controls": "bell\x07 back\x08 delete\x7f escape\x1b",
    "nul": "before\x00after",
    "surrogate": "high \ud800 low \udfff",
    "combining": "z" + "\u0301" * 500,
    "wide": "\U0001f469\u200d\U0001f469\u200d\U0001f467" * 50,
    "huge": f'<b {MARK} onclick="{RUN}">' + "x" * 1_000_000,
    "deep": "[" * 500 + "]" * 500,
    "number": "9" * 5000,
    "prototype": json.dumps({"__proto__": {MARK: 1}, "constructor": {"prototype": {}}}),
    "formula": f'=HYPERLINK("http://{MARK}.invalid","x")',
    "path": "../../../../etc/passwd\\..\\..",
    "empty": "",
    "blank": "   ",
}  # fmt: skip
"""Texts by what they try."""


def frame(texts=None, columns=True):
    """Return one event for each text: the text is its kind, its id, a value of its payload, and a column's value.

    Columns hold objects, since pandas' own strings can't hold half a surrogate pair.
    """
    names = list(CORPUS if texts is None else texts)
    values = [CORPUS[name] for name in names]
    data = {
        "at": pd.date_range("2026-01-01", periods=len(names), freq="s"),
        "kind": [value or "empty" for value in values],
        "id": [f"{number} {value}" for number, value in enumerate(values)],
        "payload": [json.dumps({"text": value, value[:100]: [value], "n": 2**60}) for value in values],
        "note": values,
    }
    if columns:
        data |= {CORPUS[name]: values for name in ("script", "handler", "svg", "mustache", "css")}
    return pd.DataFrame({name: pd.Series(list(column), dtype=object) for name, column in data.items()})


def recording(texts=None, **options):
    """Return a recording of the texts that `load` takes."""
    return rk.load(frame(texts), time="at", kind="kind", id="id", payload="payload", **options)


class Found(HTMLParser):
    """The elements and attributes of a page that come from the corpus."""

    def __init__(self, html):
        super().__init__(convert_charrefs=True)
        self.elements, self.marked, self.open = [], [], []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag, attrs):
        """Note every element, and those that act or carry the mark."""
        self.elements.append(tag)
        if tag not in VOID:
            self.open.append(tag)
        said = " ".join(f"{name}={value}" for name, value in attrs)
        acts = tag in {"script", "iframe", "object", "embed", "base", "meta", "link", "form", "math"}
        acts = acts or any(name.startswith("on") or name in {"srcdoc", "action"} for name, _ in attrs)
        if acts or MARK in said or "window.hostile" in said or re.search(r"(javascript|data|https?):", said):
            self.marked.append(f"<{tag} {said[:100]}>")

    def handle_endtag(self, tag):
        """Note an end without a beginning: a text may have closed our table."""
        if tag in self.open:
            while self.open.pop() != tag:
                pass
        else:
            self.marked.append(f"</{tag}>")

    def handle_comment(self, data):
        """A comment may hide what follows."""
        self.marked.append(f"<!--{data[:100]}")


def shown_by(widget):
    """Return the HTML of every HTML widget in a tree of widgets."""
    texts, waiting, seen = [], [widget], set()
    while waiting:
        one = waiting.pop()
        if id(one) in seen:
            continue
        seen.add(id(one))
        if type(one).__name__ in {"HTML", "HTMLMath"}:
            texts.append(one.value)
        waiting += getattr(one, "children", ())
    return texts
