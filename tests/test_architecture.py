"""The shape of the code, as ARCHITECTURE.md states it: imports point downwards, and so on."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "loop_studio"

LEAVES = {
    "agreement",
    "config",
    "content",
    "errors",
    "estimators",
    "guard",
    "judgement",
    "logs",
    "model_folder",
    "pixels",
    "presets",
    "setting_fields",
    "settings",
    "shares",
    "timetable",
}
# What each layer may import of the package, beside itself and the leaves.
BELOW: dict[str, set[str]] = {
    **{leaf: set() for leaf in LEAVES},
    "rl": set(),
    "diffusion": {"rl"},
    "starter": {"rl", "diffusion"},
    "library": {"rl", "diffusion", "starter"},
    "rewards": {"rl", "diffusion", "starter"},
    "storage": set(),
    "exchange": {"storage"},
    "ui": {"storage", "exchange", "rewards.catalogue", "starter"},
    "jobs": {"storage", "exchange", "rewards", "diffusion", "rl", "starter"},
}
HEAVY = ("torch", "diffusers", "transformers", "peft", "accelerate", "loop_studio.jobs")


@cache
def walked(path: Path) -> list[ast.AST]:
    return list(ast.walk(ast.parse(path.read_text(encoding="utf-8"), str(path))))


def sources(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def nodes(paths: list[Path]) -> Iterator[tuple[Path, ast.AST]]:
    for path in paths:
        for node in walked(path):
            yield path.relative_to(ROOT), node


def imported(paths: list[Path]) -> Iterator[tuple[Path, int, str]]:
    """Every import, wherever it stands: (file, line, dotted name down to what is imported)."""
    for path, node in nodes(paths):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield path, node.lineno, alias.name
        elif isinstance(node, ast.ImportFrom):
            above = [*path.parts[: -node.level]] if node.level else []
            module = ".".join([*above, *filter(None, [node.module])])
            for alias in node.names:
                yield path, node.lineno, f"{module}.{alias.name}"


@cache
def called(node: ast.AST) -> str:
    """`torch.load` for the call torch.load(...), `open` for open(...), else an empty string."""
    return ast.unparse(node.func) if isinstance(node, ast.Call) else ""


def keywords(node: ast.AST) -> list[tuple[str | None, object]]:
    """The constants among the named arguments of a call: (name, value)."""
    if not isinstance(node, ast.Call):
        return []
    return [
        (given.arg, given.value.value)
        for given in node.keywords
        if isinstance(given.value, ast.Constant)
    ]


def within(name: str, *packages: str) -> bool:
    return any(name == package or name.startswith(package + ".") for package in packages)


def layer_of(path: Path) -> str:
    return path.parts[1].removesuffix(".py")


def test_imports_point_downwards() -> None:
    wrong = []
    for path, line, name in imported(sources("loop_studio")):
        if not name.startswith("loop_studio.") or layer_of(path) == "__init__":
            continue
        layer, target = layer_of(path), name.removeprefix("loop_studio.")
        if not within(target, layer, "__version__", *LEAVES, *BELOW[layer]):
            wrong.append(f"{path}:{line} imports {name}")
    assert not wrong, "\n".join(wrong)


def test_every_layer_is_known() -> None:
    found = {layer_of(path.relative_to(ROOT)) for path in sources("loop_studio")} - {"__init__"}
    assert found <= set(BELOW), found - set(BELOW)


def test_the_web_process_and_storage_load_no_tensor_library() -> None:
    """In one process: what either of them loads would be there."""
    program = (
        "import sys, loop_studio.storage.migration, loop_studio.ui.server\n"
        f"print(*(name for name in {HEAVY} if name in sys.modules))"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert answer.returncode == 0, answer.stderr
    assert answer.stdout.split() == []


def test_only_storage_speaks_to_the_database() -> None:
    paths = [path for path in sources("loop_studio") if "storage" not in path.parts]
    wrong = [
        f"{path}:{line} imports {name}"
        for path, line, name in imported([*paths, ROOT / "app.py"])
        if within(name, "sqlalchemy", "alembic", "sqlite3", "psycopg")
    ]
    wrong += [
        f"{path}:{node.lineno} opens a session"
        for path, node in nodes([*paths, ROOT / "app.py"])
        if re.fullmatch(r"(.*\.)?(db|database)\.(read|write)", called(node))
    ]
    assert not wrong, "\n".join(wrong)


def test_only_settings_reads_the_environment() -> None:
    paths = [path for path in sources("loop_studio") if path.name != "settings.py"]
    wrong = [
        f"{path}:{node.lineno}"
        for path, node in nodes(paths)
        if isinstance(node, ast.Attribute)
        and node.attr in {"environ", "getenv"}
        and ast.unparse(node.value) == "os"
    ]
    wrong += [
        f"{path}:{line}"
        for path, line, name in imported(paths)
        if name in {"os.environ", "os.getenv"}
    ]
    assert not wrong, "\n".join(wrong)


def writes(node: ast.AST) -> bool:
    name = called(node)
    if not isinstance(node, ast.Call) or not name:
        return False
    if re.search(r"(^|\.)open$", name):
        arguments = [*node.args, *(keyword.value for keyword in node.keywords)]
        return any(
            isinstance(argument, ast.Constant)
            and isinstance(argument.value, str)
            and re.fullmatch(r"[rbt]*[wax+][rwaxbt+]*", argument.value)
            for argument in arguments
        )
    last = name.rsplit(".", 1)[-1]
    return last in {
        "write_text", "write_bytes", "mkdir", "makedirs", "touch", "unlink", "rename",
        "save_file", "save_pretrained", "save_lora_weights", "save_lora_adapter",
    } or name in {"torch.save", "os.replace", "os.remove", "numpy.save", "np.save"}  # fmt: skip


def test_the_core_writes_no_file() -> None:
    core = sources("loop_studio/rl", "loop_studio/diffusion", "loop_studio/rewards")
    wrong = [f"{path}:{node.lineno}" for path, node in nodes(core) if writes(node)]
    assert core
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize(
    "line",
    ["open(p, 'w')", "p.open(mode='xb')", "p.write_bytes(b'')", "torch.save(x, p)"],
)
def test_a_write_is_recognised(line: str) -> None:
    assert any(writes(node) for node in ast.walk(ast.parse(line)))


@pytest.mark.parametrize("line", ["open(p)", "Image.open(p)", "p.open('rb')", "open('was', 'r')"])
def test_a_read_is_no_write(line: str) -> None:
    assert not any(writes(node) for node in ast.walk(ast.parse(line)))


def test_every_random_draw_has_its_own_generator() -> None:
    paths = sources("loop_studio/rl", "loop_studio/diffusion", "loop_studio/rewards")
    paths += sources("loop_studio/jobs")
    draws = re.compile(r"torch\.(rand\w*|normal|multinomial|bernoulli)|.*\.(normal_|uniform_)")
    wrong = [
        f"{path}:{node.lineno} {called(node)}"
        for path, node in nodes(paths)
        if isinstance(node, ast.Call)
        and (
            (draws.fullmatch(called(node)) and "generator" not in {k.arg for k in node.keywords})
            or called(node) in {"torch.manual_seed", "torch.seed", "random.seed", "np.random.seed"}
        )
    ]
    wrong += [
        f"{path}:{line} imports {name}"
        for path, line, name in imported(paths)
        if within(name, "random", "numpy.random")
    ]
    assert not wrong, "\n".join(wrong)


def test_the_referee_only_measures() -> None:
    learners = sources("loop_studio/rewards", "loop_studio/jobs", "loop_studio/rl")
    wrong = [
        f"{path}:{line} imports {name}"
        for path, line, name in imported(learners)
        if within(name, "loop_studio.starter.referee")
    ]
    assert not wrong, "\n".join(wrong)


def test_no_pickle_is_ever_read() -> None:
    paths = [*sources("loop_studio", "migrations", "benchmarks"), ROOT / "app.py"]
    wrong = [
        f"{path}:{line} imports {name}"
        for path, line, name in imported(paths)
        if within(name, "pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "torch.load")
    ]
    for path, node in nodes(paths):
        name = called(node)
        # The training recipe may resume from its own file, with the restricted reader.
        resumes = "starter" in path.parts and ("weights_only", True) in keywords(node)
        if name in {"eval", "exec"} or (name == "torch.load" and not resumes):
            wrong.append(f"{path}:{node.lineno} calls {name}")
        if ("allow_pickle", True) in keywords(node):
            wrong.append(f"{path}:{node.lineno} allows pickle")
    assert not wrong, "\n".join(wrong)


def test_no_code_of_a_model_is_ever_run() -> None:
    """Weights are safetensors, and what a repository brings as Python stays unread."""
    harmless = re.compile(r"(Tokenizer|Processor|ProcessorPil|Config)\.from_pretrained$")
    wrong = []
    for path, node in nodes([*sources("loop_studio", "benchmarks"), ROOT / "app.py"]):
        if not isinstance(node, ast.Call):
            continue
        said = {keyword.arg: ast.unparse(keyword.value) for keyword in node.keywords}
        if said.get("trust_remote_code", "False") != "False" or "custom_pipeline" in said:
            wrong.append(f"{path}:{node.lineno} trusts remote code")
        name = called(node)
        if not name.endswith(".from_pretrained"):
            continue
        # Unless told, transformers asks at the terminal whether to run a repository's own code.
        if re.match("Auto[A-Z]", name) and "trust_remote_code" not in said:
            wrong.append(f"{path}:{node.lineno} leaves remote code to a question")
        if not harmless.search(name) and said.get("use_safetensors") != "True":
            wrong.append(f"{path}:{node.lineno} may read a pickle")
    assert not wrong, "\n".join(wrong)


def test_no_file_is_a_dumping_ground() -> None:
    names = {"util", "helper", "common", "misc", "shared", "manager", "base"}
    paths = sources("loop_studio", "tests", "benchmarks", "migrations")
    assert not [path for path in paths if path.stem.rstrip("s") in names]


def test_no_file_is_too_long_to_read() -> None:
    lengths = {str(path): len(path.read_text().splitlines()) for path in sources("loop_studio")}
    assert not {path: lines for path, lines in lengths.items() if lines > 300}


def test_every_silenced_check_says_why() -> None:
    silenced = re.compile(r"#\s*(noqa|type:\s*ignore)(\S*)(.*)")
    wrong = []
    for path in [*sources("loop_studio", "migrations", "benchmarks"), ROOT / "app.py"]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            found = silenced.search(line)
            if found and len(re.sub(r"[A-Z]+[0-9]+|\W", "", found.group(3))) < 6:
                wrong.append(f"{path.relative_to(ROOT)}:{number} {line.strip()}")
    assert not wrong, "\n".join(wrong)


def test_every_library_the_package_imports_is_a_declared_dependency() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    declared = {re.split(r"[=\[]", line)[0].lower() for line in project["dependencies"]}
    known = packages_distributions()
    wrong = set()
    for path, line, name in imported(sources("loop_studio", "migrations")):
        top = name.split(".")[0]
        if top in {*sys.stdlib_module_names, "loop_studio", "migrations"}:
            continue
        if not {other.lower().replace("_", "-") for other in known.get(top, [])} & declared:
            wrong.add(f"{path}:{line} imports {top}")
    assert not wrong, "\n".join(sorted(wrong))
