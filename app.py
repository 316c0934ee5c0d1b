"""LOOP Studio's command line: the one place where web and worker are put together.

python app.py              migrate, then serve the pages and run the worker
python app.py web          the pages alone
python app.py worker       the worker alone
python app.py migrate      bring the database to this release
python app.py loop --project P --reward clip_score --updates 5
python app.py loop --project P --resume
python app.py export --project P --version 3 --format kohya --out DIR
python app.py ratings --project P --format csv --out FILE
python app.py import --project P --file lora.safetensors --name "what it is"
python app.py export-project --project P --out DIR
python app.py import-project --file project.zip
python app.py backup --out DIR
python app.py restore DIR/studio-20260131T030000Z --data NEW
python app.py accounts add NAME --role administrator
python app.py accounts password NAME
python app.py accounts list
"""

from __future__ import annotations

import argparse
import contextlib
import getpass
import json
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

from loop_studio import __version__, logs
from loop_studio.errors import Refused, StudioError
from loop_studio.settings import STARTER, Settings, from_environment
from loop_studio.storage import accounts, folder, migration
from loop_studio.storage.database import Database
from loop_studio.storage.files import FileStore
from loop_studio.storage.roles import ACCOUNT_ROLES
from loop_studio.ui.hosts import check_binding

if TYPE_CHECKING:
    from loop_studio.jobs.supervisor import Supervisor
    from loop_studio.storage.exports import Format

    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def main(arguments: list[str] | None = None) -> int:
    """Run one command; errors that a person can mend end in one sentence and status 1."""
    options = _parser().parse_args(arguments)
    try:
        settings = from_environment()
        logs.configure(settings.log_format)
        options.run(settings, options)
    except StudioError as error:
        print(f"loop-studio: {error.detail}", file=sys.stderr)
        return 1
    return 0


def serve(settings: Settings, options: argparse.Namespace) -> None:
    """Migrate, then web and worker, or either alone, until a signal."""
    # Like Ctrl-C: the web server stops and raises the signal again, which by default would end this
    # process before the worker was asked to finish its step.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parts = {"web", "worker"} if options.command is None else {options.command}
    listener = _listen(settings) if "web" in parts else None
    with folder.claim(settings, role=options.command or "studio"):
        db = _open(settings)
        if listener is not None:
            check_binding(settings, accounts.exist(db))
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
    from loop_studio.jobs.autopilot import fly, fly_on
    from loop_studio.storage.autopilots import Budget

    given = (options.updates, options.minutes, options.until)
    budget = Budget(*given) if any(part is not None for part in given) else Budget(updates=1)
    with folder.claim(settings, role="worker"):
        db = _open(settings)
        project = options.project
        flight = (
            fly_on(settings, db, project)
            if options.resume
            else fly(settings, db, project, options.reward, budget)
        )
        for update in flight:
            line = {
                "update": update.number,
                "version_id": update.version_id,
                "made_live": update.made_live,
                "groups": update.group_count,
                "metrics": update.metrics,
            }
            print(json.dumps(line), flush=True)


def export(settings: Settings, options: argparse.Namespace) -> None:
    """Copy a version's LoRA file out of the studio, or have it packed or merged."""
    from loop_studio.storage import versions

    if options.format in ("zip", "merged"):
        _pack(settings, options, options.format, options.version)
        return
    db = _open(settings)
    version = versions.by_number(db, options.project, options.version)
    stored = versions.whole_file(db, FileStore(settings.files), version.id, options.format)
    options.out.mkdir(parents=True, exist_ok=True)
    name = (
        "pytorch_lora_weights.safetensors"
        if options.format == "diffusers"
        else f"{options.project}-v{version.number}.safetensors"
    )
    shutil.copyfile(stored, options.out / name)
    print(options.out / name)


def export_project(settings: Settings, options: argparse.Namespace) -> None:
    """Pack a whole project into one zip."""
    _pack(settings, options, "project")


def _pack(
    settings: Settings, options: argparse.Namespace, format: Format, number: int | None = None
) -> None:
    from loop_studio.jobs import take_home
    from loop_studio.storage import versions

    with folder.claim(settings, role="worker"):
        db = _open(settings)
        version = None if number is None else versions.by_number(db, options.project, number).id
        print(take_home.export(settings, db, options.project, format, options.out, version))


def import_project(settings: Settings, options: argparse.Namespace) -> None:
    """Make a new project of one that was exported whole."""
    from loop_studio.jobs import take_home

    with folder.claim(settings, role="worker"):
        print(f"project {take_home.import_project(settings, _open(settings), options.file)}")


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


def backup(settings: Settings, options: argparse.Namespace) -> None:
    """Make a backup now, beside the nightly ones; the studio may run meanwhile."""
    from loop_studio.storage import backups

    folder = options.out or settings.backup_folder
    db = Database(settings.resolved_database_url)
    made = backups.make(db, FileStore(settings.files), folder)
    print(made.folder)
    if lost := len(made.about.missing):
        print(f"Files that were gone from the data folder already: {lost}", file=sys.stderr)


