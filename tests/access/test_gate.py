"""The gate: what stands before every path of the app, and how somebody comes in."""

from __future__ import annotations

import re
from pathlib import Path

import anyio
import pytest
from anyio.from_thread import start_blocking_portal
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.testclient import TestClient
from starlette.types import Message, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from cnnviz.access.classroom import Classroom
from cnnviz.access.gate import COOKIE, Gate

URL = "http://192.168.1.20:8501"
HTML = {"accept": "text/html"}
STREAM = "ws://192.168.1.20:8501/_stcore/stream"


async def behind(request: Request) -> PlainTextResponse:
    await request.body()
    return PlainTextResponse("behind")


async def socket(websocket: WebSocket) -> None:
    await websocket.accept()
    await websocket.send_text("behind")
    await websocket.close()


@pytest.fixture
def classroom(tmp_path: Path) -> Classroom:
    made = Classroom(tmp_path / "class.json")
    made.open()
    return made


def client_of(classroom: Classroom, base: str = "", **options: object) -> TestClient:
    gate = Middleware(Gate, classroom=classroom, base_path=lambda: base, **options)  # type: ignore[arg-type]
    routes = [
        WebSocketRoute(f"{base}/_stcore/stream", socket),
        Route("/{path:path}", behind, methods=["GET", "POST", "PUT", "DELETE"]),
    ]
    return TestClient(Starlette(routes=routes, middleware=[gate]), base_url=URL, follow_redirects=False)


@pytest.fixture
def client(classroom: Classroom) -> TestClient:
    return client_of(classroom)


def come_in(client: TestClient, classroom: Classroom, name: str = "Ada", path: str = "/join") -> None:
    answer = client.post(path, data={"code": classroom.state.code, "name": name}, headers={"origin": URL})
    assert answer.status_code == 303, answer.text


PATHS = ["/", "/train", "/media/abc.png", "/static/js/main.js", "/_stcore/upload_file/s/f", "/plotly-3.js",
         "/_stcore/host-config", "/component/x/y", "/../class.json", "//train", "/auth/login"]  # fmt: skip


@pytest.mark.parametrize("path", PATHS)
def test_nothing_is_served_without_a_cookie(client: TestClient, path: str) -> None:
    assert client.get(path).status_code == 401
    shown = client.get(path, headers=HTML)
    assert shown.status_code == 303
    assert shown.headers["location"].startswith("/join?next=")
    assert client.put(path).status_code == 401


def test_the_health_of_the_app_may_be_asked_for(client: TestClient) -> None:
    assert client.get("/_stcore/health").text == "behind"


def test_the_socket_opens_for_members_of_our_own_pages(client: TestClient, classroom: Classroom) -> None:
    with pytest.raises(WebSocketDisconnect), client.websocket_connect(STREAM):
        pass
    come_in(client, classroom)
    with client.websocket_connect(STREAM, headers={"origin": URL}) as opened:
        assert opened.receive_text() == "behind"
    # Streamlit itself allows localhost and this machine's addresses as origins, whatever their port.
    for origin in ("http://evil.example", "http://localhost:9999", "http://192.168.1.20:9999", "null"):
        with (
            pytest.raises(WebSocketDisconnect),
            client.websocket_connect(STREAM, headers={"origin": origin}),
        ):
            pass


@pytest.mark.parametrize(
    ("host", "origin", "accepted"),
    [
        ("cnn.school.example:8501", "http://cnn.school.example:8501", True),
        ("cnn.school.example:8501", "http://cnn.school.example:9999", False),  # another app of this machine
        ("cnn.school.example:8501", "http://cnn.school.example", False),
        ("127.0.0.1:8501", "https://cnn.school.example", True),  # a proxy with a name of its own for us
        ("cnn.school.example", "https://cnn.school.example:8443", True),  # a proxy that leaves out the port
        ("127.0.0.1:8501", "https://evil.example", False),
    ],
)
def test_another_port_of_our_name_is_another_site_unless_a_proxy_hides_ours(
    classroom: Classroom, host: str, origin: str, accepted: bool
) -> None:
    client = client_of(classroom, hosts=["cnn.school.example"])
    data = {"code": classroom.state.code, "name": "Ada"}
    answer = client.post("/join", data=data, headers={"host": host, "origin": origin})
    assert answer.status_code == (303 if accepted else 403)


