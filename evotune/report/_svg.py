"""A matplotlib figure as inline SVG whose colours follow the page, light or dark."""

from __future__ import annotations

import html
import io
import re
from typing import TYPE_CHECKING

from evotune import _errors
from evotune.report import _style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_VARIABLES = {
    _style.INK: "var(--ink)",
    _style.MUTED: "var(--muted)",
    _style.RULE: "var(--rule)",
    _style.SURFACE: "var(--card)",
    _style.BLUE: "var(--blue)",
    _style.BEST: "var(--best)",
}


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """The figure as an ``<svg>`` element; the same figure gives the same text.

    Text stays text in the page's font, the palette becomes CSS variables, and ids get
    ``name`` in front, so that several figures can share a page.

    Args:
        figure: What to draw.
        name: Different for each figure of a page.
        description: What it shows, for readers who do not see it.
    """
    matplotlib = _errors.require("matplotlib", extra="plots", purpose="report.html()")
    layout = figure.get_layout_engine()
    if layout is not None:  # once, and not once more for a draw that nobody sees
        layout.execute(figure)
        figure.set_layout_engine("none")
    buffer = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "evotune"}):
        figure.savefig(
            buffer, format="svg", transparent=True, dpi=160, metadata={"Date": None}
        )
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r"<!--.*?-->\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(url\(|href=")#', rf"\1#{name}-", svg)
    for color, variable in _VARIABLES.items():
        svg = svg.replace(color, variable)
    svg = re.sub(r"font-family: [^;\"]*;? ?", "", svg)  # that of the page
    size = re.compile(r'<svg([^>]*?) width="[^"]*pt"([^>]*?)>', re.DOTALL)
    opening = f'<svg role="img" aria-label="{html.escape(description)}"'
    svg = re.sub(r' height="[^"]*pt"', "", svg, count=1)
    return size.sub(rf"{opening}\1\2>", svg, count=1).strip()
