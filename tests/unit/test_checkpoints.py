"""Checkpoints: two proven generations, nothing damaged or dangerous ever loaded."""

import hashlib
import logging
import os
import pickle
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from mounts import mounted
from photochrom.checkpoints import load_state, save_state
from photochrom.runtime import log


def state(step: int) -> dict:
    return {"step": step, "weights": torch.full((100,), float(step)), "records": [{"kind": "val"}]}


def loaded(folder: Path) -> int | None:
    found = load_state(folder)
    return None if found is None else found["step"]


@pytest.fixture(autouse=True)
def heard(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log, "propagate", True)
    caplog.set_level(logging.INFO, logger="photochrom")


def test_the_newest_of_two_generations_is_loaded(tmp_path: Path) -> None:
    assert load_state(tmp_path) is None
    for step in (9, 10, 100):
        save_state(tmp_path, step, state(step))
    assert loaded(tmp_path) == 100
    names = sorted(path.name for path in tmp_path.iterdir())
    assert [name.split(".")[0] for name in names] == ["step-000000010", "step-000000100"]
    found = load_state(tmp_path)
    assert found is not None
    assert torch.equal(found["weights"], state(100)["weights"])
    assert found["records"] == [{"kind": "val"}]


@pytest.mark.parametrize("damage", ["flip", "cut", "empty"])
def test_a_damaged_newest_gives_way_to_the_one_before(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    save_state(tmp_path, 1, state(1))
    save_state(tmp_path, 2, state(2))
    newest = max(tmp_path.iterdir())
    content = newest.read_bytes()
    flipped = bytearray(content)
    flipped[len(content) // 2] ^= 1
    newest.write_bytes({"flip": bytes(flipped), "cut": content[:-100], "empty": b""}[damage])
    assert loaded(tmp_path) == 1
    assert f"checkpoint {newest} is damaged and removed" in caplog.text
    for path in tmp_path.iterdir():
        path.write_bytes(b"")
    assert load_state(tmp_path) is None


def test_a_damaged_one_is_replaced_and_two_good_ones_remain(tmp_path: Path) -> None:
    save_state(tmp_path, 1, state(1))
    save_state(tmp_path, 2, state(2))
    max(tmp_path.iterdir()).write_bytes(b"")
    assert loaded(tmp_path) == 1
    save_state(tmp_path, 2, state(2))
    assert loaded(tmp_path) == 2


def test_what_a_killed_writer_left_is_removed(tmp_path: Path) -> None:
    save_state(tmp_path, 1, state(1))
    leftover = tmp_path / ".step-000000002.123.tmp.pt"
    leftover.write_bytes(b"half")
    assert loaded(tmp_path) == 1
    assert not leftover.exists()


def test_a_folder_that_is_called_like_one_is_none(tmp_path: Path) -> None:
    save_state(tmp_path, 1, state(1))
    (tmp_path / "step-000000009.abc.pt").mkdir()
    assert loaded(tmp_path) == 1


def test_a_pickle_bomb_does_not_go_off(tmp_path: Path) -> None:
    canary = tmp_path / "canary"

    class Bomb:
        def __reduce__(self) -> tuple:
            return os.mkdir, (str(canary),)

    for content in (pickle.dumps(Bomb(), protocol=2), _torch_bytes(Bomb(), tmp_path)):
        digest = hashlib.sha256(content).hexdigest()
        (tmp_path / f"step-000000001.{digest}.pt").write_bytes(content)
    assert load_state(tmp_path) is None
    assert not canary.exists()


def _torch_bytes(value: object, folder: Path) -> bytes:
    path = folder / "bomb"
    torch.save(value, path)
    return path.read_bytes()


def test_a_disk_that_fills_during_a_checkpoint_leaves_the_old_one_good(
    tmp_path: Path, need: Callable[[bool, str], None]
) -> None:
    with mounted(tmp_path / "disk", "size=1m") as there:
        need(there, "mounting a tmpfs needs root")
        folder = tmp_path / "disk"
        large = state(2) | {"weights": torch.rand(200_000)}
        save_state(folder, 1, state(1) | {"weights": torch.rand(150_000)})
        before = sorted(folder.iterdir())
        with pytest.raises(OSError, match="No space left"):
            save_state(folder, 2, large)
        assert sorted(folder.iterdir()) == before  # no half of the new one is left either
        assert loaded(folder) == 1
