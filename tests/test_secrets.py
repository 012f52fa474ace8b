"""No file of the project contains a key, token or password."""

import re
import subprocess
from pathlib import Path

import pytest
from detect_secrets.core.scan import get_plugins, scan_file
from detect_secrets.plugins.keyword import DENYLIST, KeywordDetector
from detect_secrets.settings import default_settings, get_settings

ROOT = Path(__file__).parent.parent

#: Matches of these in lists of file hashes are just hashes.
NOT_ASKED = ("HexHighEntropyString", "Base64HighEntropyString")
KEYWORDS = re.compile("|".join(DENYLIST), re.IGNORECASE)
PLACEHOLDERS = {"PASSWORD", "hidden"}

#: Pictures, weights and tables of recordings contain no hand-written lines.
TEXTS = (".py", ".toml", ".md", ".js", ".html", ".jinja", ".css", ".txt", ".yaml", ".yml", ".json", ".sh")
PLAIN = ("Makefile", "Dockerfile", "LICENSE", ".ci/run")


def secrets_in(path: Path, scratch: Path) -> list[str]:
    """Return kind and line of each secret in a file.

    Only lines that may have one are scanned, which is slow, from a copy in the folder `scratch`.
    """
    text = path.read_text("utf-8")
    with default_settings():
        get_settings().disable_plugins(*NOT_ASKED)
        plugins = [plugin for plugin in get_plugins() if not isinstance(plugin, KeywordDetector)]
        matches = {match for plugin in plugins for match in plugin.analyze_string(text)}
        if not matches and not KEYWORDS.search(text):
            return []
        lines = text.splitlines()
        suspicious = [line for line in lines if KEYWORDS.search(line) or any(match in line for match in matches)]
        copy = scratch / path.name
        copy.write_text("\n".join(suspicious), "utf-8")
        found = [secret for secret in scan_file(str(copy)) if secret.secret_value not in PLACEHOLDERS]
    return [f"{secret.type}, line {lines.index(suspicious[secret.line_number - 1]) + 1}" for secret in found]


@pytest.mark.slow
def test_no_file_of_the_project_contains_a_secret(tmp_path):
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    if listing.returncode:
        pytest.skip("this is no checkout of git, so it is not known which files belong to the project")
    files = [ROOT / name for name in listing.stdout.split("\0") if name.endswith((*TEXTS, *PLAIN))]
    assert len(files) > 100
    found = {path.relative_to(ROOT): secrets_in(path, tmp_path) for path in files if path.is_file()}
    assert not {path: secrets for path, secrets in found.items() if secrets}


@pytest.mark.parametrize(
    "line",
    [
        "key = 'AKIA" + "IOSFODNN7EXAMPLE'",
        "-----BEGIN RSA PRIVATE" + " KEY-----",
        "url = 'postgresql://anna:" + "s3cr3t@server/db'",
        "client_secret = '" + "kQ8-rX2wPz'",
    ],
)
def test_a_secret_is_detected_in_its_line(tmp_path, line):
    file = tmp_path / "settings.py"
    file.write_text(f"# the client\ntimeout_s = 3\n{line}\n")
    (tmp_path / "scratch").mkdir()
    found = secrets_in(file, tmp_path / "scratch")
    assert found
    assert all(one.endswith(", line 3") for one in found)


def test_a_placeholder_is_not_taken_for_a_secret(tmp_path):
    file = tmp_path / "settings.md"
    file.write_text("postgresql://USER:PASSWORD@HOST/NAME\n")
    (tmp_path / "scratch").mkdir()
    assert not secrets_in(file, tmp_path / "scratch")
