"""JavaScript modules as one script, which is what Streamlit takes of a component's JavaScript.

The files are ES modules that import each other by relative addresses, so that editors and linters understand them. The
script holds the text of each. In the browser it gives each an address of its own and imports the main one: nothing needs
a build step, nor an address on the server that a proxy would have to pass on or a cache could keep too long.
"""

import json
import re
from graphlib import TopologicalSorter
from pathlib import Path

IMPORTED = re.compile(r'^import .* from "\./(\w+\.js)";$', re.MULTILINE)

#: Each module in the order in which they need each other; its imports turned into addresses that are known by then. The
#: names are what stack traces and the browser's debugger show.
SCRIPT = """const addresses = {};
for (const [name, text] of %s) {
  const placed = text.replace(/^(import .* from )"\\.\\/(\\w+\\.js)";$/gm, (_, head, other) => `${head}"${addresses[other]}";`);
  const named = `${placed}\\n//# sourceURL=%s/${name}`;
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
