"""The app on a server: what the image and its companion services promise, and the app run by an unprivileged user."""

import os
import re
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
import yaml

from pages.shared import frame
from pages.shared.language import ENGLISH, LANGUAGES
from tests.running_app import ROOT, free_port, wait_until_healthy
from tests.test_dependencies import pins
from tests.test_pages import PAGES, opened

DOCKERFILE = (ROOT / "Dockerfile").read_text()
COMPOSE = yaml.safe_load((ROOT / "compose.yaml").read_text())
NOBODY = "65534"


def instructions(name: str) -> list[str]:
    """Return the arguments of all instructions of a name in the Dockerfile, continued lines joined."""
    return re.findall(rf"^{name} +(.*)$", re.sub(r"\s*\\\n\s*", " ", DOCKERFILE), re.MULTILINE)


def test_the_image_runs_as_an_unprivileged_user_that_it_creates():
    assert instructions("USER") == ["hear"]
    assert any("useradd --system" in line and line.endswith(" hear") for line in instructions("RUN"))
    after = DOCKERFILE[DOCKERFILE.index("\nUSER hear") :]
    assert not re.search(r"^(USER root|RUN|COPY)", after.split("\n", 2)[2], re.MULTILINE)


def test_the_image_asks_the_app_for_its_health_and_keeps_data_in_a_volume():
    assert "/_stcore/health" in instructions("HEALTHCHECK")[0]
    assert instructions("VOLUME") == ["/data"]
    assert "SER_DATA=/data" in instructions("ENV")[0]


def test_the_image_installs_what_the_lock_and_requirements_name():
    (install,) = [line for line in instructions("RUN") if line.startswith("pip ")]
    required = pins("requirements.txt")
    assert "--no-deps --require-hashes -r requirements.lock" in install
    assert all(f" {package}=={required[package]} " in install for package in ("torch", "torchaudio"))


def test_everything_the_image_copies_exists_and_is_sent_but_secrets_are_not():
    sent = (ROOT / ".dockerignore").read_text().splitlines()
    copied = [source for line in instructions("COPY") for source in line.split()[:-1]]
    assert copied
    for source in copied:
        assert list(ROOT.glob(source)), source
        assert f"!{source}" in sent, source
    assert sent.index(".streamlit/secrets.toml") > sent.index("!.streamlit")


def test_the_image_has_every_document_that_a_page_shows_in_every_language():
    pages = [file.read_text(encoding="utf-8") for file in (ROOT / "pages").rglob("*.py")]
    shown = {name for page in pages for name in re.findall(r'"docs" / "([^"]+)"', page)}
    assert shown
    (copied,) = [line.split()[:-1] for line in instructions("COPY") if line.startswith("docs/")]
    ends = [".md", *(f".{code}.md" for code in LANGUAGES if code != ENGLISH)]
    wanted = {ROOT / "docs" / f"{Path(name).stem}{end}" for name in shown for end in ends}
    assert {file for pattern in copied for file in ROOT.glob(pattern)} == wanted


def test_a_server_has_no_training_page_and_no_link_to_it(tmp_path, monkeypatch):
    assert "rm pages/5_Train.py" in instructions("RUN")
    pages = [ROOT / "app.py", *(ROOT / "pages").rglob("*.py")]
    naming = [page.name for page in pages if "pages/5_Train" in page.read_text(encoding="utf-8")]
    assert naming == ["frame.py"]
    (tmp_path / "pages").mkdir()
    for page in (page for page in PAGES if page != "pages/5_Train.py"):
        (tmp_path / page).touch()
    monkeypatch.setattr(frame, "ROOT", tmp_path)
    app = opened("app.py")
    assert not app.exception
    links = [link.proto.label for link in app.sidebar.get("page_link")]
    assert "Select" in links
    assert "Train" not in links


def test_the_app_is_reachable_only_through_a_proxy_and_can_write_only_its_data():
    app = COMPOSE["services"]["app"]
    assert app["ports"] == ["127.0.0.1:8501:8501"]
    assert app["read_only"] is True
    assert app["cap_drop"] == ["ALL"]
    assert [volume.split(":")[1] for volume in app["volumes"]] == ["/data"]
    assert app["tmpfs"] == ["/tmp"]


