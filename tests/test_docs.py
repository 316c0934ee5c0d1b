"""README and ARCHITECTURE tell the truth: what they name exists, and cheap commands run."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from importlib.metadata import version
from pathlib import Path

import pytest

import app
from loop_studio import __version__
from loop_studio.settings import Settings
from loop_studio.storage.roles import ACCOUNT_ROLES, SCOPES

ROOT = Path(__file__).parent.parent
GUIDES = ["docs/data.md", "docs/docker.md"]
PAGES = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", *GUIDES]
PATH = re.compile(r"`((?:loop_studio|migrations|static|tests|benchmarks|docs|\.ci)/[\w./-]*)`")
FUNCTION = re.compile(r"`([\w./]+\.py):([\w.]+)`")
LINK = re.compile(r"\]\((?!https?:)([^)#]+)")


def text(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def code(page: str) -> str:
    """The lines of its shell blocks."""
    return "\n".join(re.findall(r"```sh\n(.*?)```", text(page), re.DOTALL))


@pytest.mark.parametrize("page", PAGES)
def test_every_path_it_names_exists(page: str) -> None:
    named = [*PATH.findall(text(page)), *LINK.findall(text(page))]
    assert not [path for path in named if not (ROOT / path).exists()]


def test_every_function_the_architecture_names_exists() -> None:
    named = FUNCTION.findall(text("ARCHITECTURE.md"))
    assert len(named) >= 7
    missing = []
    for path, dotted in named:
        scope: list[ast.stmt] = ast.parse(text(path)).body if (ROOT / path).exists() else []
        for name in dotted.split("."):
            found = [
                node
                for node in scope
                if isinstance(node, ast.FunctionDef | ast.ClassDef) and node.name == name
            ]
            scope = found[0].body if found else []
        if not scope:
            missing.append(f"{path}:{dotted}")
    assert not missing


def test_the_architecture_has_two_pages_at_most() -> None:
    words = re.sub(r"```.*?```", "", text("ARCHITECTURE.md"), flags=re.DOTALL).split()
    assert len(words) <= 1200


def test_every_fault_has_a_test() -> None:
    """Each line of the list names at least one, and each that it names is there."""
    tests = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "tests").rglob("*.py"))
    lines = [line for line in text("docs/faults.md").splitlines() if line.startswith("| ")]
    for line in lines[1:]:
        named = re.findall(r"`(test_\w+)`", line)
        assert named, line
        assert not [name for name in named if f"def {name}(" not in tests], line


def test_the_readme_lists_the_environment_as_it_is() -> None:
    fields = Settings.model_fields
    known = {
        str(field.validation_alias or f"LOOP_STUDIO_{name.upper()}")
        for name, field in fields.items()
    }
    listed = set(re.findall(r"\b(?:LOOP_STUDIO|HF_TOKEN)[A-Z_]*\b", text("README.md")))
    assert listed == known


@pytest.mark.parametrize("page", GUIDES)
def test_a_guide_names_settings_and_commands_that_exist(
    page: str, capsys: pytest.CaptureFixture[str]
) -> None:
    known = {f"LOOP_STUDIO_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"\bLOOP_STUDIO_[A-Z_]+\b", text(page))) <= known
    services = r"docker compose (?:exec|run) (?:--rm )?studio (?:python app\.py )?"
    called = re.findall(rf"(?:^python app\.py |{services})([a-z-]+)(.*)", code(page), re.MULTILINE)
    assert called
    for command, options in called:
        with pytest.raises(SystemExit):
            app.main([command, "--help"])
        shown = capsys.readouterr().out
        assert all(option in shown for option in re.findall(r"--[a-z]+", options)), command


def targets(makefile: str) -> set[str]:
    return set(re.findall(r"^([a-z]+):", makefile, re.MULTILINE))


def test_every_make_target_that_is_named_exists_and_none_is_hidden() -> None:
    makefile = text("Makefile")
    named = set(re.findall(r"(?:`|^)make ([a-z]+)", text("README.md"), re.MULTILINE))
    head = makefile.split("\n\n")[0]
    assert named <= targets(makefile)
    assert set(re.findall(r"\bmake ([a-z]+)", head)) == targets(makefile)


@pytest.mark.parametrize("target", sorted(targets(text("Makefile"))))
def test_make_can_plan_every_target(target: str) -> None:
    plan = subprocess.run(
        ["make", "-n", target, "TORCH=cpu"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert plan.returncode == 0, plan.stderr


def test_the_commands_of_the_readme_are_commands_of_the_program(
    capsys: pytest.CaptureFixture[str],
) -> None:
    called = set(re.findall(r"python app\.py ((?:accounts )?[a-z-]+)", code("README.md")))
    for command in sorted(called):
        with pytest.raises(SystemExit) as ended:
            app.main([*command.split(), "--help"])
        assert ended.value.code == 0
        shown = capsys.readouterr().out
        options = re.findall(rf"app\.py {command} .*?(--[a-z]+)", code("README.md"))
        assert all(option in shown for option in options)
    assert {"web", "worker", "loop", "export", "import-project"} <= called


def test_the_guide_to_accounts_names_what_there_is(capsys: pytest.CaptureFixture[str]) -> None:
    guide = text("docs/accounts.md")
    assert not [path for path in PATH.findall(guide) if not (ROOT / path).exists()]
    assert all(f"| {role} |" in guide for role in ("guest", *ACCOUNT_ROLES))
    assert all(f"`{scope}`" in guide for scope in SCOPES)
    called = set(re.findall(r"app\.py accounts (\w+)", guide))
    assert called == {"add", "password", "list"}
    for command in called:
        with pytest.raises(SystemExit) as ended:
            app.main(["accounts", command, "--help"])
        assert ended.value.code == 0
    assert "--role" in capsys.readouterr().out


def test_one_number_of_the_release_everywhere() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    newest = re.findall(r"^## \[(\d[\w.]*)\]", text("CHANGELOG.md"), re.MULTILINE)[0]
    assert project["version"] == __version__ == newest


def lock(*files: str) -> dict[str, str]:
    lines = [line for file in files for line in text(file).splitlines()]
    pins = [line for line in lines if not re.match(r"#|-r requirements\.txt$", line)]
    assert all(re.fullmatch(r"[\w.-]+==[\w.]+", pin) for pin in pins), pins
    return {
        name.lower().replace("_", "-"): number for name, number in (p.split("==") for p in pins)
    }


def test_the_lock_holds_what_the_project_asks_for() -> None:
    project = tomllib.loads(text("pyproject.toml"))["project"]
    for wanted, files in (
        (project["dependencies"], ["requirements.txt"]),
        (project["optional-dependencies"]["dev"], ["requirements.txt", "requirements-dev.txt"]),
    ):
        assert {pin.split("==")[0]: pin.split("==")[1] for pin in wanted}.items() <= lock(
            *files
        ).items()


def test_the_tests_run_on_the_lock() -> None:
    pins = lock("requirements.txt", "requirements-dev.txt")
    running = {name: version(name).split("+")[0] for name in pins}
    assert running == pins


def test_no_lock_names_a_cuda_library() -> None:
    """torch brings its own: one lock serves its CPU and its CUDA builds."""
    assert not [name for name in lock("requirements.txt") if re.match("nvidia|cuda|triton", name)]
