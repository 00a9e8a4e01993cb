"""The catalogue, in a browser: search, filters, code, on a phone and in the dark."""

import os
from pathlib import Path

import pytest
from browser import headless
from bundles import made
from click.testing import CliRunner

from mtlzoo import hub
from mtlzoo.cli import main
from mtlzoo.errors import BundleError
from mtlzoo.hub._catalogue import _page
from mtlzoo.hub._plot import plot

SCREENSHOTS = os.environ.get("MTLZOO_SCREENSHOTS")
"""A folder to leave pictures of the page in, to look at."""

CENSUS = hub.DatasetInfo(
    "adult", "CC-BY-4.0", "https://archive.ics.uci.edu/dataset/2/adult", "1994 census."
)


def measured(task, metric, value, mean, std, **more):
    return hub.MetricInfo(
        task, metric, value, "adult", mean=mean, std=std, seeds=5, **more
    )


INFOS = [
    made.info(
        "mmoe.adult",
        description="Income and marital status of people of the 1994 US census.",
        metrics=(
            measured("income", "auc", 0.9184, 0.9178, 0.0007),
            measured("never_married", "auc", 0.9631, 0.9627, 0.0003),
        ),
        single_task_metrics=(
            measured("income", "auc", 0.9169, 0.9164, 0.0009),
            measured("never_married", "auc", 0.9633, 0.9631, 0.0002),
        ),
        datasets=(CENSUS,),
        delta_m=-0.05,
        tasks=(
            hub.TaskInfo("income", "binary"),
            hub.TaskInfo("never_married", "binary"),
        ),
        inputs=tuple(hub.InputInfo(f"x{i}", (), "float32") for i in range(13)),
        limits="No decision about a person.",
        parameters=86426,
    ),
    made.info(
        "garments.efficientnet_lite0",
        license="MIT",
        metrics=(hub.MetricInfo("kind", "accuracy", 0.91, "fashion_mnist"),),
        datasets=(hub.DatasetInfo("fashion_mnist", "MIT", "dataset-fashion-mnist"),),
        base=hub.BaseInfo("efficientnet_lite0.imagenet", 1, "sha256:0", "trunk."),
        tasks=(hub.TaskInfo("kind", "multiclass", tuple(map(str, range(30)))),),
        inputs=(hub.InputInfo("photo", (224, 224, 3), "uint8"),),
    ),
    made.info("resnet.photos", metrics=(), description='<script>alert("x")</script>'),
]


@pytest.fixture(scope="module")
def browser():
    with headless() as found:
        yield found


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("catalogue") / "zoo.html"
    path.write_text(_page(INFOS), "utf-8")
    return path.as_uri()


@pytest.fixture(
    params=[(1280, 900, "light"), (390, 844, "light"), (390, 844, "dark")],
    ids=["desktop", "phone", "dark"],
)
def opened(request, browser, page):
    width, height, scheme = request.param
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    browser.execute_cdp_cmd(
        "Emulation.setEmulatedMedia",
        {"features": [{"name": "prefers-color-scheme", "value": scheme}]},
    )
    browser.get(page)
    if SCREENSHOTS:
        name = f"catalogue-{width}-{scheme}.png"
        browser.save_screenshot(str(Path(SCREENSHOTS) / name))
    yield browser
    # No error in the console, and nothing loaded from elsewhere.
    assert browser.get_log("browser") == []
    inside = "document.documentElement.scrollWidth <= window.innerWidth"
    assert browser.execute_script(f"return {inside}"), "the page is wider than it"


def find(browser, selector):
    return browser.find_element("css selector", selector)


def wait_until(browser, condition):
    from selenium.webdriver.support.ui import WebDriverWait  # it may not be there

    WebDriverWait(browser, 10, poll_frequency=0.05).until(condition)


def shown(browser):
    articles = browser.find_elements("css selector", "article:not([hidden])")
    return [one.get_attribute("id") for one in articles]


def test_search_and_filters(opened):
    everything = [info.name for info in INFOS]
    assert shown(opened) == everything
    assert find(opened, "#count").text == "3 of 3"
    find(opened, "[name=words]").send_keys("census mmoe")
    assert shown(opened) == ["mmoe.adult"]
    find(opened, "[name=words]").clear()
    find(opened, "[name=words]").send_keys(" ")
    assert shown(opened) == everything
    for name, choice, expected in (
        ("kind", "multiclass", "garments.efficientnet_lite0"),
        ("license", "MIT", "garments.efficientnet_lite0"),
        ("data", "adult", "mmoe.adult"),
    ):
        options = opened.find_elements("css selector", f"[name={name}] option")
        next(one for one in options if one.text == choice).click()
        assert shown(opened) == [expected]
        options[0].click()
    assert find(opened, "#count").text == "3 of 3"


def test_content(opened):
    article = find(opened, "[id='mmoe.adult']")
    assert "0.9184" in article.text
    assert "0.9178 ± 0.0007" in article.text
    assert "-0.05 %" in article.text
    drawing = article.find_element("css selector", "svg")
    assert drawing.get_attribute("aria-label").startswith("these weights 0.9184")
    code = article.find_element("css selector", "pre").text
    assert 'model = mtlzoo.load("mmoe.adult")' in code
    article.find_element("css selector", "summary").click()
    assert "No decision about a person." in article.text
    button = article.find_element("css selector", "button")
    button.click()
    # The clipboard takes its time, and the word goes away again.
    wait_until(opened, lambda _: button.text in ("copied", "selected"))
    base = find(opened, "[id='resnet.photos']")
    assert '<script>alert("x")</script>' in base.text


def test_readable(opened):
    """Ink on paper has the contrast that WCAG asks for, in both colour schemes."""
    ratio = opened.execute_script("""
        const light = (color) => {
          const [r, g, b] = color.match(/[\\d.]+/g).slice(0, 3).map((one) => {
            const part = one / 255;
            return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
          });
          return 0.2126 * r + 0.7152 * g + 0.0722 * b;
        };
        const style = (name) => getComputedStyle(document.querySelector(name));
        const back = light(style("article").backgroundColor);
        const names = ["article p", ".version", ".ours", ".alone", "summary"];
        return names.map((name) => {
          const ink = light(style(name).color);
          return (Math.max(ink, back) + 0.05) / (Math.min(ink, back) + 0.05);
        });
    """)
    assert min(ratio) >= 4.5


class TestPage:
    def test_from_a_folder(self, models, tmp_path):
        arguments = ["catalogue", str(tmp_path / "zoo.html"), "--models", str(models)]
        result = CliRunner().invoke(main, arguments, catch_exceptions=False)
        assert result.exit_code == 0, result.stderr
        text = (tmp_path / "zoo.html").read_text("utf-8")
        assert text.count("<article") == 6
        assert "mtlzoo.load_head" in text

    def test_takes_nothing_from_elsewhere(self):
        text = _page(INFOS)
        for mark in ("src=", "@import", "url(", "fetch(", '<script>alert("x")'):
            assert mark not in text

    def test_nothing_to_show(self, tmp_path):
        with pytest.raises(BundleError, match="No bundle is in"):
            hub.catalogue(tmp_path)

    def test_plot_of_equal_numbers(self):
        one = hub.MetricInfo("a", "auc", 0.0, "toy")
        assert "nan" not in plot(one, one)
        assert plot(one, None) == ""
