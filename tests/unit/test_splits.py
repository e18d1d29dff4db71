"""The split: stateless, by group, with groups assigned by name."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from photochrom.runtime import StageError
from photochrom.splits import (
    choose_split,
    hash_share,
    labels_of_groups,
    moved_rows,
    split_of_groups,
    split_rows,
)
from photochrom.tables import MOVES_COLUMNS, Row

SHARES: dict[str, Any] = {
    "train": 0.8,
    "val": 0.1,
    "test": 0.1,
    "key": "photochrom",
    "assign": None,
}


def pictures(groups: Sequence[str]) -> list[Row]:
    return [
        {"id": f"{group}-{at}", "group": group, "original_name": group, "part": str(at + 1)}
        for at, group in enumerate(groups)
    ]


def test_a_share_depends_on_key_and_group_alone() -> None:
    # Stated, because another value would move every picture of every user.
    assert hash_share("photochrom", "coffee") == pytest.approx(0.19, abs=0.005)
    assert hash_share("photochrom", "rocket") == pytest.approx(0.878, abs=0.0005)
    assert hash_share("other", "coffee") != hash_share("photochrom", "coffee")


def test_shares_fall_into_their_stretches() -> None:
    fractions = {"train": 8.0, "val": 1.0, "test": 1.0}  # proportions, not only fractions of 1
    assert choose_split(0.0, fractions) == "train"
    assert choose_split(0.7999, fractions) == "train"
    assert choose_split(0.8001, fractions) == "val"
    assert choose_split(0.9001, fractions) == "test"
    assert choose_split(0.99999999, {"train": 0.1, "val": 0.2, "test": 0.0}) == "val"


def test_groups_are_shared_out_as_asked() -> None:
    splits = split_of_groups(pictures([f"photo {at}" for at in range(5000)]), SHARES)
    counts = Counter(splits.values())
    assert counts["train"] == pytest.approx(4000, abs=100)
    assert counts["val"] == pytest.approx(500, abs=80)
    assert counts["test"] == pytest.approx(500, abs=80)


def test_adding_pictures_moves_none() -> None:
    names = [f"photo {at}" for at in range(200)]
    before = split_of_groups(pictures(names), SHARES)
    after = split_of_groups(pictures(["an earlier one", *reversed(names), "later"]), SHARES)
    assert {name: after[name] for name in names} == before


# Photographs that are added, and what moves.


def placed(
    catalog: Sequence[Row], config: dict[str, Any] = SHARES, before: Sequence[Row] = ()
) -> list[Row]:
    """split.csv of a catalog, as far as the next split is concerned with it."""
    labels = labels_of_groups(catalog, config, before)
    splits = split_of_groups(catalog, config, labels)
    return [
        {"id": row["id"], "split": splits[row["group"]], "placed_by": labels[row["group"]]}
        for row in catalog
    ]


def moves(
    catalog: Sequence[Row], before: Sequence[Row], config: dict[str, Any] = SHARES
) -> list[Row]:
    splits = split_of_groups(catalog, config, labels_of_groups(catalog, config, before))
    return [
        dict(zip(MOVES_COLUMNS, row, strict=True)) for row in moved_rows(catalog, splits, before)
    ]


def test_a_near_duplicate_that_is_added_follows_the_old_picture() -> None:
    # Of the names, "coffee" hashes to training and "rocket" to validation.
    old = pictures(["rocket", "apple"])
    before = placed(old)
    assert before[0]["split"] == "val"
    new = pictures(["coffee"])  # listed earlier, it gives the group its name
    catalog = [*new, old[0] | {"group": "coffee"}, old[1]]
    assert split_of_groups(catalog, SHARES)["coffee"] == "train"
    after = placed(catalog, before=before)
    assert [row["split"] for row in after[:2]] == ["val", "val"]
    assert moves(catalog, before) == []
    # And so it stays with what is added next.
    assert placed(catalog, before=after) == after


def test_joined_groups_move_to_training_and_are_listed() -> None:
    old = pictures(["rocket", "coffee", "apple"])
    before = placed(old)
    catalog = [row | {"group": "rocket"} for row in old[:2]] + old[2:]
    after = placed(catalog, before=before)
    assert [row["split"] for row in after[:2]] == ["train", "train"]
    assert moves(catalog, before) == [
        {
            "id": "rocket-0",
            "original_name": "rocket",
            "group": "rocket",
            "before": "val",
            "after": "train",
            "why": "near-duplicates joined the groups rocket, coffee",
        }
    ]


def test_settings_win_over_the_split_before_and_moves_are_listed() -> None:
    old = pictures(["rocket"])
    before = placed(old)
    found = moves(old, before, SHARES | {"assign": {"rocket": "test"}})
    assert [(move["before"], move["after"], move["why"]) for move in found] == [
        ("val", "test", "the settings in data.split changed")
    ]
    names = [f"photo {at}" for at in range(50)]
    rekeyed = SHARES | {"key": "other"}
    assert placed(pictures(names), rekeyed, placed(pictures(names))) == placed(
        pictures(names), rekeyed
    )


@given(st.lists(st.integers(0, 9), min_size=1, max_size=30), st.data())
def test_no_old_picture_moves_unless_groups_are_joined(old: list[int], data: st.DataObject) -> None:
    """Whatever is added, wherever it is listed and whatever it does to the groups' names."""
    catalog = pictures([f"photo {number}" for number in old])
    before = placed(catalog)
    renamed = {f"photo {number}": data.draw(st.sampled_from("abc")) for number in set(old)}
    groups = {name: f"{name} {start}" for name, start in renamed.items()}  # one to one
    later = [row | {"group": groups[row["group"]]} for row in catalog]
    assert moves(later, before) == []


