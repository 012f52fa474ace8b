"""Combine JavaScript modules into one script, which is what Streamlit takes as a component's JavaScript.

The files are ES modules with relative imports, so that editors and linters understand them. The script contains the
text of each; in the browser it gives each a blob address and imports the main one. So there is no build step, and no
address on the server that a proxy could lose or a cache could keep too long.
"""

import json
import re
from graphlib import TopologicalSorter
from pathlib import Path
from posixpath import dirname, join, normpath

IMPORTED = re.compile(r'^(import .* from )"(\.{1,2}/[\w/.]+\.js)";$', re.MULTILINE)

#: Modules come in dependency order, so that each import already has its address. `sourceURL` is the name in stack
#: traces and in the browser's debugger.
SCRIPT = r"""const addresses = {};
for (const [name, text] of %s) {
  const imports = /^(import .* from )"\.\/([\w/]+\.js)";$/gm;
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
        All its modules are included, with those in folders below it.
    main : str
        Path of the main module in the folder.

    Raises
    ------
    graphlib.CycleError
        Modules import each other in a circle.
    """
    paths = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*.js")}
    # Imports by their path from the folder, from wherever a module is.
    texts, imported = {}, {}
    for name, path in sorted(paths.items()):
        text = path.read_text("utf-8")
        imported[name] = [normpath(join(dirname(name), other)) for _, other in IMPORTED.findall(text)]
        others = iter(imported[name])
        texts[name] = IMPORTED.sub(lambda found, others=others: f'{found[1]}"./{next(others)}";', text)
    order = TopologicalSorter(imported).static_order()
    modules = json.dumps([[name, texts[name]] for name in order], ensure_ascii=False)
    return SCRIPT % (modules, folder.parent.name, main)
