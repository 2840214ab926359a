"""Recorded curves in the place of trials, in simulated time."""
