"""The tour's commands, run from top to bottom, and the pictures that come of them.

    python docs/tour.py [--keep DIR]

Runs every block of docs/tour.md, up to real images, in a folder of its own and puts the pictures that it names into
docs/images.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[1]
TOUR = ROOT / "docs" / "tour.md"
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.MULTILINE | re.DOTALL)
PICTURE = re.compile(r'!\[[^]]+\]\((images/[^ )]+) "([^"]+)"\)')
NOT_RUN = "make install", "source "
"""What was done before."""
REAL_IMAGES = "\n## On real images\n"
"""Where the part begins that needs the network, and is a sweep of its own."""


def steps(text: str) -> Iterator[list[str]]:
    """Yields each command, and each block of Python, as the words of a process."""
    for language, block in BLOCK.findall(text):
        if language == "python":
            yield [sys.executable, "-c", block]
            continue
        for line in block.splitlines():
            if not line.startswith(NOT_RUN):
                program, *words = line.split()
                assert program == "python", line
                yield [sys.executable, *words]


def pictures(text: str, folder: Path) -> Mapping[Path, Path]:
    """Returns for each picture of the tour, by its place in docs, the last file of the walk that it may show."""
    return {Path(place): sorted(folder.glob(pattern))[-1] for place, pattern in PICTURE.findall(text)}


def walk(text: str, folder: Path) -> None:
    """Runs all steps in a folder; raises CalledProcessError at the first that fails."""
    shutil.copytree(ROOT / "sweeps", folder / "sweeps")
    places = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    for step in steps(text):
        subprocess.run(step, cwd=folder, check=True, env={**os.environ, "PYTHONPATH": places})


def main() -> None:
    parser = argparse.ArgumentParser(description="Runs docs/tour.md and makes its pictures.")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="a new folder for what the commands write")
    options = parser.parse_args()
    text = TOUR.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        walk(text.split(REAL_IMAGES)[0], folder.absolute())
        for place, file in pictures(text, folder).items():
            shutil.copy(file, TOUR.parent / place)
            print(f"{TOUR.parent / place}: {file.relative_to(folder)}")


if __name__ == "__main__":
    main()
