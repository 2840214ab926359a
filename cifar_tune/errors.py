"""Every exception of cifar_tune.

    CifarTuneError                    what a command reports as a message, with exit status 2
    |-- ConfigError      ValueError   a sweep or trial file is wrong; holds every problem found
    |-- DatasetError     OSError      a data set is missing, corrupt, or cannot be fetched
    |-- DeviceError      RuntimeError a device was asked for that is not there
    |-- CheckpointError  OSError      a checkpoint is missing, corrupt, or of another model or format
    |-- ExportError      RuntimeError a model cannot be exported as asked, or not be published
    |-- InspectionError  ValueError   a network has no such layer, or not what was asked to be shown
    |-- ResultsError     OSError      a results folder is in the way, missing, locked, or unreadable
    |-- StorageError     OSError      an address in an object store cannot be reached, read or written
    |-- AnalysisError    ValueError   a table cannot answer what was asked of it
    |-- ClusterError     RuntimeError Ray could not be started or reached
    |-- SurroundingsError RuntimeError for too long every trial met a fault of data, storage, disk, network or nodes
    |-- ServingError     OSError      the dashboard cannot serve where it was told to
    `-- TrackingError    RuntimeError MLflow, Weights & Biases or TensorBoard is not installed or does not take a trial

A trial whose loss is no longer finite is a result, not an error: see `training.loop.Diverged`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class CifarTuneError(Exception):
    """Base of all errors that the user can act upon."""


@dataclass(frozen=True)
class Problem:
    """One thing wrong in a file: where it is, what it is, and what is allowed."""

    file: str
    line: int | None
    column: int | None
    path: str
    message: str

    def __str__(self) -> str:
        where = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        return ": ".join(part for part in (where, self.path, self.message) if part)


class ConfigError(CifarTuneError, ValueError):
    """A sweep or trial file is wrong; `problems` lists everything found, in file order."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__("\n".join(str(problem) for problem in self.problems))


class DatasetError(CifarTuneError, OSError):
    """A data set is missing, corrupt, or cannot be fetched; says which file and which command helps."""


class DeviceError(CifarTuneError, RuntimeError):
    """A device was asked for that is not there; says what there is."""


class CheckpointError(CifarTuneError, OSError):
    """A checkpoint is missing, corrupt, or belongs to another model or format version."""


class ExportError(CifarTuneError, RuntimeError):
    """A model cannot be exported as asked, its export does not compute the same, or the hub does not take it."""


class InspectionError(CifarTuneError, ValueError):
    """A layer does not exist, or is not a convolution. The message lists the layers to choose from."""


class ResultsError(CifarTuneError, OSError):
    """A results folder is in the way, missing, locked by another process, or unreadable."""


class StorageError(CifarTuneError, OSError):
    """An address in an object store is none, or cannot be reached, read or written; says why."""


class AnalysisError(CifarTuneError, ValueError):
    """A table cannot answer the question: no such column, no such trial, nothing completed."""


class ClusterError(CifarTuneError, RuntimeError):
    """Ray could not be started or reached."""


class SurroundingsError(CifarTuneError, RuntimeError):
    """For too long no trial could train, because of data, storage, disk, network or nodes; says what the last said."""


class ServingError(CifarTuneError, OSError):
    """The dashboard cannot serve where it was told to: the port is in use, or the host is not this machine's."""


class TrackingError(CifarTuneError, RuntimeError):
    """A tracker is not installed, does not answer, or does not take a trial; says which, and what helps."""
