"""`make audit` never takes silence for health: what it could not find out, it says."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("said", "ended", "status", "sentence"),
    [
        ("No known vulnerabilities found", 0, 0, ""),
        ("Found 2 known vulnerabilities in 1 package", 1, 1, "Found 2"),
        ("ERROR:pip_audit._cli:accelerate: Dependency not found", 1, 2, "could not be made"),
        ("requests.exceptions.ConnectionError: no route", 1, 2, "make audit again where there is"),
    ],
)
def test_its_status_tells_fault_from_failure(
    tmp_path: Path, said: str, ended: int, status: int, sentence: str
) -> None:
    auditor = tmp_path / "bin" / "pip-audit"
    auditor.parent.mkdir()
    auditor.write_text(f"#!/bin/sh\necho '{said}' >&2\nexit {ended}\n")
    auditor.chmod(0o755)
    answer = subprocess.run(
        [ROOT / ".ci" / "audit", "true", tmp_path], cwd=ROOT, capture_output=True, text=True
    )
    assert answer.returncode == status
    assert sentence in answer.stderr
