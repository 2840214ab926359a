"""A results folder, live, in a browser. Reads the folder only; needs neither Ray nor torch."""
