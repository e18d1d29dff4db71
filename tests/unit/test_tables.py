"""Reading tables: what is not a table of ours is refused with a sentence."""

from pathlib import Path

import pytest

from photochrom.runtime import StageError, csv_text
from photochrom.tables import kept, read_table


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    cells = [("1", 'comma, "quote"'), ("2", ""), ("3", "Süß 日本")]
    path.write_text(csv_text(("id", "name"), cells), encoding="utf-8")
    rows = read_table(path, ("name",), "x.py")
    assert [(row["id"], row["name"]) for row in rows] == cells


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (b"id,name\n1\n", "line 2 has not as many cells"),
        (b"id,name\n1,a\n2,b,c\n", "line 3 has not as many cells"),
        (b"id,title\n1,a\n", "lacks the columns name"),
        (b"", "lacks the columns id, name"),
        (b"id,name\n1,\xff\n", "codec"),
        (b'id,name\n1,"cut', "unexpected end of data"),
    ],
)
def test_unusable_tables_are_refused(tmp_path: Path, content: bytes, complaint: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(StageError, match=complaint) as caught:
        read_table(path, ("id", "name"), "filter.py")
    assert "make it again with filter.py" in str(caught.value)


def test_a_missing_table_names_its_maker(tmp_path: Path) -> None:
    with pytest.raises(StageError, match=r"made by filter\.py"):
        read_table(tmp_path / "none.csv", (), "filter.py")


def test_kept_rows() -> None:
    rows = [{"id": "a", "verdict": "keep"}, {"id": "b", "verdict": "drop"}]
    assert kept(rows) == rows[:1]
