"""Where each trial trains, and with which share of a card."""
