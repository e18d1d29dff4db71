"""Pictures read from the shards by other processes: the same batches, killed and continued."""

import os
import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from mini_training import CPU, GAN, RECIPE, Killed, at_step, kill, pictures, untimed
from photochrom.loading import batch_source
from photochrom.models import build, weights_sha256
from photochrom.runtime import StageError, Terminated, csv_text
from photochrom.shards import ShardSet, TrainingSet, index_rows, list_split, load_split, write_shard
from photochrom.tables import SHARDS_COLUMNS, SPLIT_COLUMNS
from photochrom.training import train_phase


@pytest.fixture
def sets(tmp_path: Path) -> tuple[TrainingSet, ShardSet]:
    """The same 14 of 16 pictures in two shards, in memory and left in the shards."""
    generator = np.random.default_rng(0)
    L = generator.uniform(-1, 1, (16, 12, 12))
    ab = np.stack([L / 4, -L / 3], axis=-1)
    ids = [f"picture-{number:02}" for number in range(16)]
    shards = [tmp_path / f"shard-0000{number}.h5" for number in range(2)]
    for number, shard in enumerate(shards):
        part = slice(8 * number, 8 * number + 8)
        write_shard(shard, ids[part], L[part], ab[part], "digest")
    (tmp_path / "shards.csv").write_text(csv_text(SHARDS_COLUMNS, index_rows(shards)))
    rows = [
        (id, f"shard-0000{place // 8}", place % 8, id, 1, "val" if place in (3, 9) else "train")
        for place, id in enumerate(ids)
    ]
    rows = [rows[place] for place in np.random.default_rng(1).permutation(16)]
    (tmp_path / "split.csv").write_text(csv_text(SPLIT_COLUMNS, rows))
    tables = (tmp_path / "shards.csv", tmp_path / "split.csv", "train")
    return load_split(*tables), list_split(*tables)


def train(
    data: TrainingSet | ShardSet, folder: Path, workers: int, every: float = 1e9
) -> tuple[str, list[dict[str, Any]]]:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    network = build(RECIPE.network)
    val = pictures(3, seed=9)
    recipe = replace(RECIPE, phase=replace(GAN, epochs=3))
    records = train_phase(recipe, network, data, val, CPU, folder, every, workers=workers)
    return weights_sha256(network.state_dict()), untimed(records)


def test_both_are_the_same_data(sets: tuple[TrainingSet, ShardSet]) -> None:
    held, left = sets
    assert (left.ids, left.size, left.scale, left.digest) == (
        held.ids,
        held.size,
        held.scale,
        held.digest,
    )
    batches = [batch_source(data, RECIPE, 9, CPU, "auto", 0) for data in sets]
    for step in (0, 4, 5, 1, 8, 8):
        for one, other in zip(batches[0](step), batches[1](step), strict=True):
            assert torch.equal(one, other)


def test_two_workers_give_the_same_weights_also_when_killed(
    sets: tuple[TrainingSet, ShardSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held, left = sets
    whole = train(held, tmp_path / "held", workers=0)
    assert train(left, tmp_path / "left", workers=2) == whole
    with monkeypatch.context() as patch:
        at_step(patch, 5, kill)
        with pytest.raises(Killed):
            train(left, tmp_path / "killed", workers=2, every=0)
    # On with another number of workers: it decides nothing.
    with monkeypatch.context() as patch:
        at_step(patch, 7, kill)
        with pytest.raises(Killed):
            train(held, tmp_path / "killed", workers=0, every=0)
    assert train(left, tmp_path / "killed", workers=2) == whole


def test_a_signal_to_all_processes_leaves_a_checkpoint(
    sets: tuple[TrainingSet, ShardSet], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def to_all(state: Any) -> None:
        children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        assert len(children) >= 2
        for process in [*map(int, children), os.getpid()]:
            os.kill(process, signal.SIGTERM)

    with monkeypatch.context() as patch:
        at_step(patch, 5, to_all)
        with pytest.raises(Terminated):
            train(sets[1], tmp_path / "stopped", workers=2)
    assert [path.name[:14] for path in (tmp_path / "stopped").glob("*.pt")] == ["step-000000006"]
    whole = train(sets[0], tmp_path / "whole", workers=0)
    assert train(sets[1], tmp_path / "stopped", workers=2) == whole


def test_damage_after_the_start_is_one_line(sets: tuple[TrainingSet, ShardSet]) -> None:
    left = sets[1]
    path = left.places[0][0]
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1  # in the pictures: the rest is small
    path.write_bytes(content)
    batch_at = batch_source(left, RECIPE, 9, CPU, "auto", 0)
    with pytest.raises(StageError, match="cannot be used"):
        list(map(batch_at, range(9)))
    with pytest.raises(StageError, match="not the one in"):
        list_split(path.parent / "shards.csv", path.parent / "split.csv", "train")
