"""JavaScript modules as one script, which is what Streamlit takes as the JavaScript of a component.

The files are ES modules that import each other by relative addresses, so that editors and linters understand them. The
script holds the text of each; in the browser it gives each an address of its own and imports the main one. So there is
no build step, and no address on the server for a proxy to lose or a cache to keep too long.
"""

import json
import re
from graphlib import TopologicalSorter
from pathlib import Path

IMPORTED = re.compile(r'^import .* from "\./(\w+\.js)";$', re.MULTILINE)

#: Modules come in the order in which they need each other: what one imports has its address by then. `sourceURL` is the
#: name in stack traces and in the browser's debugger.
SCRIPT = r"""const addresses = {};
for (const [name, text] of %s) {
  const imports = /^(import .* from )"\.\/(\w+\.js)";$/gm;
  const placed = text.replace(imports, (_, line, other) => `${line}"${addresses[other]}";`);
  const named = `${placed}\n//# sourceURL=%s/${name}`;
  addresses[name] = URL.createObjectURL(new Blob([named], { type: "text/javascript" }));
}
export default (await import(addresses["%s"])).default;
"""


def script_of(folder: Path, main: str) -> str:
    """Return a script whose default export is that of a module.

    Parameters
    ----------
    folder : Path
        All its modules are taken along.
    main : str
        Name of the module's file.

    Raises
    ------
    graphlib.CycleError
        Modules import each other in a circle.
    """
    texts = {path.name: path.read_text("utf-8") for path in folder.glob("*.js")}
    order = TopologicalSorter({name: IMPORTED.findall(text) for name, text in sorted(texts.items())}).static_order()
    modules = json.dumps([[name, texts[name]] for name in order], ensure_ascii=False)
    return SCRIPT % (modules, folder.parent.name, main)
