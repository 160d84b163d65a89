"""The library for build systems of boards: one version, files that parse, targets that build.

The repository itself is one, and the folder that `make ecosystems` writes is another.
"""

from __future__ import annotations

import json
import re
from importlib.metadata import metadata
from pathlib import Path

import pytest
import yaml
from conftest import ROOT, Tool, missing, run
from simulated_avr import on_avr

from nbt_embed import Learner, __version__
from tools.library import __main__ as library
from tools.targets.avr import AVR
from tools.targets.machines import HERE

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
    """Return the library in a folder of its own."""
    out = tmp_path_factory.mktemp("library") / "nbt_embed"
    library.write(out)
    return out


@pytest.fixture(params=["repository", "folder"])
def place(request: pytest.FixtureRequest, folder: Path) -> Path:
    """Return where a library is: the repository, or the folder."""
    return ROOT if request.param == "repository" else folder


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


def test_every_manifest_has_the_version_and_the_words_of_the_package(place: Path) -> None:
    manifest = json.loads((place / "library.json").read_text())
    arduino = properties(place / "library.properties")
    component = yaml.safe_load((place / "idf_component.yml").read_text())
    assert {one["version"] for one in (manifest, arduino, component)} == {__version__}
    assert {one["license"] for one in (manifest, arduino, component)} == {"MIT"}
    said = {manifest["description"], component["description"], arduino["sentence"]}
    assert said == {metadata("nbt-embed")["Summary"]}
    assert said <= {
        line.strip(" \t.") for line in (place / "zephyr" / "Kconfig").read_text().splitlines()
    }
    assert f"project(nbt VERSION {__version__} " in (place / "CMakeLists.txt").read_text()


def test_the_manifests_name_what_is_there(place: Path) -> None:
    manifest = json.loads((place / "library.json").read_text())
    assert (place / "src" / manifest["headers"]).exists()
    assert "-ffp-contract=off" in manifest["build"]["flags"]
    component = yaml.safe_load((place / "idf_component.yml").read_text())
    patterns = [*manifest["export"]["include"], *component["files"]["include"]]
    absent = {name for name in patterns if not any(place.glob(name))}
    assert absent == (set() if place == ROOT else {"csrc", "csrc/**/*"})
    module = yaml.safe_load((place / "zephyr" / "module.yml").read_text())
    assert module["name"] == manifest["name"]
    assert (place / "LICENSE").read_bytes() == (ROOT / "LICENSE").read_bytes()
    assert not (place / "src" / "LICENSE").exists()


CATEGORIES = {
    "Display",
    "Communication",
    "Signal Input/Output",
    "Sensors",
    "Device Control",
    "Timing",
    "Data Storage",
    "Data Processing",
    "Other",
}


def test_arduino_finds_what_its_specification_asks_for(place: Path) -> None:
    """https://arduino.github.io/arduino-cli/latest/library-specification."""
    arduino = properties(place / "library.properties")
    required = {"name", "version", "author", "maintainer", "sentence", "paragraph", "category"}
    assert required <= {key for key, value in arduino.items() if value}
    assert {"url", "architectures"} <= arduino.keys()
    assert arduino.keys() <= required | {"url", "architectures", "includes", "license"}
    assert re.fullmatch(r"[A-Za-z0-9][\w .-]{0,62}", arduino["name"], re.ASCII)
    assert not arduino["name"].lower().startswith("arduino")
    assert re.fullmatch(r"\d+\.\d+\.\d+", arduino["version"])
    assert arduino["category"] in CATEGORIES
    assert arduino["architectures"] == "*"
    assert not arduino["paragraph"].startswith(arduino["sentence"])
    # Sources in src alone, and headers there that a sketch may include; every example a sketch
    # named after its folder.
    assert {path.name for path in (place / "src").iterdir()} == {"nbt.c", "nbt.h"}
    assert not [*place.glob("*.c"), *place.glob("*.h"), *place.glob("*.cpp")]
    assert not (place / "utility").exists()
    sketches = [*place.glob("examples/**/*.ino")]
    assert sketches
    assert all(path.stem == path.parent.name for path in sketches)


