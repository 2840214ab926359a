"""Figures whose texts are taken as they stand."""

from __future__ import annotations

from typing import Any

from matplotlib.figure import Figure
from matplotlib.text import Text

OF_AXES = "$\\mathdefault{"
"""Begins what Matplotlib itself writes beside a logarithmic axis."""


class PlainFigure(Figure):
    """A figure in which a `$` is a `$`: names of trials and values of parameters are no formulas, valid or not."""

    def draw(self, renderer: Any) -> None:
        for text in self.findobj(Text):
            assert isinstance(text, Text)
            if "$" in text.get_text() and not text.get_text().startswith(OF_AXES):
                text.set_parse_math(False)
        super().draw(renderer)
