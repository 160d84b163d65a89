"""What pyproject.toml cannot express: the C extension, its flags and its stable ABI."""

from runpy import run_path

from setuptools import setup
from setuptools.command.build_ext import build_ext

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


setup(
    cffi_modules=[f"{RECIPE}:builder"],
    cmdclass={"build_ext": BuildKernel},
    options={
        "bdist_wheel": {"py_limited_api": "cp310"},
        # Whatever an earlier build left in build/ may come from another compiler or other flags.
        "build": {"force": True},
    },
)
