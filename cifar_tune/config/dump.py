"""A checked sweep as YAML again."""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.representer import RoundTripRepresenter

LONGEST_LINE = 110


def to_yaml(values: Mapping[str, Any], header: str = "") -> str:
    """Returns plain values as YAML 1.2; what is short stands on one line, and a component's name comes first."""
    yaml = YAML(typ="rt", pure=True)
    yaml.Representer = _Representer
    yaml.allow_unicode = True
    yaml.width = 1 << 20
    yaml.indent(mapping=2, sequence=4, offset=2)
    text = io.StringIO()
    text.writelines(f"# {line}".rstrip() + "\n" for line in header.splitlines())
    yaml.dump(CommentedMap({key: _styled(value) for key, value in values.items()}), text)
    return text.getvalue()


class _Representer(RoundTripRepresenter):
    """Writes null as a word."""


_Representer.add_representer(type(None), lambda self, _: self.represent_scalar("tag:yaml.org,2002:null", "null"))


def _styled(value: Any) -> Any:
    node: CommentedMap | CommentedSeq
    if isinstance(value, Mapping):
        keys = sorted(value, key=lambda key: key != "name")
        node = CommentedMap({key: _styled(value[key]) for key in keys})
    elif isinstance(value, list | tuple):
        node = CommentedSeq([_styled(item) for item in value])
    else:
        return value
    if len(str(value)) <= LONGEST_LINE:
        node.fa.set_flow_style()
    return node
