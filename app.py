"""The app: the server that `streamlit run app.py` starts, with its guard, and the first page."""

if __name__ == "__main__":  # as Streamlit runs a page
    import streamlit as st

    # The first visit after a start waits for torch and much else; without a sign of life the page would be blank.
    with st.spinner("👂"):
        from pages.shared.recording import recording_page

    recording_page.show()
else:  # imported by the server, before the first visit and without what the page needs
    import streamlit as st
    from starlette.middleware import Middleware

    from pages.shared.server import server_guard, visit_stores

    visit_stores.install()
    app = st.App(__file__, middleware=[Middleware(server_guard.Guard)], lifespan=server_guard.lifespan)
