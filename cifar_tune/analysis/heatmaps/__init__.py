"""Heat maps: computed, drawn, in the terminal, side by side."""
