"""A Ray cluster for one sweep: started on this machine or joined, silent either way."""

from __future__ import annotations

import importlib
import logging
import os
import secrets
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cifar_tune.errors import ClusterError, ResultsError
from cifar_tune.execution.cluster.devices import Machine
from cifar_tune.storage.user_cache import is_home_writable

SWITCHES = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
    "RAY_AIR_NEW_OUTPUT": "0",
    "RAY_CHDIR_TO_TRIAL_DIR": "0",
    "RAY_DISABLE_DOCKER_CPU_WARNING": "1",
    "RAY_TRAIN_ENABLE_V2_MIGRATION_WARNINGS": "0",
    "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",
    "TUNE_DISABLE_SIGINT_HANDLER": "1",
    "TUNE_DISABLE_STRICT_METRIC_CHECKING": "1",
    "TUNE_GLOBAL_CHECKPOINT_S": "1e9",
    "TUNE_MAX_PENDING_TRIALS_PG": "10000",
    "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
    "TUNE_WARN_THRESHOLD_S": "1e9",
}
"""No notices, no loggers and files beside our own, no signal handlers beside the driver's.

Snapshots of Tune's own state are switched off: nobody reads them (`--resume` reads our ledger), and one takes
longer the more trials there are (1.2 s at 10,000).
"""

OBJECT_STORE_BYTES = 100 * 2**20
"""Only configurations and metrics travel through Ray; its default is 30 % of the machine's memory."""


LAST_LINES = 10
"""Of Ray's log, shown where Ray fails."""

CONNECT_SECONDS = 5.0
"""Ray itself tries for minutes to reach a port where nobody listens."""


CLIENT = "ray://"
"""Begins the address of a cluster that this machine is not a node of."""

NO_CLIENT_SERVER = (
    ". Ray's client server is started by `ray start --head` where the extra `cluster` is installed, at port 10001, and "
    "answers some seconds later; where it gave up, on the head: GRPC_ENABLE_FORK_SUPPORT=0 python -m "
    "ray.util.client.server --address HEAD:6379"
)
"""What to do where nobody listens at an address of this kind."""

ON_HEAD = "CIFAR_TUNE_ON_HEAD"
"""Variable with the cluster's own address where a command runs on its head for one elsewhere."""


LONGEST_SOCKET = 107
"""Bytes of a Unix socket's path. Source: unix(7), where `sun_path` has 108 with the zero at its end."""

BELOW_TEMPORARY = "/ray/session_2026-12-31_23-59-59_999999_4194304/sockets/plasma_store"
"""The longest path that Ray makes a socket at below its folder; process ids go to 2^22."""

SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")
"""Where Ray's folder goes that cannot be where TMPDIR is."""


def address_of(given: str | None) -> str | None:
    """Returns the address of the cluster to run on; None for this machine alone. given: by `--address`."""
    return os.environ.get(ON_HEAD) or given or os.environ.get("RAY_ADDRESS")


def named_address(address: str) -> str:
    """Returns the address with the option or variable that gave it."""
    return f"RAY_ADDRESS={address}" if os.environ.get("RAY_ADDRESS") == address else f"--address {address}"


def check_address(address: str) -> None:
    """Returns if a cluster may be at this address: `auto`, or a port that somebody listens at.

    Raises:
        ClusterError: nobody does, or the address is none.
    """
    if address in ("auto", "local"):
        return
    host, _, port = address.removeprefix(CLIENT).rpartition(":")
    if "://" in address.removeprefix(CLIENT) or not host or not port.isdigit():
        raise ClusterError(
            f"{named_address(address)}: must be auto, HOST:PORT as `ray start` prints it, or ray://HOST:PORT"
        )
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        hint = NO_CLIENT_SERVER if address.startswith(CLIENT) else ""
        told = f"{named_address(address)}: no Ray cluster answers there ({error}){hint}{_unset(address)}"
        raise ClusterError(told) from error


def _unset(address: str) -> str:
    """Returns how to do without an address that a variable gave, which may be left over from an earlier cluster."""
    from_variable = named_address(address).startswith("RAY_ADDRESS")
    return "; `unset RAY_ADDRESS` runs on this machine alone" if from_variable else ""


COPIED = "runtime_resources/working_dir_files"
"""Where Ray copies a job's working directory to."""


def check_lasting(results: Path) -> None:
    """Returns if the results folder outlives the job that writes it.

    Raises:
        ResultsError: it lies in the copy of the working directory that Ray made for the job.
    """
    if COPIED in results.resolve().as_posix():
        raise ResultsError(
            f"{results}: lies in Ray's copy of this job's working directory, which is deleted when the job ends; name "
            "a folder that all nodes see: --results /PATH"
        )


