"""The files that are published install and work away from this directory."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from conftest import ROOT, run

import nbt_embed
from nbt_embed import Learner
from nbt_embed.export import firmware_files
from tools import package

USE = """
import nbt_embed, pathlib, sys
assert pathlib.Path(nbt_embed.__file__).is_relative_to(sys.prefix), nbt_embed.__file__
learner = nbt_embed.Learner(1, 1, hidden=4, seed=3)
learner.predict(0.5)
learner.learn(1.0)
print(learner.hash())
"""


# Of no use without the repository.
REPOSITORY_ONLY = {".ci/run", ".gitignore"}


@pytest.mark.slow
def test_the_sdist_holds_every_file_and_collects_its_tests(tmp_path: Path) -> None:
    pytest.importorskip("setuptools", minversion="77", reason="pyproject.toml needs it")
    pytest.importorskip("build", reason="build is not installed: pip install '.[dev]'")
    tree = package.unpacked_sdist(tmp_path)
    if (ROOT / ".git").exists():
        tracked = set(run("git", "ls-files", cwd=ROOT).splitlines()) - REPOSITORY_ONLY
        assert {name for name in tracked if (ROOT / name).exists()} <= {
            path.relative_to(tree).as_posix() for path in tree.rglob("*")
        }
    compiled = Path(nbt_embed.__file__).parent
    assert "tests collected" in package.collect(sys.executable, tree, compiled)


@pytest.fixture(scope="module")
def dist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a directory with the sdist and the wheel that is built from it."""
    directory = tmp_path_factory.mktemp("dist")
    tree = package.clean_copy(directory)
    run(sys.executable, "-m", "build", "--outdir", str(directory), str(tree))
    return directory


@pytest.mark.slow
@pytest.mark.parametrize("pattern", ["*.whl", "*.tar.gz"])
def test_installs_into_a_fresh_environment(pattern: str, dist: Path, tmp_path: Path) -> None:
    (package,) = dist.glob(pattern)
    run(sys.executable, "-m", "venv", str(tmp_path / "venv"))
    python = str(tmp_path / "venv" / "bin" / "python")
    run(python, "-m", "pip", "install", "--quiet", str(package))
    result = subprocess.run(
        [python, "-c", USE], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    learner = Learner(1, 1, hidden=4, seed=3)
    learner.predict(0.5)
    learner.learn(1.0)
    assert int(result.stdout) == learner.hash()
    command = str(tmp_path / "venv" / "bin" / "nbt-embed")
    run(command, "--help")
    learner.save(tmp_path / "learner.nbt")
    out = tmp_path / "firmware"
    run(command, "export", str(tmp_path / "learner.nbt"), "--out", str(out), cwd=tmp_path)
    for name, text in firmware_files(learner).items():
        assert (out / name).read_text() == text


@pytest.mark.slow
def test_the_wheel_fits_every_later_python_and_holds_the_package_only(dist: Path) -> None:
    (wheel,) = dist.glob("*.whl")
    assert "-cp310-abi3-" in wheel.name
    names = {name.split("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {name for name in names if not name.endswith(".dist-info")} == {
        "nbt_embed",
        "pytest_nbt_embed.py",
    }