def test_an_address_in_numbers_is_no_name_of_a_proxy(classroom: Classroom) -> None:
    client = client_of(classroom, hosts=["192.168.1.5"])
    data = {"code": classroom.state.code, "name": "Ada"}
    for port, status in ((9999, 403), (8501, 303)):
        headers = {"host": "192.168.1.5:8501", "origin": f"http://192.168.1.5:{port}"}
        assert client.post("/join", data=data, headers=headers).status_code == status
        headers["host"] = "localhost"
        assert client.post("/join", data=data, headers=headers).status_code == 403


def test_a_form_is_shown_on_get_and_nothing_changes(client: TestClient, classroom: Classroom) -> None:
    before = classroom.path.read_bytes()
    answer = client.get(f"/join?code={classroom.state.code}&name=Ada")
    assert answer.status_code == 200
    assert "set-cookie" not in answer.headers
    assert 'name="code"' in answer.text
    assert "can read what you send" in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert classroom.path.read_bytes() == before


def test_the_cookie_is_signed_http_only_and_of_this_site(client: TestClient, classroom: Classroom) -> None:
    answer = client.post("/join", data={"code": classroom.state.code, "name": "Ada"}, headers={"origin": URL})
    assert answer.status_code == 303
    assert answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie
    assert "secure" not in cookie
    assert client.get("/train").text == "behind"
    value = client.cookies[COOKIE]
    client.cookies.clear()
    client.cookies.set(COOKIE, value[:-2] + ("AA" if value[-2:] != "AA" else "BB"))
    assert client.get("/train").status_code == 401


def test_a_cookie_of_a_secure_page_is_secure(classroom: Classroom) -> None:
    client = client_of(classroom)
    client.base_url = "https://192.168.1.20:8501"
    answer = client.post(
        "/join",
        data={"code": classroom.state.code, "name": "Ada"},
        headers={"origin": "https://192.168.1.20:8501"},
    )
    assert "secure" in answer.headers["set-cookie"].lower()


def test_another_site_can_neither_join_nor_hand_in(client: TestClient, classroom: Classroom) -> None:
    data = {"code": classroom.state.code, "name": "Ada"}
    origins = ({"origin": origin} for origin in ("http://evil.example", "null", "", "http://[::1", "//"))
    for headers in (*origins, {"sec-fetch-site": "cross-site"}):
        assert client.post("/join", data=data, headers=headers).status_code == 403
    come_in(client, classroom)
    for method in ("POST", "PUT", "DELETE"):
        answer = client.request(method, "/_stcore/upload_file/s/f", headers={"origin": "http://evil.example"})
        assert answer.status_code == 403


def test_forms_are_served_with_a_trailing_slash(client: TestClient, classroom: Classroom) -> None:
    assert client.get("/join/").status_code == 200
    come_in(client, classroom, path="/join/")
    assert client.get("/train").text == "behind"


def test_a_wrong_code_is_said_and_what_was_typed_stays(client: TestClient) -> None:
    data = {"code": "wrong", "name": '<script>"Ada"'}
    answer = client.post("/join", data=data, headers={"origin": URL})
    assert answer.status_code == 403
    assert "This is not the join code" in answer.text
    assert "&lt;script&gt;&quot;Ada&quot;" in answer.text
    assert '<script>"Ada"' not in answer.text


