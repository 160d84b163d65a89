"""The library through the tools of the registries: packed, and fetched from an address of git.

They come with `make packagers`. Each sees the library as a stranger does: a repository whose top it
looks at, or the folder that `make ecosystems` writes.
"""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest
from conftest import ROOT, Tool, missing, run

from nbt_embed import __version__
from tools import package
from tools.library import __main__ as library

PACKAGERS = ROOT / ".venv-packagers" / "bin"
PIO = ROOT / "tools" / "library" / "pio.py"
USE = "#include <nbt.h>\nint main(void) { return nbt_expf(0.0f) != 1.0f; }\n"
pytestmark = pytest.mark.slow


def packager(name: str) -> str:
    """Return the path of a program; without it the test skips, or fails in CI."""
    path = PACKAGERS / name
    if not path.exists():
        missing(f"{name} is not installed: make packagers")
    return str(path)


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the tree as it is now as a repository of git, with one commit."""
    tree = package.clean_copy(tmp_path_factory.mktemp("published"))
    git = ("git", "-C", str(tree), "-c", "user.name=test", "-c", "user.email=test@example.com")
    run(*git, "init", "--quiet")
    run(*git, "add", "--all")
    run(*git, "commit", "--quiet", "--message", "All of it.")
    return tree


@pytest.fixture(params=["repository", "folder"])
def place(request: pytest.FixtureRequest, repository: Path, tmp_path: Path) -> Path:
    """Return where a library is."""
    if request.param == "repository":
        return repository
    library.write(tmp_path / "nbt_embed")
    return tmp_path / "nbt_embed"


@pytest.fixture
def offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep what the tools remember out of the home, and out of the next test."""
    monkeypatch.setenv("PLATFORMIO_CORE_DIR", str(tmp_path / "platformio"))
    monkeypatch.setenv("PLATFORMIO_SETTING_ENABLE_TELEMETRY", "no")
    monkeypatch.setenv("IDF_TOOLS_PATH", str(tmp_path / "espressif"))
    monkeypatch.setenv("IDF_COMPONENT_CACHE_PATH", str(tmp_path / "components"))


def unpacked(archive: Path, folder: Path) -> set[str]:
    """Unpack, and return the names of the files but those of csrc."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="data")
    names = {p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file()}
    return {name for name in names if not name.startswith("csrc/")}


def is_whole(folder: Path, tool: Tool) -> None:
    """Let a compiler read the library with no other folder than src, and a program that uses it."""
    use = folder / "use.c"
    use.write_text(USE, encoding="utf-8")
    source, include = str(folder / "src" / "nbt.c"), f"-I{folder / 'src'}"
    run(tool("gcc"), "-std=gnu11", "-fsyntax-only", include, source, str(use))


def pio(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run PlatformIO without the network."""
    command = [packager("python"), str(PIO), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.mark.usefixtures("offline")
def test_compote_packs_a_component_for_esp_idf(place: Path, tool: Tool, tmp_path: Path) -> None:
    compote = packager("compote")
    options = ("--project-dir", str(place), "--dest-dir", str(tmp_path / "dist"))
    run(compote, "-W", "component", "pack", "--name", "nbt_embed", *options)
    packed = unpacked(tmp_path / "dist" / f"nbt_embed_{__version__}.tgz", tmp_path / "component")
    files = {"CMakeLists.txt", "LICENSE", "README.md", "idf_component.yml"}
    assert packed == files | {"src/nbt.c", "src/nbt.h"}
    is_whole(tmp_path / "component", tool)


@pytest.mark.usefixtures("offline")
def test_platformio_packs_a_library(place: Path, tool: Tool, tmp_path: Path) -> None:
    done = pio("pkg", "pack", str(place), "--output", f"{tmp_path}")
    assert done.returncode == 0, done.stdout + done.stderr
    packed = unpacked(tmp_path / f"nbt_embed-{__version__}.tar.gz", tmp_path / "library")
    files = {"LICENSE", "README.md", "library.json", "library.properties"}
    assert packed == files | {"src/nbt.c", "src/nbt.h", "examples/Forecast/Forecast.ino"}
    is_whole(tmp_path / "library", tool)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [('"MIT"', '"MYT"'), (f'"{__version__}"', '"one"'), ('"sensor"', '"Sensor!"')],
    ids=["license", "version", "keyword"],
)
@pytest.mark.usefixtures("offline")
def test_platformio_refuses_a_wrong_manifest(right: str, wrong: str, tmp_path: Path) -> None:
    library.write(tmp_path / "nbt_embed")
    manifest = tmp_path / "nbt_embed" / "library.json"
    text = manifest.read_text()
    assert text.count(right) == 1
    manifest.write_text(text.replace(right, wrong))
    done = pio("pkg", "pack", str(tmp_path / "nbt_embed"), "--output", f"{tmp_path}")
    assert done.returncode != 0
    assert "ManifestValidationError" in done.stdout + done.stderr


@pytest.mark.usefixtures("offline")
def test_platformio_installs_from_the_address_of_the_repository(
    repository: Path, tmp_path: Path
) -> None:
    """As with ``lib_deps = https://...``."""
    (tmp_path / "lib").mkdir()
    storage = ("--storage-dir", f"{tmp_path / 'lib'}", "--skip-dependencies")
    done = pio("pkg", "install", *storage, "--library", f"git+file://{repository}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"nbt_embed@{__version__}" in done.stdout
    assert (tmp_path / "lib" / "nbt_embed" / "src" / "nbt.h").exists()


@pytest.mark.usefixtures("offline")
def test_esp_idf_finds_the_component_in_the_repository(repository: Path) -> None:
    """As with ``git: https://...`` in the idf_component.yml of an application."""
    program = (
        "import sys\n"
        "from idf_component_tools.sources.git import GitSource\n"
        "(found,) = GitSource(git=sys.argv[1]).versions('nbt_embed').versions\n"
        "print(found.version, *(one.name for one in found.dependencies))\n"
    )
    said = run(packager("python"), "-c", program, f"file://{repository}").split()
    head = run("git", "-C", str(repository), "rev-parse", "HEAD").strip()
    assert said == [head, "idf"]


def test_west_fetches_a_module_for_zephyr(repository: Path, tmp_path: Path) -> None:
    """As a project of the west.yml of an application."""
    west = packager("west")
    application = tmp_path / "application"
    application.mkdir()
    head = run("git", "-C", str(repository), "rev-parse", "HEAD").strip()
    (application / "west.yml").write_text(
        "manifest:\n  projects:\n    - name: nbt_embed\n"
        f"      url: file://{repository}\n      revision: {head}\n"
        "  self:\n    path: application\n"
    )
    run(west, "init", "-l", str(application), cwd=tmp_path)
    run(west, "update", cwd=tmp_path)
    assert (tmp_path / "nbt_embed" / "zephyr" / "module.yml").exists()
