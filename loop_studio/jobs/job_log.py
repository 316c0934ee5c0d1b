"""The worker's log lines of one update, kept for the people at the pages.

Only the studio's own lines, without tracebacks; folders and access tokens are left out.
"""

from __future__ import annotations

import logging
import re
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager

LINES = 100
_OURS = logging.getLogger("loop_studio")
_FOLDERS = re.compile(r"(?<![\w.])(?:[A-Za-z]:)?(?:[/\\][^\s/\\'\",:]+)+[/\\](?=[^\s/\\])")
_TOKENS = re.compile(r"\bhf_\w+|(?<=://)[^\s/@]+@")


class JobLog(logging.Handler):
    """The last lines; `fresh` while some of them are not stored."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.setFormatter(logging.Formatter("%(asctime)s %(message)s", "%H:%M:%S"))
        self.lines: deque[str] = deque(maxlen=LINES)
        self.fresh = False

    def emit(self, record: logging.LogRecord) -> None:
        """Keep the record's sentence, without its traceback."""
        bare = logging.makeLogRecord({**record.__dict__, "exc_info": None, "exc_text": None})
        self.lines.append(clean(self.format(bare)))
        self.fresh = True


def clean(line: str) -> str:
    """A line without folders and tokens; the names of files stay."""
    return _TOKENS.sub("***", _FOLDERS.sub("…/", line))[:500]


@contextmanager
def kept(handler: JobLog) -> Iterator[None]:
    """Keep what the studio says meanwhile."""
    level = _OURS.level
    _OURS.setLevel(logging.INFO)
    _OURS.addHandler(handler)
    try:
        yield
    finally:
        _OURS.removeHandler(handler)
        _OURS.setLevel(level)
