"""A signal stops the web server first and then the worker, in order, whatever signal it is."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

# The real program, sockets and signals; the pages and the worker are stand-ins that say what they
# are asked, for neither has a part in what is tested and both take seconds to load.
PROGRAM = """
import signal, sys, types
signal.signal(signal.SIGINT, signal.default_int_handler)  # as in a terminal, whoever runs the tests
async def pages(scope, receive, send): ...
module = types.ModuleType("loop_studio.ui.server")
module.create_app = lambda *stores: pages
sys.modules["loop_studio.ui.server"] = module
import app
class Worker:
    def stop(self): print("the worker was asked to stop", flush=True)
app._start_worker = lambda settings, db: Worker()
sys.exit(app.main([]))
"""


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_the_worker_too(tmp_path: Path, number: signal.Signals) -> None:
    environment = {"LOOP_STUDIO_DATA": str(tmp_path / "data"), "LOOP_STUDIO_PORT": "0"}
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        cwd=Path(__file__).parent.parent,
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    ) as studio:
        assert studio.stdout is not None
        assert "LOOP Studio" in studio.stdout.readline()
        studio.send_signal(number)
        said, _ = studio.communicate(timeout=60)
        assert said == "the worker was asked to stop\n"
        assert studio.returncode == 0
    assert not (tmp_path / "data" / "studio.sqlite3-wal").exists()  # closed in good order
