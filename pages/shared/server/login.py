"""Login by OpenID Connect with a list of allowed people; off unless the secrets file configures it."""

from pathlib import Path
from typing import Any

import streamlit as st
from streamlit.errors import StreamlitSecretNotFoundError

from pages.shared.language import t
from pages.shared.language.names import in_markdown


def require() -> None:
    """Stop the page for anybody who is not logged in or not on the list; do nothing if no login is configured."""
    secrets = _secrets()
    if "auth" not in secrets:
        return
    if not st.user.get("is_logged_in"):
        st.button(t("Log in"), on_click=st.login, type="primary", icon=":material/login:", key="login")
        st.stop()
    who = person()
    if not is_allowed(st.user.to_dict(), secrets.get("access", {}).get("allowed", [])):
        st.error(
            t(
                "{who} is not on the list of people who may use this app. Ask its operator to add you, or log in "
                "with another account.",
                who=in_markdown(who),
            ),
            icon=":material/block:",
        )
        _logout()
        st.stop()
    with st.sidebar:
        _logout(in_markdown(who))


def person() -> str | None:
    """Return the provider's name for the logged-in person; None if no login is configured."""
    if "auth" not in _secrets():
        return None
    # Anybody could claim an unverified address, and with it the projects of its owner.
    verified = st.user.get("email_verified") is True
    return str((verified and st.user.get("email")) or st.user.get("sub"))


def is_allowed(person: dict[str, Any], allowed: list[str]) -> bool:
    """Return whether the list names a person, by the provider's identifier or by a verified address.

    Parameters
    ----------
    person : dict
        Claims of the identity token: `sub`, and possibly `email` and `email_verified`.
    allowed : list of str
        Addresses, in upper or lower case, or exact `sub` values. An empty list allows nobody.
    """
    if person.get("sub") and person["sub"] in allowed:
        return True
    address = str(person.get("email") or "").casefold()
    # Some providers let anybody claim any address; only one with `email_verified` can be trusted.
    verified = person.get("email_verified") is True
    return verified and bool(address) and address in {str(one).casefold() for one in allowed}


def _logout(who: str = "") -> None:
    st.button(
        t("Log out"), on_click=st.logout, icon=":material/logout:", key="logout", help=who or None, type="tertiary"
    )


def _secrets() -> dict[str, Any]:
    """Return the secrets; if a secrets file exists but cannot be read, stop the page for everybody."""
    try:
        return st.secrets.to_dict()
    except StreamlitSecretNotFoundError:
        if any(Path(file).exists() for file in st.get_option("secrets.files")):
            st.error(
                t("The secrets file cannot be read, so nobody can log in. The operator of this app has to fix it.")
            )
            st.stop()
        return {}
