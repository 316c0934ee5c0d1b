"""LOOP Studio's command line: the one place where web and worker are put together.

python app.py              migrate, then serve the pages and run the worker
python app.py web          the pages alone
python app.py worker       the worker alone
python app.py migrate      bring the database to this release
python app.py loop --project P --reward clip_score --updates 5
python app.py export --project P --version 3 --format kohya --out DIR
python app.py ratings --project P --format csv --out FILE
python app.py import --project P --file lora.safetensors --name "what it is"
"""

from __future__ import annotations

import argparse
import contextlib
import json
import logging
import os
import shutil
import signal
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

from loop_studio import __version__
from loop_studio.errors import Refused, StudioError
from loop_studio.settings import STARTER, Settings, from_environment
from loop_studio.storage import folder, migration
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore

if TYPE_CHECKING:
    from loop_studio.jobs.supervisor import Supervisor

STOP_GRACE_S = 3


def main(arguments: list[str] | None = None) -> int:
    """Run one command; errors that a person can mend end in one sentence and status 1."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s")
    logging.getLogger("apscheduler").setLevel(logging.ERROR)  # a late tick is no news
    logging.getLogger("alembic").setLevel(logging.WARNING)
    options = _parser().parse_args(arguments)
    try:
        options.run(from_environment(), options)
    except StudioError as error:
        print(f"loop-studio: {error.detail}", file=sys.stderr)
        return 1
    return 0


def serve(settings: Settings, options: argparse.Namespace) -> None:
    """Migrate, then web and worker, or either alone, until a signal."""
    parts = {"web", "worker"} if options.command is None else {options.command}
    listener = _listen(settings) if "web" in parts else None
    with folder.claim(settings, role=options.command or "studio"):
        db = _open(settings)
        supervisor = _start_worker(settings, db) if "worker" in parts else None
        try:
            if listener is not None:
                _serve_pages(settings, db, listener)
            else:
                _sleep_until_signal()
        finally:
            if supervisor is not None:
                supervisor.stop()
            db.dispose()


def migrate(settings: Settings, options: argparse.Namespace) -> None:
    """Bring the database to this release, with a backup of a populated one."""
    with folder.claim(settings, role="migrate"):
        migration.migrate(settings)
    print("The database is up to date.")


def loop(settings: Settings, options: argparse.Namespace) -> None:
    """Autopilot without pages: one JSON line per update."""
    from loop_studio.jobs.autopilot import fly

    with folder.claim(settings, role="worker"):
        db = _open(settings)
        for update in fly(settings, db, options.project, options.reward, options.updates):
            line = {
                "update": update.number,
                "version_id": update.version_id,
                "made_live": update.made_live,
                "groups": update.group_count,
                "metrics": update.metrics,
            }
            print(json.dumps(line), flush=True)


def export(settings: Settings, options: argparse.Namespace) -> None:
    """Copy a version's LoRA file out of the studio."""
    from loop_studio.storage import versions

    db = _open(settings)
    version = versions.by_number(db, options.project, options.version)
    stored = versions.file(db, version.id, options.format)
    options.out.mkdir(parents=True, exist_ok=True)
    name = (
        "pytorch_lora_weights.safetensors"
        if options.format == "diffusers"
        else f"{options.project}-v{version.number}.safetensors"
    )
    shutil.copyfile(FileStore(settings.files).path(stored.key), options.out / name)
    print(options.out / name)


def ratings(settings: Settings, options: argparse.Namespace) -> None:
    """Write a project's ratings to a file; whole, or not at all."""
    from loop_studio.exchange.formats import export

    files = FileStore(settings.files)
    content = export(_open(settings), files, options.project, options.format, options.images)
    partial = options.out.with_name(f".{options.out.name}.partial")
    try:
        with partial.open("wb") as file:
            file.writelines(content)
        partial.replace(options.out)
    except OSError as error:
        raise Refused(f"{options.out} cannot be written ({error.strerror}).") from error
    finally:
        partial.unlink(missing_ok=True)
    print(options.out)


