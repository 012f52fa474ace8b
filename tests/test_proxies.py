"""The proxy settings of docs/operations.md, taken from there: the app behind them, in a real browser."""

import hashlib
import os
import re
import shutil
import subprocess
import textwrap
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
import soundfile
from distributed import Client
from playwright.sync_api import Error, expect, sync_playwright

from tests.conftest import voice_like
from tests.databases import fresh_schema
from tests.running_app import ROOT, SOON, at_rest, free_port, launch, needs_browser, running_app, visit
from tests.test_batch import cluster

NGINX = """\
user root;
daemon off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
{beside}
  server {{
    listen 127.0.0.1:{port} ssl;
    server_name localhost;
    ssl_certificate {folder}/certificate.pem;
    ssl_certificate_key {folder}/key.pem;
{settings}
  }}
}}
"""
CADDY = """\
{{
    auto_https disable_redirects
    admin off
    skip_install_trust
}}
{settings}
"""
WANTED = {
    "strict-transport-security": "max-age=31536000",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
}


def printed(begins: str) -> str:
    """Return the indented block of docs/operations.md with this beginning."""
    text = (ROOT / "docs" / "operations.md").read_text("utf-8")
    block = re.match(r"(?:    .*\n|\n)+", text[text.index(f"    {begins}") :]).group()
    return textwrap.dedent(block)


def nginx_command(folder, port, app_port):
    return nginx(folder, port, printed("client_max_body_size").replace("127.0.0.1:8501", f"127.0.0.1:{app_port}"))


def nginx_of_two(folder, port, first, second):
    header, target = printed("add_header Set-Cookie").strip().splitlines()
    alone = printed("client_max_body_size")
    assert "proxy_pass http://127.0.0.1:8501;" in alone
    settings = f"{header}\n" + alone.replace("proxy_pass http://127.0.0.1:8501;", target)
    beside = printed("upstream apps").replace(":8501", f":{first}").replace(":8502", f":{second}")
    return nginx(folder, port, settings, beside)


def nginx(folder, port, settings, beside=""):
    made = ("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost")
    files = ("-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem"))
    subprocess.run([*made, *files], check=True, capture_output=True)
    (folder / "nginx.conf").write_text(NGINX.format(folder=folder, port=port, settings=settings, beside=beside))
    return ["nginx", "-e", str(folder / "error.log"), "-c", str(folder / "nginx.conf")]


def caddy_command(folder, port, app_port):
    settings = printed("hear.example.org {").replace("127.0.0.1:8501", f"127.0.0.1:{app_port}")
    settings = settings.replace("hear.example.org {", f"https://localhost:{port} {{\n    tls internal", 1)
    (folder / "Caddyfile").write_text(CADDY.format(settings=settings))
    return ["caddy", "run", "--config", str(folder / "Caddyfile")]


def needs_proxy(name):
    if shutil.which(name) is None or shutil.which("openssl") is None:
        missing = f"no {name}, or no openssl, on this machine"
        (pytest.fail if "proxies" in os.environ.get("SER_REQUIRE", "").split(",") else pytest.skip)(missing)


@pytest.fixture(scope="module")
def app_port(tmp_path_factory):
    """The port of the app behind the proxies, whose public name is localhost."""
    needs_browser(model=False)
    folder, port = tmp_path_factory.mktemp("behind"), free_port()
    with pytest.MonkeyPatch.context() as told:
        told.setenv("STREAMLIT_BROWSER_SERVER_ADDRESS", "localhost")
        with running_app(folder / "data", folder / "log", port=port):
            yield port