def test_zephyr_finds_a_module(place: Path) -> None:
    """As its scripts/zephyr_module.py reads it: other keys are an error there."""
    module = yaml.safe_load((place / "zephyr" / "module.yml").read_text())
    assert module.keys() == {"name", "build"}
    assert module["build"].keys() == {"cmake", "kconfig"}
    assert (place / module["build"]["cmake"] / "CMakeLists.txt").is_file()
    assert (place / module["build"]["kconfig"]).is_file()


def test_the_sources_of_the_repository_have_every_file_of_the_kernel() -> None:
    written = {path.name: path.read_text() for path in (ROOT / "src").iterdir()}
    assert written == library.including(), "`make ecosystems` writes them"


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


SKETCH_STEPS = 20
# A sensor and a hash after every step, put into the sketch; then the end.
HASHES = """\
#include "avr_console.h"
static float wave() { static uint16_t t; return static_cast<float>(t++ * 37u % 101u); }
static void show(const nbt_learner *learner) {
  static uint8_t steps;
  char text[17] = "";
  uint64_t hash = nbt_hash(learner);
  for (uint8_t i = 0; i < 16; i++) {
    text[i] = "0123456789abcdef"[hash >> (60 - 4 * i) & 15];
  }
  Serial.println(text);
  if (++steps == STEPS) {
    Serial.flush();
    avr_end();
  }
}
"""


def with_hashes(sketch: str) -> str:
    """Return the sketch with a wave for its sensor, and its hashes for its delays."""
    include = "#include <nbt.h>\n"
    for old, new in (
        (include, include + HASHES.replace("STEPS", str(SKETCH_STEPS))),
        ("analogRead(A0)", "wave()"),
        ("  delay(20);", "  show(learner);"),
    ):
        assert sketch.count(old) == 1
        sketch = sketch.replace(old, new)
    return sketch


def hashes_of(printed: str) -> list[str]:
    """Return them; simavr shows a full stop for the carriage return of Arduino's lines."""
    return re.findall(r"^([0-9a-f]{16})\.?$", printed, re.MULTILINE)


def hashes_in_python() -> list[str]:
    """Return the hashes of the sketch's learner."""
    learner, hashes = Learner(1, 1, hidden=4, anchor=(0,)), []
    for step in range(SKETCH_STEPS):
        reading = float(step * 37 % 101)
        if step > 0:
            learner.learn(reading)
        learner.predict(reading)
        hashes.append(f"{learner.hash():016x}")
    return hashes


AVR_ARDUINO = """\
#include <stdlib.h>
#include "avr_console.h"
static const int A0 = 0;
static void delay(unsigned long) {}
struct Console {
    void begin(long) { avr_begin(); }
    void flush() {}
    void print(const char *text) { avr_text(text); }
    void print(float value) { char text[20]; avr_text(ltoa(static_cast<long>(value), text, 10)); }
    void println(const char *text) { avr_text(text); avr_text("\\n"); }
    void println(float value) { print(value); avr_text("\\n"); }
};
static Console Serial;
"""


@pytest.mark.slow
def test_the_sketch_has_pythons_bits_on_the_processor_of_an_arduino(
    folder: Path, tool: Tool, tmp_path: Path
) -> None:
    (tmp_path / "Arduino.h").write_text(AVR_ARDUINO)
    sketch = with_hashes((folder / "examples" / "Forecast" / "Forecast.ino").read_text())
    main = "int main() { setup(); for (;;) loop(); }\n"
    (tmp_path / "sketch.cpp").write_text(f"#include <Arduino.h>\n{sketch}{main}")
    for name in ("nbt.c", "nbt.h"):
        (tmp_path / name).write_bytes((folder / "src" / name).read_bytes())
    printed = on_avr([tmp_path / "sketch.cpp"], tool, tmp_path, "c++")
    assert hashes_of(printed) == hashes_in_python()
    assert len(printed.splitlines()) == 2 * SKETCH_STEPS


