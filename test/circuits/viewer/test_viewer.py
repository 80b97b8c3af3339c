"""
A graph written by modalscope, opened in circuit-tracer's own viewer in Chromium: `python test_viewer.py ASSETS GRAPHS`.
ASSETS holds the viewer and the scripts that it loads, as check.sh lays them out; GRAPHS what graph.ts wrote. Nothing
outside this machine is asked for. Needs selenium, chromium and chromedriver.
"""

import functools
import http.server
import json
import os
import shutil
import sys
import threading
import unittest
from pathlib import Path
from urllib.parse import quote, urlsplit

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.support.ui import WebDriverWait

assets, graphs = (Path(path).resolve() for path in sys.argv[1:3])


class Handler(http.server.SimpleHTTPRequestHandler):
    """As circuit-tracer's local server: /data and /graph_data are the graphs, everything else the viewer."""

    def translate_path(self, path):
        first, _, rest = urlsplit(path).path.lstrip("/").partition("/")
        if first in ("data", "graph_data"):
            return str(graphs / rest)
        return super().translate_path(path)

    def log_message(self, *_):
        pass


class Viewer(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        handler = functools.partial(Handler, directory=str(assets))
        cls.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        threading.Thread(target=cls.server.serve_forever, daemon=True).start()
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
        # Addresses outside cannot be looked up: what the viewer would ask for there fails, and is seen below.
        outside = "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"
        for flag in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1700,1300", outside):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        cls.browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        cls.expected = json.loads((graphs / "expected.json").read_text())

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()
        cls.server.shutdown()

    def run_script(self, script):
        return self.browser.execute_script(script)

    def open(self, query=""):
        self.browser.get(f"http://127.0.0.1:{self.server.server_port}/{query}")
        WebDriverWait(self.browser, 60).until(lambda _: self.run_script("return document.querySelector('text.node')"))

    def shoot(self, name):
        if folder := os.environ.get("SCREENSHOTS"):
            Path(folder).mkdir(parents=True, exist_ok=True)
            self.browser.save_screenshot(str(Path(folder) / name))

    def test_every_node_and_link_is_there(self):
        self.open()
        nodes = self.run_script(
            "return d3.selectAll('.link-graph text.node').data().map((d) => [d.node_id, d.feature_type, d.pos])"
        )
        self.assertEqual(sorted(id for id, _, _ in nodes), self.expected["nodes"])
        self.assertTrue(all(0 <= x and 0 <= y for _, _, (x, y) in nodes))
        links = self.run_script(
            "return d3.selectAll('.link-graph text.node').data().flatMap((d) => d.sourceLinks.map((l) => l.linkId))"
        )
        self.assertEqual(sorted(links), self.expected["links"])
        kinds = {kind for _, kind, _ in nodes}
        self.assertLessEqual({"embedding", "logit", "cross layer transcoder"}, kinds)
        self.shoot("circuit-tracer-viewer.png")

    def test_a_chosen_feature_shows_its_links_and_examples(self):
        chosen = self.expected["chosen"]
        self.open(f"?clickedId={chosen['id']}")
        rows = ".node-connections .features.{} .feature-row"
        for side in ("input", "output"):
            count = len(self.browser.find_elements("css selector", rows.format(side)))
            self.assertEqual(count, chosen[f"{side}s"])
        drawn = """
            const canvas = document.querySelectorAll('.link-graph canvas')[3];
            const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
            return data.some((v) => v > 0);"""
        self.assertTrue(self.run_script(drawn), "no line is drawn")
        text = lambda selector: self.run_script(f"return document.querySelector('{selector}')?.textContent ?? ''")
        self.assertIn(chosen["label"], text(".node-connections"))
        WebDriverWait(self.browser, 20).until(lambda _: text(".feature-detail .token") != "")
        self.assertIn("Top activations", text(".feature-detail"))
        self.shoot("circuit-tracer-viewer-feature.png")

    def test_supernodes_stand_in_the_subgraph(self):
        # The viewer takes them from its address alone, and an empty list where that has none.
        groups = json.loads((graphs / "planet.json").read_text())["qParams"]["supernodes"]
        self.open(f"?supernodes={quote(quote(json.dumps(groups)))}")
        wait = WebDriverWait(self.browser, 20)
        names = "return [...document.querySelectorAll('.subgraph .supernode-container .node-text-container')].map((e) => e.textContent)"
        wait.until(lambda _: len(self.run_script(names)) >= 2)
        self.assertEqual(sorted(self.run_script(names)), self.expected["supernodes"])
        self.shoot("circuit-tracer-viewer-supernodes.png")

    def test_nothing_fails_and_nothing_outside_is_asked_for(self):
        self.browser.get_log("browser")
        self.browser.get_log("performance")
        self.open(f"?clickedId={self.expected['chosen']['id']}")
        severe = [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]
        self.assertEqual([message for message in severe if "favicon" not in message], [])
        events = [json.loads(entry["message"])["message"] for entry in self.browser.get_log("performance")]
        asked = [e["params"]["request"]["url"] for e in events if e["method"] == "Network.requestWillBeSent"]
        self.assertTrue(asked)
        self.assertEqual([url for url in asked if not url.startswith(("http://127.0.0.1:", "data:"))], [])


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1], verbosity=2)
