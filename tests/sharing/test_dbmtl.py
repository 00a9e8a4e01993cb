import numpy as np
import pytest
from by_hand import dense, fill, layer, represent, rows, tiny

from mtlzoo.errors import TaskError
from mtlzoo.sharing._dbmtl import in_order

X = rows()
NAMES = ("review", "click", "buy")
SIZES = {"tower_units": (4,), "relation_units": (2,)}


def tower(model, task):
    return dense(model, f"sharing.tower.{task}.dense_1", X)


def test_dbmtl_by_hand_on_a_graph_that_is_not_in_task_order():
    relations = {"buy": ["click"], "review": ["click", "buy"]}
    model = fill(tiny("dbmtl", NAMES, relations=relations, **SIZES))
    related = {"click": tower(model, "click")}
    for task in ("buy", "review"):
        parents = [related[parent] for parent in relations[task]]
        joined = np.concatenate([tower(model, task), *parents], axis=-1)
        related[task] = dense(model, f"sharing.relation.{task}.dense_1", joined)
    for task, found in represent(model, X).items():
        np.testing.assert_allclose(found, related[task], atol=1e-5)


def test_by_default_tasks_are_a_chain():
    model = tiny("dbmtl", NAMES, **SIZES)
    assert layer(model, "relation.click.dense_1").kernel.shape == (4 + 4, 2)
    assert layer(model, "relation.buy.dense_1").kernel.shape == (4 + 2, 2)


def test_without_relations_it_is_towers_on_shared_features():
    model = fill(tiny("dbmtl", NAMES, relations={}, **SIZES))
    for task, found in represent(model, X).items():
        np.testing.assert_allclose(found, tower(model, task), atol=1e-6)


def test_parents_come_first():
    assert in_order({"c": ["b"], "b": ["a"], "a": []}) == ["a", "b", "c"]


def test_cycles_and_unknown_tasks_are_refused():
    with pytest.raises(TaskError, match=r"no cycle.*among: click, buy"):
        tiny("dbmtl", NAMES, relations={"click": ["buy"], "buy": ["click"]})
    with pytest.raises(
        TaskError, match=r"doesn't have: sell. Its tasks: review, click"
    ):
        tiny("dbmtl", NAMES, relations={"buy": ["sell"]})
