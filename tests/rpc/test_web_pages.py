"""The page's files, and who may ask for them: hostile paths, names and pages."""

import json
from contextlib import asynccontextmanager
from urllib.parse import quote

import pytest
from serving import serving
from wire import fetch

from hooke_server.ports import Web
from hooke_server.rpc.calls import Calls
from hooke_server.rpc.limits import Limits
from hooke_server.rpc.web.application import build_application
from hooke_server.rpc.web.connect import Connect
from hooke_server.rpc.web.pages import MEDIA_TYPES
from hooke_server.rpc.web.server import Listener, WebServer

INDEX = "<!doctype html><title>A page</title>"
SCRIPT = "console.log('ice')"


@asynccontextmanager
async def port_of(folder, **options):
    listener = Listener("127.0.0.1:0")
    connect = Connect([], Calls(Limits(calls=4)), Limits())
    app = build_application(connect, **({"host": "127.0.0.1"} | options), folder=folder)
    server = WebServer(app, listener, max_connections=68)
    await server.start()
    try:
        yield int(listener.address.rpartition(":")[2])
    finally:
        await server.stop(0)


@pytest.fixture
def folder(tmp_path):
    built = tmp_path / "web"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text(INDEX)
    (built / "icon.svg").write_text("<svg xmlns='http://www.w3.org/2000/svg'/>")
    (built / "assets" / "app-B1x2.js").write_text(SCRIPT)
    (tmp_path / "secret.txt").write_text("secret")
    (built / "link.txt").symlink_to(tmp_path / "secret.txt")
    return built


@pytest.fixture
async def port(folder):
    async with port_of(folder) as port:
        yield port


@pytest.mark.parametrize(
    "path",
    ["/", "/index.html", "/models/demo/layers/blocks.4.2.conv.js?unit=7", "/nowhere", "/%ff"],
)
async def test_the_page_is_every_path_that_is_no_file(port, path):
    answer = await fetch(port, "GET", path)
    assert (answer.status, answer.body.decode()) == (200, INDEX)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"


async def test_files_have_their_types_and_those_that_never_change_are_kept(port):
    answer = await fetch(port, "GET", "/assets/app-B1x2.js")
    assert (answer.status, answer.body.decode()) == (200, SCRIPT)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    answer = await fetch(port, "GET", "/icon.svg")
    assert answer.headers["content-type"] == "image/svg+xml"
    assert answer.headers["cache-control"] == "no-cache"
    missing = await fetch(port, "GET", "/assets/app-old.js")
    assert missing.status == 404
    assert INDEX.encode() not in missing.body


@pytest.mark.parametrize("suffix", MEDIA_TYPES)
async def test_every_kind_of_file_of_a_build_has_its_type(port, folder, suffix):
    (folder / "assets" / f"x{suffix}").write_text("")
    answer = await fetch(port, "GET", f"/assets/x{suffix}")
    assert answer.headers["content-type"].split(";")[0] == MEDIA_TYPES[suffix]


async def test_what_a_browser_has_is_not_sent_again(port):
    first = await fetch(port, "GET", "/")
    again = await fetch(port, "GET", "/", {"if-none-match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert again.headers["cache-control"] == "no-cache"
    head = await fetch(port, "GET", "/assets/app-B1x2.js", {"range": "bytes=0-6"})
    assert (head.status, head.body.decode()) == (206, SCRIPT[:7])


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/assets/../../secret.txt",
        "/..%2fsecret.txt",
        "/%2e%2e/secret.txt",
        "/assets/..%5c..%5csecret.txt",
        "//../secret.txt",
        "/link.txt",
        "/%00/../secret.txt",
        "//etc/passwd",
        "/%2fetc%2fpasswd",
        "/assets/%2fetc%2fpasswd",
        "/assets//etc/passwd",
        "/assets/" + "x" * 4000,
    ],
)
async def test_nothing_outside_the_folder_is_a_file(port, path):
    answer = await fetch(port, "GET", path)
    assert answer.status in {200, 404}
    assert b"secret" not in answer.body
    assert b"root:" not in answer.body
    assert answer.status == 404 or answer.body.decode() == INDEX


async def test_only_reading_is_possible(port):
    for method in ("POST", "PUT", "DELETE"):
        assert (await fetch(port, method, "/", (), b"x")).status == 405


async def test_a_page_that_was_not_built_says_what_to_do(tmp_path):
    async with port_of(tmp_path / "nothing") as port:
        for path in ("/", "/models/demo"):
            answer = await fetch(port, "GET", path)
            assert answer.status == 404
            assert answer.headers["content-type"] == "text/html; charset=utf-8"
            assert "<code>make page</code>" in answer.body.decode()


