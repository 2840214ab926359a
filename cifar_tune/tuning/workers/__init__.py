"""Ray: the driver, its workers, and what they tell each other."""
