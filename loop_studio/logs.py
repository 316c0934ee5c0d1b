"""Log lines of web and worker alike: plain for people, or one JSON object per line for programs."""

from __future__ import annotations

import json
import logging
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Literal

ACCESS = logging.getLogger("loop_studio.access")
request_id: ContextVar[str] = ContextVar("request_id", default="")
job_id: ContextVar[str] = ContextVar("job_id", default="")

_QUIET = {"alembic": logging.WARNING, "apscheduler": logging.ERROR, "httpx": logging.WARNING}
_KNOWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime"}


def configure(log_format: Literal["plain", "json"]) -> None:
    """Send every line to standard error; called once per process.

    Plain lines leave out requests that went well: a page asks for its state every second.
    """
    handler = logging.StreamHandler()
    if log_format == "json":
        handler.setFormatter(JsonLines())
    else:
        handler.setFormatter(PlainLines("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    ACCESS.setLevel(logging.INFO if log_format == "json" else logging.WARNING)
    for name, level in _QUIET.items():  # a late tick is no news
        logging.getLogger(name).setLevel(level)


class PlainLines(logging.Formatter):
    """A line for people; the request or job that it belongs to follows in brackets."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, with its traceback below."""
        line, *rest = super().format(record).split("\n")
        about = request_id.get() or job_id.get()
        return "\n".join([f"{line} [{about}]" if about else line, *rest])


class JsonLines(logging.Formatter):
    """One JSON object per record: time, level, logger, message, what it is about, and extras."""

    def format(self, record: logging.LogRecord) -> str:
        """The object on one line, its traceback inside."""
        told = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            "request_id": request_id.get() or None,
            "job_id": job_id.get() or None,
            **{name: value for name, value in vars(record).items() if name not in _KNOWN},
            "traceback": self.formatException(record.exc_info) if record.exc_info else None,
        }
        lacking_none = {name: value for name, value in told.items() if value is not None}
        return json.dumps(lacking_none, ensure_ascii=False, default=str)


def words(line: str) -> str:
    """What a log line says, whichever of the two forms it has."""
    try:
        told = json.loads(line)
    except ValueError:
        return line
    return str(told["message"]) if isinstance(told, dict) and "message" in told else line
