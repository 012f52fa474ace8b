"""What the server refuses, serves and forgets, tested from outside like an attack, with HTTP and WebSockets."""

import asyncio
import base64
import http.client
import os
import re
import socket
import subprocess
import sys
import time
import uuid
from contextlib import contextmanager
from types import SimpleNamespace
from urllib.parse import urlsplit

import pytest
import soundfile
from playwright.sync_api import expect, sync_playwright
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.runtime.media_file_storage import MediaFileKind, MediaFileStorageError
from streamlit.runtime.memory_media_file_storage import MemoryMediaFileStorage
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
from streamlit.web.server.app_discovery import discover_asgi_app
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from pages.shared.server import server_guard, visit_stores
from ser_core.errors import SerError
from tests.conftest import voice_like
from tests.running_app import APPS, ROOT, free_port, launch, needs_browser, running_app

pytestmark = pytest.mark.process

MIB = 2**20
PATIENCE_S = 120
#: How long a visit may stay away in these tests: not two minutes, as on a server.
AWAY_S = 2


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    folder = tmp_path_factory.mktemp("guarded")
    with running_app(folder / "data", folder / "log", "app.py", "--server.disconnectedSessionTTL", str(AWAY_S)) as at:
        yield at


def answer(address, path, method="GET", body=None, **headers):
    """Return status, headers and content of an answer; `Host` may be any name, which browsers do not allow."""
    connection = http.client.HTTPConnection(urlsplit(address).netloc, timeout=PATIENCE_S)
    try:
        connection.request(method, path, body, {name.replace("_", "-"): value for name, value in headers.items()})
        response = connection.getresponse()
        return response.status, {name.lower(): value for name, value in response.getheaders()}, response.read()
    finally:
        connection.close()


def xsrf(address) -> dict[str, str]:
    """Return the token that every visitor is given, as cookie and as header."""
    cookie = answer(address, "/_stcore/health")[1]["set-cookie"].split(";")[0]
    return {"Cookie": cookie, "X_Xsrftoken": cookie.partition("=")[2]}


@contextmanager
def socket_of(address, again="", **options):
    """Connect like a browser, to a new session or to one whose connection broke."""
    asks = ["streamlit", "token", again] if again else ["streamlit"]
    with connect(address.replace("http", "ws") + "/_stcore/stream", subprotocols=asks, **options) as stream:
        yield stream


def opened(stream, page="") -> str:
    """Open a page as a browser does, wait until it has run, and return the name of the session."""
    message = BackMsg()
    message.rerun_script.page_name = page
    stream.send(message.SerializeToString())
    session_id = ""
    while True:
        forward = ForwardMsg.FromString(stream.recv(timeout=PATIENCE_S))
        session_id = session_id or forward.new_session.initialize.session_id
        if session_id and forward.WhichOneof("type") == "script_finished":
            return session_id


@contextmanager
def visit(address, page=""):
    with socket_of(address, origin=address) as stream:
        yield opened(stream, page)


def upload(address, session_id, content=b"RIFF", **headers):
    """Upload a file for a session, and return the status."""
    limit = uuid.uuid4().hex
    body = f'--{limit}\r\nContent-Disposition: form-data; name="f"; filename="f.wav"\r\n\r\n'.encode() + content
    body += f"\r\n--{limit}--\r\n".encode()
    kind = f"multipart/form-data; boundary={limit}"
    path = f"/_stcore/upload_file/{session_id}/{uuid.uuid4()}"
    return answer(address, path, "PUT", body, **{"Content_Type": kind, **xsrf(address), **headers})[0]


@contextmanager
def beginning_upload(address, session_id, size):
    """Start an upload of this size without sending any of it; yield the connection.

    The server says 100, continue, once it has made room.
    """
    token = xsrf(address)
    head = f"PUT /_stcore/upload_file/{session_id}/{uuid.uuid4()} HTTP/1.1\r\nHost: {urlsplit(address).netloc}\r\n"
    head += f"Cookie: {token['Cookie']}\r\nX-Xsrftoken: {token['X_Xsrftoken']}\r\nContent-Length: {size}\r\n"
    head += "Content-Type: multipart/form-data; boundary=limit\r\nExpect: 100-continue\r\n\r\n"
    with socket.create_connection((urlsplit(address).hostname, urlsplit(address).port), timeout=PATIENCE_S) as raw:
        raw.sendall(head.encode())
        yield raw


