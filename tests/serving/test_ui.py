"""The page, in a browser: forms from signatures, and what the models answer."""

import base64
import json
import os
import urllib.error
import urllib.request
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from browser import headless
from serving.models import save, signature

import mtlzoo
from mtlzoo import export, features, serving, tasks, trunks

v1 = tf.compat.v1
SCREENSHOTS = os.environ.get("MTLZOO_SCREENSHOTS")
"""A folder to leave pictures of the page in, to look at."""


def table_and_text():
    age = v1.placeholder(tf.float32, [None], name="age")
    job = v1.placeholder(tf.string, [None], name="job")
    review = v1.placeholder(tf.string, [None], name="review")
    history = v1.placeholder(tf.float32, [None, 4], name="history")
    older = tf.sigmoid((age - 40.0) / 10.0)
    clerk = tf.cast(tf.equal(job, "clerk"), tf.float32)
    length = tf.cast(tf.strings.length(review), tf.float32)
    topics = tf.stack([age / 20.0, clerk, length / 10.0, history[:, 0]], axis=1)
    return {
        "serving_default": signature(
            {"age": age, "job": job, "review": review, "history": history},
            {
                "income": older[:, None],
                "hours": 38.0 + 4.0 * clerk[:, None],
                "topic": tf.nn.softmax(topics),
            },
        ),
        "task_income": signature({"age": age}, {"income": older[:, None]}),
    }


def photo():
    pixels = v1.placeholder(tf.float32, [None, 16, 16, 3], name="photo")
    color = tf.reduce_mean(pixels, axis=[1, 2]) / 255.0
    return {
        "serving_default": signature(
            {"photo": pixels}, {"color": tf.nn.softmax(8.0 * color), "light": color}
        )
    }


def export_shop(folder):
    """An export of our own, with class names, a picture and recorded requests."""
    model = mtlzoo.build(
        "shared_bottom",
        inputs={
            "photo": features.Image((8, 8, 1)),
            "job": features.Categorical(["clerk", "nurse"]),
            "age": features.Numeric(mean=40.0, variance=100.0),
        },
        tasks=[
            tasks.Multiclass("garment", ["bag", "coat", "shoe"]),
            tasks.Regression("share", mean=0.5),
        ],
        trunk=trunks.Multimodal({"photo": trunks.CNN((2,))}, units=(4,)),
    )
    golden = {
        "photo": np.zeros((2, 8, 8, 1), "uint8"),
        "job": ["clerk", "nurse"],
        "age": [30.0, np.nan],
    }
    export.saved_model(model, folder, golden=golden)


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ui")
    export_shop(folder / "shop")
    save(folder / "income" / "1", table_and_text)
    save(folder / "photo" / "1", photo)
    with serving.serve(folder, port=0, grpc_port=0, ui=True) as server:
        yield server.url


@pytest.fixture(scope="module")
def browser():
    with headless() as found:
        yield found


@pytest.fixture(params=[(1200, 800), (390, 844)], ids=["desktop", "phone"])
def opened(request, browser, page):
    # A window can't be made as narrow as a phone; the page's own width can.
    width, height = request.param
    browser.execute_cdp_cmd(
        "Emulation.setDeviceMetricsOverride",
        {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False},
    )
    browser.get(page)
    find(browser, "#version:not(:empty)")
    yield browser
    # No error in the console, and nothing loaded from elsewhere.
    assert browser.get_log("browser") == []
    inside = "document.documentElement.scrollWidth <= window.innerWidth"
    assert browser.execute_script(f"return {inside}"), "the page is wider than it"


def shoot(browser, name):
    if SCREENSHOTS:
        width = browser.execute_script("return window.innerWidth")
        browser.save_screenshot(str(Path(SCREENSHOTS) / f"{name}-{width}.png"))


def find(browser, selector):
    return browser.find_element("css selector", selector)


def answers(browser):
    """Predict, and return the text of each task's answer by its name."""
    find(browser, "#predict").click()
    find(browser, "#answers .task")
    tasks = browser.find_elements("css selector", "#answers .task")
    assert find(browser, "#latency").text.endswith(" ms")
    return {
        one.find_element("tag name", "h3").text: one.text.split("\n")[1:]
        for one in tasks
    }


