"""papermill, nbclient and nbconvert run TypeScript notebooks with this kernel, found by the name `modalscope`."""

import json
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

import nbclient
import nbformat
import yaml
from notebooks import notebook, printed, problems_of, small_sizes, small_study, study, write

lines = 20_000
values = {
    "count": 5,
    "share": 0.25,
    "big": 2**60,
    "label": "it's \"quoted\" \\ `${count}`\n\u2028 中文 🎈",
    "nothing": None,
    "yes": True,
    "deep": {"list": [1, [2.5, None, {"a b": "c"}]], "__proto__": [1]},
}


class Headless(unittest.TestCase):
    maxDiff = None

    def setUp(self):
        folder = tempfile.TemporaryDirectory(prefix="modalscope clients ")
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def command(self, *args, ok=True):
        done = subprocess.run([sys.executable, "-m", *map(str, args)], capture_output=True, text=True, cwd=self.folder)
        self.assertEqual(done.returncode == 0, ok, done.stdout + done.stderr)
        return done.stdout + done.stderr

    def test_papermill_gives_nested_parameters(self):
        names = ", ".join(values)
        nb = notebook(
            ("\n".join(f"let {name} = 1;" for name in values), ["parameters"]),
            f"console.log(JSON.stringify({{ {names} }}, (_, v) => typeof v === 'bigint' ? `${{v}}n` : v));",
        )
        source = write(nb, self.folder / "in.ipynb")
        (self.folder / "values.yaml").write_text(yaml.safe_dump(values))
        said = self.command("papermill", source, "out.ipynb", "-f", "values.yaml")
        self.assertNotIn("unknown parameter", said)
        out = nbformat.read(self.folder / "out.ipynb", 4)
        nbformat.validate(out)
        got = json.loads(printed(out.cells[-1]))
        self.assertEqual(got, {**values, "big": f"{2**60}n"})

    def test_papermill_passes_plain_options_and_lists_parameters(self):
        nb = notebook(
            ("// How many.\nconst count: number = 3; // of them\nconst label = 'x';", ["parameters"]),
            "console.log(count * 2, label);",
        )
        source = write(nb, self.folder / "in.ipynb")
        self.command("papermill", source, "out.ipynb", "-p", "count", "21", "-r", "label", "007")
        out = nbformat.read(self.folder / "out.ipynb", 4)
        self.assertEqual(printed(out.cells[-1]), "42 007\n")
        shown = self.command("papermill", "--help-notebook", source)
        self.assertRegex(shown, r"count: number \(default 3\)\s+of them")

    def test_papermill_reports_the_error_and_its_line(self):
        source = write(notebook("const a = 1;\nthrow new RangeError('on purpose');", "a"), self.folder / "in.ipynb")
        said = self.command("papermill", source, "out.ipynb", ok=False)
        self.assertIn("RangeError: on purpose", said)
        self.assertIn("In[1]:2:7", said)

    def test_nbclient_takes_every_line(self):
        nb = notebook(f"for (let i = 0; i < {lines}; i++) console.log(i);", "6 * 7")
        nbclient.NotebookClient(nb, timeout=120).execute()
        self.assertEqual(printed(nb.cells[0]), "".join(f"{i}\n" for i in range(lines)))
        self.assertEqual(nb.cells[1].outputs[0].data["text/plain"], "42")

    def test_nbclient_allow_errors_runs_the_next_cell(self):
        nb = notebook("throw new Error('first')", "'second'")
        nbclient.NotebookClient(nb, timeout=60, allow_errors=True).execute()
        self.assertEqual(nb.cells[0].outputs[-1].ename, "Error")
        self.assertEqual(nb.cells[1].outputs[0].data["text/plain"], "'second'")

    def test_nbclient_timeout_interrupts_and_the_variables_stay(self):
        nb = notebook("const kept = 1;", "for (;;);", "kept")

        def limit(cell):
            return 5 if "for" in cell.source else 120

        nbclient.NotebookClient(nb, timeout_func=limit, interrupt_on_timeout=True, allow_errors=True).execute()
        self.assertEqual(nb.cells[1].outputs[-1].ename, "KeyboardInterrupt")
        self.assertEqual(nb.cells[2].outputs[0].data["text/plain"], "1")

    def test_nbclient_sees_a_dead_kernel(self):
        nb = notebook("console.log('said'); process.exit(3);", "1")
        with self.assertRaises((nbclient.exceptions.DeadKernelError, nbclient.exceptions.CellExecutionError)):
            nbclient.NotebookClient(nb, timeout=60).execute()
        self.assertEqual(printed(nb.cells[0]), "said\n")

    def test_nbconvert_writes_html(self):
        source = write(
            notebook("import { show, heatmap } from 'modalscope';\nshow(heatmap([[1, 2], [3, 4]], { title: 'a < b' }));"),
            self.folder / "figure.ipynb",
        )
        self.command("nbconvert", "--to", "html", "--execute", source)
        page = (self.folder / "figure.html").read_text()
        self.assertIn("a &lt; b", page)

    def test_papermill_runs_notebook_03(self):
        (self.folder / "sizes.yaml").write_text(yaml.safe_dump(small_sizes))
        # In the notebook's own folder, where its imports resolve.
        self.command(
            "papermill", study, self.folder / "out.ipynb", "-f", "sizes.yaml", "-p", "size", "13", "--cwd", study.parent
        )
        out = nbformat.read(self.folder / "out.ipynb", 4)
        nbformat.validate(out)
        self.assertEqual(problems_of(out), [])
        self.assertEqual(out.metadata.papermill.parameters, {**small_sizes, "size": 13})

    def test_nbconvert_runs_notebook_03(self):
        source = small_study(self.folder)
        self.command("nbconvert", "--to", "notebook", "--execute", source, "--output", "out")
        out = nbformat.read(self.folder / "out.ipynb", 4)
        nbformat.validate(out)
        self.assertEqual(problems_of(out), [])
        self.command("nbconvert", "--to", "html", "out.ipynb")
        page = (self.folder / "out.html").read_text()
        self.assertGreaterEqual(page.count('src="data:image/png;base64,'), 8)


if __name__ == "__main__":
    unittest.main(verbosity=2)
