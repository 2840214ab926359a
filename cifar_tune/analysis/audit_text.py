"""What the audit of early stopping says, in words and as a table."""

from __future__ import annotations

import pandas as pd

from cifar_tune.analysis.audit import RungAudit, StoppingAudit

TITLE = "Early stopping, audited"
COLUMNS = ["rung", "arrived", "stopped", "audited", "rank_correlation", "interval_90", "good_stopped"]


def audit_line(audit: RungAudit) -> str:
    """Returns the state of the first rung in a line for the progress."""
    if not audit.known:
        return f"early stopping: {_trials(audit.audited)} audited, too few for an estimate"
    return f"early stopping: {_told(audit)}" + ("; grace period too short" if audit.unreliable else "")


def audit_sentences(audit: StoppingAudit) -> tuple[str, ...]:
    """Returns what the audit found, a warning last where the grace period is too short."""
    first = audit.rungs[0]
    if not first.known:
        return (
            f"What early stopping cost is not known: {_trials(first.audited)} that a rung would have stopped ran on to"
            " the end, too few for an estimate (`scheduler.audit_fraction` is the share that does).",
        )
    found = (
        f"{_trials(first.audited)} that a rung would have stopped ran on to the end, each for"
        f" {_stopped(audit) / first.audited:.1f} that were to be stopped: {_told(first)}."
    )
    if not first.unreliable:
        return (found,)
    return found, _warning(first, audit.enough)


def audit_table(audit: StoppingAudit) -> pd.DataFrame:
    """Returns one row a rung; `audited`: of the trials stopped there or later, those whose final value is known."""
    rows = [
        (
            one.rung,
            one.arrived,
            one.stopped,
            one.audited,
            f"{one.correlation:.2f}" if one.known else None,
            f"{one.low:.2f} to {one.high:.2f}" if one.known else None,
            f"{100 * one.good_stopped:.0f} %" if one.good_stopped == one.good_stopped else None,
        )
        for one in audit.rungs
    ]
    return pd.DataFrame(rows, columns=COLUMNS)


def _told(audit: RungAudit) -> str:
    interval = f"90 % interval {audit.low:.2f} to {audit.high:.2f}, {audit.trials} trials"
    good = "" if audit.good_stopped != audit.good_stopped else f", {100 * audit.good_stopped:.0f} % of the good stopped"
    return (
        f"order after epoch {audit.rung} and at the end correlate {audit.correlation:.2f} ({interval}, "
        f"{audit.audited} audited){good}"
    )


def _warning(first: RungAudit, enough: int | None) -> str:
    grace = "1 epoch" if first.rung == 1 else f"{first.rung} epochs"
    better = f"; from epoch {enough} on it does: try `scheduler.grace_epochs: {enough}`" if enough else ""
    return f"Warning: the grace period of {grace} is too short: the order then does not foretell the final one{better}."


def _stopped(audit: StoppingAudit) -> int:
    return sum(one.stopped for one in audit.rungs)


def _trials(count: int) -> str:
    return f"{count} trial" if count == 1 else f"{count} trials"
