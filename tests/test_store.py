"""The store for raw flash, on a simulated one (flash.c) that loses power at every byte."""

from pathlib import Path

import pytest
from conftest import HOST, ROOT, Build, run

FLASH = ROOT / "tests" / "flash.c"


@pytest.mark.parametrize("mode", ["wear", "flips", "faults"])
def test_the_newest_whole_checkpoint_is_found(mode: str, build: Build) -> None:
    run(str(build("gcc", *HOST, source=FLASH)), mode)


def test_a_power_cut_costs_nothing_that_was_whole(build: Build) -> None:
    printed = run(str(build("gcc", *HOST, source=FLASH)), "cuts", "37")
    assert printed.count("pairs of cuts") == 2


@pytest.mark.slow
def test_every_third_pair_of_power_cuts_costs_nothing_that_was_whole(build: Build) -> None:
    """All residues: every first cut and every second one is in some pair."""
    run(str(build("gcc", *HOST, source=FLASH)), "cuts", "3")


STORM = ROOT / "tests" / "flash_storm.c"


def test_no_fault_loses_an_acknowledged_save(build: Build) -> None:
    printed = run(str(build("gcc", *HOST, source=STORM)), "3", "4000")
    assert int(printed.split(": ")[1].split()[0]) > 1000  # acknowledged


def test_a_slot_that_fails_for_good_stops_the_store_only_where_it_has_to(build: Build) -> None:
    run(str(build("gcc", *HOST, source=ROOT / "tests" / "flash_dead.c")))


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("was_stale || unmarked != 0", "0"),
        ("(seen.newest != 0 && seen.unreadable == 0)", "seen.newest != 0"),
        (" || 2 * n_failed >= flash->n_slots", ""),
    ],
)
def test_the_dead_slots_find_a_store_that_is_wrong(
    right: str, wrong: str, build: Build, tmp_path: Path
) -> None:
    """The check itself works: it notices a store that forgets who may look like the newest."""
    source = broken_store(ROOT / "tests" / "flash_dead.c", right, wrong, tmp_path)
    with pytest.raises(pytest.fail.Exception, match="not true"):
        run(str(build("gcc", *HOST, source=source)))


@pytest.mark.slow
@pytest.mark.parametrize("seed", ["2", "3", "4"])
def test_no_fault_loses_an_acknowledged_save_in_the_long_run(seed: str, build: Build) -> None:
    run(str(build("gcc", *HOST, source=STORM)), seed, "50000")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        (": seen->has_head", ": 1"),
        ("needs_no_cover && (unmarked & seen.newest) == 0;", "1;"),
        ("(is_lost || 2 * n_failed", "(2 * n_failed"),
        ("flash->n_slots >= 4 :", "flash->n_slots >= 3 :"),
        ("(flash->n_slots < 4 && !has_stale(seen))", "1"),
    ],
)
@pytest.mark.slow
def test_the_storm_finds_a_store_that_is_wrong(
    right: str, wrong: str, build: Build, tmp_path: Path
) -> None:
    """The check itself works: it notices a store that guesses, or gives up too much."""
    program = build("gcc", *HOST, source=broken_store(STORM, right, wrong, tmp_path))
    with pytest.raises(pytest.fail.Exception, match="not true"):
        run(str(program), "3", "8000")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("uint32_t kept = seen.newest", "uint32_t kept = 0; seen.newest = 0"),
        ("return a - b < 0x80000000u", "return b - a < 0x80000000u"),
        (
            "    if (status != NBT_OK) {\n        return status == NBT_ERR_READ ?",
            "    if (0) {\n        return 0 ?",
        ),
    ],
)
@pytest.mark.slow
def test_the_cuts_find_a_store_that_is_wrong(
    right: str, wrong: str, build: Build, tmp_path: Path
) -> None:
    """The check itself works: it notices a store that erases, takes or trusts the wrong slot."""
    program = build("gcc", *HOST, source=broken_store(FLASH, right, wrong, tmp_path))
    with pytest.raises(pytest.fail.Exception, match="not true"):
        run(str(program), "cuts", "37")


def broken_store(test: Path, right: str, wrong: str, folder: Path) -> Path:
    """Write a test with a store of its own, in which one line is wrong."""
    store = (ROOT / "csrc" / "nbt_store.c").read_text(encoding="utf-8")
    assert store.count(right) == 1
    broken = store.replace(right, wrong)
    for name in ("nbt_store_save", "nbt_store_load", "nbt_store_slot_bytes"):
        broken = broken.replace(f"{name}(", f"broken_{name}(")
    flash = test.read_text(encoding="utf-8").replace("nbt_store_", "broken_nbt_store_")
    declarations = (
        "size_t broken_nbt_store_slot_bytes(const nbt_config *);"
        "nbt_status broken_nbt_store_save(const nbt_flash *, const nbt_learner *);"
        "nbt_status broken_nbt_store_load(const nbt_flash *, void *, size_t, nbt_learner **);"
    )
    source = folder / "broken.c"
    source.write_text(f'#include "nbt.h"\n{declarations}\n{broken}\n{flash}', encoding="utf-8")
    return source
