"""papermill and `modalscope run`, side by side: each row runs both on one notebook, on ipykernel, and compares all
that they leave. Where ours is another on purpose, the row says what papermill does and what ours does instead.

The rows cover papermill's documented behaviours, and the situations of nbclient's fixture notebooks, written anew.
PEERS=pattern runs only the rows whose names match it.
"""

import base64
import json
import os
import re
import subprocess
import sys
import tempfile
import unittest
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

import nbformat

repository = Path(__file__).resolve().parents[3]
ours_command = ["node", str(repository / "dist/kernels/cli.js"), "run"]
papermill_command = [sys.executable, "-m", "papermill"]
environment = {
    **os.environ,
    "JUPYTER_PATH": str(Path(sys.prefix) / "share/jupyter"),
    "PYDEVD_DISABLE_FILE_VALIDATION": "1",
}


def code(source, *tags, **metadata):
    return nbformat.v4.new_code_cell(source, metadata={**metadata, **({"tags": list(tags)} if tags else {})})


def parameters(source):
    return code(source, "parameters")


def markdown(source):
    return nbformat.v4.new_markdown_cell(source)


def notebook(*cells, kernel="python3"):
    nb = nbformat.v4.new_notebook(cells=[code(cell) if isinstance(cell, str) else cell for cell in cells])
    if kernel:
        nb.metadata.kernelspec = {"name": kernel, "display_name": kernel, "language": "python"}
    return nb


@dataclass
class Row:
    """What both are run with, and where they are to differ: `field: (papermill's, ours)`."""

    name: str
    nb: object
    args: list = field(default_factory=list)
    differs: dict = field(default_factory=dict)
    output: str = "out.ipynb"
    stdin: bool = False
    files: dict = field(default_factory=dict)
    # An executed notebook is run once more, with these.
    again: list = None
    # A check besides the comparison: takes both results.
    check: object = None


MISSING = "no such file"
# Chance, in papermill: it depends on what its shutdown is quick enough for.
ANY = object()
yaml_values = "n: 3\nnested: {a: [1, 2.5, {b: null}], c: \"it's \\\"quoted\\\"\"}\ntext: '{no} \\ 中文 🎈'\n"
declared = parameters("n = 1\nnested = {}\ntext = ''\nflag = False\nnothing = None\nrate = 0.5")
show = "print(repr((n, nested, text, flag, nothing, rate)))"
pending, completed, failed, skipped = "pending", "completed", "failed", "skipped"

