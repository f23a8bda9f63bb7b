"""Hold the networks as plain torch modules, and read and write their checkpoints."""