def test_another_key_is_another_split() -> None:
    names = [f"photo {at}" for at in range(200)]
    first = split_of_groups(pictures(names), SHARES)
    assert split_of_groups(pictures(names), SHARES | {"key": "other"}) != first


def test_assignment_wins_and_may_name_a_member_of_a_group() -> None:
    catalog = [*pictures(["coffee", "rocket"]), *pictures(["apple"])]
    catalog[2]["original_name"] = "pear"  # a near-duplicate of apple, whose group it is in
    splits = split_of_groups(catalog, SHARES | {"assign": {"coffee": "val", "pear": "test"}})
    assert splits["coffee"] == "val"
    assert splits["apple"] == "test"
    assert splits["rocket"] == choose_split(
        hash_share("photochrom", "rocket"), {"train": 0.8, "val": 0.1, "test": 0.1}
    )


def test_assigning_nothing_names_the_nearest() -> None:
    with pytest.raises(StageError, match="called cofee; the nearest name is coffee"):
        split_of_groups(pictures(["coffee", "rocket"]), SHARES | {"assign": {"cofee": "val"}})


def test_assigning_near_duplicates_apart_is_refused() -> None:
    catalog = pictures(["left", "left"])
    catalog[1]["original_name"] = "right"
    with pytest.raises(StageError, match="left goes to train and right to test, but they are near"):
        split_of_groups(catalog, SHARES | {"assign": {"left": "train", "right": "test"}})


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"train": -1}, "train must be a number of at least 0"),
        ({"val": "some"}, "val must be a number"),
        ({"train": 0, "val": 0, "test": 0}, "all 0"),
        ({"trian": 0.8}, "unknown key trian"),
        ({"assign": {"coffee": "training"}}, "must be one of train, val, test, not 'training'"),
    ],
)
def test_configurations_that_make_no_sense_are_refused(change: Row, complaint: str) -> None:
    with pytest.raises(StageError, match=complaint):
        split_of_groups(pictures(["coffee"]), SHARES | change)


def test_rows_say_where_each_picture_lies() -> None:
    catalog = pictures(["a", "b", "c"])
    shards = [{"shard": "shard-00000", "rows": "2"}, {"shard": "shard-00001", "rows": "1"}]
    splits = {"a": "train", "b": "val", "c": "test"}
    rows = split_rows(shards, catalog, splits, {"a": "a", "b": "an old one", "c": "c"})
    assert rows == [
        ("a-0", "shard-00000", 0, "a", 1, "train", "a"),
        ("b-1", "shard-00000", 1, "b", 2, "val", "an old one"),
        ("c-2", "shard-00001", 0, "c", 3, "test", "c"),
    ]


def test_an_empty_split_says_what_to_change() -> None:
    shards = [{"shard": "shard-00000", "rows": "2"}]
    with pytest.raises(StageError, match=r"falls into val or test: .* only 1 group") as caught:
        split_rows(shards, pictures(["a", "a"]), {"a": "train"}, {"a": "a"})
    assert "assign: {a: val}" in str(caught.value)


def test_shards_of_another_catalog_are_refused() -> None:
    with pytest.raises(StageError, match="hold 3 pictures but the catalog keeps 1"):
        split_rows([{"shard": "s", "rows": "3"}], pictures(["a"]), {"a": "train"}, {"a": "a"})