rows = [
    Row("a plain run", notebook("x = 1\nprint(x)", "x + 1")),
    Row("markdown, raw and empty cells", notebook(markdown("# T"), nbformat.v4.new_raw_cell("raw"), "", "  \n", "1")),
    Row(
        "-p reads numbers, booleans and None",
        notebook(declared, show),
        "-p n 5 -p flag True -p nothing None -p rate 1e-3 -p text plain".split(),
    ),
    Row("-r takes text as it is", notebook(declared, show), "-r text 007 -p n -3".split()),
    Row("-y takes nested values", notebook(declared, show), ["-y", yaml_values]),
    Row("-f reads a file", notebook(declared, show), ["-f", "given.yaml"], files={"given.yaml": yaml_values}),
    Row("-f reads JSON", notebook(declared, show), ["-f", "given.json"], files={"given.json": '{"n": [1, {"a": null}]}'},
        differs={
            "exit": (0, 1),
            "outputs": ([[], [], ["stdout: ([1, {'a': None}], {}, '', False, None, 0.5)\n"]], MISSING),
            "why": "n is a number by its default, and a list is none",
        }),
    Row("-b takes base64", notebook(declared, show), ["-b", base64.b64encode(yaml_values.encode()).decode()]),
    Row(
        "of all these the last one wins: base64, files, YAML, -p, -r",
        notebook(declared, show),
        ["-r", "text", "raw", "-p", "text", "p", "-p", "n", "4", "-y", "n: 3\nrate: 3", "-f", "given.yaml", "-b",
         base64.b64encode(b"n: 1\nrate: 1\nflag: true").decode()],
        files={"given.yaml": "n: 2\nrate: 2"},
    ),
    Row(
        "big whole numbers stay whole",
        notebook(declared, show),
        ["-p", "n", str(2**70)],
        differs={"parameters": ({"n": 2**70}, {"n": str(2**70)}), "why": "the record holds it as text: most readers of JSON would round it"},
    ),
    Row("the injected cell comes after the parameters", notebook("0", declared, "1", show), ["-p", "n", "2"]),
    Row("a second run replaces the injected cell", notebook(declared, show), ["-p", "n", "2"], again=["-p", "n", "3"]),
    Row(
        "a second run without parameters",
        notebook(parameters("n = 1"), "print(n)"),
        ["-p", "n", "2"],
        again=[],
        differs={
            "cells": (3, 2),
            "outputs": ([[], [], ["stdout: 2\n"]], [[], ["stdout: 1\n"]]),
            "tags": ([["parameters"], ["injected-parameters"], []], [["parameters"], []]),
            "statuses": ([completed] * 3, [completed] * 2),
            "counts": ([1, 2, 3], [1, 2]),
            "sources": (["n = 1", "# Parameters\nn = 2", "print(n)"], ["n = 1", "print(n)"]),
            "parameters": ({"n": 2}, {}),
            "why": "papermill keeps the values of the run before",
        },
    ),
    Row(
        "an unknown parameter",
        notebook(parameters("rate = 1"), "print(rate)"),
        ["-p", "rat", "2"],
        differs={
            "exit": (0, 1),
            "outputs": ([[], [], ["stdout: 1\n"]], MISSING),
            "why": "papermill warns and goes on with the default",
        },
        check=lambda test, theirs, ours: test.assertRegex(ours.said, r'no parameter "rat".*Did you mean "rate"'),
    ),
    Row(
        "parameters for a notebook that declares none",
        notebook("print(n)"),
        ["-p", "n", "2"],
        differs={
            "exit": (0, 1),
            "outputs": ([[], ["stdout: 2\n"]], MISSING),
            "why": "papermill puts them at the top, where a misspelt name goes unseen",
        },
    ),
    Row("a failing cell", notebook("1", "print('so far')\n1/0", "2")),
    Row("the banner of a run before goes", notebook("import os\nassert os.path.exists('now')"), again=[], files={}),
    Row("a syntax error", notebook("def f(:\n  pass", "1")),
    Row("an error with Unicode", notebook("raise ValueError('héllo 🎈 <b>')", "1")),
    Row(
        "the tag raises-exception",
        notebook(code("1/0", "raises-exception"), "'after'"),
        differs={
            "exit": (1, 0),
            "cell exceptions": ([False, False], [True, False]),
            "banners": (2, 0),
            "why": "papermill runs all cells and then fails with the error that was expected",
        },
    ),
    Row(
        "the tag skip-execution",
        notebook("1", code("print('no')", "skip-execution"), "2"),
        differs={"statuses": ([completed] * 3, [completed, skipped, completed]), "why": "it was not run"},
    ),
    Row("sys.exit(0) ends the run well", notebook("1", "import sys\nsys.exit(0)", "2")),
    Row("sys.exit(2) does not", notebook("1", "import sys\nsys.exit(2)", "2")),
    Row("--prepare-only", notebook(declared, show), ["--prepare-only", "-p", "n", "2"]),
    Row("--report-mode", notebook(declared, markdown("m"), show), ["--report-mode", "-p", "n", "2"]),
    Row(
        "--execution-timeout",
        notebook("1", "print('so far', flush=True)\nimport time\ntime.sleep(60)", "2"),
        ["--execution-timeout", "3"],
        differs={
            "statuses": ([completed] * 3, [completed, failed, pending]),
            "outputs": (
                ANY,
                [["execute_result: 1"], ["error: CellTimeoutError", "stdout: so far\n"], []],
            ),
            "counts": (ANY, [1, 2, None]),
            "exception": (None, True),
            "banners": (0, 2),
            "language": (None, "python"),
            "why": "papermill marks the cell and all after it completed",
        },
    ),
    Row(
        "a kernel that dies",
        notebook("1", "print('so far', flush=True)\nimport os, time\ntime.sleep(0.5)\nos._exit(3)", "2"),
        differs={
            "statuses": ([completed] * 3, [completed, failed, pending]),
            "outputs": (
                [["execute_result: 1"], ["stdout: so far\n"], []],
                [["execute_result: 1"], ["error: DeadKernelError", "stdout: so far\n"], []],
            ),
            "counts": (ANY, [1, 2, None]),
            "exception": (None, True),
            "banners": (0, 2),
            "language": (None, "python"),
            "why": "papermill marks the cell and all after it completed",
        },
        check=lambda test, theirs, ours: test.assertEqual([theirs.exit, ours.exit], [138, 138]),
    ),
    Row("a template for the output", notebook(declared, show), ["-p", "n", "7"], output="out-{n}.ipynb"),
    Row("parts in a template", notebook(declared, show), ["-y", "nested: {a: x}"], output="{nested[a]}-out.ipynb"),
    Row("a template without its parameter", notebook("1"), output="{n}.ipynb"),
    Row("standard input and output", notebook(declared, show), ["-p", "n", "7"], output="-", stdin=True),
    Row("--kernel for a notebook that names none", notebook("1", kernel=None), ["-k", "python3"]),
    Row("a notebook that names no kernel", notebook("1", kernel=None)),
    Row(
        "a kernel that there is not",
        notebook("1", kernel="nowhere"),
        differs={"outputs": ([[]], MISSING), "why": "nothing is written before it is known that it can be run"},
    ),
    Row("--cwd", notebook("import os\nprint(os.path.basename(os.getcwd()))"), ["--cwd", "sub"], files={"sub/x": ""}),
    Row(
        "a folder for the output that there is not",
        notebook("1"),
        output="new/folder/out.ipynb",
        differs={"exit": (1, 0), "outputs": (MISSING, [["execute_result: 1"]]), "why": "it is made"},
    ),
    Row(
        "--stdout-file and --stderr-file",
        notebook("import sys\nprint('out')\nprint('err', file=sys.stderr)"),
        ["--stdout-file", "o.txt", "--stderr-file", "e.txt"],
        check=lambda test, theirs, ours: test.assertEqual(
            [(r.folder / f).read_text() for r in (theirs, ours) for f in ("o.txt", "e.txt")], ["out\n", "err\n"] * 2
        ),
    ),
    # nbclient's situations.
    Row("clear_output at once and waiting", notebook(
        "from IPython.display import clear_output\nprint('a')\nclear_output()\nprint('b')",
        "print('c')\nclear_output(wait=True)\nprint('d')",
        "print('e')\nclear_output(wait=True)",
    )),
    Row("displays that are updated, in other cells too", notebook(
        "from IPython.display import display, update_display, HTML\nh = display('one', display_id='i')",
        "update_display('two', display_id='i')\ndisplay(HTML('<b>x</b>'), display_id='j')",
        "update_display(HTML('<i>y</i>'), display_id='j')",
    )),
    Row("figures in several types", notebook(
        "from IPython.display import SVG, Image, JSON, Markdown, display\n"
        "display(SVG('<svg xmlns=\"http://www.w3.org/2000/svg\"/>'), Markdown('# m'), JSON({'a': [1]}))\n"
        "display(Image(data=b'\\x89PNG\\r\\n\\x1a\\n', format='png'))",
    )),
    Row("20,000 lines", notebook("for i in range(20000): print(i)")),
    Row("both streams, much", notebook("import sys\nfor i in range(2000): print(i); print(i, file=sys.stderr)")),
    Row("results, None, and what is suppressed", notebook("1;", "None", "'x'", "[1, 2]", "_")),
    Row("nobody to ask", notebook("input('? ')", "1")),
    Row("variables and history live through the cells", notebook("a = 1", "a += 1", "print(a, len(In))")),
    Row("background output lands somewhere and ends nothing", notebook(
        "import threading, time\nt = threading.Thread(target=lambda: time.sleep(0.2)); t.start()", "t.join()\nprint('done')"
    )),
]


