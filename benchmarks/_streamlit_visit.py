"""A visit without a browser: it says to the server what Streamlit's front end says, and keeps what that would show.

Written from the front end of the Streamlit version in requirements.txt: the page and the scripts that it names, the
cookie against forged requests, messages in Protocol Buffers over a WebSocket, uploads over HTTP, the hashes of large
messages that need not be sent again, the values of all widgets in every message, and fragments that run on a timer.
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

MEDIA = re.compile(r"/media/[0-9a-f]+\.(?:wav|bin)")
SCRIPTS = re.compile(r'(?:src|href)="\./(static/[^"]+)"')
#: Where the paths of a page's own elements begin, and not those of the sidebar.
MAIN = 0
WHOLE_RUN = ForwardMsg.FINISHED_SUCCESSFULLY


class Visit:
    """One visit.

    Attributes
    ----------
    elements : dict
        What the page shows, by its path in the page.
    running : bool
        Whether the page runs.
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
        self._known: dict[str, tuple[ForwardMsg, int]] = {}
        self._timers: dict[str, asyncio.Task[None]] = {}
        self._uploads: dict[str, asyncio.Future[Any]] = {}
        #: Paths of what the page has shown in its latest run; None until that begins.
        self._run: set[tuple[int, ...]] | None = None
        self._runs = self._most_runs = 0
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
        """Ask for a run of the page, with the values of all widgets.

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
        state.cached_message_hashes.extend(self._known)
        context = state.context_info
        context.timezone, context.timezone_offset, context.locale = "UTC", 0, "en-US"
        context.url, context.is_embedded, context.color_scheme = self.address, False, "light"
        if not fragment:
            self.running, self._run = True, None
        await self._socket.send(message.SerializeToString())

    async def press(self, label: str) -> None:
        """Press the button with a label."""
        (button,) = (one.button for one in self.of("button") if one.button.label == label)
        await self.run(button.id)

    async def turn_to(self, label: str) -> None:
        """Click the link to a page."""
        link = next(one.page_link for one in self.of("page_link") if one.page_link.label == label)
        await self.run(page=link.page_script_hash)

    async def upload(self, name: str, content: bytes) -> None:
        """Give the page's upload widget a file."""
        (uploader,) = (one.file_uploader for one in self.of("file_uploader"))
        request = BackMsg()
        wanted = request.file_urls_request
        wanted.request_id, wanted.session_id = uuid.uuid4().hex, self._session
        wanted.file_names.append(name)
        self._uploads[wanted.request_id] = asyncio.get_running_loop().create_future()
        await self._socket.send(request.SerializeToString())
        (urls,) = await self._uploads[wanted.request_id]
        answer = await self._http.put(
            urls.upload_url, files={name: (name, content)}, headers={"X-Xsrftoken": self._token}
        )
        answer.raise_for_status()
        state = WidgetState(id=uploader.id)
        given = state.file_uploader_state_value.uploaded_file_info.add(
            name=name, size=len(content), file_id=urls.file_id
        )
        given.file_urls.CopyFrom(urls)
        self._widgets[uploader.id] = state
        await self.run()

    def of(self, kind: str) -> list[Element]:
        """Return the elements of a kind that the page shows."""
        return [one for one in self.elements.values() if one.WhichOneof("type") == kind]

    def drawn(self, kind: str) -> list[Element]:
        """Return the elements of a kind that the page has shown since it was last asked to run."""
        return [one for path in self._run or () if (one := self.elements[path]).WhichOneof("type") == kind]

    def draws(self, kinds: Collection[str]) -> bool:
        """Return whether the page has shown an element of these kinds, the sidebar aside, since it was asked to run."""
        return any(path[0] == MAIN and self.elements[path].WhichOneof("type") in kinds for path in self._run or ())

    async def until(self, there: Callable[[], bool]) -> None:
        """Wait until the page shows something."""
        while not there():
            self._changed.clear()
            if self._reading.done():
                await self._reading  # raises why
                raise ConnectionError("The server ended the visit.")
            await self._changed.wait()

    async def _read(self, socket: ClientConnection) -> None:
        try:
            async for payload in socket:
                self.bytes_received += len(payload)
                message = ForwardMsg.FromString(payload)
                if message.metadata.cacheable and not message.HasField("ref_hash"):
                    self._known[message.hash] = message, self._runs
                getattr(self, f"_on_{message.WhichOneof('type')}", lambda message: None)(message)
                self._changed.set()
        finally:
            self._changed.set()

    def _on_new_session(self, message: ForwardMsg) -> None:
        self._session = message.new_session.initialize.session_id
        self._page = message.new_session.page_script_hash
        self._most_runs = message.new_session.config.max_cached_message_age
        if not message.metadata.run.fragment_ids:
            self._stop_timers(list(self._timers))
            self.running, self._run = True, set()

    def _on_ref_hash(self, message: ForwardMsg) -> None:
        known, _ = self._known[message.ref_hash]
        self._known[message.ref_hash] = known, self._runs
        self._draw(message.metadata.delta_path, known.delta.new_element)

    def _on_delta(self, message: ForwardMsg) -> None:
        if message.delta.WhichOneof("type") == "new_element":
            self._draw(message.metadata.delta_path, message.delta.new_element)

    def _draw(self, path: Any, element: Element) -> None:
        self.elements[tuple(path)] = element
        if self._run is not None:
            self._run.add(tuple(path))
        kind = element.WhichOneof("type")
        if kind in DEFAULTS:
            self._keep_value(kind, getattr(element, kind))
        elif kind == "plotly_chart":
            self._fetch(chart_script())
        elif kind == "bidi_component":
            for url in MEDIA.findall(element.bidi_component.mixed.json or element.bidi_component.json):
                self._fetch(url)
        elif kind == "exception" or (kind == "alert" and element.alert.format == element.alert.ERROR):
            self.refusals.append(getattr(element, kind).SerializeToString().decode(errors="replace")[:200])

    def _keep_value(self, kind: str, widget: Any) -> None:
        if widget.id not in self._widgets or getattr(widget, "set_value", False):
            state = WidgetState(id=widget.id)
            DEFAULTS[kind](state, widget)
            self._widgets[widget.id] = state

    def _on_script_finished(self, message: ForwardMsg) -> None:
        of_fragment = bool(message.metadata.run.fragment_ids)
        if of_fragment or message.script_finished != WHOLE_RUN or self._run is None:
            return
        self.running = False
        for path in self.elements.keys() - self._run:
            del self.elements[path]
        self._runs += 1
        for known, (_, last) in list(self._known.items()):
            if self._runs - last > self._most_runs:
                del self._known[known]

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


