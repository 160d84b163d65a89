"""What pyproject.toml cannot express: the C extensions, their flags, sources and stable ABI."""

from pathlib import Path
from runpy import run_path
from shutil import rmtree

import numpy as np
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.command.build_py import build_py

RECIPE = "nbt_embed/_build.py"
flags_for = run_path(RECIPE)["flags_for"]


class BuildKernel(build_ext):  # type: ignore[misc] # setuptools is no dependency that is checked
    """Compile the kernel with flags that fit the compiler."""

    def build_extensions(self) -> None:
        """Choose them when the compiler is known, after CC and CFLAGS were read."""
        flags = flags_for(self.compiler.compiler_so)
        for extension in self.extensions:
            extension.extra_compile_args = flags
            extension.extra_link_args = flags
        super().build_extensions()


class BuildPackage(build_py):  # type: ignore[misc] # the same
    """Put the kernel's sources into the package, for ``nbt-embed export``.

    Were they a package of their own with its folder, an editable install would come after the
    folder of the clone, which then hides the package from a Python that is started next to it.
    """

    def run(self) -> None:
        """Copy them behind the modules; an editable install finds them in the tree."""
        if self.editable_mode:
            super().run()
        else:
            # A file that has left the tree since an earlier build must not get into a wheel.
            rmtree(Path(self.build_lib, "nbt_embed"), ignore_errors=True)
            super().run()
            self.mkpath(str(Path(self.build_lib, "nbt_embed", "csrc")))
            for source in Path("csrc").glob("nbt*"):
                self.copy_file(str(source), str(Path(self.build_lib, "nbt_embed", source)))


STEP = Extension(
    "nbt_embed._step",
    sources=["nbt_embed/_step.c"],
    include_dirs=["csrc", np.get_include()],
    py_limited_api=True,
)

setup(
    ext_modules=[STEP],
    cffi_modules=[f"{RECIPE}:builder"],
    cmdclass={"build_ext": BuildKernel, "build_py": BuildPackage},
    options={
        "bdist_wheel": {"py_limited_api": "cp310"},
        # Whatever an earlier build left in build/ may come from another compiler or other flags.
        "build": {"force": True},
    },
)
