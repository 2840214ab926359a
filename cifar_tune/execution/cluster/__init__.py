"""What machines, cards and clusters there are."""
