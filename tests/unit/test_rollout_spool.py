"""The file of roll backs that the store doesn't know of yet."""

import contextlib
import os
import stat
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st

from flags.rollout.spool import Owed, Spool
from flags.rollout.state import Entry

TEXTS = st.text(st.characters(codec="utf-8"), max_size=40)


def owed(number: int, reason: str = "it burns") -> Owed:
    """Return what is owed for a roll back."""
    return Owed(f"id-{number}", "f", 50, Entry(number, "roll back", "ann", 10, reason))


class _Died(Exception):
    """Stands for the end of a process."""


def _dies_after(count: int) -> "mock._patch[object]":
    """Let the process die once so many bytes of a line are written."""
    write = os.write

    def part(descriptor: int, content: bytes) -> int:
        write(descriptor, content[:count])
        raise _Died

    return mock.patch("os.write", part)


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(["append", "die", "remove"]), TEXTS, st.integers(0, 400)),
        max_size=8,
    )
)
def test_a_death_in_the_middle_loses_nothing(steps: list[tuple[str, str, int]]) -> None:
    """Whatever was appended is read, in order; what a death cut is there whole or not at all."""
    with tempfile.TemporaryDirectory() as folder:
        spool = Spool(Path(folder))
        kept: list[Owed] = []
        for number, (step, reason, count) in enumerate(steps):
            new = owed(number, reason)
            if step == "append":
                spool.append(new)
                kept.append(new)
            elif step == "die":
                with _dies_after(count), contextlib.suppress(_Died):
                    spool.append(new)
                assert spool.read() in (kept, [*kept, new])
                kept = spool.read()
            elif kept:
                gone = kept.pop(count % len(kept))
                spool.remove([gone.id])
            assert spool.read() == kept
            assert Spool(Path(folder)).read() == kept


def test_nothing_is_owed_at_first(tmp_path: Path) -> None:
    """Reading, and removing what isn't there, make no file."""
    spool = Spool(tmp_path / "data")
    assert spool.read() == []
    spool.remove(["id-1"])
    assert not (tmp_path / "data").exists()


def test_only_its_owner_reads_it(tmp_path: Path) -> None:
    """The file, its lock and their folder are private, also after something was removed."""
    spool = Spool(tmp_path)
    spool.append(owed(1))
    spool.append(owed(2))
    spool.remove(["id-1"])
    assert spool.read() == [owed(2)]
    assert stat.S_IMODE(spool.file.parent.stat().st_mode) == 0o700
    for file in spool.file.parent.iterdir():
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_several_write_at_once(tmp_path: Path) -> None:
    """What is appended while others are removed is kept."""
    first = [owed(number) for number in range(20)]
    later = [owed(number) for number in range(20, 40)]
    for each in first:
        Spool(tmp_path).append(each)
    with ThreadPoolExecutor(8) as threads:
        done = [threads.submit(Spool(tmp_path).remove, [each.id]) for each in first]
        done += [threads.submit(Spool(tmp_path).append, each) for each in later]
    for future in done:
        future.result()
    assert sorted(Spool(tmp_path).read(), key=lambda each: each.entry.at) == later
    Spool(tmp_path).remove([each.id for each in later])
    assert not Spool(tmp_path).file.exists()
