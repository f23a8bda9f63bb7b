"""The driver: plan, shards, resume, readers, progress."""
