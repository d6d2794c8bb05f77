"""Looks at every page of a server with a real Chromium, as a person does, and prints what it found as JSON.

    pages.py URL TOKEN_FILE ROLLOUT AXE_JS FOLDER

Signs in, watches the rollout until it has ended without loading its page again, then opens each page: in the light on a
screen, in the dark on a phone. Tries the keys of a trace's tree. Reports what the console said (a breach of the Content-Security-Policy is an error there), what
axe-core finds serious (WCAG 2.2 AA), what does not fit a phone's width, the bytes of the rollout's page, and what the check
of the ledger in the browser said. Screenshots go into FOLDER.
"""

import base64
import json
import re
import sys
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-dev-shm-usage",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--window-size=1280,900",
]
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
END = re.compile(r"rolled back|promoted", re.IGNORECASE)


def browser():
    options = Options()
    for flag in FLAGS:
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    options.binary_location = "/usr/bin/chromium"
    return webdriver.Chrome(options=options, service=Service("/usr/bin/chromedriver"))


class Look:
    def __init__(self, url, axe, folder):
        self.url, self.folder = url, Path(folder)
        self.axe = Path(axe).read_text(encoding="utf-8")
        self.driver = browser()
        self.found = {"console": [], "axe": [], "wide": [], "pages": []}

    def wait(self, until, seconds=30):
        return WebDriverWait(self.driver, seconds, poll_frequency=0.2).until(until)

    def show(self, dark, phone):
        scheme = [{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": scheme})
        width, height = (390, 844) if phone else (1280, 900)
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": phone}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def console(self, where):
        for entry in self.driver.get_log("browser"):
            if entry["level"] in ("SEVERE", "WARNING"):
                self.found["console"].append(f"{where}: {entry['level']}: {entry['message']}")

    def picture(self, name, whole=False):
        shot = self.driver.execute_cdp_cmd("Page.captureScreenshot", {"format": "png", "captureBeyondViewport": whole})
        (self.folder / f"{name}.png").write_bytes(base64.b64decode(shot["data"]))

    def serious(self, where):
        self.driver.execute_script(self.axe)
        done = self.driver.execute_async_script(
            "const done = arguments[1]; axe.run(document, {runOnly: {type: 'tag', values: arguments[0]}}).then(done, (e) => done({error: String(e)}))",
            TAGS,
        )
        if "error" in done:
            self.found["axe"].append(f"{where}: {done['error']}")
        for violation in done.get("violations", []):
            if violation["impact"] in ("serious", "critical"):
                nodes = "; ".join(node["html"][:160] for node in violation["nodes"][:3])
                self.found["axe"].append(f"{where}: {violation['id']}: {nodes}")
        # What axe itself tries and the policy forbids is not the page's.
        self.driver.get_log("browser")

    def page(self, name, path):
        """One page, in the light on a screen and in the dark on a phone."""
        self.found["pages"].append(path)
        for dark, phone in ((False, False), (True, True)):
            where = f"{path} ({'dark, phone' if phone else 'light'})"
            self.show(dark, phone)
            self.driver.get(self.url + path)
            self.wait(lambda driver: driver.execute_script("return document.readyState") == "complete")
            self.picture(f"{name}-{'phone' if phone else 'screen'}", whole=True)
            self.console(where)
            self.serious(where)
            if phone and self.driver.execute_script("return document.documentElement.scrollWidth") > 391:
                self.found["wide"].append(path)
        self.show(False, False)

    def sign_in(self, token):
        self.driver.get(self.url + "/")
        field = self.wait(lambda driver: driver.find_element(By.NAME, "token"))
        field.send_keys(token)
        field.submit()
        self.wait(lambda driver: "/sign-in" not in driver.current_url)

    def watch(self, rollout):
        """Until the page says how the rollout ended, by itself."""
        self.driver.get(f"{self.url}/rollouts/{rollout}")
        self.driver.execute_script("window.stayed = true")
        self.picture("rollout-under-way")
        self.wait(lambda driver: END.search(driver.find_element(By.TAG_NAME, "main").text), 240)
        self.found["stayed"] = bool(self.driver.execute_script("return window.stayed"))
        self.console("while it was watched")

    def weight(self, path):
        """Everything that the page needs, as it is without compression."""
        self.driver.get(self.url + path)
        script = """
            const done = arguments[0];
            const all = [location.href, ...performance.getEntriesByType('resource').map((it) => it.name)];
            const files = all.filter((name) => !name.endsWith('/events'));
            Promise.all(files.map((name) => fetch(name).then((it) => it.arrayBuffer()).then((it) => it.byteLength)))
                .then((sizes) => done(sizes.reduce((sum, size) => sum + size, 0)));
        """
        self.found["weight"] = self.driver.execute_async_script(script)
        paint = "const it = performance.getEntriesByName('first-contentful-paint')[0]; return it ? it.startTime : null"
        self.found["first_paint_ms"] = self.driver.execute_script(paint)

    def over_time(self, path):
        """The plots, each with lines that are seen, and the rows that they are drawn from."""
        self.driver.get(self.url + path)
        charts = self.driver.find_elements(By.CSS_SELECTOR, "#over-time svg.chart")
        lines = "return [...arguments[0].querySelectorAll('polyline')].filter((it) => it.getTotalLength() > 0).length"
        self.found["plots"] = {
            chart.get_attribute("aria-label").split(" over time")[0]: self.driver.execute_script(lines, chart)
            for chart in charts
        }
        rows = "const done = arguments[1]; fetch(arguments[0]).then((it) => it.text()).then((it) => done(it.trim().split('\\r\\n').length))"
        self.found["csv_lines"] = self.driver.execute_async_script(rows, path + "/numbers.csv")
        self.driver.execute_script("arguments[0].scrollIntoView()", self.driver.find_element(By.ID, "over-time"))
        self.picture("over-time")
        self.console("while the plots were looked at")

    def links(self, pattern):
        found = [link.get_attribute("href") for link in self.driver.find_elements(By.CSS_SELECTOR, "main a[href]")]
        return [link.removeprefix(self.url) for link in found if re.search(pattern, link)]

    def text(self):
        return self.driver.find_element(By.TAG_NAME, "main").text

    def keys(self, path):
        """Arrows, Home, End and Enter in the tree of a trace: what did not do what it should."""
        self.driver.get(self.url + path)
        row = lambda: self.driver.switch_to.active_element
        level = lambda: int(row().get_attribute("aria-level") or 0)
        seen = lambda: len([it for it in self.driver.find_elements(By.CSS_SELECTOR, "table[role=treegrid] tbody tr") if it.is_displayed()])
        wrong = self.found.setdefault("keys", [])

        def check(what, is_so):
            if not is_so:
                wrong.append(f"{what}: level {level()}, {seen()} rows")

        grid = self.wait(lambda driver: driver.find_element(By.CSS_SELECTOR, "table[role=treegrid]"))
        first = grid.find_elements(By.CSS_SELECTOR, "tbody tr")[0]
        self.driver.execute_script("arguments[0].focus()", first)
        all_rows = seen()
        check("there is a tree", all_rows > 2 and first.get_attribute("aria-expanded") == "true")
        row().send_keys(Keys.ARROW_DOWN)
        check("down goes to a child", level() == 2)
        row().send_keys(Keys.ARROW_LEFT, Keys.ARROW_LEFT)
        check("left closes, or goes to the parent", level() in (1, 2))
        row().send_keys(Keys.HOME)
        check("home goes to the first", row() == first)
        row().send_keys(Keys.ENTER)
        check("enter closes", first.get_attribute("aria-expanded") == "false" and seen() < all_rows)
        row().send_keys(Keys.ENTER)
        check("enter opens", first.get_attribute("aria-expanded") == "true")
        row().send_keys(Keys.END)
        check("end goes to the last", row() != first and level() >= 2)
        row().send_keys(Keys.HOME)
        row().send_keys(Keys.ARROW_RIGHT)
        check("right goes into it", level() == 2)
        self.serious(f"{path} (with keys)")
        self.picture("trace-keys")

    def verify(self, path):
        self.driver.get(self.url + path)
        button = self.wait(lambda driver: driver.find_element(By.ID, "verify-run"))
        button.click()
        results = lambda driver: driver.find_elements(By.CSS_SELECTOR, "#verify-results li")
        self.wait(lambda driver: len(results(driver)) >= 3)
        time.sleep(1)
        self.found["verified"] = [item.text for item in results(self.driver)]
        self.driver.execute_script("arguments[0].scrollIntoView()", self.driver.find_element(By.ID, "verify"))
        self.picture("ledger-verified")
        self.console("while the ledger was verified")


def main():
    url, token_file, rollout, axe, folder = sys.argv[1:]
    look = Look(url, axe, folder)
    try:
        look.driver.get(url + "/sign-in")
        look.picture("sign-in")
        look.console("/sign-in")
        look.serious("/sign-in")
        look.sign_in(Path(token_file).read_text(encoding="utf-8").strip())
        look.watch(rollout)
        home = f"/rollouts/{rollout}"
        look.page("rollouts", "/")
        look.page("rollout", home)
        look.weight(home)
        look.over_time(home)
        look.page("numbers", f"{home}/numbers")
        look.page("plan", f"{home}/plan")
        look.page("gates", f"{home}/gates")
        look.found["gates"] = look.text()
        look.page("drift", f"{home}/drift")
        look.found["drift"] = look.text()
        look.page("findings", f"{home}/findings")
        look.driver.get(url + f"{home}/findings")
        for path in look.links(r"/findings/[0-9a-f]{16}$")[:1]:
            look.page("finding", path)
            look.driver.get(url + path)
            for trace in look.links(r"/traces/[0-9a-f]{32}")[:1]:
                look.page("trace", trace)
                look.keys(trace)
        look.page("approvals", f"{home}/approvals")
        look.page("map", "/map")
        look.found["map"] = look.text()
        look.page("passkeys", "/passkeys")
        look.page("ledger", "/ledger")
        look.page("record", "/ledger/2")
        look.verify("/ledger/2")
        print(json.dumps(look.found))
    finally:
        look.driver.quit()


main()
