"""Lists of prompts in the layouts and the states in which people have them."""

from __future__ import annotations

import codecs
import io
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loop_studio.errors import Invalid
from loop_studio.exchange.lines import LONGEST_LINE
from loop_studio.exchange.prompt_lists import prompts

PARTI = """\
Prompt\tCategory\tChallenge\tNote
bond\tAbstract\tBasic\tBiology-inspired concepts with multiple meanings
a photo of a frog reading the newspaper named "Toaday" written on it.\tAnimals\tPerspective\t
"Hello" on a sign\tArtifacts\tWriting & Symbols\tLongest word: "a lung disease."
a 5" nail, and a hammer\tArtifacts\tBasic\t
"a quote that is never closed\tArtifacts\tBasic\t
a red cube\tIllustrations\tBasic\tGLIDE
"""
DRAW_BENCH = """\
Prompts,Category
A red colored car.,Colors
"A stack of 3 plates, a blue one on top.",Counting
"A sign that says ""Hello"".",Text
"""
COMP_BENCH = "a green bench and a red car\nthe cat, on the mat\t1\tseen\n\na round bag\n"


def good(text: str | bytes, layout="either") -> list[str]:
    return [line.text for line in read(text, layout) if not line.fault]


def faults(text: str | bytes, layout="either") -> list[tuple[int, str]]:
    return [(line.number, line.fault) for line in read(text, layout) if line.fault]


def read(text: str | bytes, layout="either"):
    data = text.encode() if isinstance(text, str) else text
    return list(prompts(io.BytesIO(data), layout))


def test_text_has_a_prompt_per_line() -> None:
    assert good("a red fish\n\n  two   stars \r\na moon, at night") == [
        "a red fish", "two stars", "a moon, at night"
    ]  # fmt: skip


@pytest.mark.parametrize("layout", ["either", "table"])
def test_parti_prompts_keep_their_quotes(layout) -> None:
    assert good(PARTI, layout) == [
        "bond",
        'a photo of a frog reading the newspaper named "Toaday" written on it.',
        '"Hello" on a sign',
        'a 5" nail, and a hammer',
        '"a quote that is never closed',
        "a red cube",
    ]


def test_draw_bench_is_a_table_of_prompts_and_categories() -> None:
    assert good(DRAW_BENCH) == [
        "A red colored car.",
        "A stack of 3 plates, a blue one on top.",
        'A sign that says "Hello".',
    ]


def test_comp_bench_is_text_whose_further_columns_are_left_out() -> None:
    assert good(COMP_BENCH) == ["a green bench and a red car", "the cat, on the mat", "a round bag"]


@pytest.mark.parametrize("header", ["prompt", "Prompt", " TEXT ", "caption", "Prompts"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_the_column_of_prompts_is_found_by_its_name(header, delimiter) -> None:
    text = f"id{delimiter}{header}\n1{delimiter}a red fish\n"
    assert good(text, "table") == good(text) == ["a red fish"]


def test_a_lone_column_needs_no_quotes() -> None:
    assert good('prompt\na fish, red\n"a moon, blue"\n') == ["a fish, red", "a moon, blue"]


def test_a_cell_may_have_several_lines() -> None:
    text = 'prompt,note\n"a red\nfish",x\na moon,y\nonly\n"a, b"\n'
    assert good(text) == ["a red fish", "a moon", "only", "a, b"]
    assert faults("note,prompt\nx,a moon\nonly\n") == [
        (3, "This line has no cell in the column of prompts.")
    ]


def test_a_row_with_too_many_cells_is_told_and_the_others_are_kept() -> None:
    text = 'prompt,note\na moon\na fish, red, small\n"a\nb",1\nx,y,z\n'
    assert good(text) == ["a moon", "a b"]
    assert faults(text) == [
        (3, "This line has 3 cells and the first one 2; put quotes around text."),
        (6, "This line has 3 cells and the first one 2; put quotes around text."),
    ]


def test_a_table_without_a_column_of_prompts_is_refused_in_a_sentence() -> None:
    with pytest.raises(
        Invalid, match="no column of prompts; its first line names: id, colour"
    ) as e:
        read("id,colour\n1,red\n", "table")
    assert "Call the one that holds them prompt" in e.value.detail


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"]
)  # the last two write their mark
def test_the_encoding_is_known_by_its_mark(encoding) -> None:
    assert good("a naïve fish\nein Löwe\n魚\n".encode(encoding)) == [
        "a naïve fish",
        "ein Löwe",
        "魚",
    ]


def test_big_endian_too() -> None:
    assert good(codecs.BOM_UTF16_BE + "ein Löwe".encode("utf-16-be")) == ["ein Löwe"]


def test_lines_of_another_encoding_are_told_and_the_others_are_kept() -> None:
    data = "a red fish\nein Löwe\na moon\n".encode("latin-1")
    assert good(data) == ["a red fish", "a moon"]
    assert faults(data) == [
        (2, "This line is not UTF-8 text; save the file as UTF-8 and try again.")
    ]


def test_utf_16_without_a_mark_is_told() -> None:
    assert good("a red fish".encode("utf-16-le")) == []
    assert "NUL" in faults("a red fish".encode("utf-16-le"))[0][1]


def test_a_line_without_end_is_told_and_not_kept() -> None:
    text = "a red fish\n" + "x" * (3 * LONGEST_LINE) + "\na moon\n"
    assert good(text) == ["a red fish", "a moon"]
    assert faults(text) == [(2, f"This line is longer than {LONGEST_LINE:,} characters.")]


def test_an_unclosed_quote_does_not_swallow_the_rest() -> None:
    text = 'prompt,note\n"a fish,1\n' + "".join(f"moon {n},x\n" for n in range(60))
    assert good(text) == ['"a fish', *(f"moon {n}" for n in range(60))]


@pytest.mark.parametrize("text", ["", "\n\n", "\ufeff", "prompt\n", "prompt,note\n"])
def test_nothing_is_in_an_empty_list(text) -> None:
    assert read(text) == []


@given(st.binary(max_size=400), st.sampled_from(["either", "text", "table"]))
def test_whatever_the_bytes_good_lines_are_text_that_can_be_stored(data: bytes, layout) -> None:
    with suppress(Invalid):
        for text in good(data, layout):
            assert "\x00" not in text.encode().decode()