@dataclass
class Result:
    exit: int
    said: str
    folder: Path
    nb: object


def run(command, row, folder):
    folder.mkdir(parents=True)
    for name, text in row.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(text)
    nbformat.write(row.nb, folder / "in.ipynb")
    source, target = ("-" if row.stdin else "in.ipynb"), row.output
    stdin = (folder / "in.ipynb").read_text() if row.stdin else ""
    for args in [row.args] if row.again is None else [row.args, row.again]:
        done = subprocess.run(
            [*command, source, target, *args], cwd=folder, env=environment, input=stdin, capture_output=True, text=True
        )
        source = target
    written = [path for path in folder.rglob("*.ipynb") if path.name != "in.ipynb"]
    if row.output == "-":
        nb = nbformat.reads(done.stdout, 4)
    else:
        nb = nbformat.read(written[0], 4) if written else None
    if nb is not None:
        nbformat.validate(nb)
    return Result(done.returncode, done.stdout + done.stderr, folder, nb)


def text_of(output):
    if output.output_type == "error":
        return f"error: {output.ename}"
    return f"{output.output_type}: " + " ".join(
        value.strip() if isinstance(value, str) else json.dumps(value, sort_keys=True)
        for _, value in sorted(output.data.items())
    )


def outputs_of(cell):
    """The order between stdout, stderr and the rest is the kernel's chance; so is how a stream is cut."""
    streams, texts = {}, []
    for output in cell.get("outputs", []):
        if output.output_type == "stream":
            streams[output.name] = streams.get(output.name, "") + output.text
        else:
            texts.append(text_of(output))
    return sorted(texts + [f"{name}: {text}" for name, text in streams.items()])


def unescaped(source):
    """papermill writes other alphabets as escapes."""
    return re.sub(r"\\[uU]([0-9a-f]{8}|[0-9a-f]{4})", lambda match: chr(int(match[1], 16)), source)


