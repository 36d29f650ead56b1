import base64

import pytest
from google.protobuf.wrappers_pb2 import BytesValue, Int64Value
from hypothesis import given
from hypothesis import strategies as st

from hooke_server.errors import InvalidArgumentError, Reason
from hooke_server.rpc.pagination import page


def number(value):
    return Int64Value(value=value)


def numbers(items, size, token, *question):
    messages, more = page(items, number, size, token, *question)
    return [message.value for message in messages], more


def walk(items, encode, size):
    token, pages = "", []
    while True:
        messages, token = page(items, encode, size, token, "list", "x")
        pages.append(messages)
        if not token:
            return pages
        assert messages


@given(st.integers(0, 200), st.integers(0, 70))
def test_pages_together_are_the_list(count, size):
    pages = walk(range(count), number, size)
    assert [message.value for messages in pages for message in messages] == list(range(count))
    assert all(len(messages) == (size or 50) for messages in pages[:-1])


def test_sizes():
    items = range(3000)
    assert len(numbers(items, 0, "", "q")[0]) == 50
    assert len(numbers(items, 5000, "", "q")[0]) == 1000
    with pytest.raises(InvalidArgumentError, match="page_size must be at least 0, not -1"):
        numbers(items, -1, "", "q")


def test_a_page_ends_before_it_is_larger_than_a_message():
    sizes = [1 << 20] * 5 + [5 << 20] + [1] * 3
    pages = walk(sizes, lambda size: BytesValue(value=bytes(size)), 100)
    assert [len(messages) for messages in pages] == [2, 2, 1, 1, 3]


def test_the_page_size_may_change_between_pages():
    _, token = numbers(range(10), 3, "", "q")
    assert numbers(range(10), 5, token, "q")[0] == [3, 4, 5, 6, 7]


def test_a_token_is_good_for_its_own_question_only():
    _, token = numbers(range(100), 10, "", "layers", "sha256:1", "conv*")
    shorter = base64.urlsafe_b64encode(base64.urlsafe_b64decode(token)[:-1]).decode()
    others = ["x", token[:-4], token + "AAAA", "*" + token, "ä", "\0", "A" * 10_000, shorter]
    for other in others:
        with pytest.raises(InvalidArgumentError) as caught:
            numbers(range(100), 10, other, "layers", "sha256:1", "conv*")
        assert caught.value.reason is Reason.INVALID_PAGE_TOKEN
    for question in (("layers", "sha256:2", "conv*"), ("layers", "sha256:1", "relu*")):
        with pytest.raises(InvalidArgumentError):
            numbers(range(100), 10, token, *question)
