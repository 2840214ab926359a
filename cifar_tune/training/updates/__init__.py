"""Update rules that torch lacks; `training.optimizers` says which exist and how they are configured."""
