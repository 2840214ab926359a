"""A dead worker in words."""

from __future__ import annotations

from cifar_tune.execution.crash import describe_crash, node_was_full

SEGFAULT = """Failure # 1 (occurred at 2026-01-01_00-00-00)
The actor died unexpectedly before finishing this task.
\tpid: 111
Failure # 2 (occurred at 2026-01-01_00-00-09)
The actor died unexpectedly before finishing this task.
\tclass_name: TrialRunner
\tpid: 222
\tip: 192.0.2.2
The actor is dead because its worker process has died. Worker exit type: SYSTEM_ERROR Worker exit detail: Worker \
unexpectedly exits with a connection error code 2. End of file. Some common causes include: (1) the process was killed.
"""

RAISED = """Failure # 1 (occurred at 2026-01-01_00-00-00)
\x1b[36mray::TrialRunner.train()\x1b[39m (pid=333, ip=192.0.2.2)
Traceback (most recent call last):
torch.AcceleratorError: CUDA error: an illegal memory access was encountered
"""

NODE_FULL = """Failure # 1 (occurred at 2026-01-01_00-00-00)
1 worker(s) were killed due to the node running low on memory. Memory on the node (IP: 192.0.2.2, ID: 87ae95c1) was \
7.20GB used / 23.59GB limit (0.305370)
OOM kill reason: Memory usage 7712817152B exceeded threshold of 7597578752B (30.0% of 25325260800B). pid: 444
Refer to the documentation on how to address the out of memory issue.
"""


def test_of_several_deaths_the_last_is_told() -> None:
    text = describe_crash(SEGFAULT)
    assert text.startswith("worker process 222 died (SYSTEM_ERROR: Worker unexpectedly exits with a connection error")
    assert "111" not in text
    assert "common causes" not in text


def test_a_worker_that_raised_tells_its_own_traceback() -> None:
    assert describe_crash(RAISED).endswith("CUDA error: an illegal memory access was encountered")


def test_of_a_worker_that_ray_ended_for_want_of_memory_it_says_how_full_the_node_was() -> None:
    assert [node_was_full(told) for told in (NODE_FULL, SEGFAULT, RAISED)] == [True, False, False]
    text = describe_crash(NODE_FULL)
    assert text.startswith(
        "Ray ended its worker, because the memory of its node was full (192.0.2.2: 7.20GB used / 23.59GB"
    )
    assert "resources.cpus" in text
    assert "documentation" not in text
