"""How figures and pages look, and how they are written; for every room that draws."""
