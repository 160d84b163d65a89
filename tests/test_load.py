"""An import that fails says why and what to do; arithmetic that is not IEEE's is noticed."""

import ctypes
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from conftest import ROOT, Tool, run

import nbt_embed
from nbt_embed import Learner
from nbt_embed.errors import FloatWarning

SHARED = Path(nbt_embed.__file__).parent
COMPILED = sorted(SHARED.glob("_*.so"))
KERNEL = next(path for path in COMPILED if path.name.startswith("_kernel"))


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """Return the folder of a clone that nothing was compiled in, named like the package."""
    root = tmp_path / "nbt_embed"
    ignored = shutil.ignore_patterns("*.so", "__pycache__")
    shutil.copytree(ROOT / "nbt_embed", root / "nbt_embed", ignore=ignored)
    shutil.copy(ROOT / "setup.py", root)
    return root


def put_compiled(package: Path) -> None:
    """Put what this Python uses into the folder of another package."""
    for path in COMPILED:
        shutil.copy(path, package)


def start(*words: str, cwd: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a Python that sees the libraries of this one, and nothing that was installed in place."""
    libraries = os.pathsep.join(p for p in sys.path if p.endswith("site-packages"))
    return subprocess.run(
        [sys.executable, "-S", *words],
        cwd=cwd,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": libraries, **environment},
        capture_output=True,
        text=True,
        check=False,
    )


USE = "from nbt_embed import Learner; print(f'{Learner(1, 1).hash():016x}')"


def test_a_clone_without_a_kernel_says_what_to_do(clone: Path) -> None:
    done = start("-c", USE, cwd=clone)
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert f"{clone / 'nbt_embed'} holds the sources of nbt_embed without a compiled kernel" in last
    assert f"make -C {clone} demo" in last
    assert f". {clone}/.venv/bin/activate" in last
    assert f"another folder than {clone}" in last


def test_an_archive_holds_no_package_that_could_be_loaded(clone: Path, tmp_path: Path) -> None:
    put_compiled(clone / "nbt_embed")
    archive = shutil.make_archive(str(tmp_path / "program"), "zip", clone)
    libraries = os.pathsep.join(p for p in sys.path if p.endswith("site-packages"))
    done = start(
        "-c", USE, cwd=tmp_path / "nbt_embed", PYTHONPATH=os.pathsep.join([archive, libraries]),
        PYTHONSAFEPATH="1",
    )  # fmt: skip
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: ")
    assert (
        f"It is in an archive, and Python loads no compiled module from one: unpack {archive}"
        in last
    )


@pytest.mark.skipif(SHARED.parent != ROOT, reason="the package was not installed in place")
def test_what_make_installs_is_used_beside_a_clone(clone: Path) -> None:
    """The folder of the clone has the package's name, and must not stand for it."""
    done = subprocess.run(
        [sys.executable, "-c", USE], cwd=clone.parent, capture_output=True, text=True, check=False
    )
    assert done.stdout == f"{Learner(1, 1).hash():016x}\n", done.stderr


def test_an_installed_package_is_used_beside_a_clone(clone: Path, tmp_path: Path) -> None:
    installed = tmp_path / "site-packages"
    shutil.copytree(clone / "nbt_embed", installed / "nbt_embed")
    put_compiled(installed / "nbt_embed")
    libraries = os.pathsep.join(p for p in sys.path if p.endswith("site-packages"))
    done = start(
        "-c", USE + "; import nbt_embed as n; print(n.__file__)", cwd=clone.parent,
        PYTHONPATH=os.pathsep.join([str(installed), libraries]),
    )  # fmt: skip
    assert done.stdout.splitlines() == [
        f"{Learner(1, 1).hash():016x}",
        str(installed / "nbt_embed" / "__init__.py"),
    ], done.stderr


def test_a_missing_library_is_named_with_the_remedy(clone: Path) -> None:
    done = start("-c", USE, cwd=clone, PYTHONPATH="")
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: nbt_embed needs numpy: No module named 'numpy'")
    assert f". {clone}/.venv/bin/activate" in last


@pytest.mark.parametrize("compiled", COMPILED, ids=lambda path: path.stem)
def test_a_damaged_kernel_says_so(clone: Path, compiled: Path) -> None:
    put_compiled(clone / "nbt_embed")
    (clone / "nbt_embed" / compiled.name).write_bytes(b"no library")
    done = start("-c", USE, cwd=clone)
    last = done.stderr.splitlines()[-1]
    name = compiled.name.partition(".")[0]
    assert last.startswith(f"ImportError: nbt_embed needs nbt_embed.{name}: ")
    assert "make -C" in last


@pytest.fixture(scope="module")
def flush(tool: Tool, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a library that changes the float arithmetic of its thread."""
    target = tmp_path_factory.mktemp("flush") / "flush.so"
    source = str(ROOT / "tests" / "flush.c")
    run(tool("gcc"), "-shared", "-fPIC", "-O1", source, "-o", str(target), "-lm")
    return target


WAYS = ["flush_results", "flush_operands", "round_up", "round_down", "round_to_zero"]


@pytest.fixture(params=WAYS)
def unsound(request: pytest.FixtureRequest, flush: Path) -> Iterator[str]:
    """Change the arithmetic of this thread for a test; the parameter is the function's name."""
    library = ctypes.CDLL(str(flush))
    if not hasattr(library, request.param):
        pytest.skip("the processor has no such state")
    getattr(library, request.param)()
    yield request.param
    library.restore()


CALLS: dict[str, Callable[[Learner], object]] = {
    "run": lambda learner: learner.run(np.zeros(3), np.zeros(3), horizon=1),
    "hash": lambda learner: learner.hash(),
    "save": lambda learner: learner.to_bytes(),
}


@pytest.mark.parametrize("call", CALLS)
def test_unsound_arithmetic_is_named_in_a_warning(call: str, unsound: str) -> None:
    learner = Learner(1, 1, hidden=4)
    what = "denormal" if unsound.startswith("flush") else "rounded to the nearest"
    with pytest.warns(FloatWarning, match=rf"{call}: .*{what}.*other bits"):
        CALLS[call](learner)


def test_unsound_arithmetic_is_named_when_a_learner_is_loaded(unsound: str) -> None:
    assert unsound
    with pytest.warns(FloatWarning, match="save: "):
        data = Learner(1, 1, hidden=4).to_bytes()
    with pytest.warns(FloatWarning, match="load: "):
        Learner.from_bytes(data)


def test_the_warning_points_to_the_line_of_the_caller(unsound: str) -> None:
    assert unsound
    with pytest.warns(FloatWarning) as caught:
        Learner(1, 1).hash()
    assert caught[0].filename == __file__


def test_a_process_that_flushed_before_the_import_is_warned_and_not_refused(
    clone: Path, flush: Path
) -> None:
    put_compiled(clone / "nbt_embed")
    done = start("-c", f"import ctypes; ctypes.CDLL({str(flush)!r}).round_up(); {USE}", cwd=clone)
    assert done.returncode == 0, done.stderr
    assert "FloatWarning: hash: " in done.stderr


# A module in the place of the kernel, which does what a badly built one would do.
STAND_IN = """
import ctypes, importlib.machinery, importlib.util, sys
_self = sys.modules[__name__]
_loader = importlib.machinery.ExtensionFileLoader("nbt_embed._kernel", {kernel!r})
_spec = importlib.util.spec_from_file_location("nbt_embed._kernel", {kernel!r}, loader=_loader)
_real = importlib.util.module_from_spec(_spec)
_loader.exec_module(_real)
sys.modules[__name__] = _self  # the real one has put itself there
ffi = _real.ffi
{body}
"""
LINKED_BADLY = "lib = _real.lib; ctypes.CDLL({flush!r}).{way}()"
COMPILED_BADLY = """
class _Lib:
    def __getattr__(self, name):
        return getattr(_real.lib, name)
    def nbt_selfcheck(self, version):
        return _real.lib.nbt_selfcheck(version) ^ (version == 2)
lib = _Lib()
"""


@pytest.mark.parametrize("way", ["flush_results", "flush_operands", "round_up", None])
def test_a_kernel_that_was_built_badly_is_refused(
    way: str | None, clone: Path, flush: Path
) -> None:
    body = LINKED_BADLY.format(flush=str(flush), way=way) if way else COMPILED_BADLY
    stand_in = STAND_IN.format(kernel=str(KERNEL), body=body)
    put_compiled(clone / "nbt_embed")
    (clone / "nbt_embed" / KERNEL.name).unlink()
    (clone / "nbt_embed" / "_kernel.py").write_text(stand_in, encoding="utf-8")
    done = start("-c", USE, cwd=clone)
    assert done.returncode != 0
    last = done.stderr.splitlines()[-1]
    assert last.startswith("ImportError: the compiled kernel of nbt_embed ")
    assert ("-ffast-math" in last) if way else ("self-check 2" in last)
    assert "unset CC CFLAGS CPPFLAGS LDFLAGS" in last


def test_the_selfcheck_does_not_depend_on_the_thread(unsound: str) -> None:
    assert unsound
    from nbt_embed import _selfcheck

    _selfcheck.check_build()