def status_of(raw) -> int:
    return int(raw.recv(64).split()[1])


def until(condition):
    """Wait until a condition holds."""
    end = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)


# Uploads


def test_nobody_uploads_without_a_page_that_takes_files(app):
    assert upload(app, uuid.uuid4()) == 403
    with socket_of(app, origin=app) as stream:  # connected, and has opened no page
        message = BackMsg()
        message.rerun_script.page_name = "Explain"
        stream.send(message.SerializeToString())
        session_id = ForwardMsg.FromString(stream.recv(timeout=PATIENCE_S)).new_session.initialize.session_id
        assert upload(app, session_id) == 403
    with visit(app, "Explain") as session_id:
        assert upload(app, session_id) == 403
    with visit(app) as session_id:
        assert upload(app, session_id) == 204
    assert upload(app, session_id) == 403  # the visit has ended


def test_uploads_of_a_visit_and_in_total_are_limited_before_a_byte_arrives(app):
    size = 350 * MIB
    with visit(app) as one, visit(app) as two, visit(app) as three:
        with beginning_upload(app, one, 600 * MIB) as raw:
            assert status_of(raw) == 413
        with beginning_upload(app, one, size) as first, beginning_upload(app, two, size) as second:
            assert status_of(first) == status_of(second) == 100
            with beginning_upload(app, one, size) as raw:
                assert status_of(raw) == 413
            with beginning_upload(app, three, size) as raw:
                assert status_of(raw) == 503
            assert upload(app, three) == 204
        until(lambda: upload(app, one) == 204)

        def there_is_room():
            with beginning_upload(app, one, size) as raw:
                return status_of(raw) == 100

        until(there_is_room)


def test_an_upload_must_declare_its_length(app):
    def pieces():
        yield b"--x"

    with visit(app) as session_id:
        path = f"/_stcore/upload_file/{session_id}/1"
        assert answer(app, path, "PUT", pieces(), **xsrf(app), Transfer_Encoding="chunked")[0] == 411


def test_the_memory_of_an_ended_visit_is_freed_even_without_a_next_one(app):
    server = APPS[app]
    with visit(app):
        pass
    before = server.memory_info().rss
    with visit(app) as session_id:
        for _ in range(3):
            assert upload(app, session_id, b"\1" * (60 * MIB)) == 204
        assert server.memory_info().rss > before + 150 * MIB
    until(lambda: server.memory_info().rss < before + 50 * MIB)


def test_a_visit_resumed_in_time_continues_and_a_late_one_starts_again(app):
    with visit(app) as session_id:
        pass
    with socket_of(app, again=session_id, origin=app) as stream:
        assert opened(stream) == session_id
        time.sleep(AWAY_S + 0.5)  # the countdown of the broken connection has no effect now
        assert upload(app, session_id) == 204

    def begins_again(disconnected_s):
        time.sleep(disconnected_s)
        with socket_of(app, again=session_id, origin=app) as stream:
            return opened(stream) != session_id

    assert any(begins_again(AWAY_S + 2**n / 2) for n in range(6)), "a busy server is late to see that a visit went"


def test_opening_another_page_frees_the_files_of_the_previous_one(app):
    server = APPS[app]
    with socket_of(app, origin=app) as stream:
        session_id = opened(stream)
        before = server.memory_info().rss
        assert upload(app, session_id, b"\1" * (90 * MIB)) == 204
        assert server.memory_info().rss > before + 80 * MIB
        assert opened(stream, "Explain") == session_id
        until(lambda: server.memory_info().rss < before + 30 * MIB)


# Names, origins, headers


PATHS = ("/", "/Explain", "/_stcore/health", "/_stcore/host-config", "/media/x.wav", "/favicon.png")


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8501", "localhost.evil.example", "0.0.0.0", "a@localhost"]
)
def test_another_host_name_is_refused_everywhere(app, path, host):
    assert answer(app, path, Host=host)[0] == 421


def test_a_request_without_a_host_name_or_with_two_is_refused(app):
    for hosts in ("", "Host: localhost\r\nHost: evil.example\r\n"):
        with socket.create_connection((urlsplit(app).hostname, urlsplit(app).port), timeout=PATIENCE_S) as raw:
            raw.sendall(f"GET / HTTP/1.{'1' if hosts else '0'}\r\n{hosts}\r\n".encode())
            assert status_of(raw) in (400, 421)


