"""Every column of the tables: its type, unit and meaning.

The tables' field metadata and results/README.md follow from here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

SCHEMA_VERSION = 1
"""Of all tables; rises when a column changes its meaning or its name, not when one is added. No other was in use."""

INT64_LIMIT = 2**63
"""Whole numbers are held in 64 bits; -INT64_LIMIT itself stands for a missing one."""

Kind = Literal["float", "int", "bool", "string", "time"]

RUNNING = "running"
COMPLETED = "completed"
STOPPED = "stopped"
DIVERGED = "diverged"
FAILED = "failed"
INTERRUPTED = "interrupted"
STATUSES = (RUNNING, COMPLETED, STOPPED, DIVERGED, FAILED, INTERRUPTED)

CONFIGURATION_PREFIX = "trial."
"""Columns that begin so hold the trial's configuration, one column a dotted path."""


@dataclass(frozen=True)
class Column:
    """One column: what it holds, in which unit, and whether the store computes it from the epochs."""

    name: str
    kind: Kind
    unit: str
    meaning: str
    derived: bool = False
    values: tuple[str, ...] = ()
    required: bool = False


IDENTITY_COLUMNS = (
    Column("sweep", "string", "", "name of the sweep", required=True),
    Column("study", "string", "", "the grid cell that the trial belongs to; all trials of a study share one sampler"),
    Column(
        "trial_id",
        "string",
        "",
        "name of the trial, unique in the sweep; also names its checkpoint folder",
        required=True,
    ),
    Column("baseline", "bool", "", "true for the `trial:` of the sweep file itself, which every study runs first"),
    Column(
        "parent",
        "string",
        "",
        "the trial whose checkpoint it began from; its own epochs follow on those of that trial, which are its history;"
        " missing where it began with fresh weights",
    ),
    Column(
        "restart_of",
        "string",
        "",
        "the trial of the same configuration and seed that it trains anew, with more epochs (`--extend --restart`)",
    ),
    Column(
        "restarts",
        "int",
        "",
        "times that the sweep had been restarted with more epochs when it was proposed; only trials with the same "
        "number were compared at rungs",
    ),
    Column("status", "string", "", "how the trial stands", values=STATUSES),
    Column(
        "audited",
        "bool",
        "",
        "true where the scheduler would have stopped it and it ran on, to show what early stopping costs",
    ),
    Column("status_reason", "string", "", "why it was stopped, diverged, failed or was interrupted, in a sentence"),
)
"""The columns before the configuration."""

PROCESSOR_COLUMNS = (
    Column("threads", "int", "", "CPU threads of torch in each process that trained it last"),
    Column("cpu_model", "string", "", "the processor of the machine that trained it last, as its maker names it"),
    Column(
        "instruction_set",
        "string",
        "",
        "CPU instructions that torch used there, such as `AVX2`; on a CPU, bits repeat only with the same threads, "
        "model and instructions",
    ),
)

OUTCOME_COLUMNS = (
    Column("seed", "int", "", "draws the initial weights, the order of the images and the augmentations"),
    Column("epochs_trained", "int", "epochs", "epochs finished, 0 before the first", derived=True, required=True),
    Column(
        "validation_accuracy", "float", "fraction", "on the validation split, at the last validated epoch", derived=True
    ),
    Column(
        "best_validation_accuracy",
        "float",
        "fraction",
        "highest over the epochs; optimistic, being a maximum",
        derived=True,
    ),
    Column("best_epoch", "int", "epochs", "the first epoch with that accuracy; 1 is the first of all", derived=True),
    Column(
        "validation_loss",
        "float",
        "nats per image",
        "on the validation split, at the last validated epoch",
        derived=True,
    ),
    Column("train_accuracy", "float", "fraction", "on the augmented batches of the last epoch", derived=True),
    Column("train_loss", "float", "nats per image", "on the augmented batches of the last epoch", derived=True),
    Column(
        "generalization_gap",
        "float",
        "fraction",
        "train_accuracy minus validation_accuracy, both of the last validated epoch",
        derived=True,
    ),
    Column("num_parameters", "int", "parameters", "trainable parameters of the model"),
    Column("num_parameters_total", "int", "parameters", "with those that are never trained (mininet's `published`)"),
    Column(
        "validation_images", "int", "images", "in the validation split; missing in older tables, and where it is empty"
    ),
    Column("flops_per_image", "float", "FLOP", "one forward pass; a multiply-add counts as two"),
    Column(
        "train_seconds", "float", "seconds", "sum of epoch_seconds: training and validation, no waiting", derived=True
    ),
    Column("wall_seconds", "float", "seconds", "from the first start to the end, waiting and restarts included"),
    Column(
        "images_per_second",
        "float",
        "images per second",
        "training images over training seconds of all epochs, validation excluded",
        derived=True,
    ),
    Column("latency_seconds", "float", "seconds", "least latency_seconds of any epoch", derived=True),
    Column("peak_memory_bytes", "int", "bytes", "largest peak_memory_bytes of any epoch", derived=True),
    Column("gpu_seconds", "float", "seconds", "wall time times the share of GPUs reserved; 0 on CPU"),
    Column("device_name", "string", "", "the device that trained it last, such as `NVIDIA H100 PCIe` or `cpu`"),
    Column("node", "string", "", "host name of the machine that trained it last"),
    *PROCESSOR_COLUMNS,
    Column("precision", "string", "", "arithmetic that `precision: auto` came to on that device"),
    Column(
        "gpu_memory_reserved_bytes", "int", "bytes", "device memory set aside for the trial, of all its cards; 0 on CPU"
    ),
    Column(
        "micro_batch_size",
        "int",
        "images",
        "images per forward pass of a process; the effective batch size is `trial.batch_size`",
    ),
    Column(
        "batch_norm_images",
        "int",
        "images",
        "images that BatchNorm took its statistics from; where it differs between trials, results are not alike",
    ),
    Column("recompute", "bool", "", "whether activations were computed again in the backward pass instead of kept"),
    Column("processes", "int", "", "that trained it together, with a card each where it trained on cards"),
    Column("memory_steps", "string", "", "what was tried, in order, when its memory was not enough"),
    Column("checkpoint", "string", "", "folder of its checkpoints, relative to the results folder"),
    Column("error", "string", "", "message of the exception that failed it"),
    Column("attempts", "int", "", "times it was started: 1, and one more for every restart"),
    Column(
        "faults",
        "int",
        "",
        "times that a fault of data, storage, disk, network or nodes set it back, and it was tried again",
    ),
    Column("started_at", "time", "UTC", "first start"),
    Column("ended_at", "time", "UTC", "end; missing while it runs"),
)
"""The columns after the configuration."""

