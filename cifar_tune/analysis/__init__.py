"""Tables in, findings and figures out. Needs neither Ray nor torch."""