def test_the_database_has_a_volume_no_open_port_and_a_password_from_outside():
    database = COMPOSE["services"]["database"]
    assert "ports" not in database
    assert database["volumes"] == ["database:/var/lib/postgresql/data"]
    assert database["environment"]["POSTGRES_PASSWORD"].startswith("${POSTGRES_PASSWORD:?")
    assert "${POSTGRES_PASSWORD:?" in COMPOSE["services"]["app"]["environment"]["SER_DATABASE_URL"]
    assert set(COMPOSE["volumes"]) == {"data", "database"}


def as_nobody(*command: str) -> list[str]:
    """Return a command to run as a user who can read everything but write only their own files."""
    rights = ("--inh-caps", "-all,+dac_read_search", "--ambient-caps", "-all,+dac_read_search")
    return ["setpriv", "--reuid", NOBODY, "--regid", NOBODY, "--clear-groups", *rights, "--no-new-privs", *command]


def start(script: Path, data: Path, log: Path, port: int) -> subprocess.Popen:
    streamlit = ("-m", "streamlit", "run", str(script), "--server.headless", "true", "--server.port", str(port))
    quiet = ("--server.address", "127.0.0.1", "--server.fileWatcherType", "none")
    environment = {"PATH": os.environ["PATH"], "SER_DATA": str(data), "HOME": str(data), "MPLCONFIGDIR": str(data)}
    environment |= {"PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(ROOT)}
    with log.open("wb") as output:
        command = as_nobody(sys.executable, *streamlit, *quiet)
        return subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=subprocess.STDOUT)


@pytest.mark.process
@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can become somebody with fewer rights")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv (util-linux) is not here")
def test_a_user_who_can_write_only_the_data_folder_can_run_the_app_and_save(tmp_path_factory, make_voice):
    folder = tmp_path_factory.mktemp("server")
    for part in (folder, folder.parent, folder.parent.parent):
        part.chmod(0o755)
    data = folder / "data"
    data.mkdir()
    os.chown(data, int(NOBODY), int(NOBODY))
    refused = subprocess.run(as_nobody("touch", str(ROOT / "written"), str(folder / "written")), capture_output=True)
    assert refused.returncode == 1
    assert not (ROOT / "written").exists()
    port = free_port()
    app = start(ROOT / "app.py", data, folder / "app.log", port)
    try:
        wait_until_healthy(port)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health", timeout=10) as answer:
            assert answer.read() == b"ok"
        status = Path(f"/proc/{app.pid}/status").read_text()
        assert re.search(rf"^Uid:\s+{NOBODY}\s+{NOBODY}", status, re.MULTILINE)
        saved = subprocess.run(
            as_nobody(sys.executable, "-c", SAVE, str(data)), cwd=ROOT, capture_output=True, text=True, timeout=300
        )
        assert saved.returncode == 0, saved.stderr[-2000:]
        assert list((data / "analyses").iterdir())
    finally:
        app.terminate()
        app.wait(20)


#: What the button Save does, and the annotations' database.
SAVE = """
import io, os, sys
from pathlib import Path
import numpy as np, soundfile
os.environ["MPLCONFIGDIR"] = sys.argv[1]
from ser_core.annotations.store.database import default_url
from ser_core.annotations.store.transactions import open_store
from ser_core.audio.reading import read_recording
from ser_core.model.shipped_models import load_model
from ser_core.pipeline import analyse_recording
from ser_core.output.saved_analyses import save_with_source
from ser_core.settings import AnalysisSettings
sound = io.BytesIO()
soundfile.write(sound, np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000, format="WAV")
settings = AnalysisSettings(explain=("grad_cam",))
analysis = analyse_recording(read_recording(sound.getvalue(), "noise.wav"), load_model("yamnet"), settings)
save_with_source(sound.getvalue(), analysis, settings, Path(sys.argv[1]))
open_store(default_url(Path(sys.argv[1]))).close()
"""
