"""Patterns: what they find, what is no pattern, and that none costs more than its bound allows."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenroom.persistence.patterns import SIZE_LIMIT, TEXT_LIMIT, Pattern

PIECES = st.lists(
    st.sampled_from(["a", "b", ".", "a*", "b+", "(ab|b)", "(a|ab)*", "[ab]", "[^a]", "a?", "b{2}", "a{1,3}", "\\w"]),
    min_size=1, max_size=8,
)  # fmt: skip


@pytest.mark.parametrize(
    ("pattern", "text", "is_found"),
    [
        ("nn", "ANNA", True),
        ("ANN", "anna", True),
        ("^a(nn|b)$", "ANN", True),
        ("^a(nn|b)$", "anna", False),
        ("^Hidden$", "Hidden", True),
        ("a.c", "xabcx", True),
        (r"a\.c", "abc", False),
        (r"^\d+$", "123", True),
        ("Ä", "xä", True),
        ("^[À-Þ]+$", "äö", True),
        (r"\D", "1", False),
        ("x" * SIZE_LIMIT, "x" * SIZE_LIMIT, True),
        ("y", "x" * TEXT_LIMIT + "y", False),
    ],
)
def test_what_is_found(pattern: str, text: str, is_found: bool) -> None:
    assert Pattern(pattern).is_in(text) is is_found


@given(PIECES, st.text("ab", max_size=12))
def test_finds_what_python_finds(pieces: list[str], text: str) -> None:
    pattern = "".join(pieces)
    assert Pattern(f"^{pattern}$").is_in(text) is bool(re.fullmatch(pattern, text))


@pytest.mark.parametrize("text", ["[", "(", "*", "+49", "a{2", "a\\", "(?=a)", "(?i)a", "(a)\\1", "a\0b", "\\q"])
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(ValueError, match=r"unclosed|unmatched|without operand|unknown|backslash"):
        Pattern(text)


@pytest.mark.parametrize("text", ["x" * (SIZE_LIMIT + 1), "(((a{99}){99}){99}){99}", "((a?){64}){64}", "(.?){200}"])
def test_pattern_that_would_cost_too_much(text: str) -> None:
    with pytest.raises(ValueError, match="too"):
        Pattern(text)


@pytest.mark.parametrize("text", ["(a*)*b", "(a|a)*b", "((((((.*)*)*)*)*)*)*x", "(.*)(.*)(.*)(.*)(.*)x", "(x?x?){30}y"])
def test_pattern_that_backtracking_never_ends_on(text: str) -> None:
    """With `re`, most of these take longer than the age of the universe. Here each is as good as instant."""
    assert not Pattern(text).is_in("a" * 100_000)
