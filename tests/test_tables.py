"""Tables of text."""

import pytest

from bpjit.common.tables import aligned, markdown_table, text_table, width


def test_chinese_characters_take_two_columns():
    assert [width(text) for text in ("", "ŷ_1", "好瓜", "第 1 步", "＞", "Σ")] == [0, 3, 4, 7, 2, 1]
    assert aligned([("好瓜", "1"), ("bad", "2"), ("", "3")]) == ["好瓜  1", "bad   2", "      3"]
    assert text_table(("误差", "n"), [("0.5", "好"), ("0.125", "10")], left=0).splitlines() == [
        " 误差   n",
        "-----  --",
        "  0.5  好",
        "0.125  10",
    ]


@pytest.mark.parametrize(
    ("left", "expected"),
    [(None, ["a    bbb", "ccc  d"]), (1, ["a    bbb", "ccc    d"]), (0, ["  a  bbb", "ccc    d"])],
)
def test_sides(left, expected):
    assert aligned([("a", "bbb"), ("ccc", "d")], left) == expected


def test_lines_may_lack_cells():
    assert aligned([("a", "= 1", "= 2"), ("bcd", "= 10")], between=" ") == ["a   = 1  = 2", "bcd = 10"]
    assert aligned([]) == []


def test_markdown():
    assert markdown_table(("x*y", "|"), [("1", "2")]) == "| x\\*y | \\| |\n| --- | --- |\n| 1 | 2 |"
