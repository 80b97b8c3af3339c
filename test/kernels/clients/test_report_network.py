"""
The report of a hostile notebook, opened in Chromium, makes no connection: neither TCP nor UDP. A page without the
report's walls, with the same contents, makes both. Needs selenium, chromium and chromedriver.
"""

import os
import shutil
import socket
import subprocess
import tempfile
import threading
import time
import unittest
from pathlib import Path

from nbformat.v4 import new_markdown_cell, new_output
from notebooks import notebook, repository, write
from selenium import webdriver
from selenium.webdriver.chrome.service import Service


class Listener:
    """Counts what reaches a port of this machine, by TCP and by UDP."""

    def __init__(self):
        self.tcp = socket.create_server(("127.0.0.1", 0))
        self.port = self.tcp.getsockname()[1]
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind(("127.0.0.1", self.port))
        self.seen = []
        for look in (self._accept, self._receive):
            threading.Thread(target=look, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.tcp.accept()
            except OSError:
                return
            connection.settimeout(0.5)
            try:
                first = connection.recv(200)
            except OSError:
                first = b""
            self.seen.append(f"tcp {first[:60]!r}")
            connection.close()

    def _receive(self):
        while True:
            try:
                self.udp.recvfrom(2000)
            except OSError:
                return
            self.seen.append("udp")

    def close(self):
        self.tcp.close()
        self.udp.close()


def hostile(port):
    """Everything known to make a browser ask the network, by itself."""
    at = f"http://127.0.0.1:{port}"
    stun = f"stun:127.0.0.1:{port}"
    script = (
        f"fetch('{at}/fetch').catch(() => {{}}); new Image().src = '{at}/image';"
        f"navigator.sendBeacon('{at}/beacon', 'x'); new WebSocket('ws://127.0.0.1:{port}/socket');"
        f"const peer = new RTCPeerConnection({{ iceServers: [{{ urls: '{stun}' }}] }});"
        "peer.createDataChannel('x'); peer.createOffer().then((offer) => peer.setLocalDescription(offer));"
    )
    return [
        f'<link rel="preconnect" href="{at}"><link rel="dns-prefetch" href="{at}">'
        f'<link rel="stylesheet" href="{at}/style.css"><link rel="prefetch" href="{at}/prefetch">',
        f"<script>{script}</script>",
        f'<img src="{at}/img.png"><img src="x" onerror="{script}"><video src="{at}/v.mp4" poster="{at}/p.png"></video>'
        f'<audio src="{at}/a.mp3" autoplay></audio><picture><source srcset="{at}/s.png"><img src="{at}/s2.png"></picture>',
        f"<style>@import '{at}/import.css'; @font-face {{ font-family: f; src: url({at}/f.woff) }}"
        f" p {{ background: url({at}/background.png); font-family: f }}</style><p style=\"background: url({at}/p2.png)\">text</p>",
        f'<iframe src="{at}/frame"></iframe><object data="{at}/object"></object><embed src="{at}/embed">',
        f'<iframe srcdoc="&lt;link rel=preconnect href={at}&gt;&lt;img src={at}/inner.png&gt;'
        f'&lt;script&gt;{script.replace(chr(34), "&quot;")}&lt;/script&gt;" sandbox="allow-scripts allow-same-origin"></iframe>',
        f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{at}/svg.png" width="9" height="9"/>'
        f'<use href="{at}/use.svg#a"/><script>{script}</script></svg>',
        f'<svg><filter id="f"><feImage href="{at}/fe.png"/></filter><rect filter="url({at}/f.svg#f)" fill="url({at}/g.svg#g)"'
        f' width="9" height="9"/><pattern href="{at}/pattern"/><textPath href="{at}/path"/><cursor href="{at}/cursor"/></svg>',
        f'<script type="speculationrules">{{"prerender":[{{"source":"list","urls":["{at}/rules"]}}]}}</script>'
        f'<link rel="modulepreload" href="{at}/module.js"><link rel="manifest" href="{at}/manifest">',
        f'<table background="{at}/table.png"><tr><td background="{at}/cell.png">a</td></tr></table>'
        f'<noscript><img src="{at}/noscript.png"></noscript><track src="{at}/track">',
        f'<div style="background:\\75rl({at}/escape.png)">a</div><div style="background:u/**/rl({at}/comment.png)">b</div>'
        f'<div style="--a:url({at}/variable.png);background:var(--a)">c</div>',
        f'<style>p {{ background: image-set("{at}/set.png" 1x); cursor: url({at}/c.png), auto; mask-image: url({at}/m.png) }}</style><p>d',
        f'<div><template shadowrootmode="open"><link rel="stylesheet" href="{at}/shadow.css"><img src="{at}/shadow.png"></template></div>',
        f'<math><mglyph src="{at}/glyph.png"></mglyph><maction href="{at}/action">a</maction></math>',
        f'<form action="{at}/form" method="post"><input name="a"></form><script>document.forms[0].submit()</script>',
        f'<meta http-equiv="refresh" content="0;url={at}/refresh">',
    ]


def hostile_notebook(port):
    """The contents as HTML, SVG, Markdown, JavaScript and as a plotly figure's text; in cells and in attachments."""
    nb = notebook("1")
    parts = hostile(port)
    for part in parts:
        for kind in ("text/html", "text/markdown", "image/svg+xml", "text/latex", "application/javascript"):
            nb.cells[0].outputs.append(new_output("display_data", data={kind: part}))
        nb.cells.append(new_markdown_cell(part))
    title = {"text": f'<a href="http://127.0.0.1:{port}/title"><img src="http://127.0.0.1:{port}/t.png"></a>'}
    image = {"source": f"http://127.0.0.1:{port}/plotly.png", "x": 0, "y": 1, "sizex": 1, "sizey": 1}
    figure = {"data": [{"type": "scatter", "y": [1, 2]}], "layout": {"title": title, "images": [image]}}
    nb.cells[0].outputs.append(new_output("display_data", data={"application/vnd.plotly.v1+json": figure}))
    nb.cells.append(new_markdown_cell(f"![image](http://127.0.0.1:{port}/markdown.png)"))
    return nb


class Network(unittest.TestCase):
    # What a browser fetches by itself it asks for within this time of opening the page.
    patience = 6

    @classmethod
    def setUpClass(cls):
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or shutil.which("google-chrome")
        flags = ["--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--allow-loopback-in-peer-connection"]
        for flag in [*flags, "--window-size=1400,8000"]:
            options.add_argument(flag)
        cls.browser = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))

    @classmethod
    def tearDownClass(cls):
        cls.browser.quit()

    def seen(self, page, listener):
        self.browser.get(page.as_uri())
        # Frames and images that wait until they are in view.
        self.browser.execute_script("for (const e of document.querySelectorAll('[loading]')) e.loading = 'eager'")
        time.sleep(self.patience)
        self.browser.execute_script("window.scrollTo(0, document.body.scrollHeight)")
        time.sleep(1)
        listener.close()
        return listener.seen

    def test_a_plain_page_with_these_contents_reaches_the_network(self):
        listener = Listener()
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / "plain.html"
            # Without what leaves the page at once.
            page.write_text("<!doctype html>\n" + "\n".join(hostile(listener.port)[:-2]))
            seen = self.seen(page, listener)
        self.assertIn("udp", seen)
        for path in ("fetch", "img.png", "style.css", "frame", "inner.png", "import.css", "svg.png"):
            self.assertTrue(any(f"/{path} " in one for one in seen), f"{path} is not in {seen}")

    def test_the_report_of_a_notebook_with_these_contents_does_not(self):
        listener = Listener()
        with tempfile.TemporaryDirectory() as folder:
            file = write(hostile_notebook(listener.port), Path(folder) / "hostile.ipynb")
            cli = os.fspath(repository / "dist" / "kernels" / "cli.js")
            subprocess.run(["node", cli, "report", file, "-o", folder], check=True, stdout=subprocess.DEVNULL)
            seen = self.seen(Path(folder) / "index.html", listener)
            title = self.browser.execute_script("return document.querySelectorAll('section.notebook').length")
        self.assertEqual(title, 1)
        self.assertEqual(seen, [])


if __name__ == "__main__":
    unittest.main(verbosity=2)