TRIAL_COLUMNS = IDENTITY_COLUMNS + OUTCOME_COLUMNS

EPOCH_COLUMNS = (
    Column("trial_id", "string", "", "the trial, as in trials.parquet", required=True),
    Column("epoch", "int", "epochs", "1 for the first", required=True),
    Column("train_loss", "float", "nats per image", "mean over the augmented batches as they were trained on"),
    Column("train_accuracy", "float", "fraction", "over the augmented batches as they were trained on"),
    Column("validation_loss", "float", "nats per image", "mean over the clean validation split; missing where skipped"),
    Column("validation_accuracy", "float", "fraction", "over the clean validation split; missing where skipped"),
    Column("lr", "float", "", "learning rate of the epoch's last step"),
    Column(
        "latency_seconds",
        "float",
        "seconds",
        "forward pass of one image on the device of the trial, uncompiled, the fastest of several after validation; "
        "missing where `evaluation.latency` is off",
    ),
    Column("epoch_seconds", "float", "seconds", "training and validation"),
    Column(
        "images_per_second", "float", "images per second", "training images over training seconds, validation excluded"
    ),
    Column(
        "peak_memory_bytes",
        "int",
        "bytes",
        "most device memory allocated since the trial began; on CPU the process's peak resident size",
    ),
    Column("decision", "string", "", "of the scheduler after this epoch", values=("continue", "stop")),
    Column("rung", "int", "epochs", "the rung that was decided at, named by its epoch; missing between rungs"),
    Column("rung_size", "int", "trials", "trials recorded at the rung when it was decided, this one included"),
    Column("rung_rank", "int", "", "place among them, 1 for the best"),
    Column(
        "rung_cutoff",
        "float",
        "",
        "value of the objective that was needed to go on; missing while the rung has too few trials, and "
        "with several objectives",
    ),
    Column(
        "rung_front", "int", "", "with several objectives, the front that the trial is on there; 1 is non-dominated"
    ),
    Column("bracket", "int", "", "group of trials that is compared at the rung, from 0; missing where all are"),
)

TRAIN, TRAIN_AND_VALIDATION = "train", "train+validation"

CONFIRMATION_COLUMNS = (
    Column("sweep", "string", "", "name of the sweep", required=True),
    Column("trial_id", "string", "", "the trial of the search that the configuration is taken from", required=True),
    Column(
        "configuration",
        "string",
        "",
        "the whole configuration but its seed, defaults left out; rows with the same text differ in chance only",
        required=True,
    ),
    Column("seed", "int", "", "fresh where `retrained`: no trial of the search had it", required=True),
    Column(
        "retrained",
        "bool",
        "",
        "true for a retraining by `confirm`; false for a model that `evaluate` opened the test split for as it stood, "
        "which no mean over fresh seeds counts; missing in older tables, whose rows are all retrainings",
    ),
    Column(
        "trained_on",
        "string",
        "",
        "the training split of the search alone, or all of the training images",
        values=(TRAIN, TRAIN_AND_VALIDATION),
        required=True,
    ),
    Column("status", "string", "", "how the retraining stands", values=STATUSES),
    Column("status_reason", "string", "", "why it diverged, failed or was interrupted, in a sentence"),
    Column(
        "validation_accuracy",
        "float",
        "fraction",
        "on the validation split, at the last epoch; missing where it was trained on",
    ),
    Column(
        "validation_loss",
        "float",
        "nats per image",
        "on the validation split, at the last epoch; missing where it was trained on",
    ),
    Column(
        "validation_images", "int", "images", "in the validation split; missing in older tables, and where it is empty"
    ),
    Column("test_accuracy", "float", "fraction", "on the test split, after the last epoch"),
    Column("test_images", "int", "images", "in the test split, of retrainings; missing in older tables"),
    Column("test_loss", "float", "nats per image", "on the test split, after the last epoch"),
    Column("epochs", "int", "epochs", "epochs finished"),
    Column("opened_at", "time", "UTC", "when the test split was opened for it, written down before it was"),
    Column(
        "openings",
        "int",
        "",
        "times it was opened: 1, and one more for each time that a worker died before the score came, or that "
        "`evaluate --again` asked for it",
    ),
    Column("commit", "string", "", "git commit of the code that opened it, `-dirty` where files differed"),
    Column("reason", "string", "", "what it was opened for"),
    Column("train_seconds", "float", "seconds", "training and validation, no waiting"),
    *PROCESSOR_COLUMNS,
    Column("checkpoint", "string", "", "folder of its checkpoints, relative to the results folder"),
)

DERIVED_TRIAL_COLUMNS = tuple(column.name for column in TRIAL_COLUMNS if column.derived)