def test_only_names_of_this_machine_are_answered_to(classroom: Classroom) -> None:
    client = client_of(classroom, hosts=["cnn.school.example"])
    for host in (
        "evil.example",
        "evil.example:8501",
        "localhost@evil.example",
        "192.168.1.20.evil.example",
        "",
    ):
        assert client.get("/_stcore/health", headers={"host": host}).status_code == 421, host
    for host in ("localhost:8501", "127.0.0.1", "[::1]:8501", "cnn.school.example", "CNN.school.example:443"):
        assert client.get("/_stcore/health", headers={"host": host}).status_code == 200, host
    with (
        pytest.raises(WebSocketDisconnect),
        client.websocket_connect(STREAM, headers={"host": "evil.example"}),
    ):
        pass


@pytest.mark.parametrize(
    ("wanted", "place"),
    [
        ("/train?model=lenet5", "/train?model=lenet5"),
        ("//evil.example", "/"),
        ("/\\evil.example", "/"),
        ("https://evil.example", "/"),
        ("/a\r\nset-cookie: x", "/"),
        ("", "/"),
    ],
)
def test_who_joined_goes_on_to_where_they_wanted(
    client: TestClient, classroom: Classroom, wanted: str, place: str
) -> None:
    data = {"code": classroom.state.code, "name": "Ada"}
    answer = client.post("/join", params={"next": wanted}, data=data, headers={"origin": URL})
    assert answer.headers["location"] == place
    again = client.get("/join", params={"next": wanted})  # who is in already is led on
    assert again.status_code == 303
    assert again.headers["location"] == place


def test_all_of_it_works_under_a_base_path(classroom: Classroom) -> None:
    client = client_of(classroom, base="/user/ada/proxy/8641")
    shown = client.get("/user/ada/proxy/8641/train?run=1", headers=HTML)
    place = shown.headers["location"]
    assert place.startswith("/user/ada/proxy/8641/join?next=")
    answer = client.post(place, data={"code": classroom.state.code, "name": "Ada"}, headers={"origin": URL})
    assert answer.headers["location"] == "/user/ada/proxy/8641/train?run=1"
    assert "path=/user/ada/proxy/8641/" in answer.headers["set-cookie"].lower()
    assert client.get("/user/ada/proxy/8641/train").text == "behind"
    assert client.get("/join").status_code == 401  # not ours: no cookie goes there


def test_the_teacher_comes_in_by_a_form_too(tmp_path: Path) -> None:
    classroom = Classroom(tmp_path / "class.json")
    key = classroom.open()
    client = client_of(classroom)
    assert "set-cookie" not in client.get(f"/teach?teacher={key}").headers
    wrong = client.post("/teach", data={"teacher": "x"}, headers={"origin": URL})
    assert wrong.status_code == 403
    assert "cookie" not in wrong.headers
    answer = client.post("/teach", data={"teacher": key}, headers={"origin": URL})
    assert (answer.status_code, answer.headers["location"]) == (303, "/class")
    teacher = classroom.principal(client.cookies[COOKIE])
    assert teacher is not None
    assert teacher.manages


def test_who_leaves_has_no_cookie(client: TestClient, classroom: Classroom) -> None:
    come_in(client, classroom)
    assert client.get("/leave").status_code == 200
    assert client.get("/train").text == "behind"
    assert client.post("/leave", headers={"origin": URL}).status_code == 303
    assert client.get("/train").status_code == 401


def test_a_closed_class_ends_what_cookies_open(client: TestClient, classroom: Classroom) -> None:
    come_in(client, classroom)
    classroom.close()
    assert client.get("/train").status_code == 401
    closed = client.get("/join?next=/train")
    assert "The class is closed" in closed.text
    assert "Join code" not in closed.text
    origin, again = {"origin": URL}, {"again": "1"}
    assert "The class is closed" in client.post("/join?next=/train", data=again, headers=origin).text
    late = client.post("/join", data={"code": classroom.state.code, "name": "Eve"}, headers={"origin": URL})
    assert (late.status_code, "The class is closed." in late.text) == (403, True)
    wrong = classroom.state.wrong
    classroom.reopen()
    opened = client.post("/join?next=/train", data=again, headers=origin)
    assert (opened.status_code, opened.headers["location"]) == (303, "/train")
    client.cookies.clear()
    assert "Join code" in client.post("/join", data=again, headers=origin).text, (
        "a stranger is asked for the code"
    )
    assert classroom.state.wrong == wrong, "and has tried none"