def test_own_host_names_are_accepted(app):
    port = urlsplit(app).port
    for host in (f"localhost:{port}", "LOCALHOST", "127.0.0.1", f"[::1]:{port}"):
        assert answer(app, "/", Host=host)[0] == 200


FOREIGN = ("http://evil.example", "https://evil.example", "http://localhost:3000", "http://127.0.0.1:1", "null", "x")


@pytest.mark.parametrize("origin", FOREIGN)
def test_pages_of_other_sites_and_ports_reach_neither_http_nor_the_socket(app, origin):
    assert answer(app, "/_stcore/health", Origin=origin)[0] == 403
    assert answer(app, "/_stcore/upload_file/1/2", "OPTIONS", Origin=origin)[0] == 403
    with visit(app) as session_id:
        assert upload(app, session_id, Origin=origin) == 403
        assert upload(app, session_id, Origin=app) == 204
    with pytest.raises(InvalidStatus, match="403"), socket_of(app, origin=origin):
        pass


def test_the_socket_refuses_another_host_name(app):
    asks = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec_WebSocket_Version": "13"}
    asks["Sec_WebSocket_Key"] = base64.b64encode(os.urandom(16)).decode()
    for host, status in ((urlsplit(app).netloc, 101), ("evil.example", 403)):
        assert answer(app, "/_stcore/stream", Host=host, Origin=f"http://{host}", **asks)[0] == status


def test_headers_against_framing_sniffing_and_referrers_come_with_every_answer(app):
    script = answer(app, "/")[2].decode().split('src="./')[1].split('"')[0]
    answers = [
        answer(app, path) for path in (*PATHS, f"/{script}", "/_stcore/metrics", "/static/none", "//evil.example")
    ]
    answers += [answer(app, "/", "POST"), answer(app, "/", Host="evil.example"), answer(app, "/", Origin="null")]
    assert {status for status, *_ in answers} >= {200, 403, 404, 405, 421}
    for _, headers, _ in answers:
        assert server_guard.HEADERS.items() <= {name.title(): value for name, value in headers.items()}.items()


def test_server_metrics_and_programs_have_no_url(app):
    for path in ("metrics", "metrics/", "agent/openapi.json", "agent/mcp"):
        assert answer(app, f"/_stcore/{path}")[0] == 404


#: Records every name that the process looks up and every address it connects to.
RECORDER = """
import os, socket
def recorded(call):
    def recording(*args, **kwargs):
        with open(os.environ["LOOKUPS"], "a") as file:
            print(args, file=file)
        return call(*args, **kwargs)
    return recording
for name in ("getaddrinfo", "gethostbyname", "gethostbyname_ex"):
    setattr(socket, name, recorded(getattr(socket, name)))
class Recording(socket.socket):
    connect = recorded(socket.socket.connect)
    connect_ex = recorded(socket.socket.connect_ex)
socket.socket = Recording
"""


def test_the_server_makes_no_dns_lookup_or_outside_request(tmp_path, monkeypatch):
    (tmp_path / "sitecustomize.py").write_text(RECORDER)
    lookups = tmp_path / "lookups"
    lookups.touch()
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("LOOKUPS", str(lookups))
    asks = "import socket; socket.gethostbyname('localhost')"
    subprocess.run([sys.executable, "-c", asks], check=True, env=os.environ)
    assert lookups.read_text() == "('localhost',)\n"
    lookups.write_text("")
    monkeypatch.setenv("STREAMLIT_BROWSER_SERVER_ADDRESS", "hear.example.org")
    with running_app(tmp_path / "data", tmp_path / "log", forked=False) as address:
        for origin in FOREIGN:
            assert answer(address, "/_stcore/health", Origin=origin)[0] == 403
            with pytest.raises(InvalidStatus), socket_of(address, origin=origin):
                pass
        assert answer(address, "/", Host="evil.example")[0] == 421
        assert answer(address, "/", Host="hear.example.org", Origin="https://hear.example.org")[0] == 200
        with visit(address) as session_id:
            assert upload(address, session_id) == 204
    assert "example" not in lookups.read_text()
    assert "checkip" not in lookups.read_text()
    assert all("127.0.0.1" in line or "localhost" in line for line in lookups.read_text().splitlines())


