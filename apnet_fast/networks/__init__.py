"""The networks as plain torch modules, and their checkpoints."""