def test_forms_are_bounded(client: TestClient, classroom: Classroom) -> None:
    long = client.post(
        "/join", data={"code": classroom.state.code, "name": "x" * 5_000}, headers={"origin": URL}
    )
    assert long.status_code == 403
    assert "not the join code" in long.text
    as_json = client.post(
        "/join", json={"code": classroom.state.code, "name": "Ada"}, headers={"origin": URL}
    )
    assert as_json.status_code == 403


def test_headers_that_claim_an_identity_open_nothing(client: TestClient) -> None:
    names = ("x-forwarded-user", "remote-user", "x-streamlit-user", "x-forwarded-email")
    claims = dict.fromkeys(names, "teacher") | {"x-forwarded-for": "127.0.0.1", "x-real-ip": "::1"}
    assert client.get("/train", headers=claims).status_code == 401


def test_tries_are_counted_by_the_address_that_connects(client: TestClient) -> None:
    answers = [
        client.post(
            "/join",
            data={"code": "1", "name": "Eve"},
            headers={"origin": URL, "x-forwarded-for": f"10.0.0.{number}"},
        )
        for number in range(11)
    ]
    assert "wait a minute" in answers[-1].text


def test_uploads_are_counted_and_cut_off(classroom: Classroom) -> None:
    counted: list[int] = []
    client = client_of(
        classroom, allowance=lambda _: 1_000, count_upload=lambda _, size: counted.append(size)
    )
    come_in(client, classroom)
    assert client.put("/_stcore/upload_file/s/f", content=b"x" * 900).status_code == 200
    assert counted == [900]
    refused = client.put("/_stcore/upload_file/s/f", content=b"x" * 1_001)
    assert refused.status_code == 413
    assert re.search("may still hand in today", refused.text)
    assert counted == [900]


def test_uploads_at_the_same_time_count_together(classroom: Classroom) -> None:
    """Three files of 600 bytes arrive in turns, of a student who may hand in 1,000."""
    counted: list[int] = []
    begun: list[bool] = []
    ended: list[bool] = []
    cookie = classroom.join(classroom.state.code, "Ada")
    answers: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        size, more = 0, True
        while more:
            message = await receive()
            if message["type"] == "http.disconnect":
                return
            size, more = size + len(message["body"]), message["more_body"]
        answers.append(size)

    gate = Gate(app, classroom, allowance=lambda _: 1_000, count_upload=lambda _, size: counted.append(size))
    headers = [(b"host", b"localhost"), (b"cookie", f"{COOKIE}={cookie}".encode())]
    scope = {"type": "http", "method": "PUT", "path": "/_stcore/upload_file/s/f", "headers": headers}

    async def hand_in(place: int = 0, count: int = 1) -> None:
        parts = iter([(b"x" * 300, True), (b"x" * 300, False)])

        async def receive() -> Message:
            body, more = next(parts)
            if more:
                begun.append(True)
            while not more and (len(begun) < count or len(ended) < place):  # first halves, then in turn
                await anyio.sleep(0)
            return {"type": "http.request", "body": body, "more_body": more}

        async def send(message: Message) -> None: ...

        await gate({**scope, "query_string": b""}, receive, send)
        ended.append(True)

    async def at_once() -> None:
        async with anyio.create_task_group() as group:
            for place in range(3):
                group.start_soon(hand_in, place, 3)

    with start_blocking_portal() as portal:  # A thread of its own: browser tests leave a loop in this one.
        portal.call(at_once)
    assert sum(answers) <= 1_000
    answers.clear()
    with start_blocking_portal() as portal:
        portal.call(hand_in)
    assert answers == [600], "what has arrived is no longer arriving"
