"""What the repository promises about itself: its surface, its pins, its sample data and the wheel it builds."""

from __future__ import annotations

import ast
import importlib.metadata
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import replaykit

MODULES = sorted(Path(replaykit.__file__).parent.rglob("*.py"))
HEAVY = ("pandas", "numpy", "pyarrow", "sqlglot", "ipywidgets", "IPython", "matplotlib", "polars", "orjson")
INDEX_WORDS = r"://|--(extra-)?index|--find-links|--trusted-host|\bindex-url\b"


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Return what a command printed; its error output is in the message when it fails."""
    done = subprocess.run([str(part) for part in command], cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        pytest.fail(f"{' '.join(map(str, command))} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}")
    return done.stdout


def pinned_blocks(constraints: Path) -> dict[str, list[str]]:
    """Return the pins of the constraints file by distribution; one may have several, each with its marker."""
    text = re.sub(r"^\s*#.*\n", "", constraints.read_text(), flags=re.MULTILINE)
    blocks: dict[str, list[str]] = {}
    for block in re.split(r"\n(?=[A-Za-z0-9])", text.strip()):
        blocks.setdefault(canonicalize_name(block.split("==")[0]), []).append(block)
    return blocks


def needed_by(name: str) -> set[str]:
    """Return every distribution that an installed one needs without extras, itself left out."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for line in importlib.metadata.requires(waiting.pop()) or []:
            requirement = Requirement(line)
            needed = canonicalize_name(requirement.name)
            if needed not in found and (requirement.marker is None or requirement.marker.evaluate({"extra": ""})):
                found.add(needed)
                waiting.append(needed)
    return found


@pytest.fixture(scope="module")
def project(repository: Path) -> dict[str, object]:
    """Return the project table of pyproject.toml."""
    table: dict[str, object] = tomllib.loads((repository / "pyproject.toml").read_text())["project"]
    return table


