"""What a report says, in the terminal, as a page, as Markdown."""
