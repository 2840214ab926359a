"""A report as one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from urllib.parse import quote

from cifar_tune.analysis.reports.report import Report
from cifar_tune.plotting.hover import Spot, hover_script
from cifar_tune.plotting.html import Images, html_page, prose
from cifar_tune.plotting.section import section_element


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
    status_line = f'<p class="standing">{prose(report.status_line)}</p>' if report.status_line else ""
    files = "".join(f'<li><a href="{escape(quote(link))}">{escape(what)}</a></li>' for link, what in links.items())
    body = f"""<header>
<h1>{escape(report.name)}</h1>
<div class="question">{question}</div>
<p class="answer">{prose(report.answer)}</p>
<p class="counts">{escape(report.counts)}</p>
{status_line}
</header>
{"".join(section_element(one, images.get(one.name), spots.get(one.name, ())) for one in report.sections)}
<section><h2>Files</h2><ul>{files}</ul></section>
<footer>Made {escape(made_at)} by cifar_tune. Accuracies are on the validation split where not said otherwise.</footer>
"""
    named = {spot.name for one in spots.values() for spot in one}
    return html_page(report.name, body, hover_script(report.describe(named)) if named else "")
