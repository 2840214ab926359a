"""How commands end where the system is in the way."""

from __future__ import annotations

import errno
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path

import pytest

from cifar_tune.cli.exit_status import exit_status, parsed
from cifar_tune.errors import ResultsError

COMMAND = """
import sys
from cifar_tune.cli.exit_status import exit_status

sys.exit(exit_status(lambda: print("a \u2265 b")))
"""


def test_an_error_of_ours_is_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    def refuse() -> None:
        raise ResultsError("results: is there already")

    assert exit_status(refuse) == 2
    assert capsys.readouterr().err == "results: is there already\n"


@pytest.mark.parametrize("number", [errno.EROFS, errno.ENOSPC, errno.EACCES])
def test_what_the_system_refuses_is_a_message_with_the_file(
    number: int, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def refuse() -> None:
        raise OSError(number, "refused", str(tmp_path))

    assert exit_status(refuse) == 2
    assert capsys.readouterr().err == f"{tmp_path}: refused\n"


def test_any_other_error_of_the_system_keeps_its_traceback() -> None:
    def fail() -> None:
        raise OSError(errno.EBADF, "bad file descriptor")

    with pytest.raises(OSError, match="bad file descriptor"):
        exit_status(fail)


def test_an_interruption_says_what_was_kept(capsys: pytest.CaptureFixture[str]) -> None:
    def interrupt() -> None:
        raise KeyboardInterrupt

    assert exit_status(interrupt, interrupted="all is saved") == 130
    assert capsys.readouterr().err == "\nall is saved\n"


def test_a_reader_that_left_is_no_error() -> None:
    with subprocess.Popen([sys.executable, "-c", COMMAND], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert (process.returncode, said) == (141, b"")


HELP = """
import argparse, sys
from cifar_tune.cli.exit_status import parsed

sys.stdin.read()
parsed(argparse.ArgumentParser(), ["--help"])
"""
TABLE = """
import sys
from cifar_tune.cli.console import EndingConsole
from cifar_tune.cli.exit_status import exit_status

def show(): [EndingConsole().print(n) for n in range(3)]; print("not reached", file=sys.stderr)
sys.stdin.read()
sys.exit(exit_status(show))
"""


@pytest.mark.parametrize("code", [HELP, TABLE], ids=["help", "table"])
def test_short_commands_end_without_a_word_where_nobody_reads(code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", "")
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, said = process.communicate()
    assert (process.returncode, said) == (141, b"")


def test_a_terminal_that_lacks_a_character_shows_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    done = subprocess.run([sys.executable, "-c", COMMAND], capture_output=True, check=True)
    assert done.stdout == b"a ? b\n"


def test_what_trains_goes_on_when_nobody_reads_any_more() -> None:
    lines = (
        "import sys; from cifar_tune.cli.console import LastingConsole",
        "from cifar_tune.cli.exit_status import exit_status",
        "console = LastingConsole()",
        "def train(): [console.print(n) for n in range(3)]; print('trained', file=sys.stderr)",
        "sys.stdin.read(); sys.exit(exit_status(train))",
    )
    with subprocess.Popen(
        [sys.executable, "-c", "\n".join(lines)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdout is not None
        process.stdout.close()
        _, said = process.communicate()
    assert (process.returncode, said) == (0, b"trained\n")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="Linux has a device that is always full")
def test_what_trains_goes_on_when_its_log_cannot_be_written() -> None:
    lines = (
        "import sys; from cifar_tune.cli.console import LastingConsole",
        "from cifar_tune.cli.exit_status import exit_status",
        "console = LastingConsole()",
        "def train(): [console.print(n) for n in range(3)]; print('trained', file=sys.stderr)",
        "sys.exit(exit_status(train))",
    )
    with Path("/dev/full").open("w") as full:
        command = [sys.executable, "-c", "\n".join(lines)]
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (0, b"trained\n")


def test_a_warning_is_one_line_without_the_place_in_our_code(capfd: pytest.CaptureFixture[str]) -> None:
    imports = "import warnings; from cifar_tune.cli.exit_status import exit_status"
    code = f"{imports}; exit_status(lambda: warnings.warn('last is corrupt'))"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert capfd.readouterr().err == "warning: last is corrupt\n"


@pytest.mark.parametrize("module", ["cifar_tune.config", "cifar_tune.results"])
def test_a_document_that_nobody_reads_to_its_end_is_no_error(module: str) -> None:
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m {module} | head -1"], capture_output=True, text=True, check=True
    )
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_a_folder_that_was_deleted_under_a_command_is_a_message(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    def look() -> None:
        Path("data").absolute()

    assert exit_status(look) == 2
    assert "was deleted" in capsys.readouterr().err


def test_an_option_that_is_misspelt_is_suggested(capsys: pytest.CaptureFixture[str]) -> None:
    parser = ArgumentParser()
    parser.add_argument("--resume", action="store_true")
    with pytest.raises(SystemExit):
        parsed(parser, ["--resmue"])
    assert "; did you mean --resume?" in capsys.readouterr().err
