"""Draw `public/icon.svg` as the PNG icons that phones need.

After a change of the icon, run `.venv/bin/python frontend/icons.py`.
"""

import os
from pathlib import Path

from playwright.sync_api import sync_playwright

PUBLIC = Path(__file__).with_name("public")
CHROMIUM = os.environ.get("MM_TEST_CHROMIUM", "/usr/bin/chromium")
GROUND = "#0b5cad"
# The file, its size, the part of it that the drawing takes, and the ground. A maskable icon is cut to a circle or
# another shape, of which only the inner 80 % are safe. Apple fills transparent corners with black.
ICONS = [
    ("icon-192.png", 192, 1.0, "transparent"),
    ("icon-512.png", 512, 1.0, "transparent"),
    ("icon-maskable-512.png", 512, 0.8, GROUND),
    ("apple-touch-icon.png", 180, 0.9, GROUND),
]


def main() -> None:
    """Write the icons into `public/`."""
    drawing = (PUBLIC / "icon.svg").read_text()
    with sync_playwright() as playwright:
        page = playwright.chromium.launch(executable_path=CHROMIUM).new_page()
        for name, size, part, ground in ICONS:
            page.set_viewport_size({"width": size, "height": size})
            page.set_content(
                f"<style>body{{margin:0;height:100vh;display:grid;place-items:center;background:{ground}}}"
                f"svg{{width:{part * 100}%}}</style>{drawing}"
            )
            page.screenshot(path=PUBLIC / name, omit_background=True)


if __name__ == "__main__":
    main()
