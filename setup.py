"""The two settings that pyproject.toml cannot express: the C extension and its stable ABI."""

from setuptools import setup

setup(
    cffi_modules=["tools/build_kernel.py:ffibuilder"],
    options={"bdist_wheel": {"py_limited_api": "cp310"}},
)