def import_lora(settings: Settings, options: argparse.Namespace) -> None:
    """Make a version of a LoRA file from elsewhere; it is not live until someone says so."""
    from loop_studio.jobs.bring_in import bring_in

    with folder.claim(settings, role="worker"):
        db = _open(settings)
        name = (options.name or options.file.stem).strip()[:80] or "LoRA"
        print(f"version {bring_in(settings, db, options.project, options.file, name)}")


def _open(settings: Settings) -> Database:
    from loop_studio.starter.prompts import STARTER_PROMPTS
    from loop_studio.storage import projects

    migration.migrate(settings)
    db = Database(settings.resolved_database_url)
    projects.ensure_starter(db, STARTER, [(text, []) for text in STARTER_PROMPTS])
    return db


def _start_worker(settings: Settings, db: Database) -> Supervisor:
    from loop_studio.jobs.supervisor import Supervisor

    supervisor = Supervisor(settings, db)
    supervisor.start()
    return supervisor


def _listen(settings: Settings) -> socket.socket:
    """Bind before anything is started, so that a port in use costs nothing but a sentence."""
    from loop_studio.ui.hosts import check_binding

    check_binding(settings)
    try:
        family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
        return socket.create_server((settings.host, settings.port), family=family)
    except OSError as error:
        raise Refused(
            f"Port {settings.port} on {settings.host} cannot be opened ({error.strerror}). "
            f"Stop what uses it, or choose another: make run PORT={settings.port + 1}",
            "port_in_use",
        ) from error


def _serve_pages(settings: Settings, db: Database, listener: socket.socket) -> None:
    import uvicorn

    from loop_studio.ui.server import create_app

    app = create_app(settings, db, FileStore(settings.files))
    config = uvicorn.Config(app, log_level="warning", timeout_graceful_shutdown=STOP_GRACE_S)
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    print(f"LOOP Studio {__version__} is at http://{shown}:{port}", flush=True)
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again once it has stopped
        uvicorn.Server(config).run(sockets=[listener])


def _sleep_until_signal() -> None:
    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())
    while not stop.wait(1.0):
        pass


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="app.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.set_defaults(run=serve)
    commands = parser.add_subparsers(dest="command")
    commands.add_parser("web", help="the pages alone").set_defaults(run=serve)
    commands.add_parser("worker", help="the worker alone").set_defaults(run=serve)
    commands.add_parser("migrate", help="update the database").set_defaults(run=migrate)
    looping = commands.add_parser("loop", help="updates on an automatic reward, without pages")
    looping.add_argument("--project", required=True, help="id of the project")
    looping.add_argument("--reward", required=True, help="name of the automatic reward")
    looping.add_argument("--updates", type=int, default=1, help="how many updates")
    looping.set_defaults(run=loop)
    exporting = commands.add_parser("export", help="copy a version's LoRA out of the studio")
    exporting.add_argument("--project", required=True, help="id of the project")
    exporting.add_argument("--version", type=int, required=True, help="number of the version")
    exporting.add_argument("--format", choices=("diffusers", "kohya"), default="diffusers")
    exporting.add_argument("--out", type=Path, default=Path())
    exporting.set_defaults(run=export)
    rated = commands.add_parser("ratings", help="write a project's ratings to a file")
    rated.add_argument("--project", required=True, help="id of the project")
    rated.add_argument(
        "--format", choices=("jsonl", "csv", "parquet", "pickapic", "dataset"), default="jsonl"
    )
    rated.add_argument("--images", action="store_true", help="with pictures: pickapic, dataset")
    rated.add_argument("--out", type=Path, required=True, help="the file to write")
    rated.set_defaults(run=ratings)
    importing = commands.add_parser("import", help="make a version of a LoRA file")
    importing.add_argument("--project", required=True, help="id of the project")
    importing.add_argument("--file", type=Path, required=True, help="its .safetensors file")
    importing.add_argument("--name", help="what the version is called; the file's name if left out")
    importing.set_defaults(run=import_lora)
    return parser


if __name__ == "__main__":
    sys.exit(main())
