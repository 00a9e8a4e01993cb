"""Processes of their own, for what must not depend on what the tests have done.

Each is a fork of one that has imported TensorFlow, Keras and mtlzoo and done nothing
else, so it is there at once, where a new Python would import for seconds.
"""

import concurrent.futures
import multiprocessing
import sys
from pathlib import Path

import keras
import numpy as np

_processes = multiprocessing.get_context("forkserver")
_processes.set_forkserver_preload(["tensorflow", "keras", "mtlzoo"])


def call(function, *arguments):
    """Call a function of a module in a new process; return what it returns."""
    with concurrent.futures.ProcessPoolExecutor(1, mp_context=_processes) as pool:
        return pool.submit(function, *arguments).result()


def run(code, **names):
    """Run a script in a new process; what goes wrong there is raised here."""
    call(exec, code, names)


def save(path, model, x, y):
    """Save a model for `reloaded`, with inputs and what it answers to them."""
    model.save(path.with_suffix(".keras"))
    arrays = {f"x.{name}": value for name, value in x.items()}
    arrays |= {f"y.{name}": np.asarray(value) for name, value in y.items()}
    np.savez(path.with_suffix(".npz"), **arrays)


def reloaded(folder):
    """Return the names of the models in a folder, all of which answer as they did.

    They are loaded in one new process, to which `import mtlzoo` is all it needs: it is
    told of no `custom_objects`.
    """
    return call(_reload, folder)


def _reload(folder):
    paths = sorted(Path(folder).glob("*.keras"))
    for path in paths:
        model = keras.saving.load_model(path)
        with np.load(path.with_suffix(".npz")) as file:
            saved = dict(file)
        x = {name: saved[f"x.{name}"] for name in model.input}
        # Called, not `predict`: for a few rows tracing would take most of the time.
        x = {name: keras.ops.convert_to_tensor(value) for name, value in x.items()}
        for name, found in model(x, training=False).items():
            np.testing.assert_allclose(found, saved[f"y.{name}"], atol=1e-6)
    assert "pytest" not in sys.modules, "the process knows of the tests"
    return [path.stem for path in paths]
