"""Components of our own in HTML, CSS and JavaScript, in the visit's language.

The scripts are ES modules with relative imports, so that editors and linters understand them. Streamlit takes one
script, which contains the text of each; in the browser it gives each a blob address and imports the main one. So there
is no build step, and no address on the server that a proxy could lose or a cache could keep too long.

All texts in the HTML are translated, and the texts in the scripts that are passed to `t` of `language.js`.
"""

import html
import json
import re
import time
from collections.abc import Callable, Mapping
from graphlib import TopologicalSorter
from os.path import relpath
from pathlib import Path
from posixpath import dirname, join, normpath
from typing import Any

import streamlit as st

from pages.shared.language import DECIMAL_COMMA, LANGUAGES, catalogue, language

LANGUAGE = Path(__file__).parent / "language.js"

IMPORTED = re.compile(r'^(import .* from )"(\.{1,2}/[\w/.]+\.js)";$', re.MULTILINE)
TEXT_IN_HTML = re.compile(r'(?<=aria-label=")[^"]+|(?<=title=")[^"]+|(?<=>)[^<>]*\w[^<>]*(?=<)')

#: Modules come in dependency order, so that each import already has its address. `sourceURL` is the name in stack
#: traces and in the browser's debugger. Streamlit imports the script again whenever the data change, perhaps before
#: the first import has run. WebKit then returns a module that is still waiting and has no exports, so the main module
#: is awaited on mounting, not at the top. A later import may end first, so data older than those drawn are ignored.
SCRIPT = r"""const addresses = {};
for (const [name, text] of %s) {
  const imports = /^(import .* from )"\.\/([\w/.]+\.js)";$/gm;
  const placed = text.replace(imports, (_, line, other) => `${line}"${addresses[other]}";`);
  const named = `${placed}\n//# sourceURL=%s/${name}`;
  addresses[name] = URL.createObjectURL(new Blob([named], { type: "text/javascript" }));
}
const main = import(addresses["%s"]), newest = new WeakMap();
export default async function mount(component) {
  const { parentElement: root, data } = component, draw = (await main).default;
  if (data.since < newest.get(root)) return;
  newest.set(root, data.since);
  return draw(component);
}
"""


def component(name: str, folder: Path, main: str, body: str, style: str) -> Callable[..., None]:
    """Return a function that mounts a component with a `key`, its `data`, and callbacks `on_NAME_change`.

    Parameters
    ----------
    name : str
        The component's name in Streamlit.
    folder : Path
        Folder of its modules; subfolders are included.
    main : str
        Path of the main module in the folder.
    body, style : str
        Its HTML and CSS.
    """
    mounts = {
        code: st.components.v2.component(
            f"{name}_{code}",
            html=translated(body, catalogue(code)),
            css=style,
            js=script_of(folder, main, catalogue(code), "," if code in DECIMAL_COMMA else "."),
        )
        for code in LANGUAGES
    }

    def mount(*, key: str, data: dict[str, Any], **on_changes: Callable[[], None]) -> None:
        mounts[language()](key=key, data=data | {"since": _since(key, data)}, **on_changes)

    return mount


def _since(key: str, data: dict[str, Any]) -> float:
    """Return the time at which a component first had these data, in seconds of the server's clock."""
    name = f"data of {key}"
    if name not in st.session_state or st.session_state[name][0] != data:
        st.session_state[name] = data, time.time()
    return st.session_state[name][1]


def translated(body: str, translations: Mapping[str, str]) -> str:
    """Return HTML with its texts, labels and titles in another language."""

    def replaced(found: re.Match[str]) -> str:
        text = html.unescape(found[0].strip())
        if text not in translations:
            return found[0]
        return found[0].replace(found[0].strip(), html.escape(translations[text]))

    return TEXT_IN_HTML.sub(replaced, body)


def script_of(folder: Path, main: str, translations: Mapping[str, str], decimal_sign: str = ".") -> str:
    """Return a script whose default export awaits and calls that of the main module.

    Parameters
    ----------
    folder : Path
        All its modules are included, with those in subfolders.
    main : str
        Path of the main module in the folder.
    translations : mapping of str to str
        Translations by the English text; the script contains those that its modules use.
    decimal_sign : str

    Raises
    ------
    graphlib.CycleError
        Modules import each other in a circle.
    """
    paths = {Path(relpath(path, folder)).as_posix(): path for path in (*folder.rglob("*.js"), LANGUAGE)}
    # Each import as its path from the folder, whichever folder the module is in.
    scripts, imported = {}, {}
    for name, path in sorted(paths.items()):
        script = path.read_text("utf-8")
        imported[name] = [normpath(join(dirname(name), other)) for _, other in IMPORTED.findall(script)]
        others = iter(imported[name])
        scripts[name] = IMPORTED.sub(lambda found, others=others: f'{found[1]}"./{next(others)}";', script)
    everything = "".join(scripts.values())
    used = {
        text: translation
        for text, translation in translations.items()
        if json.dumps(text, ensure_ascii=False) in everything
    }
    module = Path(relpath(LANGUAGE, folder)).as_posix()
    for constant, empty, value in (("TRANSLATIONS", "{}", used), ("DECIMAL_SIGN", '"."', decimal_sign)):
        filled = f"{constant} = {json.dumps(value, ensure_ascii=False)}"
        scripts[module] = scripts[module].replace(f"{constant} = {empty}", filled)
    order = TopologicalSorter(imported).static_order()
    modules = json.dumps([[name, scripts[name]] for name in order], ensure_ascii=False)
    return SCRIPT % (modules, folder.parent.name, main)
