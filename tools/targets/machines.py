"""The processors: how to compile for them, and which emulated machine runs the result."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
ALONE = ("-std=c99", "-O2", "-ffunction-sections", "-fdata-sections")
COMMON = (*ALONE, "-Wl,--gc-sections")


class ToolError(RuntimeError):
    """A compiler or an emulator is missing, failed or took too long."""


def run(*command: str, seconds: int = 1800) -> str:
    """What a command prints. Errors: ToolError with the command and what it said."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=seconds)
    except FileNotFoundError:
        raise ToolError(
            f"{command[0]} is not installed (docs/reference/porting.md has the packages)"
        ) from None
    except subprocess.TimeoutExpired:
        raise ToolError(f"{' '.join(command)}: no end after {seconds} s") from None
    if done.returncode != 0:
        said = (done.stdout[-500:] + done.stderr[-2000:]).strip()
        raise ToolError(f"{' '.join(command)}: exit {done.returncode}\n{said}")
    return done.stdout + done.stderr


@dataclass(frozen=True)
class Machine:
    """One processor on one machine of QEMU.

    flash and ram: (origin, bytes); RISC-V has all in ram. fma: whether the compiler may fuse a
    multiplication and an addition there, so that a build that permits it has other bits.
    most_steps: of ``make targets``, where more would take the emulator too long. lanes: of the
    kernel there.
    """

    name: str
    compiler: str
    flags: tuple[str, ...]
    board: str
    ram: tuple[int, int]
    flash: tuple[int, int] | None = (0, 256 * 1024)
    fma: bool = False
    most_steps: int | None = None
    lanes: int = 1

    @property
    def arena_bytes(self) -> int:
        """Room for learners in the program of ``make targets``."""
        return min(self.ram[1] * 3 // 4, 65536)

    @property
    def tools(self) -> tuple[str, ...]:
        """The programs that compile for it and run the result."""
        return (self.compiler, self._emulator)

    def tool(self, name: str) -> str:
        """A program of the compiler's binutils, as "nm"."""
        return f"{self.compiler.removesuffix('gcc')}{name}"

    @property
    def _is_arm(self) -> bool:
        return self.compiler.startswith("arm")

    @property
    def _emulator(self) -> str:
        return "qemu-system-arm" if self._is_arm else "qemu-system-riscv32"

    def compile_alone(self, *options: str, source: Path, target: Path) -> None:
        """Compile one source to an object file. Errors: ToolError."""
        run(
            self.compiler,
            *self.flags,
            *ALONE,
            *options,
            "-c",
            str(source),
            "-o",
            str(target),
        )

    def link(self, *options: str, sources: Sequence[Path], target: Path) -> Path:
        """Link sources with the start-up code. Errors: ToolError."""
        start, script = ("start_arm.c", "arm.ld") if self._is_arm else ("start_riscv.c", "riscv.ld")
        where = {"RAM": self.ram[0], "RAM_SIZE": self.ram[1]}
        if self.flash is not None:
            where |= {"FLASH": self.flash[0], "FLASH_SIZE": self.flash[1]}
        run(
            self.compiler,
            *self.flags,
            *COMMON,
            "-nostartfiles",
            f"-I{HERE}",
            *options,
            str(HERE / start),
            *map(str, sources),
            *(f"-Wl,--defsym={name}={value:#x}" for name, value in where.items()),
            "-T",
            str(HERE / script),
            "-lm",
            "-o",
            str(target),
        )
        return target

    def emulate(self, program: Path, *options: str) -> str:
        """What the program, and QEMU itself, print. Errors: ToolError."""
        emulator = [self._emulator, *(() if self._is_arm else ("-bios", "none"))]
        emulator += ["-M", self.board, "-nographic", "-monitor", "none", "-serial", "none"]
        emulator += ["-chardev", "stdio,id=sh", "-semihosting-config"]
        emulator += ["enable=on,target=native,chardev=sh", "-kernel", str(program)]
        return run(*emulator, *options)


def _arm(name: str, cpu: str, board: str, fpu: str | None, **rest: object) -> Machine:
    unit = (f"-mfpu={fpu}", "-mfloat-abi=hard") if fpu else ("-mfloat-abi=soft",)
    flags = (f"-mcpu={cpu}", "-mthumb", *unit, "--specs=nosys.specs")
    settings = {"ram": (0x20000000, 4 << 20), "flash": (0, 4 << 20), "fma": fpu is not None} | rest
    return Machine(name, "arm-none-eabi-gcc", flags, board, **settings)  # type: ignore[arg-type]


def _riscv(name: str, arch: str, abi: str, fma: bool) -> Machine:
    flags = (f"-march={arch}", f"-mabi={abi}", "-mcmodel=medany", "--specs=picolibc.specs")
    ram = (0x80000000, 4 << 20)
    return Machine(name, "riscv64-unknown-elf-gcc", flags, "virt", ram, None, fma)


MACHINES = (
    _arm("M0", "cortex-m0", "microbit", None, ram=(0x20000000, 16 << 10), flash=(0, 256 << 10)),
    _arm("M3", "cortex-m3", "mps2-an385", None),
    _arm("M4F", "cortex-m4", "mps2-an386", "fpv4-sp-d16"),
    _arm("M7F", "cortex-m7", "mps2-an500", "fpv5-sp-d16"),
    _arm(
        "M33F", "cortex-m33", "mps2-an505", "fpv5-sp-d16",
        ram=(0x38000000, 64 << 10), flash=(0x10000000, 4 << 20),
    ),
    _arm(
        "M55", "cortex-m55+nomve", "mps3-an547", "fpv5-sp-d16",
        ram=(0x20000000, 512 << 10), flash=(0, 512 << 10),
    ),
    _riscv("RV32IMAC", "rv32imac", "ilp32", fma=False),
    _riscv("RV32IMAFC", "rv32imafc", "ilp32f", fma=True),
)  # fmt: skip

# The processors that csrc/nbt_soft_float.c is for, with it instead of the compiler's arithmetic.
# Steps after the hundredth are left to the other two.
SOFT_FLOAT = tuple(
    replace(
        one,
        name=f"{one.name} soft",
        flags=(*one.flags, "-DNBT_SOFT_FLOAT=1"),
        most_steps=100,
    )
    for one in MACHINES
    if one.name in ("M0", "RV32IMAC")
)
