"""The library for build systems of boards: one version, files that parse, targets that build."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Tool, run
from simulated_avr import on_avr

from nbt_embed import __version__
from tools.library import __main__ as library

# What the example asks of Arduino.h, for this machine: 400 samples of a wave.
ARDUINO = """\
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
static const int A0 = 0;
static int analogRead(int) { static int t; return 512 + (int)(400 * sin(0.2 * t++)); }
static void delay(unsigned long) { static int n; if (++n == 400) exit(0); }
struct Console {
    void begin(long) {}
    void print(const char *text) { fputs(text, stdout); }
    void print(float value) { printf("%.3f", (double)value); }
    void println(const char *text) { puts(text); }
    void println(float value) { printf("%.3f\\n", (double)value); }
};
static Console Serial;
"""
USE = "#include <nbt.h>\nint main(void) { return nbt_expf(0.0f) != 1.0f; }\n"
# Stubs of what ESP-IDF and Zephyr give to a component: enough to build it.
IDF = """
function(idf_component_register)
  cmake_parse_arguments(ARG "" "" "SRCS;INCLUDE_DIRS" ${ARGN})
  set(COMPONENT_LIB component PARENT_SCOPE)
  add_library(component STATIC ${ARG_SRCS})
  target_include_directories(component PUBLIC ${ARG_INCLUDE_DIRS})
  target_link_libraries(component PUBLIC m)
endfunction()
set(ESP_PLATFORM 1)
"""
ZEPHYR = """
function(zephyr_include_directories)
  foreach(folder ${ARGN})
    get_filename_component(folder ${folder} ABSOLUTE)
    include_directories(${folder})
    set_property(GLOBAL APPEND PROPERTY zephyr_folders ${folder})
  endforeach()
endfunction()
macro(zephyr_library_named name)
  add_library(${name} STATIC)
  target_link_libraries(${name} PUBLIC m)
  set(ZEPHYR_CURRENT_LIBRARY ${name})
