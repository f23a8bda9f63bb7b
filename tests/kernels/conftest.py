"""Kernels run in Triton's interpreter here: it must be asked for before a kernel is defined."""

import os

os.environ.setdefault("TRITON_INTERPRET", "1")
