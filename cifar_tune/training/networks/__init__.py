"""The networks themselves, as torch modules; `training.models` says which exist and how they are configured."""
