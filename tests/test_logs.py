"""The log as JSON."""

import json
import logging

from hooke_server.logs import JsonFormatter


def line(**record):
    return json.loads(JsonFormatter().format(logging.makeLogRecord(record)))


def test_a_record_and_what_it_adds_are_one_object():
    told = line(
        name="hooke.access",
        levelno=20,
        levelname="INFO",
        msg="%s %s",
        args=("/a/B", "OK"),
        created=0.25,
        method="/a/B",
        seconds=0.5,
        peer=object,
    )
    assert told == {
        "time": "1970-01-01T00:00:00.250+00:00",
        "level": "info",
        "logger": "hooke.access",
        "message": "/a/B OK",
        "method": "/a/B",
        "seconds": 0.5,
        "peer": "<class 'object'>",
    }


def test_an_exception_stays_in_its_line():
    error = ValueError("broken\nin two")
    told = logging.makeLogRecord({"msg": "x", "exc_info": (ValueError, error, None)})
    text = JsonFormatter().format(told)
    assert "\n" not in text
    assert "ValueError: broken" in json.loads(text)["exception"]