# Sounds


def sound_of(page):
    return page.locator(".player audio")


@pytest.mark.browser
def test_a_sound_has_a_url_per_visit_which_ends_with_the_visit(app, tmp_path):
    needs_browser(model=False)
    soundfile.write(tmp_path / "speech.wav", voice_like(2.0, 16_000, seed=1), 16_000)
    with sync_playwright() as playwright:
        browser = launch(playwright)
        pages, sounds = [browser.new_context().new_page() for _ in range(2)], []
        for page in pages:
            page.set_default_timeout(1000 * PATIENCE_S)
            page.goto(f"{app}/?model=yamnet")
            page.get_by_role("tab", name="Upload").click()
            page.locator("input[type=file]").set_input_files(tmp_path / "speech.wav")
            expect(sound_of(page)).to_have_attribute("src", re.compile("media"))
            sounds.append(sound_of(page).evaluate("audio => audio.src"))
        mine, other = (urlsplit(url).path for url in sounds)
        assert mine != other
        for path in (mine, other):
            status, headers, content = answer(app, path, Range="bytes=44-99")
            assert (status, len(content)) == (206, 56)
            assert headers["content-range"].startswith("bytes 44-99/")
        moved = "async a => { a.currentTime = 1; await new Promise(done => (a.onseeked = done)); return a.currentTime }"
        assert sound_of(pages[0]).evaluate(moved) == 1
        pages[0].context.close()
        until(lambda: answer(app, mine)[0] == 404)
        assert answer(app, other)[0] == 200
        browser.close()
    until(lambda: answer(app, other)[0] == 404)


@pytest.fixture
def media(monkeypatch):
    """A store of sounds in a server whose sessions the test connects and breaks."""
    connected, away = {"ann", "ben"}, {}
    sessions = SimpleNamespace(
        is_active_session=connected.__contains__,
        _session_storage=SimpleNamespace(disconnected_s=lambda name: away.get(name, float("inf"))),
    )
    monkeypatch.setattr(visit_stores.runtime, "get_instance", lambda: SimpleNamespace(_session_mgr=sessions))

    def add(session_id, content):
        monkeypatch.setattr(visit_stores, "get_script_run_ctx", lambda: SimpleNamespace(session_id=session_id))
        return store.load_and_get_id(content, "audio/wav", MediaFileKind.MEDIA)

    store = visit_stores.VisitMedia("/media")
    return store, add, connected, away


def test_a_url_stays_across_reruns_and_differs_between_visits_contents_and_servers(media):
    store, add, _, _ = media
    mine = add("ann", b"sound")
    assert add("ann", b"sound") == mine
    others = {add("ben", b"sound"), add("ann", b"noise"), add("ann", b"sound" * 2**20)}
    assert mine not in others
    assert len(others) == 3
    assert store.get_url(mine) == f"/media/{mine}.wav"
    assert visit_stores.VisitMedia("/media")._secret != store._secret


def test_a_sound_is_served_only_as_long_as_a_broken_connection_may_resume(media):
    store, add, connected, away = media
    mine = add("ann", b"sound")
    connected.remove("ann")
    away["ann"] = visit_stores.LEFT_AFTER_S - 1
    assert store.get_file(f"{mine}.wav").content == b"sound"
    away["ann"] = visit_stores.LEFT_AFTER_S + 1
    with pytest.raises(MediaFileStorageError):
        store.get_file(f"{mine}.wav")
    connected.add("ann")
    assert store.get_file(f"{mine}.wav").content == b"sound"
    store.forget("ann")
    with pytest.raises(MediaFileStorageError):
        store.get_file(f"{mine}.wav")


