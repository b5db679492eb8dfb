"""Headless Chromium, for tests and benchmarks of the report."""

import shutil
import subprocess
import tempfile
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
MISSING = f"no browser on the path (any of {', '.join(NAMES)}); what a page does in one is not tested"


def find_browser() -> str | None:
    """Path of a Chromium, None where there is none."""
    return next((path for name in NAMES if (path := shutil.which(name))), None)


def browse(address: str, *options: str, budget_ms: int = 5000) -> str:
    """The page's DOM once its timers and requests have rested, or ``budget_ms`` of its own time have passed.

    Each call is a fresh browser without network names: only files and 127.0.0.1 can be reached.
    """
    browser = find_browser()
    assert browser is not None
    with tempfile.TemporaryDirectory() as profile:
        done = subprocess.run(
            [
                browser, "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-extensions",
                f"--user-data-dir={profile}", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
                f"--virtual-time-budget={budget_ms}", *options, "--dump-dom", address,
            ],
            capture_output=True, text=True, encoding="utf-8", timeout=120, check=True,
        )  # fmt: skip
    return done.stdout


def file_address(path: Path, fragment: str = "") -> str:
    return path.resolve().as_uri() + (f"#{fragment}" if fragment else "")