def is_banner(cell):
    return "papermill-error-cell-tag" in cell.metadata.get("tags", [])


def left(result):
    """All that a run leaves, in a form that can be compared."""
    if result.nb is None:
        return {"exit": result.exit, "outputs": MISSING}
    nb = result.nb
    cells = [cell for cell in nb.cells if not is_banner(cell)]
    pm = dict(nb.metadata.get("papermill", {}))
    times = [pm.pop(key, None) is not None for key in ("start_time", "end_time", "duration")]
    records = [cell.metadata.get("papermill", {}) for cell in cells]
    return {
        "exit": result.exit,
        "cells": len(cells),
        "sources": [unescaped(cell.source.strip()) for cell in cells],
        "outputs": [outputs_of(cell) for cell in cells],
        "counts": [cell.get("execution_count") for cell in cells if cell.cell_type == "code"],
        "tags": [cell.metadata.get("tags", []) for cell in cells],
        "statuses": [record.get("status") for record in records],
        "cell exceptions": [record.get("exception") for record in records if record.get("status") != skipped],
        "hidden": [cell.metadata.get("jupyter") for cell in cells],
        "banners": len(nb.cells) - len(cells),
        "banner places": [i for i, cell in enumerate(nb.cells) if is_banner(cell)],
        "banner texts": [re.sub("<[^>]*>", "", cell.source) for cell in nb.cells if is_banner(cell)],
        "exception": pm.get("exception"),
        "times": times,
        "parameters": pm.get("parameters"),
        "paths": [pm.get("input_path"), pm.get("output_path")],
        "papermill": sorted(pm.keys() - {"status", "error"}),
        "language": nb.metadata.get("language_info", {}).get("name"),
    }


# What follows from another difference, and is not told again in each row.
follows = {
    "banners": ["banner places", "banner texts"],
    "statuses": ["cell exceptions"],
    "cells": ["hidden", "cell exceptions"],
}


class Peers(unittest.TestCase):
    maxDiff = None

    def compare(self, row, folder):
        theirs = run(papermill_command, row, folder / "papermill")
        ours = run(ours_command, row, folder / "modalscope")
        a, b = left(theirs), left(ours)
        expected = {key: value for key, value in row.differs.items() if key != "why"}
        for key, (papermills, our) in expected.items():
            if papermills is not ANY:
                self.assertEqual((key, a.get(key, MISSING)), (key, papermills), theirs.said)
            self.assertEqual((key, b.get(key, MISSING)), (key, our), ours.said)
        passed_over = {*expected, *(name for key in expected for name in follows.get(key, []))}
        for key in a.keys() & b.keys() - passed_over:
            self.assertEqual((key, a[key]), (key, b[key]), theirs.said + ours.said)
        if "outputs" not in expected:
            self.assertEqual(theirs.nb is None, ours.nb is None, theirs.said + ours.said)
        if row.check:
            row.check(self, theirs, ours)

    def test_rows(self):
        with tempfile.TemporaryDirectory(prefix="modalscope peers ") as folder, ThreadPoolExecutor(2) as pool:
            chosen = [row for row in rows if re.search(os.environ.get("PEERS", ""), row.name)]
            jobs = [(row, pool.submit(self.compare, row, Path(folder) / str(i))) for i, row in enumerate(chosen)]
            for row, job in jobs:
                with self.subTest(row.name):
                    job.result()
                    why = f" ({row.differs['why']})" if row.differs else ""
                    print(f"{'differs' if row.differs else 'same':8} {row.name}{why}", flush=True)

    def test_help_and_inspection(self):
        nb = notebook(parameters("n: int = 1  # how many\nname = 'x'"), "1")
        with tempfile.TemporaryDirectory() as folder:
            nbformat.write(nb, Path(folder) / "in.ipynb")

            def said(command, *args):
                done = subprocess.run(
                    [*command, "in.ipynb", *args], cwd=folder, env=environment, capture_output=True, text=True, check=True
                )
                return done.stdout

            for command in (papermill_command, ours_command):
                shown = said(command, "--help-notebook")
                self.assertRegex(shown, r"n: int \(default 1\)\s+how many")
                self.assertIn("name: ", shown)
            from papermill import inspect_notebook

            theirs = inspect_notebook(str(Path(folder) / "in.ipynb"))
            ours = json.loads(said(ours_command, "--inspect"))
            # papermill knows written types only.
            self.assertEqual(ours["name"].pop("inferred_type_name"), "str")
            self.assertEqual(theirs["name"].pop("inferred_type_name"), "None")
            self.assertEqual(ours, theirs)


if __name__ == "__main__":
    unittest.main(verbosity=1)