@pytest.mark.parametrize("path", ["/", "/assets/none.js", "/healthz", "/hooke.v1.X/Y", "/icon.svg"])
async def test_each_answer_forbids_a_browser_what_it_need_not_do(port, path):
    headers = (await fetch(port, "GET", path)).headers
    policy = dict(part.split(" ", 1) for part in headers["content-security-policy"].split("; "))
    assert policy["default-src"] == policy["frame-ancestors"] == "'none'"
    assert policy["script-src"] == policy["connect-src"] == "'self'"
    assert "unsafe" not in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["referrer-policy"] == "no-referrer"
    assert "server" not in headers


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "localhost.", "127.0.0.1:1", "[::1]:8080", "127.0.0.1"]
)
async def test_names_of_this_machine_are_ours(port, host):
    assert (await fetch(port, "GET", "/", host=host)).status == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:8080",
        "127.0.0.1.evil.example",
        "10.0.0.7",
        "[::2]",
        "",
        "user@localhost@evil.example",
        "evil.example#localhost",
        "[",
    ],
)
async def test_other_names_are_refused(port, host):
    for path in ("/", "/hooke.v1.ModelService/ListModels", "/assets/app-B1x2.js"):
        answer = await fetch(port, "GET", path, host=host)
        assert answer.status == 421
        assert "--web-host NAME" in answer.body.decode()
    assert (await fetch(port, "GET", "/healthz", host=host)).body == b"ok\n"


async def test_further_names_and_every_number_where_it_is_bound_to_all(folder):
    async with port_of(folder, host="0.0.0.0", hosts=["Lab.example"]) as port:  # noqa: S104
        for host, status in (("lab.example:80", 200), ("10.0.0.7", 200), ("other.example", 421)):
            assert (await fetch(port, "GET", "/", host=host)).status == status
    async with port_of(folder, host="lab") as port:
        assert (await fetch(port, "GET", "/", host="lab")).status == 200
        assert (await fetch(port, "GET", "/", host="10.0.0.7")).status == 421


ASKS = {"access-control-request-method": "POST", "access-control-request-headers": "content-type"}
PATH = "/hooke.v1.ModelService/ListModels"


async def test_pages_of_other_origins_may_not_call(port):
    asks = ASKS | {"origin": "http://localhost:5173"}
    answer = await fetch(port, "OPTIONS", PATH, asks)
    assert answer.status >= 400
    assert not any(name.startswith("access-control") for name in answer.headers)
    answer = await fetch(port, "GET", "/", {"origin": "http://localhost:5173"})
    assert not any(name.startswith("access-control") for name in answer.headers)


async def test_a_page_that_was_named_may_call(folder):
    async with port_of(folder, origins=["http://localhost:5173"]) as port:
        answer = await fetch(port, "OPTIONS", PATH, ASKS | {"origin": "http://localhost:5173"})
        assert answer.status == 200
        assert answer.headers["access-control-allow-origin"] == "http://localhost:5173"
        assert "access-control-allow-credentials" not in answer.headers
        answer = await fetch(port, "GET", "/", {"origin": "http://localhost:5173"})
        assert "grpc-status" in answer.headers["access-control-expose-headers"]
        answer = await fetch(port, "OPTIONS", PATH, ASKS | {"origin": "http://evil.example"})
        assert answer.status == 400
        assert "access-control-allow-origin" not in answer.headers


SITE = "sec-fetch-site"
EVIL = {"origin": "http://evil.example"}


@pytest.mark.parametrize(
    ("told", "status"),
    [
        ({SITE: "cross-site", "sec-fetch-mode": "no-cors"}, 403),
        ({SITE: "cross-site", "sec-fetch-mode": "navigate"}, 403),
        ({SITE: "same-site"}, 403),
        ({SITE: "cross-site"} | EVIL, 403),
        ({SITE: "cross-site", "origin": "null"}, 403),
        ({SITE: "cross-site", "origin": "http://localhost:5173"}, 200),
        ({SITE: "same-site", "origin": "http://localhost:5173"}, 200),
        ({SITE: "same-origin"}, 200),
        ({SITE: "none", "sec-fetch-mode": "navigate"}, 200),
        ({}, 200),
    ],
)
async def test_pages_of_others_make_no_model_be_loaded(net, told, status):
    loads = []

    def load(source):
        loads.append(source)
        return net

    web = Web(address="127.0.0.1:0", origins=["http://localhost:5173"])
    async with serving({}, load=load, web=web) as edge:
        edge.catalog.add("net", "live")
        query = quote(json.dumps({"parent": "models/net"}))
        path = f"/hooke.v1.ModelService/ListLayers?connect=v1&encoding=json&message={query}"
        answer = await fetch(edge.web, "GET", path, told)
    assert answer.status == status
    assert len(loads) == (status == 200)
    if status == 403:
        assert answer.json["code"] == "permission_denied"
        assert "--web-origin" in answer.json["message"]
