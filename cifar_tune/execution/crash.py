"""What a dead worker leaves behind, in words that a user can act upon."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

LAST_LINES = 30
"""Of a worker's standard error: enough for the stack that a segmentation fault prints."""

NODE_FULL = re.compile(
    r"running low on memory.*?\(IP: (?P<host>[^,)]+)[^)]*\) was (?P<used>[\d.]+ ?GB used / [\d.]+ ?GB limit)", re.DOTALL
)
"""What Ray says of workers that its memory monitor has ended."""


def node_was_full(failures: str) -> bool:
    """Returns whether Ray has ended the worker since its node's memory was full. failures: as of `describe_crash`."""
    return NODE_FULL.search(_last(failures)) is not None


def describe_crash(failures: str) -> str:
    """Returns what happened, where the worker's log is, and its end.

    failures: what Tune wrote of a trial's failures, the last one last.
    """
    last = _last(failures)
    pid = re.search(r"\bpid[:=] *(\d+)", last)
    if (full := NODE_FULL.search(last)) is not None:
        return (
            f"Ray ended its worker, because the memory of its node was full ({full['host']}: {full['used']}); with "
            "more cores for each, `resources.cpus`, fewer trials run at once"
        )
    if "Traceback" in last or pid is None:
        return last
    detail = re.search(r"Worker exit type: (\w+)(?: Worker exit detail: ([^.]*\.))?", last)
    what = f"worker process {pid[1]} died" + (f" ({detail[1]}: {detail[2] or 'no detail'})" if detail else f": {last}")
    log = worker_log(int(pid[1]))
    if log is None:
        return f"{what}; its log is on its node, in /tmp/ray/session_latest/logs"
    return "\n".join([f"{what}; its log: {log}", *_end_of(log)])


def _last(failures: str) -> str:
    return failures.split("Failure # ")[-1].partition("\n")[2].strip()


def worker_log(pid: int) -> Path | None:
    """Returns the file that holds a worker process's standard error; None if it is not on this machine."""
    import ray

    node: Any = ray._private.worker.global_worker.node
    if node is None:
        return None
    return next(Path(node.get_session_dir_path(), "logs").glob(f"worker-*-{pid}.err"), None)


def _end_of(log: Path) -> list[str]:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    told = [line for line in lines if not line.startswith((":job_id:", ":actor_name:", "Extension modules:"))]
    return told[-LAST_LINES:]
