"""
JupyterLab 4 in Chromium with this kernel, found by the name `modalscope`. SCREENSHOTS names a folder for screenshots.
Needs jupyterlab, selenium, chromium and chromedriver.
"""

import os
import tempfile
import time
import unittest
from pathlib import Path

from lab import Lab
from nbformat import from_dict
from nbformat.v4 import new_output
from notebooks import notebook, plotly, problems_of, small_study, study, write
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

lines = 20_000
figure = "import { heatmap, show } from 'modalscope';\nshow(heatmap([[1, 2], [3, 4]], { title: 'a heatmap' }));"

overlay = """
import { show } from 'modalscope';
import { imageOverlay } from 'modalscope/plot';
const image = { width: 60, height: 40, data: new Uint8Array(60 * 40 * 3).fill(200) };
const tokens = [0, 1, 2, 3, 4, 5].map((i) => {
  const [row, column] = [Math.floor(i / 3), i % 3];
  return { kind: 'patch', tile: 0, row, column, box: [20 * column, 20 * row, 20 * column + 20, 20 * row + 20] } as const;
});
const layout = { width: 60, height: 40, tiles: [{ kind: 'whole' }], tokens } as const;
const values = { data: Float32Array.from({ length: 18 }, (_, i) => i / 100), shape: [3, 6] };
show(imageOverlay(image, layout, values, { title: 'an overlay', axes: [{ name: 'layer' }], unit: 'attention' }));
"""

# How many images and drawings of figures are there to be seen in a cell.
seen = """
const area = panel.content.widgets[args[0]].outputArea.node;
const images = [...area.querySelectorAll('img')].filter((i) => i.complete && i.naturalWidth > 50 && i.clientWidth > 50);
const drawings = [...area.querySelectorAll('.main-svg')].filter((d) => d.getBoundingClientRect().width > 50);
return { images: images.length, drawings: drawings.length };
"""


