"""What is told of an unknown name."""

from hooke_server.registry import nearest

CATS = ["crate", "oxcart", "castle", "Egyptian cat", "tiger cat", "catamaran", "kit fox"]


def test_names_that_hold_it_as_a_word_come_first():
    assert nearest("cat", CATS) == ["tiger cat", "Egyptian cat", "catamaran"]
    assert nearest("CAT", CATS, 2) == ["tiger cat", "Egyptian cat"]


def test_names_of_like_letters_follow():
    assert nearest("layer4.1.conv", ["layer4.1.conv2", "layer4.0.conv2"])[0] == "layer4.1.conv2"
    assert nearest("tiger cta", CATS)[0] == "tiger cat"
    assert nearest("castel", CATS)[0] == "castle"


def test_two_letters_are_held_by_too_much():
    assert nearest("ki", CATS) == []
    assert nearest("kit", CATS) == ["kit fox"]
