"""When a trial is stopped early: pure functions of what was reported."""
