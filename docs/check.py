"""Look at the built site as a reader's browser does. `make docs-check` runs it.

First without a browser: every link within the site has to lead somewhere, every picture has to exist and to have a text
for those who cannot see it. Then Chromium opens every page, and tells of scripts that fail, of files that cannot be
loaded, and of pictures that are wider than their column.
"""

import json
import shutil
import subprocess
import sys
import tempfile
from functools import partial
from html.parser import HTMLParser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Event, Thread
from urllib.parse import unquote, urlsplit

SITE = Path(__file__).resolve().parents[1] / "build" / "docs"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
SECONDS = 300

# Runs first in each page. It tells the server what goes wrong, and when the page is done.
WATCH = """<script>
(() => {
  const faults = [];
  addEventListener("error", (event) => {
    const target = event.target;
    faults.push(event.message || `cannot load ${target.src || target.href || target.tagName}`);
  }, true);
  addEventListener("unhandledrejection", (event) => faults.push(`rejected: ${event.reason}`));
  addEventListener("load", () => setTimeout(() => {
    const article = document.querySelector("article");
    const edge = article ? article.getBoundingClientRect().right + 1 : Infinity;
    for (const image of document.images) {
      if (image.complete && image.naturalWidth === 0) faults.push(`no picture: ${image.src}`);
      if (image.getBoundingClientRect().right > edge) faults.push(`wider than its column: ${image.src}`);
    }
    fetch("/faults", { method: "POST", body: JSON.stringify({ page: location.pathname, faults }) })
      .then(() => parent.postMessage("done", "*"));
  }, 100));
})();
</script>"""

# Opens one page after the other.
TOUR = """<!doctype html><title>tour</title><iframe width="1280" height="900"></iframe><script>
const pages = %s, frame = document.querySelector("iframe");
let late;
const next = () => {
  clearTimeout(late);
  late = setTimeout(next, 20000);
  return pages.length ? (frame.src = pages.shift()) : fetch("/end", { method: "POST" });
};
addEventListener("message", next);
next();
</script>"""


class Page(HTMLParser):
    """The links, pictures and places of a page."""

    def __init__(self, path):
        super().__init__()
        self.links, self.images, self.places = [], [], {""}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        """Note what matters of a tag."""
        attributes = dict(attrs)
        self.places |= {attributes[key] for key in ("id", "name") if attributes.get(key)}
        if tag in ("a", "link") and attributes.get("href"):
            self.links.append(attributes["href"])
        if tag in ("img", "script") and attributes.get("src"):
            self.links.append(attributes["src"])
        if tag == "img":
            self.images.append(attributes)
            self.links += [part.split()[0] for part in (attributes.get("srcset") or "").split(",") if part.strip()]


def broken(pages):
    """What is wrong with the links and pictures of all pages, as sentences."""
    for path, page in pages.items():
        name = path.relative_to(SITE)
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            if not target.exists():
                yield f"{name}: {link} leads nowhere"
            elif target in pages and unquote(parts.fragment) not in pages[target].places:
                yield f"{name}: {link} leads to no place in that page"
        for image in page.images:
            # The cards of the gallery have their titles beside them.
            if not (image.get("alt") or "").strip() and "_thumb" not in image.get("src", ""):
                yield f"{name}: {image.get('src')} has no text for those who cannot see it"


class Server(SimpleHTTPRequestHandler):
    """Serves the site, with a script in each page that reports back."""

    def __init__(self, *arguments, report, **options):
        self.report = report
        super().__init__(*arguments, **options)

    def do_GET(self):
        """Send a file, or the tour, or a page with the script."""
        path = SITE / unquote(urlsplit(self.path).path).lstrip("/")
        if self.path == "/tour":
            self.answer(TOUR % json.dumps(self.report.pages))
        elif path.suffix == ".html" and path.is_file():
            self.answer(path.read_text(encoding="utf-8").replace("<head>", f"<head>{WATCH}", 1))
        else:
            super().do_GET()

    def do_POST(self):
        """Take a report."""
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path == "/end":
            self.report.end.set()
        else:
            said = json.loads(body)
            self.report.faults[said["page"]] = said["faults"]
        self.answer("")

    def answer(self, text):
        """Send a page."""
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *arguments):
        """Say nothing."""


class Report:
    """What the pages said."""

    def __init__(self, pages):
        self.pages = pages
        self.faults = {}
        self.end = Event()


def browse(browser, pages):
    """What is wrong with the pages in a browser, as sentences."""
    report = Report([f"/{path.relative_to(SITE).as_posix()}" for path in pages])
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, report=report, directory=str(SITE)))
    Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = ["--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}"]
        address = f"http://127.0.0.1:{server.server_port}/tour"
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        process = subprocess.Popen([browser, *options, "--remote-debugging-port=0", address], **quiet)
        report.end.wait(SECONDS)
        process.terminate()
        process.wait()
    server.shutdown()
    for page in report.pages:
        yield from (f"{page[1:]}: {fault}" for fault in report.faults.get(page, ["was not opened"]))


def main():
    """Print what is wrong, and say so by the exit code."""
    paths = sorted(path for path in SITE.rglob("*.html") if "_static" not in path.parts)
    if not paths:
        sys.exit(f"There is no site in {SITE}: run `make docs`.")
    pages = {path: Page(path) for path in paths}
    faults = list(broken(pages))
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        faults.append(
            "No browser was found. Install Chromium: `apt-get install chromium` on Debian, or from chromium.org."
        )
    else:
        faults += browse(browser, paths)
    print(*faults, sep="\n", end="\n" if faults else "")
    print(f"{len(paths)} pages, {len(faults)} faults")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
