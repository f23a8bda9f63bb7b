"""TLS for the Dask cluster of one run: a certificate that is made for it and goes with it.

Whoever reaches the port of a Dask scheduler can run code as its user. With TLS only those can who can read the key.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from apnet_fast.support.errors import UsageError


@dataclass(frozen=True)
class Certificate:
    """A certificate with its key, which is its own authority, in one file that only its owner may read."""

    file: Path

    @property
    def words(self) -> list[str]:
        """Options of `dask scheduler` and `dask worker`."""
        return [f"--tls-{part}={self.file}" for part in ("ca-file", "cert", "key")]

    @property
    def security(self) -> Any:
        """The `distributed.Security` of a client."""
        from distributed.security import Security

        file = str(self.file)
        return Security(require_encryption=True, tls_ca_file=file, tls_client_cert=file, tls_client_key=file)


def make_certificate(file: Path) -> Certificate:
    """Make a certificate for a run and write it to a file of mode 0600.

    Raises UsageError if the package `cryptography` is missing.
    """
    from distributed.security import Security

    try:
        made = Security.temporary()
    except ImportError as error:
        raise UsageError(
            "a cluster inside a Slurm job needs TLS",
            got=str(error),
            expected="the package cryptography",
            remedy="pip install 'apnet_fast[cluster]'",
        ) from error
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as out:
        out.write(made.tls_scheduler_key + made.tls_scheduler_cert)
    return Certificate(file)
