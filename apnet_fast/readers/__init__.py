"""Reading many files: in this process, in several that share memory with it, and into packs."""
