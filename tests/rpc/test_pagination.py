import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.rpc.pagination import page


@given(st.integers(0, 200), st.integers(0, 70))
def test_pages_together_are_the_list(count, size):
    items, token, seen = list(range(count)), "", []
    while True:
        part, token = page(items, size, token, "list", "x")
        assert len(part) <= (size or 50)
        seen += part
        if not token:
            break
        assert part
    assert seen == items


def test_sizes():
    items = list(range(3000))
    assert len(page(items, 0, "", "q")[0]) == 50
    assert len(page(items, 5000, "", "q")[0]) == 1000
    with pytest.raises(InvalidArgumentError, match="page_size must be at least 0, not -1"):
        page(items, -1, "", "q")


def test_the_page_size_may_change_between_pages():
    _, token = page(range(10), 3, "", "q")
    assert list(page(range(10), 5, token, "q")[0]) == [3, 4, 5, 6, 7]


def test_a_token_is_good_for_its_own_question_only():
    _, token = page(range(100), 10, "", "layers", "sha256:1", "conv*")
    padded = base64.urlsafe_b64decode(token)
    others = ["x", token[:-4], token + "AAAA", "*" + token, "ä", "\0", "A" * 10_000]
    others.append(base64.urlsafe_b64encode(padded[:-1]).decode())
    for other in others:
        with pytest.raises(InvalidArgumentError) as caught:
            page(range(100), 10, other, "layers", "sha256:1", "conv*")
        assert caught.value.reason is Reason.INVALID_PAGE_TOKEN
    for question in (("layers", "sha256:2", "conv*"), ("layers", "sha256:1", "relu*")):
        with pytest.raises(InvalidArgumentError):
            page(range(100), 10, token, *question)