@pytest.fixture(scope="module")
def wheel(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from the checkout, with the pinned build backend."""
    out = tmp_path_factory.mktemp("dist")
    run(sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", out, repository)
    return next(out.glob("*.whl"))


def test_all_lists_every_public_name():
    """A name that is importable but not listed is public by accident."""
    public = {
        name
        for name, value in vars(replaykit).items()
        if not name.startswith("_")
        and not isinstance(value, ModuleType)
        and name not in {"annotations", "TYPE_CHECKING"}
    }

    assert public == {name for name in replaykit.__all__ if not name.startswith("_")}


def test_every_public_name_is_documented():
    """help() is the first thing a person in a notebook tries."""
    undocumented = [
        name for name in replaykit.__all__ if not name.startswith("_") and not getattr(replaykit, name).__doc__
    ]

    assert undocumented == []


def test_importing_replaykit_loads_nothing_heavy():
    """An import must cost milliseconds: what is heavy is loaded by the call that needs it."""
    loaded = run(sys.executable, "-c", "import sys, replaykit; print(' '.join(sys.modules))").split()

    assert [name for name in HEAVY if name in loaded] == []


def test_constraints_name_no_index_host(repository: Path):
    """Whoever installs decides where packages come from."""
    found = re.findall(rf".*(?:{INDEX_WORDS}).*", (repository / "constraints.txt").read_text())

    assert found == []


def test_constraints_pin_every_requirement_with_hashes(repository: Path):
    """A pin without a hash would install whatever is served under that version."""
    blocks = [block for group in pinned_blocks(repository / "constraints.txt").values() for block in group]
    loose = [
        block
        for block in blocks
        if not re.match(r"[\w.-]+==[\w.]+[^\n]*(\n +--hash=sha256:[0-9a-f]{64}[ \\]*)+$", block)
    ]

    assert len(blocks) > 100
    assert loose == []


def test_constraints_cover_what_pyproject_asks_for(repository: Path, project: dict[str, dict[str, list[str]]]):
    """A dependency added without `make lock` would be missing after `make lab`."""
    pinned = pinned_blocks(repository / "constraints.txt")
    extras = project["optional-dependencies"]
    asked = [Requirement(line) for line in [*project["dependencies"], *extras["notebook"], *extras["dev"]]]

    assert [needed.name for needed in asked if canonicalize_name(needed.name) not in pinned] == []


def test_commands_of_the_readme_exist(repository: Path):
    """The first thing a new user does is to copy a command."""
    targets = set(re.findall(r"^([a-z]+):", (repository / "Makefile").read_text(), flags=re.MULTILINE))
    named = set(re.findall(r"\bmake ([a-z]+)", (repository / "README.md").read_text()))

    assert {"lab", "test"} <= named <= targets


def test_core_needs_four_packages_and_the_rest_is_extras(project: dict[str, dict[str, list[str]]]):
    """A library that pulls in a notebook server is not installed in production."""
    core = {Requirement(line).name for line in project["dependencies"]}

    assert core == {"duckdb", "pandas", "pyarrow", "sqlglot"}
    assert set(project["optional-dependencies"]) == {"clawcut", "external", "notebook", "parallel", "dev"}


@pytest.mark.parametrize("module", MODULES, ids=lambda path: "/".join(path.parts[-2:]))
def test_module_is_short_and_says_what_it_is(module: Path):
    """A file that outgrows 300 lines holds two nouns."""
    text = module.read_text()

    assert ast.get_docstring(ast.parse(text))
    assert text.count("\n") <= 300


def test_every_sample_says_what_it_is_and_under_which_license(sample_data: Path):
    """Nobody can use data whose origin is unknown."""
    folders = sorted(path for path in sample_data.iterdir() if path.is_dir() and path.name != "__pycache__")
    size = sum(path.stat().st_size for path in sample_data.rglob("*") if path.is_file())

    assert len(folders) >= 3
    assert [f.name for f in folders if not ((f / "README.md").is_file() and (f / "LICENSE").is_file())] == []
    assert size < 4_000_000


def test_generated_sample_is_what_its_script_writes(sample_data: Path, tmp_path: Path):
    """Data that nobody can make again can't be corrected either."""
    run(sys.executable, sample_data / "orders" / "generate.py", tmp_path)

    for path in sorted(tmp_path.iterdir()):
        assert path.read_bytes() == (sample_data / "orders" / path.name).read_bytes(), path.name
    assert len(list(tmp_path.iterdir())) == 3


def test_wheel_holds_the_types_and_nothing_but_the_package(wheel: Path):
    """Type checkers look for py.typed; tests and data in a wheel land in everybody's site-packages."""
    names = zipfile.ZipFile(wheel).namelist()

    assert "replaykit/py.typed" in names
    assert {name.split("/")[0] for name in names} == {"replaykit", f"{'-'.join(wheel.name.split('-')[:2])}.dist-info"}
    assert {name for name in names if name.endswith(".py")} == {
        path.relative_to(Path(replaykit.__file__).parents[1]).as_posix() for path in MODULES
    }


def test_wheel_works_in_a_clean_environment_with_core_dependencies_only(wheel: Path, repository: Path, tmp_path: Path):
    """The checkout has every extra beside it; a user's environment has not."""
    pinned = pinned_blocks(repository / "constraints.txt")
    core = tmp_path / "core.txt"
    core.write_text("\n".join(block for name in sorted(needed_by("replaykit")) for block in pinned[name]) + "\n")
    run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "clean")
    python = tmp_path / "clean" / "bin" / "python"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python]
    quick = ["install", "--quiet", "--no-compile"]  # what is used of it is compiled then
    run(*pip, *quick, "--require-hashes", "-r", core)
    run(*pip, *quick, "--no-deps", wheel)

    run(*pip, "check")
    usage = (repository / "tests" / "typed" / "usage.py").read_text()
    (tmp_path / "usage.py").write_text(usage + "    print(rk.__file__)\n")
    found, place = run(python, "-I", "-W", "error", "usage.py", cwd=tmp_path).splitlines()
    assert found == "3 kinds, 2 actions, 2 differ, unverified"
    assert Path(place).is_relative_to(tmp_path / "clean")
