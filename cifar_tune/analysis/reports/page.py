"""A report as one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from cifar_tune.analysis.reports.section import Report, Section
from cifar_tune.analysis.reports.text_table import text_table
from cifar_tune.figures.hover import Spot, hover_script
from cifar_tune.figures.html import Images, figure_element, html_page, prose, table_element


def page(
    report: Report,
    images: Mapping[str, Images],
    spots: Mapping[str, Sequence[Spot]],
    *,
    made_at: str,
    links: Mapping[str, str],
) -> str:
    """The whole file, its figures embedded.

    images: of the sections that have a figure, by their names. spots: what stands where in them.
    made_at: when, for the foot. links: address beside the file -> what it is.
    """
    question = "".join(f"<p>{escape(line)}</p>" for line in report.question)
    standing = f'<p class="standing">{prose(report.standing)}</p>' if report.standing else ""
    files = "".join(f'<li><a href="{escape(link)}">{escape(what)}</a></li>' for link, what in links.items())
    body = f"""<header>
<h1>{escape(report.name)}</h1>
<div class="question">{question}</div>
<p class="answer">{prose(report.answer)}</p>
<p class="counts">{escape(report.counts)}</p>
{standing}
</header>
{"".join(_section(section, images, spots) for section in report.sections)}
<section><h2>Files</h2><ul>{files}</ul></section>
<footer>Made {escape(made_at)} by cifar_tune. Accuracies are on the validation split where not said otherwise.</footer>
"""
    named = {spot.name for one in spots.values() for spot in one}
    return html_page(report.name, body, hover_script(report.describe(named)) if named else "")


def _section(section: Section, images: Mapping[str, Images], spots: Mapping[str, Sequence[Spot]]) -> str:
    text = "".join(f"<p>{prose(line)}</p>" for line in section.text)
    name = section.name
    figure = figure_element(images[name], section.alternative, spots.get(name, ())) if section.draw else ""
    words = text_table(section.table) if section.table is not None else None
    table = table_element(words.heads, words.rows, words.left, words.marked) if words is not None else ""
    return f"<section>\n<h2>{escape(section.title)}</h2>\n{text}{figure}{table}\n</section>\n"
