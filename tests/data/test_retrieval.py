from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semrsm_cli.data.images import Files, Images
from semrsm_cli.data.retrieval import Draw, draw_disjoint, read_draw, write_draw
from semrsm_cli.errors import SemrsmError


def made(n: int) -> Images:
    ids = tuple(f"{i:04d}" for i in range(n))
    return Images("made", ids, ids, Files(Path()))


@given(
    n=st.integers(2, 40), n_queries=st.none() | st.integers(1, 40), n_database=st.none() | st.integers(1, 40),
    seed=st.integers(0, 9),
)  # fmt: skip
def test_draws_are_disjoint_sorted_and_of_the_size_asked_for(n, n_queries, n_database, seed):
    images = made(n)
    if (n_queries or 1) + (n_database or 1) > n and (n_queries, n_database) != (None, None):
        with pytest.raises(SemrsmError, match=f"but made holds {n} images"):
            draw_disjoint(images, n_queries, n_database, seed)
        return
    found = draw_disjoint(images, n_queries, n_database, seed)
    assert found == draw_disjoint(images, n_queries, n_database, seed)
    assert all(list(side) == sorted(set(side)) for side in (found.queries, found.database))
    if n_queries is None and n_database is None:
        assert found.queries == found.database == images.ids
        return
    assert not set(found.queries) & set(found.database)
    assert len(found.queries) == (n_queries or n - n_database)
    assert len(found.database) == (n_database or n - n_queries)


def test_written_ids_are_read_again(tmp_path):
    draw = Draw(("a,b.jpg", "ü/c.jpg"), ('"d".jpg', "e.jpg"))
    write_draw(tmp_path / "draw.csv", draw)
    assert read_draw(str(tmp_path / "draw.csv")) == draw
    assert [path.name for path in tmp_path.iterdir()] == ["draw.csv"]
    assert (tmp_path / "draw.csv").read_text().splitlines()[0] == "role,image"


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("a.jpg\nb.jpg\n", "lacks the column 'role'"),
        ("role,image\nquery,a\n", "names no image of role database"),
        ("role,image\nquery,a\nquery,a\ndatabase,b\n", "names 1 images of role query twice"),
        ("role,image\nQUERY,a\n", "line 2: role must be query or database, got 'QUERY'"),
    ],
)
def test_files_of_another_kind(tmp_path, text, complaint):
    (tmp_path / "draw.csv").write_text(text)
    with pytest.raises(SemrsmError, match=complaint):
        read_draw(tmp_path / "draw.csv")
