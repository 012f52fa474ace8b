"""What `streamlit run app.py` serves: the page `Recording.py` and those in `pages/`, behind the guard."""

import streamlit as st
from starlette.middleware import Middleware

from pages.shared import server_guard

server_guard.install()
app = st.App("Recording.py", middleware=[Middleware(server_guard.Guard)], lifespan=server_guard.started)