def test_a_file_missing_from_an_interrupted_run_stays_if_the_next_run_uses_it(media, monkeypatch):
    store, add, *_ = media
    due = []
    monkeypatch.setattr(visit_stores, "_later", lambda seconds, do: due.append(do))
    kept, gone = add("ann", b"kept"), add("ann", b"gone")
    store.delete_file(kept)
    store.delete_file(gone)
    assert store.get_file(f"{gone}.wav").content == b"gone"
    assert add("ann", b"kept") == kept
    for delete_if_unused in due:
        delete_if_unused()
    assert store.get_file(f"{kept}.wav").content == b"kept"
    with pytest.raises(MediaFileStorageError):
        store.get_file(f"{gone}.wav")
    store.delete_file(kept)
    due[0]()  # the time of an earlier run does not count
    assert store.get_file(f"{kept}.wav").content == b"kept"
    due[-1]()
    with pytest.raises(MediaFileStorageError):
        store.get_file(f"{kept}.wav")


def test_a_file_made_for_a_download_is_served_for_a_minute_under_a_random_url(media, monkeypatch):
    store, *_ = media
    monkeypatch.setattr(visit_stores, "get_script_run_ctx", lambda: None)
    monkeypatch.setattr(visit_stores, "DOWNLOAD_S", 0.01)

    async def made():
        objects = SimpleNamespace(eventloop=asyncio.get_running_loop())
        monkeypatch.setattr(
            visit_stores.runtime, "get_instance", lambda: SimpleNamespace(_get_async_objs=lambda: objects)
        )
        first, second = (store.load_and_get_id(b"zip", "application/zip", MediaFileKind.DOWNLOADABLE) for _ in "ab")
        assert first != second
        assert store.get_file(first).content == b"zip"
        await asyncio.sleep(0.1)
        return first

    with pytest.raises(MediaFileStorageError):
        store.get_file(asyncio.run(made()))


@pytest.mark.parametrize("pause_s", [10.0, 0.02], ids=["silent", "trickling"])
def test_an_upload_that_stalls_or_trickles_is_aborted_and_frees_its_room(pause_s, monkeypatch):
    uploads = visit_stores.VisitUploads("/u")
    monkeypatch.setattr(visit_stores.runtime, "get_instance", lambda: SimpleNamespace(uploaded_file_mgr=uploads))
    monkeypatch.setattr(server_guard, "shows_uploader", lambda session_id: True)
    monkeypatch.setattr(server_guard, "UPLOAD_STALLS_AFTER_S", 0.1)
    monkeypatch.setattr(server_guard, "MIN_UPLOAD_BYTES_PER_S", 1e9)

    async def receive():
        await asyncio.sleep(pause_s)
        return {"type": "http.request", "body": b"x", "more_body": True}

    async def app(scope, receive, send):
        while True:
            await receive()

    scope = {"type": "http", "headers": [(b"content-length", str(visit_stores.MAX_VISIT_BYTES).encode())]}
    for _ in range(2):  # there is room for another one again
        with pytest.raises(visit_stores.Refused, match="Try again") as refusal:
            asyncio.run(server_guard.Guard(app)._receive_upload("a visit", scope, receive, None))
        assert refusal.value.status == 408


# Start


def test_streamlits_command_starts_the_guarded_app():
    assert discover_asgi_app(ROOT / "app.py").import_string == "app:app"


def test_a_streamlit_version_that_creates_its_stores_differently_is_refused():
    own = SimpleNamespace(
        uploaded_file_mgr=visit_stores.VisitUploads("/u"),
        media_file_mgr=SimpleNamespace(_storage=visit_stores.VisitMedia("/m")),
        _session_mgr=SimpleNamespace(_session_storage=visit_stores.VisitSessions(1)),
    )
    visit_stores.require_stores(own)
    for part, foreign in (
        ("uploaded_file_mgr", MemoryUploadedFileManager("/u")),
        ("media_file_mgr", SimpleNamespace(_storage=MemoryMediaFileStorage("/m"))),
        ("_session_mgr", SimpleNamespace(_session_storage={})),
    ):
        with pytest.raises(SerError, match="guard"):
            visit_stores.require_stores(SimpleNamespace(**{**vars(own), part: foreign}))


def test_the_server_does_not_start_without_the_guard(tmp_path):
    text = (ROOT / "app.py").read_text().replace("    visit_stores.install()\n", "")
    (tmp_path / "app.py").write_text(text)
    command = [sys.executable, "-m", "streamlit", "run", "app.py", "--server.headless", "true"]
    command += ["--server.port", str(free_port()), "--server.address", "127.0.0.1"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    run = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=PATIENCE_S)
    assert run.returncode != 0
    assert "MemoryUploadedFileManager" in run.stderr
