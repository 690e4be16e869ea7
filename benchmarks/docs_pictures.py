"""Pictures of docs/pictures.md: one model for print, in grey and on a dark page; a film."""

import io
from pathlib import Path

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
from PIL import Image

import kanx
from kanx.explain import plots

DOCS = Path(__file__).parents[1] / "docs"
DPI = 75


def data(rows=120):
    rng = np.random.default_rng(0)
    x = rng.uniform(-1, 1, (rows, 2))
    kind = rng.choice(["oak", "elm", "ash"], rows)
    y = np.exp(np.sin(np.pi * x[:, 0])) + x[:, 1] ** 2 + (kind == "elm")
    return {"phase": x[:, 0], "depth": x[:, 1], "kind": kind}, y + rng.normal(0, 0.1, rows)


def page(view):
    """Return a column of pictures, drawn for the present page, as one image."""
    found = []
    for figure in (view.plot_network().figure, view.plot(), view.plot_local(None).figure):
        file = io.BytesIO()
        figure.savefig(file, dpi=DPI * 6 / figure.get_size_inches()[0])
        plt.close(figure)
        found.append(Image.open(file).convert("RGB"))
    sheet = Image.new("RGB", (found[0].width, sum(image.height for image in found)))
    for k, image in enumerate(found):
        sheet.paste(image, (0, sum(before.height for before in found[:k])))
    return sheet


def main():
    X, y = data()
    model = kanx.KANRegressor(hidden="additive", random_state=0).fit(X, y)
    view = kanx.explain(model, X)
    light = page(view)
    with plots.theme("dark"):
        dark = page(view)
    pages = [light, light.convert("L").convert("RGB"), dark]
    gap = 12
    sheet = Image.new("RGB", (3 * light.width + 2 * gap, light.height), "#888888")
    for k, image in enumerate(pages):
        sheet.paste(image, (k * (light.width + gap), 0))
    sheet.quantize(128).save(DOCS / "pages.png", optimize=True)

    network = kanx.KANRegressor(hidden=("kst", 1), n_estimators=1, max_iter=15, random_state=0)
    plots.animate_training(network, X, y, DOCS / "training.gif")


if __name__ == "__main__":
    main()
