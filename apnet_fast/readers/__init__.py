"""Read many files: in this process, in several that share memory with it, or into packs."""
