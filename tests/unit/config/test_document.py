"""YAML text to values and places."""

from __future__ import annotations

from pathlib import Path

import pytest

from cifar_tune.config.document import LARGEST_FILE, parse, read, value
from cifar_tune.errors import ConfigError


def message(text: str) -> str:
    try:
        return str(ConfigError(parse(text, "f.yaml").problems))
    except ConfigError as error:
        return str(error)


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("1e-3", 0.001),
        ("+1e3", 1000.0),
        ("700_000", 700_000),
        ("0x1F", 31),
        (".5", 0.5),
        ("no", "no"),
        ("on", "on"),
        ("y", "y"),
        ("true", True),
        ("'true'", "true"),
        ("null", None),
        ("~", None),
        ("", None),
        ("2024-01-01", "2024-01-01"),
        ("1:30", "1:30"),
        ("=", "="),
        ("[1, {a: b}]", [1, {"a": "b"}]),
    ],
)
def test_scalars_are_read_as_yaml_1_2_has_them(written: str, expected: object) -> None:
    found = parse(f"key: {written}", "f.yaml").tree["key"]
    assert found == expected
    assert type(found) is type(expected)


def test_every_key_and_value_has_its_place() -> None:
    document = parse("a: 1\nb:\n  - x: [2, 3]\n", "f.yaml")
    assert (document.place(("a",)).key.line, document.place(("a",)).value.column) == (1, 4)
    assert (document.place(("b", 0, "x", 1)).value.line, document.place(("b", 0, "x", 1)).value.column) == (3, 12)


def test_what_is_not_written_takes_the_place_of_what_is_around_it() -> None:
    document = parse("a: 1\nb:\n  c: 2\n", "f.yaml")
    assert document.place(("b", "nowhere", 3)).key.line == 2


def test_an_empty_value_stands_at_its_key() -> None:
    assert parse("a:\nb: 1\n", "f.yaml").place(("a",)).value.line == 1


def test_anchors_and_merge_keys_work_and_own_keys_win() -> None:
    text = "a: &a {x: 1, y: 2}\nb: &b\n  <<: *a\n  y: 3\nc:\n  <<: [{z: 0, y: 9}, *b]\nd: *a\n"
    tree = parse(text, "f.yaml").tree
    assert tree["b"] == {"y": 3, "x": 1}
    assert tree["c"] == {"z": 0, "y": 9, "x": 1}
    assert tree["d"] == {"x": 1, "y": 2}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3:1: a: the key stands here twice (first on line 1); keep one"),
        ("a: {b: 1, b: 1}", "f.yaml:1:11: a.b: the key stands here twice (first on line 1); keep one"),
        ("", "f.yaml:1:1: the file is empty; a sweep needs at least `name` and `trial`"),
        ("# only words\n", "f.yaml:1:1: the file is empty; a sweep needs at least `name` and `trial`"),
        ("- 1\n- 2\n", "f.yaml:1:1: the file must hold keys and values, got a list"),
        ("words", "f.yaml:1:1: the file must hold keys and values, got the text 'words'"),
        ("a:\n\tb: 1\n", "f.yaml:2:1: not YAML: a tab; indent with spaces"),
        (
            "a: b: c\n",
            "f.yaml:1:5: not YAML: a `:` where no key can stand; is the line indented as its neighbours are?",
        ),
        ("a: 1\n---\nb: 2\n", "f.yaml:2:1: not YAML: a second document begins (`---`); one file holds one sweep"),
        ("1: x", "f.yaml:1:1: a key must be text; put it into quotes"),
        ("[1]: x", "f.yaml:1:1: a key must be text; put it into quotes"),
        ("a: !!python/object x", "only plain YAML is"),
        ("a: !local [1]", "f.yaml:1:4: a: the tag !local is not allowed; only plain YAML is"),
        ("a: &a [*a]", "an alias that contains itself"),
        ("a: &a\n  <<: *a\n", "an alias that contains itself"),
        ("<<: 3", "`<<` merges mappings: write `<<: *anchor`"),
        ("a: \x07", "f.yaml:1:4: not YAML: special characters are not allowed"),
        ("a: " + "[" * 60 + "]" * 60, "nested more than 50 deep"),
        ("a: " + "[" * 500 + "]" * 500, "nested more than 50 deep"),
    ],
)
def test_what_is_no_plain_mapping_is_refused_with_its_position(text: str, expected: str) -> None:
    assert expected in message(text)


def test_an_unclosed_bracket_is_reported_with_the_line_where_it_began() -> None:
    assert message("a: 1\nb: [1,\nc: 2\n").startswith(
        "f.yaml:4:1: not YAML: while parsing a flow sequence (begun on line 2): expected ',' or ']'"
    )


@pytest.mark.parametrize("merge", ["[*{}, *{}]", "{{a: *{}, b: *{}}}", "{{<<: [*{}, *{}]}}"])
def test_a_file_that_expands_without_end_is_refused(merge: str) -> None:
    lines = ["a0: &a0 {x: 1}"] + [
        f"a{level}: &a{level} " + merge.format(f"a{level - 1}", f"a{level - 1}") for level in range(1, 30)
    ]
    assert "expands to more than 20000 values" in message("\n".join(lines))


def test_all_duplicates_are_reported_at_once() -> None:
    assert len(message("a: 1\na: 2\nb: 1\nb: 2\n").splitlines()) == 2


def test_a_missing_file_suggests_its_neighbours(tmp_path: Path) -> None:
    (tmp_path / "quickstart.yaml").write_text("a: 1")
    with pytest.raises(ConfigError, match=r"there is no such file; did you mean .*quickstart\.yaml\?"):
        read(tmp_path / "quikstart.yaml")
    with pytest.raises(ConfigError, match=r"there is no such file; .* holds quickstart\.yaml"):
        read(tmp_path / "zzz.yaml")
    with pytest.raises(ConfigError, match=r"there is no folder .*nowhere either"):
        read(tmp_path / "nowhere" / "a.yaml")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ConfigError, match="there is no YAML file in"):
        read(tmp_path / "empty" / "a.yaml")


def test_what_cannot_be_a_sweep_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder; a YAML file is needed"):
        read(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe4")
    with pytest.raises(ConfigError, match=r"is not UTF-8 text \(byte 4\)"):
        read(tmp_path / "latin.yaml")
    (tmp_path / "large.yaml").write_bytes(b"#" * (LARGEST_FILE + 1))
    with pytest.raises(ConfigError, match="is larger than 1 MiB"):
        read(tmp_path / "large.yaml")


def test_a_byte_order_mark_and_windows_line_ends_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_bytes(b"\xef\xbb\xbf# head\r\na: 1\r\nb: 2\r\n")
    document = read(tmp_path / "a.yaml")
    assert document.tree == {"a": 1, "b": 2}
    assert document.header == "head"
    assert document.place(("b",)).key.line == 3


def test_the_header_is_the_comment_block_at_the_head() -> None:
    text = "# yaml-language-server: $schema=x\n# Question: why?\n#\n#   indented\n\n# not the head\na: 1\n"
    assert parse(text, "f.yaml").header == "Question: why?\n\n  indented"


def test_a_value_alone_is_read_too() -> None:
    assert value("{float: [1e-3, 1]}", "s") == {"float": [0.001, 1]}
    assert value("", "s") is None
    with pytest.raises(ConfigError, match="not YAML"):
        value("[1", "s")