endmacro()
macro(zephyr_library_sources)
  target_sources(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endmacro()
macro(zephyr_library_compile_options)
  target_compile_options(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endmacro()
macro(zephyr_library_compile_definitions)
  target_compile_definitions(${ZEPHYR_CURRENT_LIBRARY} PRIVATE ${ARGN})
endmacro()
set(CONFIG_NBT_EMBED y)
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the library."""
    out = tmp_path_factory.mktemp("library") / "nbt_embed"
    assert library.main(["--out", str(out)]) == 0
    return out


def properties(path: Path) -> dict[str, str]:
    pairs = (line.split("=", 1) for line in path.read_text().splitlines())
    return {key: value for key, value in pairs}  # noqa: C416 (a line without = fails here)


def consumer(place: Path, lines: str) -> Path:
    """Write a project that uses the library, and return its folder."""
    place.mkdir()
    (place / "use.c").write_text(USE)
    head = "cmake_minimum_required(VERSION 3.16)\nproject(use C)\n"
    (place / "CMakeLists.txt").write_text(head + lines)
    return place


def cmake(tool: Tool, source: Path, *options: str) -> Path:
    """Configure and build, and return the build's folder."""
    build = source.parent / f"{source.name}-build"
    warnings = "-DCMAKE_C_FLAGS=-O1 -Wall -Wextra -Werror"  # -O0 takes the compiler longer
    run(tool("cmake"), "-S", str(source), "-B", str(build), warnings, *options)
    run(tool("cmake"), "--build", str(build), "--verbose")
    return build


def test_every_file_has_the_version_of_the_package(folder: Path) -> None:
    manifest = json.loads((folder / "library.json").read_text())
    arduino = properties(folder / "library.properties")
    component = yaml.safe_load((folder / "idf_component.yml").read_text())
    assert {one["version"] for one in (manifest, arduino, component)} == {__version__}
    assert {one["license"] for one in (manifest, arduino, component)} == {"MIT"}
    assert f"project(nbt VERSION {__version__} " in (folder / "CMakeLists.txt").read_text()
    assert f"# nbt_embed {__version__}" in (folder / "README.md").read_text()


def test_the_manifests_name_what_is_there(folder: Path) -> None:
    manifest = json.loads((folder / "library.json").read_text())
    assert (folder / "src" / manifest["headers"]).exists()
    assert "-ffp-contract=off" in manifest["build"]["flags"]
    arduino = properties(folder / "library.properties")
    assert (folder / "src" / arduino["includes"]).exists()
    needed = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category"}
    assert needed <= {key for key, value in arduino.items() if value}
    module = yaml.safe_load((folder / "zephyr" / "module.yml").read_text())
    assert module["name"] == manifest["name"] == arduino["name"]
    assert (folder / module["build"]["cmake"] / "CMakeLists.txt").exists()
    assert (folder / module["build"]["kconfig"]).exists()
    assert (folder / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert not (folder / "src" / "LICENSE").exists()


def test_a_template_that_wants_more_than_there_is_says_what(tmp_path: Path) -> None:
    with pytest.raises(KeyError, match="version"):
        library.write(tmp_path, {"name": "nbt_embed"})


@pytest.mark.slow
def test_the_sketch_compiles_and_learns(folder: Path, tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "Arduino.h").write_text(ARDUINO)
    sketch = (folder / "examples" / "Forecast" / "Forecast.ino").read_text()
    main = "int main() { setup(); for (;;) loop(); }\n"
    (tmp_path / "sketch.cpp").write_text(f"#include <Arduino.h>\n{sketch}{main}")
    kernel, program = tmp_path / "nbt.o", tmp_path / "sketch"
    include = f"-I{folder / 'src'}"
    # As the Arduino IDE does: gnu dialects, no flags of the library's own.
    run(tool("gcc"), "-std=gnu11", "-Os", "-c", str(folder / "src" / "nbt.c"), "-o", str(kernel))
    options = ("-std=gnu++11", "-Wall", "-Wextra", "-Werror", include, f"-I{tmp_path}")
    source = str(tmp_path / "sketch.cpp")
    run(tool("g++"), *options, source, str(kernel), "-lm", "-o", str(program))
    pairs = [[float(cell) for cell in row.split("\t")] for row in run(str(program)).splitlines()]
    errors = [abs(reading - forecast) for reading, forecast in pairs]
    assert len(pairs) == 400
    assert max(errors[-100:]) < 0.2 * max(errors[1:100])


@pytest.mark.slow
def test_the_sketch_shows_what_failed(folder: Path, tool: Tool, tmp_path: Path) -> None:
    (tmp_path / "Arduino.h").write_text(ARDUINO)
    sketch = (folder / "examples" / "Forecast" / "Forecast.ino").read_text()
    spoilt = sketch.replace("nbt_init(arena, sizeof arena,", "nbt_init(arena + 1, sizeof arena,")
    assert spoilt != sketch
    main = "int main() { setup(); for (;;) loop(); }\n"
    (tmp_path / "sketch.cpp").write_text(f"#include <Arduino.h>\n{spoilt}{main}")
    options = ("-std=gnu++11", "-x", "c++", f"-I{folder / 'src'}", f"-I{tmp_path}")
    sources = (str(tmp_path / "sketch.cpp"), str(folder / "src" / "nbt.c"))
    run(tool("g++"), *options, *sources, "-lm", "-o", str(tmp_path / "sketch"))
    assert set(run(str(tmp_path / "sketch")).splitlines()) == {
        "the block is not aligned to 8 bytes"
    }


AVR_ARDUINO = """\
#include <stdlib.h>
#include "avr_console.h"
static const int A0 = 0;
static int analogRead(int) { static int t; return 512 + (t++ % 20 < 10 ? 100 : -100); }
static void delay(unsigned long) { static int n; if (++n == 40) avr_end(); }
struct Console {
    void begin(long) { avr_begin(); }
    void print(const char *text) { avr_text(text); }
    void print(float value) { char text[20]; avr_text(ltoa(static_cast<long>(value), text, 10)); }
    void println(const char *text) { avr_text(text); avr_text("\\n"); }
    void println(float value) { print(value); avr_text("\\n"); }
};
static Console Serial;
"""


@pytest.mark.slow
def test_the_sketch_runs_on_the_processor_of_an_arduino(
    folder: Path, tool: Tool, tmp_path: Path
) -> None:
    (tmp_path / "Arduino.h").write_text(AVR_ARDUINO)
    sketch = (folder / "examples" / "Forecast" / "Forecast.ino").read_text()
    main = "int main() { setup(); for (;;) loop(); }\n"
    (tmp_path / "sketch.cpp").write_text(f"#include <Arduino.h>\n{sketch}{main}")
    for name in ("nbt.c", "nbt.h"):
        (tmp_path / name).write_bytes((folder / "src" / name).read_bytes())
    lines = on_avr([tmp_path / "sketch.cpp"], tool, tmp_path, "c++").splitlines()
    rows = [[float(cell) for cell in line.split(".")] for line in lines]  # simavr shows no tab
    assert len(rows) == 40
    assert all(abs(forecast) < 2000 for _, forecast in rows)
    assert len({forecast for _, forecast in rows}) > 10  # it does learn


@pytest.mark.slow
def test_a_project_uses_the_folder(folder: Path, tool: Tool, tmp_path: Path) -> None:
    lines = f"add_subdirectory({folder} nbt)\nadd_executable(use use.c)\n"
    lines += "target_link_libraries(use PRIVATE nbt::nbt)\n"
    run(str(cmake(tool, consumer(tmp_path / "use", lines)) / "use"))


@pytest.mark.slow
def test_a_project_finds_the_installed_library(folder: Path, tool: Tool, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    build = tmp_path / "nbt-build"
    options = (f"-DCMAKE_INSTALL_PREFIX={installed}", "-DCMAKE_C_FLAGS=-O1")
    run(tool("cmake"), "-S", str(folder), "-B", str(build), *options)
    run(tool("cmake"), "--build", str(build), "--target", "install")
    lines = f"find_package(nbt {__version__} REQUIRED)\nadd_executable(use use.c)\n"
    lines += "target_link_libraries(use PRIVATE nbt::nbt)\n"
    project = consumer(tmp_path / "use", lines)
    run(str(cmake(tool, project, f"-DCMAKE_PREFIX_PATH={installed}") / "use"))


@pytest.mark.parametrize(
    ("stub", "place", "target"), [(IDF, "", "component"), (ZEPHYR, "/zephyr", "nbt_embed")]
)
@pytest.mark.slow
def test_a_component_builds_with_what_its_system_defines(
    stub: str, place: str, target: str, folder: Path, tool: Tool, tmp_path: Path
) -> None:
    lines = f"{stub}add_subdirectory({folder}{place} nbt)\nadd_executable(use use.c)\n"
    lines += f"target_include_directories(use PRIVATE {folder / 'src'})\n"
    lines += f"target_link_libraries(use PRIVATE {target})\n"
    build = cmake(tool, consumer(tmp_path / "use", lines), "-DCMAKE_EXPORT_COMPILE_COMMANDS=1")
    run(str(build / "use"))
    (kernel,) = (
        one["command"]
        for one in json.loads((build / "compile_commands.json").read_text())
        if one["file"].endswith("nbt.c")
    )
    assert "-ffp-contract=off" in kernel
    assert ("NBT_RTRL_FLOATS_MAX=0" in kernel) == (target == "nbt_embed")
