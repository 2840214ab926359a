"""What to train next and when to stop it, from the ledger alone: no Ray, no clock."""
