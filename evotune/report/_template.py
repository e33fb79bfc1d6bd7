"""The frame of the page: its style sheet and the small pieces of HTML it is made of."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence

from evotune.report._tables import Table

STYLE = """
:root {
  color-scheme: light dark;
  --page: #f4f6f9; --card: #fefefe; --ink: #1c2330; --muted: #5d6778;
  --rule: #d9dee7; --blue: #0072b2; --best: #c65300; --tint: #eef3f8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #10141b; --card: #181e27; --ink: #e8ecf2; --muted: #9aa6b8;
    --rule: #313a47; --blue: #56b4e9; --best: #ff8a3d; --tint: #1f2733;
  }
}
* { box-sizing: border-box; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.55 'Inter', 'Segoe UI', system-ui, -apple-system, sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 40px 20px 64px; }
header { margin-bottom: 24px; }
.eyebrow {
  margin: 0; color: var(--blue); font-size: 13px; font-weight: 600;
  letter-spacing: .04em;
}
h1 { margin: 2px 0 4px; font-size: 32px; line-height: 1.2; letter-spacing: -.015em; }
h2 { margin: 0 0 12px; font-size: 17px; }
.lead { margin: 0; color: var(--muted); }
section, .tile {
  background: var(--card); border: 1px solid var(--rule); border-radius: 12px;
}
section { margin-top: 18px; padding: 20px 22px; }
.tiles {
  display: grid; gap: 14px; margin-top: 22px;
  grid-template-columns: repeat(auto-fit, minmax(190px, 1fr));
}
.tile { padding: 14px 18px; }
.tile p { margin: 0; color: var(--muted); font-size: 13px; }
.tile strong {
  display: block; font-size: 27px; line-height: 1.3; letter-spacing: -.01em;
  font-variant-numeric: tabular-nums;
}
.tile.best strong { color: var(--best); }
.columns {
  display: grid; gap: 18px; grid-template-columns: repeat(auto-fit, minmax(340px, 1fr));
}
.columns > section { min-width: 0; }
figure { margin: 0; }
figure svg { display: block; width: 100%; height: auto; }
figcaption { margin-top: 8px; color: var(--muted); font-size: 13px; }
.scroll { overflow-x: auto; }
table {
  border-collapse: collapse; width: 100%; font-size: 13.5px;
  font-variant-numeric: tabular-nums;
}
th, td {
  padding: 6px 10px; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--rule);
}
th { color: var(--muted); font-weight: 500; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
tr:last-child td { border-bottom: 0; }
table.ranked tbody tr:first-child td { color: var(--best); font-weight: 600; }
table.wraps td { text-align: left; white-space: normal; vertical-align: top; }
table.wraps th { text-align: left; }
table.pairs td + td { white-space: normal; overflow-wrap: anywhere; }
td.dim, td.dim + td { color: var(--muted); }
pre {
  margin: 0; padding: 14px 16px; overflow-x: auto; background: var(--tint);
  border-radius: 8px; font: 12.5px/1.6 ui-monospace, 'SF Mono', Menlo, Consolas,
  'DejaVu Sans Mono', monospace;
}
section > pre + .key { margin-top: 10px; }
section > p:last-child { margin-bottom: 0; }
.bar {
  display: flex; height: 14px; margin: 6px 0; border-radius: 7px; overflow: hidden;
}
.bar span { min-width: 2px; }
.key { margin: 0; color: var(--muted); font-size: 13px; }
.key b { color: var(--ink); font-weight: 600; }
.key i {
  display: inline-block; width: 10px; height: 10px; border-radius: 3px;
  margin: 0 6px 0 0;
}
.key span { margin-right: 18px; white-space: nowrap; }
footer { margin-top: 26px; color: var(--muted); font-size: 13px; }
@media print {
  body { background: none; }
  section, .tile { break-inside: avoid; }
}
"""

_BAR = ("var(--best)", "var(--blue)", "#009e73", "#cc79a7")


def page(title: str, body: Sequence[str]) -> str:
    """A whole HTML document that needs nothing else: no script, no other file."""
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en">',
            "<head>",
            '<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            f"<title>{html.escape(title)}</title>",
            f"<style>{STYLE}</style>",
            "</head>",
            "<body>",
            "<main>",
            *body,
            "</main>",
            "</body>",
            "</html>",
            "",
        ]
    )


def tile(words: str, number: str, note: str = "", *, best: bool = False) -> str:
    """One number that matters, with what it is above and a note below."""
    return (
        f'<div class="tile{" best" if best else ""}"><p>{html.escape(words)}</p>'
        f"<strong>{html.escape(number)}</strong><p>{html.escape(note)}</p></div>"
    )


def section(title: str, *content: str) -> str:
    """A card with a heading; one without, for figures that have their own title."""
    heading = f"<h2>{html.escape(title)}</h2>" if title else ""
    return "\n".join([f"<section>{heading}", *content, "</section>"])


def figure(svg: str, caption: str) -> str:
    """A drawing and how to read it."""
    return (
        f"<figure>\n{svg}\n<figcaption>{html.escape(caption)}</figcaption>\n</figure>"
    )


def table(data: Table, *, ranked: bool = False, wraps: bool = False) -> str:
    """A table; ``ranked`` sets off its first row, the best; ``wraps`` long cells."""
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in data.headers)
    rows = [
        f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>"
        for row in data.rows
    ]
    kinds = [name for name, on in (("ranked", ranked), ("wraps", wraps)) if on]
    kind = f' class="{" ".join(kinds)}"' if kinds else ""
    return (
        f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead>\n<tbody>'
        + "\n".join(rows)
        + "</tbody></table></div>"
    )


def pairs(values: Mapping[str, str], dim: Mapping[str, str] | None = None) -> str:
    """Names and values, one a line; those in ``dim`` follow in a quieter colour."""
    rows = [
        f"<tr><td>{html.escape(name)}</td><td>{html.escape(value)}</td></tr>"
        for name, value in values.items()
    ]
    rows += [
        f'<tr><td class="dim">{html.escape(name)}</td>'
        f"<td>{html.escape(value)}</td></tr>"
        for name, value in (dim or {}).items()
    ]
    return f'<table class="pairs"><tbody>{"".join(rows)}</tbody></table>'


def note(words: str) -> str:
    """A quiet remark."""
    return f'<p class="key">{html.escape(words)}</p>'


def code(text: str) -> str:
    """Text as it stands, in a fixed-width font."""
    return f"<pre>{html.escape(text)}</pre>"


def bar(parts: Mapping[str, tuple[float, str]]) -> str:
    """Shares of a whole as one bar with a key: name -> (share, what to say)."""
    spans, key = [], []
    for i, (name, (share, words)) in enumerate(parts.items()):
        color = _BAR[i % len(_BAR)]
        spans.append(f'<span style="flex:{share:.4f};background:{color}"></span>')
        key.append(
            f'<span><i style="background:{color}"></i>{html.escape(name)} '
            f"<b>{html.escape(words)}</b></span>"
        )
    return f'<div class="bar">{"".join(spans)}</div><p class="key">{"".join(key)}</p>'
