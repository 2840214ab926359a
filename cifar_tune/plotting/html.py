"""Pages and their parts: one HTML file that needs no network, light or dark as the reader's screen is."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from html import escape

from cifar_tune.plotting.hover import Spot, spots_attribute
from cifar_tune.plotting.page_style import STYLE
from cifar_tune.plotting.theme import DOTS_PER_INCH

Images = tuple[bytes, bytes]
"""A figure as PNG, for light and for dark screens."""
REM_AN_INCH = 5.7
"""So wide is a figure's inch on the page, so that the text of all figures has the same size."""
FIRST_ROW = '<tr class="first">'


def html_page(title: str, body: str, script: str = "") -> str:
    """The whole file. body: HTML, of which everything that was text is escaped. script: elements at its end."""
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
{body}
</main>
{script}</body>
</html>
"""


def prose(text: str) -> str:
    """Text with what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def table_element(
    heads: Sequence[str], rows: Sequence[Sequence[str]], left: Sequence[bool], marked: Sequence[bool] = ()
) -> str:
    """A table of words. left: which columns are set to the left. marked: rows that stand out, none by default."""
    kinds = ["" if one else ' class="number"' for one in left]
    first = "".join(f"<th{kind}>{escape(head)}</th>" for kind, head in zip(kinds, heads, strict=True))
    lines = []
    for row, stands_out in zip(rows, marked or (False,) * len(rows), strict=True):
        cells = "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True))
        lines.append(f"{FIRST_ROW if stands_out else '<tr>'}{cells}</tr>")
    return f'<div class="wide"><table><thead><tr>{first}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def figure_element(images: Images, alternative: str, spots: Sequence[Spot] = ()) -> str:
    """A figure, embedded; paper gets the one for light screens.

    alternative: what it shows, for who cannot see it. spots: what stands where, for the page's script.
    """
    light, dark = (f"data:image/png;base64,{base64.b64encode(image).decode()}" for image in images)
    inches = int.from_bytes(images[0][16:20], "big") / DOTS_PER_INCH
    shape = f'alt="{escape(alternative)}" style="width: {REM_AN_INCH * inches:.0f}rem"'
    told = f' data-spots="{escape(spots_attribute(spots))}"' if spots else ""
    return (
        f'<figure{told}><picture><source srcset="{dark}" media="screen and (prefers-color-scheme: dark)">'
        f'<img src="{light}" {shape}></picture></figure>'
    )
