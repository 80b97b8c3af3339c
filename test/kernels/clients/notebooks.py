"""Small TypeScript notebooks for the tests with real clients."""

import json
import re
from pathlib import Path

import nbformat

repository = Path(__file__).parents[3]
# At which every part of notebook 03 runs, in less than a minute in all.
small_sizes = {
    "perCategory": 2,
    "seeds": [0],
    "shiftCount": 6,
    "ardCount": 8,
    "checkpoints": ["model"],
    "documentFits": False,
    "otherConfigurations": False,
    "maxNewTokens": 8,
    "promptFormat": "bare",
}
study = repository / "notebooks" / "03-phase3-z.ipynb"
plotly = "application/vnd.plotly.v1+json"


def notebook(*cells, kernel="modalscope"):
    """A notebook of code cells; a cell may be (source, tags)."""
    nb = nbformat.v4.new_notebook()
    nb.metadata.kernelspec = {"name": kernel, "display_name": kernel, "language": "typescript"}
    for cell in cells:
        source, tags = cell if isinstance(cell, tuple) else (cell, [])
        nb.cells.append(nbformat.v4.new_code_cell(source, metadata={"tags": tags} if tags else {}))
    return nb


def write(nb, path):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(nb, path)
    return path


def printed(cell):
    """All that a cell printed to stdout."""
    return "".join(o.text for o in cell.outputs if o.output_type == "stream" and o.name == "stdout")


def small_study(folder):
    """Notebook 03 in a folder that sees this repository's packages, to be run at small sizes as it is."""
    folder = Path(folder)
    (folder / "node_modules").symlink_to(repository / "node_modules")
    nb = nbformat.read(study, 4)
    parameters = next(cell for cell in nb.cells if "parameters" in cell.metadata.get("tags", []))
    for name, value in small_sizes.items():
        # As a person would: the type stays.
        declared = re.compile(rf"(const {name}: [^=]+ = ).*;")
        parameters.source, found = declared.subn(lambda match, v=value: f"{match[1]}{json.dumps(v)};", parameters.source)
        assert found == 1, name
    return write(nb, folder / study.name)


def problems_of(nb):
    """What keeps an executed notebook 03 from being whole: cells not run, errors, figures without an image."""
    code = [cell for cell in nb.cells if cell.cell_type == "code"]
    outputs = [(i, o) for i, cell in enumerate(code) for o in cell.outputs]
    figures = [(i, o.data) for i, o in outputs if plotly in o.get("data", {})]
    found = [f"code cell {i} was not run" for i, cell in enumerate(code) if cell.execution_count != i + 1]
    found += [f"code cell {i}: {o.ename}: {o.evalue}" for i, o in outputs if o.output_type == "error"]
    found += [f"code cell {i}: {o.text}" for i, o in outputs if o.output_type == "stream" and o.name == "stderr"]
    found += [f"code cell {i}: no image" for i, data in figures if '<img src="data:image/png;base64,' not in data["text/html"]]
    return found + ([] if len(figures) >= 8 else [f"only {len(figures)} figures"])
