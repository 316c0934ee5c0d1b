"""The disk under the data folder, and the newest backup."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from datetime import UTC, datetime

from loop_studio.settings import Settings


@dataclass(frozen=True)
class Room:
    """Bytes of the disk, and when the newest backup was made."""

    free: int
    size: int
    last_backup_at: datetime | None


def room(settings: Settings) -> Room:
    """What is there at this moment."""
    disk = shutil.disk_usage(settings.data)
    backups = settings.backup_folder.glob("studio-*")
    made = [backup.stat().st_mtime for backup in backups if backup.suffix != ".partial"]
    last = datetime.fromtimestamp(max(made), UTC) if made else None
    return Room(disk.free, disk.total, last)
