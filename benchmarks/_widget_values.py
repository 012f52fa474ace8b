"""The values that Streamlit's front end sends for widgets that nobody has touched."""

from collections.abc import Callable
from typing import Any

from streamlit.proto.WidgetStates_pb2 import WidgetState


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


#: Sets the value that the front end sends for a widget that nobody has touched.
DEFAULTS: dict[str, Callable[[WidgetState, Any], None]] = {
    "selectbox": _selectbox,
    "slider": _slider,
    "number_input": _number,
    "checkbox": _checkbox,
    "button_group": _button_group,
    "file_uploader": _file_uploader,
}
