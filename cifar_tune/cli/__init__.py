"""One file per command: its arguments, and what it does. What they share: options, exit status, console."""
