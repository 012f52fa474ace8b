"""Dependencies: pinned by hash, under a licence that permits redistribution."""

import re
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest
from packaging.markers import Marker

ROOT = Path(__file__).parent.parent
LOCKS = ("requirements.lock", "requirements-dev.lock")
FROM_TWO_SOURCES = {"torch", "torchaudio"}

#: LGPL and MPL may be used from MIT code as long as their files can be replaced, as pip's can.
LICENCES = re.compile(
    r"0BSD|Apache.*|BSD.*|3-Clause BSD License|BSL-1\.0|CC0-1\.0|ISC.*|(The )?MIT.*|Zlib|LGPL-\S+|MPL-2\.0"
    r"|Mozilla Public License 2\.0.*|PSF-2\.0|Python Software Foundation License"
)
#: Packages whose metadata say nothing; their licence was read in their sources.
SAID_ELSEWHERE = {"pympi-ling": "MIT", "python-stretch": "MIT"}


def pins(name: str) -> dict[str, str]:
    """Return package to version of the lines of a requirements file."""
    lines = re.findall(r"^([A-Za-z0-9._-]+)(?:\[\w+\])?==([^\s;#]+)", (ROOT / name).read_text(), re.MULTILINE)
    return {re.sub("[._]", "-", package.lower()): version for package, version in lines}


def locked(name: str) -> list[str]:
    """Return the entries of a lock file, each with its hashes, on one line."""
    return [entry for entry in (ROOT / name).read_text().replace("\\\n", " ").splitlines() if entry.strip()]


def licences_of(package: str) -> list[str]:
    """Return the licences that a package's metadata name."""
    about = metadata(package)
    expression = about.get("License-Expression")
    classifiers = [c.split(" :: ")[-1] for c in about.get_all("Classifier", []) if c.startswith("License :: ")]
    plain = [part for part in [(about.get("License") or "").split("\n")[0]] if part]
    named = [expression] if expression else classifiers or plain
    return [licence for several in named for licence in re.split(" AND | OR ", several)] or [
        SAID_ELSEWHERE.get(package, "none")
    ]


@pytest.mark.parametrize("name", LOCKS)
def test_every_entry_of_a_lock_has_a_version_and_its_hashes(name):
    for entry in locked(name):
        assert re.fullmatch(r"[a-z0-9-]+==\S+( ; [^#]*?)?( +--hash=sha256:[0-9a-f]{64})+", entry), entry[:80]


@pytest.mark.parametrize(("plain", "lock"), [("requirements.txt", LOCKS[0]), ("requirements-dev.txt", LOCKS[1])])
def test_a_lock_contains_what_is_required_and_make_lock_reproduces_it(plain, lock):
    required = {package: version for package, version in pins(plain).items() if package not in FROM_TWO_SOURCES}
    missing = {package: version for package, version in required.items() if pins(lock).get(package) != version}
    assert not missing, f"{lock} does not hold {missing}; run `make lock`"


def test_the_apps_packages_have_the_same_versions_for_tests():
    both = {package: pins(LOCKS[1]).get(package) for package in pins(LOCKS[0])}
    assert both == pins(LOCKS[0])


def test_torch_and_torchaudio_are_in_no_lock_and_pinned_alike_in_the_makefile():
    required = pins("requirements.txt")
    assert not FROM_TWO_SOURCES & (set(pins(LOCKS[0])) | set(pins(LOCKS[1])))
    line = " ".join(f"{package}=={required[package]}" for package in ("torch", "torchaudio"))
    assert f"TORCH := {line}\n" in (ROOT / "Makefile").read_text()


@pytest.mark.parametrize("entry", locked(LOCKS[0]), ids=lambda entry: entry.split("==")[0])
def test_a_package_of_the_app_has_a_licence_that_may_be_passed_on(entry):
    package, marker = entry.split("==")[0], re.search(r" ; (.*?) +--hash", entry)
    if marker and not Marker(marker.group(1)).evaluate():
        pytest.skip("not for this machine")
    try:
        found = licences_of(package)
    except PackageNotFoundError:
        pytest.fail(f"{package} is locked but not installed; run `make test`")
    assert all(LICENCES.fullmatch(licence) for licence in found), f"{package}: {', '.join(found)}"


@pytest.mark.parametrize(
    "licence", ["GPL-3.0-or-later", "GNU General Public License v3 (GPLv3)", "AGPL-3.0-only", "none"]
)
def test_a_copyleft_licence_that_binds_the_whole_is_not_allowed(licence):
    assert not LICENCES.fullmatch(licence)