def fill(browser, name, text):
    control = find(browser, f"[name={name}]")
    control.clear()
    control.send_keys(text)


def test_form(opened):
    assert find(opened, "#version:not(:empty)").text == "version 1"
    shoot(opened, "empty")
    fill(opened, "age", "40")
    fill(opened, "job", "clerk")
    fill(opened, "review", "A good film.")
    found = answers(opened)
    shoot(opened, "income")
    assert found["income"] == ["50.0%"]
    assert found["hours"] == ["42"]
    assert len(found["topic"]) == 8
    assert found["topic"][0] == "0"


DROP = """
const bytes = Uint8Array.from(atob(arguments[1]), (one) => one.charCodeAt(0));
const transfer = new DataTransfer();
transfer.items.add(new File([bytes], "grey.png", { type: "image/png" }));
arguments[0].dispatchEvent(new DragEvent("drop", { dataTransfer: transfer }));
"""


def test_export_of_ours(opened):
    """The form holds recorded rows, a picture goes as a file, classes have names."""
    find(opened, "#model option[value=shop]").click()
    find(opened, "#known-job")
    job, age = (find(opened, f"[name={name}]") for name in ("job", "age"))
    assert find(opened, "#signature").get_property("value") == "serving_bytes"
    assert [one.get_property("value") for one in (job, age)] == ["clerk", "30"]
    find(opened, "#another").click()
    assert [one.get_property("value") for one in (job, age)] == ["nurse", "30"]
    picture = tf.io.encode_png(np.full((20, 10, 1), 99, "uint8")).numpy()
    script = base64.b64encode(picture).decode()
    opened.execute_script(DROP, find(opened, ".drop"), script)
    find(opened, ".drop img:not([hidden])")
    found = answers(opened)
    shoot(opened, "shop")
    assert set(found["garment"][::2]) == {"bag", "coat", "shoe"}
    assert sum(float(one.rstrip("%")) for one in found["garment"][1::2]) > 99
    assert "%" not in found["share"][0]  # a value, though it is between 0 and 1


def test_unknown_model(page):
    with pytest.raises(urllib.error.HTTPError) as error:
        urllib.request.urlopen(f"{page}/ui/models/nope")
    with error.value as response:
        assert response.code == 404
        assert "Servable not found" in json.loads(response.read())["error"]


def test_one_task(opened):
    find(opened, "#signature option[value=task_income]").click()
    fill(opened, "age", "60")
    assert answers(opened) == {"income": ["88.1%"]}


def test_image(opened, tmp_path):
    from PIL import Image

    pixels = np.zeros((40, 60, 3), np.uint8)
    pixels[..., 2] = 255
    Image.fromarray(pixels).save(tmp_path / "blue.png")
    find(opened, "#model option[value=photo]").click()
    find(opened, "input[type=file]").send_keys(str(tmp_path / "blue.png"))
    find(opened, ".drop img:not([hidden])")
    found = answers(opened)
    shoot(opened, "photo")
    assert found["color"][:2] == ["2", "99.9%"]
    assert found["light"][:2] == ["2", "100.0%"]


def test_what_is_wrong_is_said(opened):
    fill(opened, "history", "[1, 2")
    find(opened, "#predict").click()
    error = find(opened, "#error:not([hidden])")
    assert error.text == "history must be a list of numbers, such as [0, 1]."
    shoot(opened, "error")
    fill(opened, "history", '["words"]')
    find(opened, "#predict").click()
    find(opened, "#error:not([hidden])")
    opened.implicitly_wait(5)
    assert "history" in error.text or "float" in error.text
    opened.get_log("browser")  # of the refused request


def test_page_takes_nothing_from_elsewhere(page):
    folder = Path(serving.__file__).parent / "ui"
    for path in folder.iterdir():
        text = path.read_text("utf-8")
        assert "http://" not in text
        assert "https://" not in text
        assert len(text.splitlines()) <= 300


def test_no_page_unless_asked_for(over_sockets):
    assert over_sockets.rest("GET", "/")[0] == 404
