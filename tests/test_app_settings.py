"""What the app's settings promise: nothing is sent out, forms are protected, errors stay on the machine."""

import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SETTINGS = tomllib.loads((ROOT / ".streamlit" / "config.toml").read_text())


@pytest.mark.parametrize(
    ("section", "name", "value"),
    [
        ("browser", "gatherUsageStats", False),
        ("server", "address", "localhost"),
        ("server", "enableXsrfProtection", True),
        ("server", "enableCORS", True),
        ("server", "maxUploadSize", 400),
        ("server", "enableStaticServing", False),
        ("client", "showErrorDetails", "none"),
        ("client", "showErrorLinks", False),
        ("client", "toolbarMode", "viewer"),
    ],
)
def test_a_setting_that_protects_people_stays_as_it_is(section, name, value):
    assert SETTINGS[section][name] == value


def test_no_secret_is_among_the_files():
    assert ".streamlit/secrets.toml" in (ROOT / ".gitignore").read_text().splitlines()