@pytest.mark.browser
@pytest.mark.parametrize(("name", "command"), [("nginx", nginx_command), ("caddy", caddy_command)])
def test_behind_a_proxy_the_app_is_secure_keeps_its_socket_and_accepts_files(
    name, command, app_port, tmp_path, monkeypatch
):
    needs_proxy(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    soundfile.write(tmp_path / "voice.wav", voice_like(3.0, 16_000, seed=1), 16_000)
    port, log = free_port(), tmp_path / "proxy.log"
    with sync_playwright() as playwright:
        with log.open("wb") as output:
            proxy = subprocess.Popen(command(tmp_path, port, app_port), stdout=output, stderr=output)
        browser = launch(playwright)
        try:
            page = person(browser)
            sockets = []
            page.on("websocket", lambda socket: sockets.append(socket.url))
            address = f"https://localhost:{port}"
            headers = answer_of(page, address, proxy, log)
            visit(page, address)
            assert page.evaluate("isSecureContext && !!navigator.mediaDevices")
            page.get_by_role("tab", name="Upload").click()
            page.locator("input[type=file]").set_input_files(tmp_path / "voice.wav")
            page.get_by_role("heading", name="voice.wav").wait_for()
        finally:
            browser.close()
            proxy.terminate()
            proxy.wait(20)
    assert set(sockets) == {f"wss://localhost:{port}/_stcore/stream"}
    assert WANTED.items() <= headers.items()


@pytest.mark.browser
def test_two_processes_behind_nginx_share_projects_and_a_cluster_and_take_over_each_others_visitors(
    tmp_path, monkeypatch
):
    needs_proxy("nginx")
    needs_browser()
    monkeypatch.setenv("STREAMLIT_BROWSER_SERVER_ADDRESS", "localhost")
    voice, log, port = tmp_path / "voice.wav", tmp_path / "proxy.log", free_port()
    soundfile.write(voice, voice_like(3.0, 16_000, seed=1), 16_000)
    address = f"https://localhost:{port}"
    link = f"/?{SOON}&project=Shared&recording={hashlib.sha256(voice.read_bytes()).hexdigest()}"
    with (
        fresh_schema() as url,
        cluster(tmp_path, workers=1) as (scheduler, *_),
        sync_playwright() as playwright,
        ExitStack() as running,
    ):
        monkeypatch.setenv("SER_DATABASE_URL", url)
        monkeypatch.setenv("SER_SCHEDULER", scheduler)
        ports, apps = [free_port(), free_port()], []
        for number in (0, 1):
            apps.append(running.enter_context(ExitStack()))
            apps[-1].enter_context(running_app(tmp_path / "data", tmp_path / f"log {number}", port=ports[number]))
        with log.open("wb") as output:
            proxy = subprocess.Popen(nginx_of_two(tmp_path, port, *ports), stdout=output, stderr=output)
        running.callback(lambda: (proxy.terminate(), proxy.wait(20)))
        browser = launch(playwright)
        running.callback(browser.close)
        ann, ben = person(browser), person(browser)

        answer_of(ann, f"{address}/_stcore/health", proxy, log)
        visit(ann, f"{address}/?model=yamnet")
        ann.locator(".st-key-pages a").filter(has_text="Annotate").click()
        ann.get_by_role("textbox", name="Annotator", exact=True).fill("Ann")
        ann.get_by_role("textbox", name="Annotator", exact=True).press("Enter")
        at_rest(ann)
        ann.get_by_role("textbox", name="New project name").fill("Shared")
        ann.get_by_role("button", name="Create project").click()
        ann.get_by_text("This project is empty").wait_for()
        at_rest(ann)
        ann.locator("input[type=file]").first.set_input_files(voice)
        ann.get_by_role("button", name="Add 1 recording").click()
        ann.get_by_text("recordings done by").first.wait_for()

        visit(ben, f"{address}{link}")
        ben.locator(".verdict .word").wait_for()
        assert {process_of(ann), process_of(ben)} == {"1", "2"}
        sound = ben.locator(".player audio")
        expect(sound).to_have_attribute("src", re.compile("media"))
        assert ben.request.get(sound.evaluate("sound => sound.src")).status == 200

        visit(ann, f"{address}{link}")
        for page in (ann, ben):
            page.locator(".st-key-pages a").filter(has_text="Explain").click()
            page.locator(".js-plotly-plot .annotation-text", has_text="Occlusion").first.wait_for()
        with ThreadPoolExecutor() as beside:  # Playwright's loop runs in this thread
            assert beside.submit(apps_that_heard_of_progress, scheduler).result() == 2

        apps[int(process_of(ben)) - 1].close()
        visit(ben, f"{address}{link}")
        ben.locator(".verdict .word").wait_for()
        assert process_of(ben) == process_of(ann)


def apps_that_heard_of_progress(scheduler):
    """Return how many processes received progress from the cluster's workers."""
    with Client(scheduler, set_as_default=False) as client:
        return sum(str(topic).startswith("hear-why-") for topic in client.get_events())


def person(browser):
    page = browser.new_context(ignore_https_errors=True).new_page()
    page.set_default_timeout(120_000)
    return page


def process_of(page):
    """Return the number of the process that answers this browser."""
    (number,) = [cookie["value"] for cookie in page.context.cookies() if cookie["name"] == "app"]
    return number


def answer_of(page, address, proxy, log):
    """Return the headers of the first response, once the proxy listens."""
    for _ in range(300):
        assert proxy.poll() is None, log.read_text()
        try:
            return page.request.get(address).headers
        except Error:
            page.wait_for_timeout(100)
    raise TimeoutError(log.read_text())
