"""The words that users read in two languages: each has its Chinese, and the page of a replay says no others."""

import re
from importlib.resources import files

import pytest

from bpjit.common import words

ALL = {"traces": words.TRACES, "pictures": words.PICTURES, "page": words.PAGE}


@pytest.mark.parametrize("kind", ALL)
def test_every_word_has_its_chinese_with_the_same_holes(kind):
    for english, chinese in ALL[kind].items():
        assert re.search("[\u4e00-\u9fff]", chinese)
        assert sorted(re.findall(r"{\w+}", english)) == sorted(re.findall(r"{\w+}", chinese))


def test_no_word_stands_twice():
    assert sum(map(len, ALL.values())) == len(words.TRACES | words.PICTURES | words.PAGE)


def test_the_page_says_these_words_and_no_others():
    sources = [path.read_text("utf-8") for path in files("bpjit.replay").joinpath("page").iterdir()]
    text = "\n".join(sources)
    said = re.findall(r'word\("([^"]+)"', text) + re.findall(r'data-(?:word|label)="([^"]+)"', text)
    assert len(said) > 30
    assert set(said) - (words.PICTURES | words.PAGE).keys() == set()
    assert [english for english in words.PAGE if f'"{english}"' not in text] == []