def restore(settings: Settings, options: argparse.Namespace) -> None:
    """Bring a backup back into an empty folder."""
    from loop_studio.storage import restoring

    if settings.database_url:
        raise Refused(
            "The database is on PostgreSQL; restore it with pg_restore.", "use_pg_restore"
        )
    count = restoring.restore(options.source, options.data)
    print(f"Restored the database and {count} files; start it with LOOP_STUDIO_DATA={options.data}")
    if options.source.is_file():
        print("The backup is the database alone: copy the folder files of the studio beside it.")


def add_account(settings: Settings, options: argparse.Namespace) -> None:
    """Make an account; its password is asked for, or read from a pipe."""
    db = _open(settings)
    if not accounts.exist(db) and options.role != "administrator":
        raise Refused("The first account must be an administrator's; add --role administrator.")
    user = accounts.create(db, options.name, options.role, _password())
    print(f"{user.name} is {user.role} now, and everyone has to sign in.")


def change_password(settings: Settings, options: argparse.Namespace) -> None:
    """Give an account a new password; its browsers are signed out."""
    db = _open(settings)
    user = accounts.named(db, options.name)
    if user is None:
        raise Refused(f"There is no account {options.name}; accounts list shows all.")
    accounts.change_password(db, user.id, _password())
    print(f"{user.name} has a new password.")


def list_accounts(settings: Settings, options: argparse.Namespace) -> None:
    """One line per account: role, name, and whether it is deactivated."""
    for user in accounts.all(_open(settings)):
        print(f"{user.role}\t{user.name}" + ("" if user.active else "\tdeactivated"))


def _password() -> str:
    if not sys.stdin.isatty():
        return sys.stdin.readline().rstrip("\n")
    password = getpass.getpass("Password (10 characters or more): ")
    if password != getpass.getpass("The same again: "):
        raise Refused("The two passwords differ; type the same one twice.")
    return password


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

    from loop_studio.ui.connections import configuration
    from loop_studio.ui.server import create_app

    config = configuration(create_app(settings, db, FileStore(settings.files)))
    host, port = listener.getsockname()[:2]
    shown = f"[{host}]" if ":" in host else host
    with contextlib.suppress(KeyboardInterrupt):  # uvicorn raises it again once it has stopped
        print(f"LOOP Studio {__version__} is at http://{shown}:{port}", flush=True)
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
    for name, words, run in (
        ("web", "the pages alone", serve),
        ("worker", "the worker alone", serve),
        ("migrate", "update the database", migrate),
    ):
        commands.add_parser(name, help=words).set_defaults(run=run)
    looping = commands.add_parser("loop", help="updates on one reward, without pages")
    looping.add_argument("--project", required=True, help="id of the project")
    how = looping.add_mutually_exclusive_group(required=True)
    how.add_argument("--reward", help="name of an automatic reward, or learned")
    how.add_argument("--resume", action="store_true", help="go on with what an earlier run left")
    looping.add_argument("--updates", type=int, help="stop after so many; 1 if nothing is given")
    looping.add_argument("--minutes", type=float, help="begin no update after so many minutes")
    looping.add_argument("--until", type=float, help="stop when the mean score has reached this")
    looping.set_defaults(run=loop)
    exporting = commands.add_parser("export", help="copy a version's LoRA out of the studio")
    exporting.add_argument("--project", required=True, help="id of the project")
    exporting.add_argument("--version", type=int, required=True, help="number of the version")
    exporting.add_argument(
        "--format", choices=("diffusers", "kohya", "zip", "merged"), default="diffusers"
    )
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
    packing = commands.add_parser("export-project", help="pack a whole project into one zip")
    packing.add_argument("--project", required=True, help="id of the project")
    packing.add_argument("--out", type=Path, default=Path(), help="the folder to put it in")
    packing.set_defaults(run=export_project)
    unpacking = commands.add_parser("import-project", help="make a project of an exported one")
    unpacking.add_argument("--file", type=Path, required=True, help="the zip of its export")
    unpacking.set_defaults(run=import_project)
    _add_care(commands)
    _add_accounts(commands)
    return parser


def _add_care(commands: Commands) -> None:
    keeping = commands.add_parser("backup", help="make a backup now")
    keeping.add_argument("--out", type=Path, help="folder of backups, instead of the usual one")
    keeping.set_defaults(run=backup)
    restoring = commands.add_parser("restore", help="bring a backup back into an empty folder")
    restoring.add_argument("source", type=Path, help="the folder of the backup, or a database")
    restoring.add_argument("--data", type=Path, required=True, help="the new data folder")
    restoring.set_defaults(run=restore)


def _add_accounts(commands: Commands) -> None:
    people = commands.add_parser("accounts", help="who may sign in").add_subparsers(required=True)
    adding = people.add_parser("add", help="make an account; asks for its password")
    adding.add_argument("name", help="what they sign in with, and judge as")
    adding.add_argument("--role", choices=tuple(ACCOUNT_ROLES), default="rater")
    adding.set_defaults(run=add_account)
    renewing = people.add_parser("password", help="give an account a new password")
    renewing.add_argument("name", help="whose")
    renewing.set_defaults(run=change_password)
    people.add_parser("list", help="show every account").set_defaults(run=list_accounts)


if __name__ == "__main__":
    sys.exit(main())
