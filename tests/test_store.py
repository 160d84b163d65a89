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
def test_every_pair_of_power_cuts_costs_nothing_that_was_whole(build: Build) -> None:
    run(str(build("gcc", *HOST, source=FLASH)), "cuts", "1")


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("(newest.index + step) % flash->n_slots", "(newest.index + step - 1) % flash->n_slots"),
        ("candidate.sequence - newest->sequence < 0x80000000u", "i > 0"),
        ("status == NBT_OK ? WHOLE", "1 ? WHOLE"),
    ],
)
def test_the_cuts_find_a_store_that_is_wrong(
    right: str, wrong: str, build: Build, tmp_path: Path
) -> None:
    """The check itself works: it notices a store that erases, takes or trusts the wrong slot."""
    store = (ROOT / "csrc" / "nbt_store.c").read_text(encoding="utf-8")
    assert store.count(right) == 1
    broken = store.replace(right, wrong)
    for name in ("nbt_store_save", "nbt_store_load", "nbt_store_slot_bytes"):
        broken = broken.replace(f"{name}(", f"broken_{name}(")
    flash = FLASH.read_text(encoding="utf-8").replace("nbt_store_", "broken_nbt_store_")
    declarations = (
        "size_t broken_nbt_store_slot_bytes(const nbt_config *);"
        "nbt_status broken_nbt_store_save(const nbt_flash *, const nbt_learner *);"
        "nbt_status broken_nbt_store_load(const nbt_flash *, void *, size_t, nbt_learner **);"
    )
    source = tmp_path / "broken.c"
    source.write_text(f'#include "nbt.h"\n{declarations}\n{broken}\n{flash}', encoding="utf-8")
    program = build("gcc", *HOST, source=source)
    with pytest.raises(pytest.fail.Exception, match="not true"):
        run(str(program), "cuts", "37")