class InLab(unittest.TestCase):
    maxDiff = None

    @classmethod
    def setUpClass(cls):
        cls.temporary = tempfile.TemporaryDirectory(prefix="modalscope lab ")
        cls.folder = Path(cls.temporary.name)
        write(notebook(figure, "'two'"), cls.folder / "figures.ipynb")
        write(notebook("const kept = 1;", "for (;;);", "kept"), cls.folder / "interrupt.ipynb")
        write(notebook(f"for (let i = 0; i < {lines}; i++) console.log(i);"), cls.folder / "lines.ipynb")
        write(notebook("import * as ms from 'modalscope';", "ms.heatm"), cls.folder / "deeper" / "complete.ipynb")
        write(notebook("const name = await input('Name? ');\nname"), cls.folder / "input.ipynb")
        write(notebook(overlay), cls.folder / "overlay.ipynb")
        small_study(cls.folder)
        cls.lab = Lab(cls.folder, os.environ.get("SCREENSHOTS"))

    @classmethod
    def tearDownClass(cls):
        cls.lab.close()
        cls.temporary.cleanup()

    def outputs(self, index):
        return self.lab.cells()[index]["outputs"]

    def test_1_a_figure_shows_where_it_was_run_and_untrusted(self):
        lab = self.lab
        lab.open("figures.ipynb")
        lab.run_all()
        lab.wait("the last cell", lambda: self.outputs(1))
        found = lab.wait("the figure", lambda: (f := lab.js(seen, 0)) and (f["images"] or f["drawings"]) and f)
        lab.screenshot("figure-trusted")
        self.assertGreater(found["images"] + found["drawings"], 0)
        self.assertEqual(self.outputs(1)[0]["data"]["text/plain"], "'two'")

        # The same outputs in a file that this Jupyter has not signed.
        nb = notebook(figure)
        nb.cells[0].outputs = [
            new_output("display_data", data=o["data"], metadata=o["metadata"]) for o in self.outputs(0)
        ]
        write(nb, self.folder / "untrusted.ipynb")
        lab.open("untrusted.ipynb")
        self.assertFalse(lab.js("return panel.content.model.cells.get(0).trusted"))
        lab.wait("the untrusted figure", lambda: (f := lab.js(seen, 0)) and f["images"] + f["drawings"] > 0)
        lab.screenshot("figure-untrusted")

    def test_1_an_overlay_works_in_its_frame_and_untrusted_is_a_still_image(self):
        lab = self.lab
        lab.open("overlay.ipynb")
        lab.run_all()
        frame = lab.wait("the frame", lambda: lab.browser.find_element(By.CSS_SELECTOR, ".jp-OutputArea iframe"))
        lab.browser.execute_script("arguments[0].scrollIntoView({ block: 'center' })", frame)
        lab.browser.switch_to.frame(frame)
        slider = lab.browser.find_element(By.CSS_SELECTOR, "input[data-axis]")
        slider.send_keys(Keys.ARROW_RIGHT)
        ActionChains(lab.browser).move_to_element(lab.browser.find_elements(By.TAG_NAME, "rect")[4]).perform()
        said = lab.browser.find_element(By.ID, "readout").text
        lab.browser.find_element(By.TAG_NAME, "svg").send_keys(Keys.ARROW_UP)
        above = lab.browser.find_element(By.ID, "readout").text
        lab.browser.switch_to.default_content()
        lab.screenshot("overlay")
        self.assertEqual(said, "row 1, column 1: attention 0.1")
        self.assertEqual(above, "row 0, column 1: attention 0.07")

        nb = notebook(overlay)
        nb.cells[0].outputs = [new_output("display_data", data=o["data"], metadata={}) for o in self.outputs(0)]
        write(nb, self.folder / "overlay-untrusted.ipynb")
        lab.open("overlay-untrusted.ipynb")
        lab.wait("the still image", lambda: (f := lab.js(seen, 0)) and f["images"] == 1)
        self.assertEqual(lab.browser.find_elements(By.CSS_SELECTOR, ".jp-OutputArea iframe[srcdoc]"), [])
        lab.screenshot("overlay-untrusted")

    def test_2_completion_and_tooltips_know_the_package(self):
        lab = self.lab
        lab.open("deeper/complete.ipynb")
        lab.run_cell(0)
        lab.wait("the import", lambda: lab.cells()[0]["execution_count"] == 1)
        lab.idle()
        lab.edit_at_end(1)

        def completer():
            # JupyterLab drops an answer that takes more than a second, as it may on a busy machine; so would a person press Tab again.
            lab.command("completer:invoke-notebook")
            time.sleep(2)
            return lab.text(".jp-Completer")

        names = lab.wait("the completer", completer)
        lab.screenshot("completion")
        self.assertIn("heatmap", names)
        lab.command("completer:select-notebook")
        lab.wait("the completed name", lambda: lab.cells()[1]["source"] == "ms.heatmap")
        lab.set_cell(1, "ms.seeded(")
        lab.edit_at_end(1)
        lab.command("tooltip:launch-notebook")
        tooltip = lab.wait("the tooltip", lambda: lab.text(".jp-Tooltip"))
        lab.screenshot("tooltip")
        self.assertRegex(tooltip, r"seed: number")
        self.assertRegex(tooltip, r"A generator from a seed")

    def test_2_completion_and_tooltips_know_the_subpaths(self):
        lab = self.lab
        lab.open("deeper/complete.ipynb")
        lab.set_cell(1, "import { wilson } from 'modalscope/an")
        lab.edit_at_end(1)

        def completed():
            # A single match is taken at once; if it is offered in a list, it is selected.
            lab.command("completer:invoke-notebook")
            time.sleep(2)
            if lab.text(".jp-Completer"):
                lab.command("completer:select-notebook")
            return lab.cells()[1]["source"] == "import { wilson } from 'modalscope/analysis"

        lab.wait("the completed subpath", completed)
        lab.screenshot("subpath")
        lab.set_cell(1, "import { wilson } from 'modalscope/analysis';\nwilson(")
        lab.edit_at_end(1)
        lab.command("tooltip:launch-notebook")
        tooltip = lab.wait("the tooltip", lambda: lab.text(".jp-Tooltip"))
        self.assertRegex(tooltip, r"successes: number, n: number")

    def test_3_interrupt_keeps_the_variables_and_restart_loses_them(self):
        lab = self.lab
        lab.open("interrupt.ipynb")
        lab.run_cell(0)
        lab.wait("the first cell", lambda: lab.cells()[0]["execution_count"] == 1)
        lab.run_cell(1)
        lab.wait("a busy kernel", lambda: lab.js("return panel.sessionContext.session.kernel.status === 'busy'"))
        lab.command("notebook:interrupt-kernel")
        error = lab.wait("the interrupt", lambda: self.outputs(1))[0]
        self.assertEqual(error["ename"], "KeyboardInterrupt")
        lab.idle()
        lab.run_cell(2)
        result = lab.wait("the variable", lambda: self.outputs(2))[0]
        self.assertEqual(result["data"]["text/plain"], "1")
        lab.screenshot("interrupted")

        lab.command("notebook:restart-kernel")
        lab.wait("the question", lambda: lab.js("document.querySelector('.jp-Dialog .jp-mod-accept').click(); return true"))
        lab.wait("the restart", lambda: lab.js("return !document.querySelector('.jp-Dialog')"))
        lab.idle()
        lab.run_cell(2)
        lab.wait("the loss", lambda: self.outputs(2)[0].get("ename") == "TypeScriptError")
        self.assertIn("Cannot find name 'kept'", self.outputs(2)[0]["evalue"])

        # Without a question and without a cell after it, as extensions restart kernels.
        lab.js("await panel.sessionContext.session.kernel.restart()")
        lab.idle()

    def test_4_every_line_is_printed(self):
        lab = self.lab
        lab.open("lines.ipynb")
        lab.run_all()
        expected = "".join(f"{i}\n" for i in range(lines))

        def text():
            return "".join(o["text"] if isinstance(o["text"], str) else "".join(o["text"]) for o in self.outputs(0))

        lab.wait("all lines", lambda: len(text()) >= len(expected))
        self.assertEqual(text(), expected)
        lab.idle()
        lab.screenshot("lines")

    def test_5_notebook_03_runs_to_its_end_and_draws_its_figures(self):
        lab = self.lab
        lab.open(study.name)
        lab.run_all()
        code = [i for i, cell in enumerate(lab.cells()) if cell["cell_type"] == "code"]

        def ended():
            cells = lab.cells()
            failed = any(o["output_type"] == "error" for i in code for o in cells[i]["outputs"])
            return failed or cells[code[-1]]["execution_count"]

        lab.wait("the last cell", ended, 600)
        lab.idle()
        self.assertEqual(problems_of(from_dict({"cells": lab.cells()})), [])
        for i in code:
            figures = sum(plotly in o.get("data", {}) for o in self.outputs(i))
            if figures == 0:
                continue
            # What is out of sight is not drawn.
            lab.js("await panel.content.scrollToItem(args[0], 'start')", i)
            lab.wait(
                f"{figures} figures of cell {i}",
                lambda i=i, figures=figures: sum(lab.js(seen, i).values()) >= figures,
            )
            lab.screenshot(f"study-{i}")

    def test_6_the_launcher_offers_the_kernel(self):
        lab = self.lab
        lab.open("figures.ipynb")
        lab.command("launcher:create")
        card = ".jp-LauncherCard[data-category='Notebook'][title^='TypeScript']"
        lab.wait("the card", lambda: lab.js("return !!document.querySelector(args[0])", card))
        lab.screenshot("launcher")
        lab.js("document.querySelector(args[0]).click()", card)
        name = "return panel.sessionContext?.session?.kernel?.name"
        self.assertEqual(lab.wait("a notebook's kernel", lambda: lab.js(name)), "modalscope")
        lab.idle()

    def test_7_a_cell_asks_for_a_line(self):
        lab = self.lab
        lab.open("input.ipynb")
        lab.run_all()
        field = lab.wait("the question", lambda: lab.browser.find_elements("css selector", ".jp-Stdin-input"))[0]
        self.assertEqual(lab.text(".jp-Stdin-prompt"), "Name? ")
        field.send_keys("Ada", Keys.ENTER)
        lab.wait("the answer", lambda: any(o["output_type"] == "execute_result" for o in self.outputs(0)))
        self.assertEqual(self.outputs(0)[-1]["data"]["text/plain"], "'Ada'")
        lab.screenshot("input")


if __name__ == "__main__":
    unittest.main(verbosity=2)