def _selectbox(state: WidgetState, box: Any) -> None:
    if box.set_value:
        state.string_value = box.raw_value
    elif box.HasField("default"):
        state.string_value = box.options[box.default]


def _slider(state: WidgetState, slider: Any) -> None:
    state.double_array_value.data.extend(slider.value if slider.set_value else slider.default)


def _number(state: WidgetState, box: Any) -> None:
    value = box.value if box.set_value else box.default
    if box.data_type == box.INT:
        state.int_value = round(value)
    else:
        state.double_value = value


def _checkbox(state: WidgetState, box: Any) -> None:
    state.bool_value = box.value if box.set_value else box.default


def _button_group(state: WidgetState, group: Any) -> None:
    values = group.raw_values if group.set_value else [group.options[index].content for index in group.default]
    state.string_array_value.data.extend(values)


def _file_uploader(state: WidgetState, uploader: Any) -> None:
    state.file_uploader_state_value.SetInParent()


#: What the front end takes as the value of a widget that nobody has touched.
DEFAULTS: dict[str, Callable[[WidgetState, Any], None]] = {
    "selectbox": _selectbox,
    "slider": _slider,
    "number_input": _number,
    "checkbox": _checkbox,
    "button_group": _button_group,
    "file_uploader": _file_uploader,
}
