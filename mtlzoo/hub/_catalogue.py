"""The catalogue: all bundles on one page, which needs nothing but itself."""

import importlib.resources
from collections.abc import Iterable
from html import escape
from pathlib import Path

from mtlzoo import _bundles
from mtlzoo._bundles import Bundle, WeightsInfo, size_in_words
from mtlzoo._version import __version__
from mtlzoo.errors import BundleError
from mtlzoo.hub._card import shown, with_single_task
from mtlzoo.hub._plot import plot


def catalogue(models: str | Path | None = None) -> str:
    """Return one HTML page of all bundles: to search, to filter, to copy code from.

    It is static and loads nothing from elsewhere, so it may be opened as a file, or
    served from anywhere.

    Args:
        models: a folder of bundles; by default those that come with mtlzoo.

    Raises:
        BundleError: a bundle is not sound, or the folder has none.

    Example:

    ```python
    Path("zoo.html").write_text(mtlzoo.hub.catalogue(), "utf-8")
    ```
    """
    folder = _bundles.project_models() if models is None else Path(models)
    newest: dict[str, Bundle] = {}
    for bundle in _bundles.find_bundles(folder):
        newest[bundle.info.name] = bundle
    if not newest:
        raise BundleError(f"No bundle is in {str(folder)!r}.")
    infos = [bundle.info for bundle in newest.values()]
    return _page(infos)


def _page(infos: list[WeightsInfo]) -> str:
    kinds = {task.kind for info in infos for task in info.tasks}
    licenses = {info.license for info in infos}
    data = {one.name for info in infos for one in info.datasets}
    articles = "\n".join(map(_article, infos))
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; \
style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:">
<link rel="icon" href="data:,">
<title>mtlzoo: pretrained multi-task models</title>
<style>
{_file("catalogue.css")}</style>
</head>
<body>
<header>
<h1>Pretrained multi-task models</h1>
<p>Weights with a licence, their data, and metrics that <code>mtlzoo evaluate</code>
measures again. Each number is from rows that were held out of training.</p>
</header>
<form role="search">
<label>Search<input name="words" type="search" placeholder="census, photo"></label>
{_choice("kind", "Kind of task", kinds)}
{_choice("license", "Licence", licenses)}
{_choice("data", "Data", data)}
</form>
<p id="count" aria-live="polite"></p>
<main>
{articles}
</main>
<footer>Made by mtlzoo {escape(__version__)} from the manifests of the bundles.</footer>
<script>
{_file("catalogue.js")}</script>
</body>
</html>
"""


def _file(name: str) -> str:
    folder = importlib.resources.files("mtlzoo.hub") / "page"
    return (folder / name).read_text("utf-8")


def _choice(name: str, label: str, values: Iterable[str]) -> str:
    options = "".join(f"<option>{escape(one)}</option>" for one in sorted(values))
    return (
        f'<label>{label}<select name="{name}"><option value="">all</option>'
        f"{options}</select></label>"
    )


def _article(info: WeightsInfo) -> str:
    kinds = [task.kind for task in info.tasks]
    data = [one.name for one in info.datasets]
    words = [
        *(info.name, info.architecture, info.description, info.license, info.use),
        *data,
        *(word for task in info.tasks for word in (task.name, task.kind)),
    ]
    facts = [
        info.license,
        *(f"data: {name}" for name in data),
        f"{info.parameters:,} parameters",
        size_in_words(info.size),
        *([f"on {info.base.name}"] if info.base else []),
    ]
    chips = "".join(f"<li>{escape(fact)}</li>" for fact in facts)
    return f"""<article id="{escape(info.name)}" \
data-words="{escape(" ".join(words).lower())}" data-kind="{_lines(kinds)}" \
data-license="{escape(info.license)}" data-data="{_lines(data)}">
<h2>{escape(info.name)} <span class="version">version {info.version}</span></h2>
<p>{escape(info.description)}</p>
<ul class="facts">{chips}</ul>
<h3>Measured</h3>
{_metrics(info)}
<h3>Use it</h3>
<div class="code"><button type="button">copy</button>
<pre>{escape(_code(info))}</pre></div>
<details><summary>Data, recipe, limits</summary>
{_details(info)}</details>
</article>"""


def _lines(values: Iterable[str]) -> str:
    return escape("\n".join(sorted(set(values))))


def _metrics(info: WeightsInfo) -> str:
    if not info.metrics:
        return "<p>Nothing: it is a base for other models.</p>"
    rows = []
    for one, single in with_single_task(info):
        value, _, spread = shown(one).partition(" ")
        drawing = plot(one, single)
        rows.append(
            # A name may be broken after an underscore, where the page is narrow.
            f"<tr><td>{escape(one.task).replace('_', '_<wbr>')}</td>"
            f"<td>{escape(one.metric.replace('_', ' '))} "
            f"{'↑' if one.higher_is_better else '↓'}</td>"
            f'<td class="number">{value}<small>{escape(spread.strip("()"))}</small>'
            f'</td><td class="plot">{drawing}</td></tr>'
        )
    head = "<tr><th>task</th><th>metric</th><th>these weights</th><th></th></tr>"
    lines = [f"<table>{head}{''.join(rows)}</table>"]
    if info.single_task_metrics:
        lines.append(
            '<p class="key"><b class="ours">●</b> these weights, <b class="alone">■'
            "</b> a network for that task alone; lines: mean ± standard deviation over "
            f"{max(one.seeds for one in info.metrics)} seeds.</p>"
        )
    if info.delta_m is not None:
        lines.append(
            f'<p class="key">Mean change against networks for each task alone, less is '
            f"better: <b>{info.delta_m:+.2f} %</b></p>"
        )
    return "\n".join(lines)


def _code(info: WeightsInfo) -> str:
    lines = ["import mtlzoo", "", f'model = mtlzoo.load("{info.name}")']
    if info.base and info.tasks:
        lines += [
            "# or beside other heads on the same base:",
            f'model = mtlzoo.load_head("{info.name}", onto=model)',
        ]
    rows = ", ".join(f'"{one.name}": ...' for one in info.inputs[:2])
    more = ", ..." if len(info.inputs) > 2 else ""
    return "\n".join([*lines, f"model.predict({{{rows}{more}}})"])


def _details(info: WeightsInfo) -> str:
    parts = []
    for one in info.datasets:
        parts.append(
            f"<p><b>{escape(one.name)}</b>, {escape(one.license)}, "
            f"{_link(one.source)}. {escape(one.provenance)}</p>"
        )
    for title, text in (
        ("What it is for", info.use),
        ("What it is not for", info.limits),
        ("Recipe", info.recipe.command),
    ):
        if text:
            parts.append(f"<h3>{title}</h3><p>{escape(text)}</p>")
    for task in info.tasks:
        if task.classes:
            names = ", ".join(task.classes[:20])
            more = f", … ({len(task.classes)} in all)" if len(task.classes) > 20 else ""
            parts.append(f"<h3>Classes of {escape(task.name)}</h3>")
            parts.append(f"<p>{escape(names + more)}</p>")
    return "\n".join(parts)


def _link(source: str) -> str:
    if source.startswith(("https://", "http://")):
        return f'<a href="{escape(source)}" rel="noreferrer">{escape(source)}</a>'
    return escape(source)
