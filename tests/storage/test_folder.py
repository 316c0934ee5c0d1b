import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from loop_studio.errors import DataFolderUnusable
from loop_studio.settings import Settings
from loop_studio.storage.folder import claim, make_folder

HOLD = """
import sys, time
from pathlib import Path
from loop_studio.settings import Settings
from loop_studio.storage.folder import claim, make_folder
held = claim(Settings(data=Path(sys.argv[1])))
print("held", flush=True)
time.sleep(60)
"""


def test_a_folder_in_use_is_refused_until_its_holder_is_killed(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(settings.data)], stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(DataFolderUnusable, match="in use by another studio; stop that one"):
            claim(settings)
    finally:
        holder.kill()
        holder.wait()
    claim(settings).release()


def test_a_released_folder_can_be_claimed_again(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    first = claim(settings)
    with pytest.raises(DataFolderUnusable, match="in use"):
        claim(settings)
    first.release()
    claim(settings).release()


def test_a_folder_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a folder")
    with pytest.raises(DataFolderUnusable, match="cannot be written"):
        claim(Settings(data=tmp_path / "file"))
    with pytest.raises(DataFolderUnusable, match="cannot be written"):
        claim(Settings(data=tmp_path / "file" / "below"))


def test_starts_at_the_same_time_do_not_trip_over_each_others_probe(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in pool.map(make_folder, [tmp_path / "data"] * 400):
            pass
    assert list((tmp_path / "data").iterdir()) == []


def test_a_claim_leaves_no_probe_behind(tmp_path: Path) -> None:
    with claim(Settings(data=tmp_path)):
        assert {path.name for path in tmp_path.iterdir()} == {"web.lock", "worker.lock"}


def test_web_and_worker_share_a_folder_and_a_second_of_either_does_not(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path)
    with claim(settings, role="web"):
        with claim(settings, role="worker"), pytest.raises(DataFolderUnusable, match="in use"):
            claim(settings, role="worker")
        with pytest.raises(DataFolderUnusable, match="in use"):
            claim(settings)
        claim(settings, role="worker").release()
