"""Combine JavaScript modules into one script, which is what Streamlit takes as a component's JavaScript.

The files are ES modules with relative imports, so that editors and linters understand them. The script contains the
text of each; in the browser it gives each a blob address and imports the main one. So there is no build step, and no
address on the server that a proxy could lose or a cache could keep too long.
"""

import json
import re
from graphlib import TopologicalSorter
from pathlib import Path

IMPORTED = re.compile(r'^import .* from "\./(\w+\.js)";$', re.MULTILINE)

#: Modules come in dependency order, so that each import already has its address. `sourceURL` is the name in stack
#: traces and in the browser's debugger.
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
    """Return a script whose default export is that of the main module.

    Parameters
    ----------
    folder : Path
        All its modules are included.
    main : str
        File name of the main module.

    Raises
    ------
    graphlib.CycleError
        Modules import each other in a circle.
    """
    texts = {path.name: path.read_text("utf-8") for path in folder.glob("*.js")}
    order = TopologicalSorter({name: IMPORTED.findall(text) for name, text in sorted(texts.items())}).static_order()
    modules = json.dumps([[name, texts[name]] for name in order], ensure_ascii=False)
    return SCRIPT % (modules, folder.parent.name, main)