@pytest.mark.slow
def test_the_builder_of_arduino_makes_a_sketch_with_pythons_bits(
    place: Path, tool: Tool, tmp_path: Path
) -> None:
    """With Arduino's own builder and core, in a sketchbook that has the library as it is."""
    for name in AVR.tools:
        tool(name)
    builder = Path(tool("arduino-builder"))
    share = builder.parent.parent / "share"
    if not (share / "arduino" / "hardware" / "arduino" / "avr").exists():
        missing("arduino-core-avr is not installed")
    (tmp_path / "libraries").mkdir()
    (tmp_path / "libraries" / "nbt_embed").symlink_to(place)
    sketch = tmp_path / "Forecast"
    sketch.mkdir()
    (sketch / "avr_console.h").write_bytes((HERE / "avr_console.h").read_bytes())
    shipped = place / "examples" / "Forecast" / "Forecast.ino"
    (sketch / "Forecast.ino").write_text(with_hashes(shipped.read_text()))
    (tmp_path / "build").mkdir()
    run(
        str(builder), "-compile", "-fqbn", "arduino:avr:mega:cpu=atmega2560",
        "-hardware", str(share / "arduino" / "hardware"), "-hardware", str(share / builder.name),
        "-tools", str(builder.parent), "-prefs", f"tools.ctags.path={builder.parent}",
        # The core uses a macro of C++11 that Debian's avr-gcc 5 lacks.
        "-prefs", "compiler.cpp.extra_flags=-DDECIMAL_DIG=__DECIMAL_DIG__",
        "-libraries", str(tmp_path / "libraries"), "-build-path", str(tmp_path / "build"),
        str(sketch / "Forecast.ino"),
    )  # fmt: skip
    assert hashes_of(AVR.emulate(tmp_path / "build" / "Forecast.ino.elf")) == hashes_in_python()


@pytest.mark.slow
def test_a_project_uses_the_folder(place: Path, tool: Tool, tmp_path: Path) -> None:
    lines = f"add_subdirectory({place} nbt)\nadd_executable(use use.c)\n"
    lines += "target_link_libraries(use PRIVATE nbt::nbt)\n"
    run(str(cmake(tool, consumer(tmp_path / "use", lines)) / "use"))


@pytest.mark.slow
def test_a_project_finds_the_installed_library(place: Path, tool: Tool, tmp_path: Path) -> None:
    installed = tmp_path / "installed"
    build = tmp_path / "nbt-build"
    options = (f"-DCMAKE_INSTALL_PREFIX={installed}", "-DCMAKE_C_FLAGS=-O1")
    run(tool("cmake"), "-S", str(place), "-B", str(build), *options)
    run(tool("cmake"), "--build", str(build), "--target", "install")
    lines = f"find_package(nbt {__version__} REQUIRED)\nadd_executable(use use.c)\n"
    lines += "target_link_libraries(use PRIVATE nbt::nbt)\n"
    project = consumer(tmp_path / "use", lines)
    run(str(cmake(tool, project, f"-DCMAKE_PREFIX_PATH={installed}") / "use"))


@pytest.mark.parametrize(
    ("stub", "within", "target"), [(IDF, "", "component"), (ZEPHYR, "/zephyr", "nbt_embed")]
)
@pytest.mark.slow
def test_a_component_builds_with_what_its_system_defines(
    stub: str, within: str, target: str, place: Path, tool: Tool, tmp_path: Path
) -> None:
    lines = f"{stub}add_subdirectory({place}{within} nbt)\nadd_executable(use use.c)\n"
    lines += f"target_include_directories(use PRIVATE {place / 'src'})\n"
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
