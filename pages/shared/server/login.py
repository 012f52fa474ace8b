"""Login by OpenID Connect with a list of who may come in; off as long as no file of secrets asks for it."""

from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

from pages.shared.names import in_markdown


def require() -> None:
    """End the page for everybody who has not logged in or is not on the list; do nothing where no login is set up."""
    secrets = _secrets()
    if "auth" not in secrets:
        return
    if not st.user.get("is_logged_in"):
        st.button("Log in", on_click=st.login, type="primary", icon=":material/login:", key="login")
        st.stop()
    who = person()
    if not is_allowed(st.user.to_dict(), secrets.get("access", {}).get("allowed", [])):
        st.error(
            f"{in_markdown(who)} is not on the list of those who may use this app. Ask whoever runs it to add you, or "
            "log out and come back as somebody else.",
            icon=":material/block:",
        )
        _logout()
        st.stop()
    with st.sidebar:
        _logout(in_markdown(who))


def person() -> str | None:
    """Return by which name the provider knows whoever is logged in; None where no login is set up."""
    if "auth" not in _secrets():
        return None
    # An address that nobody verified may be anybody's, whose projects would then be theirs.
    verified = st.user.get("email_verified") is True
    return str((verified and st.user.get("email")) or st.user.get("sub"))


def is_allowed(person: dict[str, Any], allowed: list[str]) -> bool:
    """Whether the list names a person, by the provider's own name for them or by an address it has verified.

    Parameters
    ----------
    person : dict
        Claims of the identity token: `sub`, and where known `email` and `email_verified`.
    allowed : list of str
        An address in any case, or a `sub` as it is. Of an empty list nobody is.
    """
    if person.get("sub") and person["sub"] in allowed:
        return True
    address = str(person.get("email") or "").casefold()
    # Some providers let anybody claim any address; then only `email_verified` tells.
    verified = person.get("email_verified") is True
    return verified and bool(address) and address in {str(one).casefold() for one in allowed}


def _logout(who: str = "") -> None:
    st.button("Log out", on_click=st.logout, icon=":material/logout:", key="logout", help=who or None, type="tertiary")


def _secrets() -> dict[str, Any]:
    """Return the secrets; where a file of them is there but cannot be read, nobody is let in."""
    try:
        return st.secrets.to_dict()
    except StreamlitSecretNotFoundError:
        if any(Path(file).exists() for file in st.get_option("secrets.files")):
            st.error(
                "The file of secrets cannot be read, so nobody is let in. Whoever runs this app has to correct it."
            )
            st.stop()
        return {}
