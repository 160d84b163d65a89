"""Where the kernel departs from the guidelines MISRA C:2012: ``make misra``.

Runs cppcheck's addon over csrc/, counts the findings by rule, and puts them with a reason each into
docs/evidence/misra.md. A rule that has no reason here is an error: change the code, or write one.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

from tools.document import put

ROOT = Path(__file__).resolve().parent.parent

# Rule -> why the kernel departs from it. What a rule asks is said in the words of this project.
REASONS = {
    "2.3": "a type whose array length is a check at compile time",
    "2.4": "enumerations are lists of numbers; fields have fixed widths, so tags would go unused",
    "2.5": "NBT_BYTES and its parts are for the caller, not used in the kernel",
    "5.7": "structures without a tag, which the addon takes for one and the same",
    "8.7": "public functions that the kernel itself does not call",
    "8.9": "one table stands next to the constants that explain it",
    "9.3": "{0} clears an array or a structure",
    "9.4": "mostly not so: the members of a structure that follow arrays in {{0}, {0}, 0, 0}",
    "8.12": "an enumeration that counts by itself names the last array there is",
    "9.2": "a structure as the first member of one that is filled in a line",
    "10.1": "masks shifted by the number of a choice, which is an enumeration",
    "10.3": "sizes 0 or 1 from comparisons, in formulas with optional terms",
    "10.4": "size_t with a plain constant, as in n + 1",
    "10.5": "comparisons turned into 0 or 1, so that loops have no branches",
    "10.6": "small constants widened to 64 bits",
    "10.8": "bits of a float, taken apart and put together",
    "11.3": "a visitor finds its own data behind the walker that begins it",
    "11.4": "uintptr_t takes const off where one layout serves readers and writers",
    "11.5": "the caller's memory, given as void *, checked for size and alignment",
    "11.8": "mostly not so: members of a const layout point to floats that are not const",
    "12.1": "* before +, comparisons before &&: as in the equations of docs/design.md",
    "12.3": "several variables, or steps of a for loop, in one line",
    "13.3": "chunk[n++] = byte, the usual way to fill a buffer",
    "13.4": "a = b = 0 gives several variables one value",
    "14.2": "for (i = n; i-- > 0;) counts down without a signed index",
    "14.4": "flags are int, C99's own truth",
    "15.5": "a refused call leaves at its first check",
    "15.7": "else if without a last else, where there is nothing to do",
    "16.4": "a switch over all statuses; the compiler warns about a missing one",
    "17.7": "results that say nothing new: memcpy's, and words that are passed over",
    "17.8": "arguments that are limited in place",
    "18.4": "rows of matrices are pointers plus an offset",
    "20.1": "the tables need the enumerations that stand before them",
    "20.5": "BODY is defined for one loop and undefined after it",
    "20.10": "names of a version of the step, and of an array's place, put together",
    "20.7": "arguments that are given as names",
    "20.9": "FLT_EVAL_METHOD is defined by float.h, which the checker does not read",
}


def counted(output: str) -> Counter[str]:
    """Findings by rule; a header's are counted once, however many files include it.

    Errors: ValueError for output that is not a finding, as of a missing addon.
    """
    rules: Counter[str] = Counter()
    for line in set(output.splitlines()):
        found = re.fullmatch(r"[^:]+:\d+:\d+:misra-c2012-(\d+\.\d+)", line)
        if found is None:
            raise ValueError(f"cppcheck said: {line}")
        rules[found[1]] += 1
    return rules


def table(rules: Counter[str]) -> str:
    """One line a rule, most findings first. Errors: ValueError names a rule without a reason."""
    unknown = sorted(set(rules) - set(REASONS))
    if unknown:
        raise ValueError(f"rules {', '.join(unknown)}: change the code or say why in {__file__}")
    lines = [" rule  findings  why"]
    order = sorted(rules.items(), key=lambda item: (-item[1], float(item[0])))
    lines += [f"{rule:>5}{count:10}  {REASONS[rule]}" for rule, count in order]
    return "\n".join([*lines, f"  all{rules.total():10}"])


def main(arguments: list[str] | None = None) -> int:
    """Analyse, print, and keep the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--document", type=Path, help="Markdown file to put the table into")
    options = parser.parse_args(arguments)
    command = ["cppcheck", "--addon=misra", "--std=c99", "--language=c", "--quiet"]
    command += [
        "--inline-suppr",
        "-DNBT_LANES=16",
        "-DNBT_SOFT_FLOAT=2",
        "-Icsrc",
        "--template={file}:{line}:{column}:{id}",
    ]
    try:
        done = subprocess.run(
            [*command, "csrc"], capture_output=True, text=True, check=False, cwd=ROOT, timeout=1800
        )
        text = table(counted(done.stderr))
    except FileNotFoundError:
        print(
            "cppcheck is not installed. Debian, Ubuntu: apt-get install cppcheck", file=sys.stderr
        )
        return 1
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    print(text)
    if options.document is not None:
        put(options.document, "misra", text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
