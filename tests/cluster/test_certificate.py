"""The key of a run's cluster is for its owner's eyes, and never takes the place of another file."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from apnet_fast.cluster.certificate import make_certificate


def test_the_key_is_its_owners_alone(tmp_path: Path) -> None:
    certificate = make_certificate(tmp_path / "tls.pem")
    assert stat.S_IMODE(certificate.file.stat().st_mode) == 0o600
    text = certificate.file.read_text()
    assert "PRIVATE KEY" in text
    assert "BEGIN CERTIFICATE" in text
    assert certificate.words == [f"--tls-{part}={certificate.file}" for part in ("ca-file", "cert", "key")]
    assert certificate.security.require_encryption
    with pytest.raises(FileExistsError):
        make_certificate(certificate.file)


def test_every_run_has_another(tmp_path: Path) -> None:
    assert make_certificate(tmp_path / "a").file.read_text() != make_certificate(tmp_path / "b").file.read_text()
