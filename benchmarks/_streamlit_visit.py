"""A visit without a browser: a client that speaks the protocol of Streamlit's front end and stores the elements shown.

It follows the front end of the Streamlit version in requirements.txt: it loads the page and its scripts, sends the
cookie against forged requests, exchanges Protocol Buffers over a WebSocket, uploads over HTTP, names the large messages
that it has cached, sends the values of all widgets with every message, and runs fragments on their timers.
"""

import asyncio
import re
import uuid
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from typing import Any, Self

import httpx
from streamlit import file_util
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.Element_pb2 import Element
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg
from streamlit.proto.WidgetStates_pb2 import WidgetState
from websockets.asyncio.client import ClientConnection, connect

from benchmarks._widget_values import DEFAULTS

MEDIA = re.compile(r"/media/[0-9a-f]+\.(?:wav|bin)")
SCRIPTS = re.compile(r'(?:src|href)="\./(static/[^"]+)"')
#: First index in the path of an element outside the sidebar.
MAIN = 0
WHOLE_RUN = ForwardMsg.FINISHED_SUCCESSFULLY


class Visit:
    """One visit.

    Attributes
    ----------
    elements : dict
        The elements on the page, by their path.
    running : bool
        Whether the page's script is running.
    refusals : list of str
        Errors that the page has shown.
    """

    def __init__(self, address: str) -> None:
        self.address = address
        self.elements: dict[tuple[int, ...], Element] = {}
        self.running = False
        self.refusals: list[str] = []
        self.bytes_received = 0
        self._http = httpx.AsyncClient(base_url=address, headers={"Origin": address}, timeout=300)
        self._socket: ClientConnection | None = None
        self._reading: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._widgets: dict[str, WidgetState] = {}
        #: Cached messages by hash, each with the number of the run that last used it.
        self._cached: dict[str, tuple[ForwardMsg, int]] = {}
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._uploads: dict[str, asyncio.Future[Any]] = {}
        #: Paths of the elements drawn in the latest run; None until it begins.
        self._drawn_paths: set[tuple[int, ...]] | None = None
        self._runs = self._max_cached_runs = 0
        self._fetched: set[str] = set()
        self._fetching: set[asyncio.Task[None]] = set()
        self._session = self._page = ""

    async def __aenter__(self) -> Self:
        document = (await self._http.get("/")).text
        for path in SCRIPTS.findall(document):
            await self._http.get(f"/{path}")
        for path in ("health", "host-config"):
            await self._http.get(f"/_stcore/{path}")
        self._token = self._http.cookies["_streamlit_xsrf"]
        self._socket = await connect(
            f"{self.address.replace('http', 'ws', 1)}/_stcore/stream",
            origin=self.address,
            subprotocols=["streamlit", self._token],
            additional_headers={"Cookie": f"_streamlit_xsrf={self._token}"},
            max_size=None,
        )
        self._reading = asyncio.create_task(self._read(self._socket))
        await self.run()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in (*self._timers.values(), *self._fetching, self._reading):
            task.cancel()
        await self._socket.close()
        await self._http.aclose()

    async def run(self, pressed: str | None = None, page: str | None = None, fragment: str = "") -> None:
        """Request a run of the page, with the values of all widgets.

        Parameters
        ----------
        pressed : str, optional
            The id of a button that was pressed.
        page : str, optional
            The page to turn to, by Streamlit's hash of it.
        fragment : str
            The fragment to run on its timer, instead of the page.
        """
        if page is not None:
            self._page = page
            self._widgets.clear()
        message = BackMsg()
        state = message.rerun_script
        state.page_script_hash = self._page
        state.fragment_id, state.is_auto_rerun = fragment, bool(fragment)
        state.widget_states.widgets.extend(self._widgets.values())
        if pressed:
            state.widget_states.widgets.add(id=pressed, trigger_value=True)
        state.cached_message_hashes.extend(self._cached)
        context = state.context_info
        context.timezone, context.timezone_offset, context.locale = "UTC", 0, "en-US"
        context.url, context.is_embedded, context.color_scheme = self.address, False, "light"
        if not fragment:
            self.running, self._drawn_paths = True, None
        await self._socket.send(message.SerializeToString())

    async def press(self, label: str) -> None:
        """Press the button with a label."""
        (button,) = (element.button for element in self.of("button") if element.button.label == label)
        await self.run(button.id)

    async def turn_to(self, label: str) -> None:
        """Click the link to a page."""
        links = (element.page_link for element in self.of("page_link"))
        link = next(link for link in links if link.label == label)
        await self.run(page=link.page_script_hash)

    async def upload(self, name: str, content: bytes) -> None:
        """Upload a file with the page's upload widget."""
        (uploader,) = (element.file_uploader for element in self.of("file_uploader"))
        message = BackMsg()
        request = message.file_urls_request
        request.request_id, request.session_id = uuid.uuid4().hex, self._session
        request.file_names.append(name)
        self._uploads[request.request_id] = asyncio.get_running_loop().create_future()
        await self._socket.send(message.SerializeToString())
        (urls,) = await self._uploads[request.request_id]
        response = await self._http.put(
            urls.upload_url, files={name: (name, content)}, headers={"X-Xsrftoken": self._token}
        )
        response.raise_for_status()
        state = WidgetState(id=uploader.id)
        file_info = state.file_uploader_state_value.uploaded_file_info.add(
            name=name, size=len(content), file_id=urls.file_id
        )
        file_info.file_urls.CopyFrom(urls)
        self._widgets[uploader.id] = state
        await self.run()

    def of(self, kind: str) -> list[Element]:
        """Return the elements of a kind that the page shows."""
        return [element for element in self.elements.values() if element.WhichOneof("type") == kind]

    def drawn(self, kind: str) -> list[Element]:
        """Return the elements of a kind that have been drawn since a run was last requested."""
        drawn = [self.elements[path] for path in self._drawn_paths or ()]
        return [element for element in drawn if element.WhichOneof("type") == kind]

    def draws(self, kinds: Collection[str]) -> bool:
        """Return whether an element of these kinds, outside the sidebar, has been drawn since a run was requested."""
        paths = [path for path in self._drawn_paths or () if path[0] == MAIN]
        return any(self.elements[path].WhichOneof("type") in kinds for path in paths)

    async def until(self, condition: Callable[[], object]) -> None:
        """Wait until a condition on the page is met."""
        while not condition():
            self._changed.clear()
            if self._reading.done():
                await self._reading  # raises its error
                raise ConnectionError("The server ended the visit.")
            await self._changed.wait()

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for payload in socket:
                self.bytes_received += len(payload)
                message = ForwardMsg.FromString(payload)
                if message.metadata.cacheable and not message.HasField("ref_hash"):
                    self._cached[message.hash] = message, self._runs
                getattr(self, f"_on_{message.WhichOneof('type')}", lambda message: None)(message)
                self._changed.set()
        finally:
            self._changed.set()

    def _on_new_session(self, message: ForwardMsg) -> None:
        self._session = message.new_session.initialize.session_id
        self._page = message.new_session.page_script_hash
        self._max_cached_runs = message.new_session.config.max_cached_message_age
        if not message.metadata.run.fragment_ids:
            self._stop_timers(list(self._timers))
            self.running, self._drawn_paths = True, set()

    def _on_ref_hash(self, message: ForwardMsg) -> None:
        cached, _ = self._cached[message.ref_hash]
        self._cached[message.ref_hash] = cached, self._runs
        self._draw(message.metadata.delta_path, cached.delta.new_element)

    def _on_delta(self, message: ForwardMsg) -> None:
        if message.delta.WhichOneof("type") == "new_element":
            self._draw(message.metadata.delta_path, message.delta.new_element)

    def _draw(self, path: Any, element: Element) -> None:
        self.elements[tuple(path)] = element
        if self._drawn_paths is not None:
            self._drawn_paths.add(tuple(path))
        kind = element.WhichOneof("type")
        if kind in DEFAULTS:
            self._store_value(kind, getattr(element, kind))
        elif kind == "plotly_chart":
            self._fetch(chart_script())
        elif kind == "bidi_component":
            for url in MEDIA.findall(element.bidi_component.mixed.json or element.bidi_component.json):
                self._fetch(url)
        elif kind == "exception" or (kind == "alert" and element.alert.format == element.alert.ERROR):
            self.refusals.append(getattr(element, kind).SerializeToString().decode(errors="replace")[:200])

    def _store_value(self, kind: str, widget: Any) -> None:
        if widget.id not in self._widgets or getattr(widget, "set_value", False):
            state = WidgetState(id=widget.id)
            DEFAULTS[kind](state, widget)
            self._widgets[widget.id] = state

    def _on_script_finished(self, message: ForwardMsg) -> None:
        of_fragment = bool(message.metadata.run.fragment_ids)
        if of_fragment or message.script_finished != WHOLE_RUN or self._drawn_paths is None:
            return
        self.running = False
        for path in self.elements.keys() - self._drawn_paths:
            del self.elements[path]
        self._runs += 1
        for message_hash, (_, last_run) in list(self._cached.items()):
            if self._runs - last_run > self._max_cached_runs:
                del self._cached[message_hash]

    def _on_file_urls_response(self, message: ForwardMsg) -> None:
        self._uploads.pop(message.file_urls_response.response_id).set_result(message.file_urls_response.file_urls)

    def _on_auto_rerun(self, message: ForwardMsg) -> None:
        fragment, every_s = message.auto_rerun.fragment_id, message.auto_rerun.interval
        self._stop_timers([fragment])

        async def run_again() -> None:
            while True:
                await asyncio.sleep(every_s)
                await self.run(fragment=fragment)

        self._timers[fragment] = asyncio.create_task(run_again())

    def _on_stop_auto_rerun(self, message: ForwardMsg) -> None:
        self._stop_timers(message.stop_auto_rerun.fragment_ids)

    def _stop_timers(self, fragments: Any) -> None:
        for fragment in fragments:
            if timer := self._timers.pop(fragment, None):
                timer.cancel()

    def _fetch(self, url: str) -> None:
        if url not in self._fetched:
            self._fetched.add(url)
            task = asyncio.create_task(self._get(url))
            self._fetching.add(task)
            task.add_done_callback(self._fetching.discard)

    async def _get(self, url: str) -> None:
        (await self._http.get(url)).raise_for_status()


@cache
def chart_script() -> str:
    """Return the address of the script that draws charts, the largest of all."""
    (file,) = Path(file_util.get_static_dir()).glob("static/js/PlotlyChart.*.js")
    return f"/static/js/{file.name}"