@contextmanager
def connected(machine: Machine, *, address: str | None, log: Path) -> Iterator[None]:
    """Starts Ray on this machine, or joins the cluster at `address`; ends what it started. Ray's log goes to `log`.

    A Ray that this process is connected to already is used as it is.

    Raises:
        ClusterError: Ray could not be started or reached.
    """
    os.environ.update({name: os.environ.get(name, value) for name, value in SWITCHES.items()})
    import ray

    if ray.is_initialized():
        logger = logging.getLogger("ray")
        handlers = logger.handlers
        _log_to(log)
        try:
            yield
        finally:
            for handler in logger.handlers:
                handler.close()
            logger.handlers = handlers
        return
    _log_to(log)
    tune = threading.Thread(target=importlib.import_module, args=("ray.tune",))
    tune.start()
    try:
        _init(machine, address, log)
        tune.join()
        yield
    finally:
        tune.join()
        ray.shutdown()


def _init(machine: Machine, address: str | None, log: Path) -> None:
    import ray

    if address is None:
        choose_short_folder()
        _have_token()
    try:
        if address is not None:
            ray.init(address=address, log_to_driver=False)
        else:
            ray.init(
                address="local",
                num_cpus=machine.cores,
                num_gpus=len(machine.gpus),
                include_dashboard=False,
                object_store_memory=OBJECT_STORE_BYTES,
                log_to_driver=False,
            )
    except Exception as error:
        if address is not None:
            told = f"the Ray cluster at {address} could not be joined{why(error, address)}{_unset(address)}"
            raise ClusterError(told) from error
        logged = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.is_file() else ()
        told = f"Ray could not be started on this machine: {type(error).__name__}: {error}"
        raise ClusterError("\n".join([told, *logged[-LAST_LINES:]])) from error


def choose_short_folder() -> None:
    """Gives Ray another folder where its sockets' paths would be too long below TMPDIR, as Slurm's are.

    Raises:
        ClusterError: RAY_TMPDIR says where, and is too long; or no short folder can be written to.
    """
    variable = "RAY_TMPDIR" if "RAY_TMPDIR" in os.environ else "TMPDIR"
    chosen = os.environ.get(variable, SHORT_FOLDERS[0])
    most = LONGEST_SOCKET - len(BELOW_TEMPORARY)
    if len(os.fsencode(chosen)) <= most:
        return
    short = [folder for folder in SHORT_FOLDERS if os.access(folder, os.W_OK | os.X_OK)]
    if variable == "RAY_TMPDIR" or not short:
        raise ClusterError(
            f"{variable}={chosen}: too long for the sockets that Ray makes below it; set RAY_TMPDIR to a folder of at "
            f"most {most} characters"
        )
    os.environ["RAY_TMPDIR"] = short[0]


def _have_token() -> None:
    """Gives a Ray of this machine its token where Ray itself, which keeps it in the home, could not."""
    chosen = any(name in os.environ for name in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH"))
    if not chosen and not is_home_writable():
        os.environ["RAY_AUTH_TOKEN"] = secrets.token_hex(32)


def why(error: Exception, address: str) -> str:
    """Returns the end of a sentence on what to do about it."""
    told = " ".join(str(error).split())
    if "Version mismatch" in told:
        return f": all its nodes and this process must have the same Ray and Python. {told}"
    if "Could not find any running Ray instance" in told:
        return ": none runs on this machine; start it with `ray start`, or give its HOST:PORT"
    if isinstance(error, ConnectionError):
        return (
            f": the command must run on one of its nodes (`ray start --address={address}` makes this machine one), and "
            "know its token if it has one: RAY_AUTH_MODE=token with RAY_AUTH_TOKEN set to what `ray get-auth-token` "
            "prints on its head"
        )
    return f": {type(error).__name__}: {told}"


def _log_to(log: Path) -> None:
    """Sends what Ray logs and prints in this process to a file instead of the terminal."""
    import ray

    def print_to_log(data: Mapping[str, Any], **_: object) -> None:
        logger.warning("%s: %s", data.get("pid"), " ".join(data.get("lines", ())))

    log.parent.mkdir(parents=True, exist_ok=True)
    logger = logging.getLogger("ray")
    logger.handlers = [logging.FileHandler(log, delay=True)]
    worker: Any = ray._private.worker
    worker.print_to_stdstream = print_to_log  # a raylet's messages; `log_to_driver` leaves them on
