"""A report as one HTML file that needs no network."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from html import escape

import pandas as pd

from cifar_tune.analysis.page_style import STYLE
from cifar_tune.analysis.sections import Report, Section
from cifar_tune.analysis.text_table import text_table
from cifar_tune.analysis.theme import DOTS_PER_INCH

Images = tuple[bytes, bytes]
"""A figure as PNG, for light and for dark screens."""
REM_AN_INCH = 5.7
"""So wide is a figure's inch on the page, so that the text of all figures has the same size."""
FIRST_ROW = '<tr class="first">'


def page(report: Report, images: Mapping[str, Images], *, made_at: str, links: Mapping[str, str]) -> str:
    """The whole file, its figures embedded; paper gets those for light screens.

    images: of the sections that have a figure, by their names.
    made_at: when, for the foot. links: address beside the file -> what it is.
    """
    question = "".join(f"<p>{escape(line)}</p>" for line in report.question)
    standing = f'<p class="standing">{_prose(report.standing)}</p>' if report.standing else ""
    files = "".join(f'<li><a href="{escape(link)}">{escape(what)}</a></li>' for link, what in links.items())
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(report.name)}</title>
<style>{STYLE}</style>
</head>
<body>
<main>
<header>
<h1>{escape(report.name)}</h1>
<div class="question">{question}</div>
<p class="answer">{_prose(report.answer)}</p>
<p class="counts">{escape(report.counts)}</p>
{standing}
</header>
{"".join(_section(section, images) for section in report.sections)}
<section><h2>Files</h2><ul>{files}</ul></section>
<footer>Made {escape(made_at)} by cifar_tune. Accuracies are on the validation split where not said otherwise.</footer>
</main>
</body>
</html>
"""


def _section(section: Section, images: Mapping[str, Images]) -> str:
    text = "".join(f"<p>{_prose(line)}</p>" for line in section.text)
    figure = _figure(section, images[section.name]) if section.draw else ""
    table = _table(section.table) if section.table is not None else ""
    return f"<section>\n<h2>{escape(section.title)}</h2>\n{text}{figure}{table}\n</section>\n"


def _prose(text: str) -> str:
    """Text with what stands in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _table(frame: pd.DataFrame) -> str:
    words = text_table(frame)
    kinds = ["" if left else ' class="number"' for left in words.left]
    heads = "".join(f"<th{kind}>{escape(head)}</th>" for kind, head in zip(kinds, words.heads, strict=True))
    lines = []
    for row, marked in zip(words.rows, words.marked, strict=True):
        cells = "".join(f"<td{kind}>{escape(cell)}</td>" for kind, cell in zip(kinds, row, strict=True))
        lines.append(f"{FIRST_ROW if marked else '<tr>'}{cells}</tr>")
    return f'<div class="wide"><table><thead><tr>{heads}</tr></thead><tbody>{"".join(lines)}</tbody></table></div>'


def _figure(section: Section, images: Images) -> str:
    light, dark = (f"data:image/png;base64,{base64.b64encode(image).decode()}" for image in images)
    inches = int.from_bytes(images[0][16:20], "big") / DOTS_PER_INCH
    shape = f'alt="{escape(section.alternative)}" style="width: {REM_AN_INCH * inches:.0f}rem"'
    return (
        f'<figure><picture><source srcset="{dark}" media="screen and (prefers-color-scheme: dark)">'
        f'<img src="{light}" {shape}></picture></figure>'
    )
