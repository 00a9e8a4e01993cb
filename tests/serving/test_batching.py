"""Requests that run together get the answers that they would have got alone."""

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from serving.backends import OverSockets

from mtlzoo import serving
from mtlzoo.serving._errors import ServingError
from mtlzoo.serving._runner import SHORT, TINY, Runner


class Slow:
    """Stands for a servable: doubles, slowly, and notes how many rows came at once."""

    def __init__(self):
        self.sizes = []
        self.go = threading.Event()

    seconds = float("inf")

    def expected(self, feeds, fetches):
        return self.seconds

    def run(self, feeds, fetches, *, here=False):
        self.go.wait(10)
        self.sizes.append(len(feeds[0][1]))
        if any((array < 0).any() for _, array in feeds):
            raise ServingError("INVALID_ARGUMENT", "a negative number")
        by_name = {"double": feeds[0][1] * 2, "total": feeds[0][1].sum()}
        by_name["longer"] = np.concatenate([feeds[0][1]] * 2)
        return [by_name[name] for name in fetches]


@pytest.fixture
def slow():
    return Slow()


def together(slow, requests, most=8, fetches=("double",)):
    """Send requests at once while the first one runs."""

    async def run():
        runner = Runner(most)
        tasks = [
            asyncio.create_task(
                runner.run(slow, [("x", np.asarray(one, float))], fetches)
            )
            for one in requests
        ]
        await asyncio.sleep(0.05)
        slow.go.set()
        found = await asyncio.gather(*tasks, return_exceptions=True)
        assert not runner._queues
        runner.close()
        return found

    return asyncio.run(run())


def test_answers_go_to_whom_they_belong(slow):
    found = together(slow, [[1.0], [2.0, 3.0], [], [4.0]])
    assert [one[0].tolist() for one in found] == [[2.0], [4.0, 6.0], [], [8.0]]
    assert slow.sizes == [4]


def test_no_batch_is_larger_than_it_may_be(slow):
    together(slow, [[1.0] * 3] * 5)
    assert slow.sizes == [6, 6, 3]


def test_rows_of_unlike_shape_run_apart(slow):
    found = together(slow, [[[1.0]], [[1.0, 2.0]], [[3.0]]])
    assert [one[0].tolist() for one in found] == [[[2.0]], [[2.0, 4.0]], [[6.0]]]
    assert sorted(slow.sizes) == [1, 2]


def test_nobody_pays_for_anothers_mistake(slow):
    good, bad, other = together(slow, [[1.0], [-1.0], [2.0]])
    assert good[0].tolist() == [2.0]
    assert other[0].tolist() == [4.0]
    assert isinstance(bad, ServingError)


@pytest.mark.parametrize(
    ("request_", "fetches", "message"),
    [
        (1.0, ["double"], "input tensors must have at least one dimension"),
        (
            [1.0] * 9,
            ["double"],
            "Task size 9 is larger than maximum input batch size 8",
        ),
        ([1.0], ["total"], "Batched output tensor has 0 dimensions"),
        (
            [1.0],
            ["longer"],
            "0th dimension does not equal the sum of the 0th dimension",
        ),
    ],
)
def test_refusals(request_, fetches, message, slow):
    (error,) = together(slow, [request_], fetches=fetches)
    with pytest.raises(ServingError, match=message):
        raise error


@pytest.mark.parametrize("fetch", ["double", "total", "longer"])
def test_what_is_tiny_runs_by_itself_under_the_same_rules(fetch):
    tiny = Short()
    tiny.seconds = TINY / 2
    found = together(tiny, [[1.0], [2.0]], fetches=[fetch])
    assert tiny.sizes == [1, 1]
    if fetch == "double":
        assert [one[0].tolist() for one in found] == [[2.0], [4.0]]
    else:
        assert all(one.code == "FAILED_PRECONDITION" for one in found)


def test_unequal_rows_of_one_request(slow):
    slow.go.set()
    feeds = [("x", np.ones(1)), ("y", np.ones(2))]
    with pytest.raises(ServingError, match="must have equal 0th-dimension size"):
        asyncio.run(Runner(8).run(slow, feeds, ["double"]))


def test_a_request_that_is_given_up_does_not_run(slow):
    async def run():
        runner = Runner(8)
        feeds = [("x", np.ones(1))]
        first = asyncio.create_task(runner.run(slow, feeds, ["double"]))
        await asyncio.sleep(0.05)
        second = asyncio.create_task(runner.run(slow, feeds, ["double"]))
        await asyncio.sleep(0.05)
        second.cancel()
        await asyncio.sleep(0)
        slow.go.set()
        await first
        await asyncio.gather(second, return_exceptions=True)
        await asyncio.sleep(0.05)
        assert not runner._queues
        runner.close()

    asyncio.run(run())
    assert slow.sizes == [1]


class Short(Slow):
    """Takes long enough that others would mind, and notes in which thread it runs."""

    def __init__(self):
        super().__init__()
        self.go.set()
        self.here = []
        self.seconds = SHORT / 2

    def run(self, feeds, fetches, *, here=False):
        self.here.append(here)
        assert here == (threading.current_thread() is threading.main_thread())
        return super().run(feeds, fetches)


@pytest.mark.parametrize("most", [0, 8])
def test_what_nobody_waits_for_runs_at_once(most):
    async def run():
        runner, short = Runner(most), Short()
        feeds = [("x", np.ones(1))]
        for _ in range(2):
            await runner.run(short, feeds, ["double"])
        assert short.here == [True, True]
        both = [runner.run(short, feeds, ["double"]) for _ in range(2)]
        await asyncio.gather(*both)
        assert not short.here[-1]
        runner.close()

    asyncio.run(run())


def test_many_clients_of_several_signatures(zoo):
    """Both heads, together and alone, from 16 threads: no answer is mixed up."""
    with OverSockets(zoo, max_batch_size=16) as backend:
        clients = serving.Client(backend.server.grpc_url, "mtl")

        def ask(index):
            a = np.full((1 + index % 3, 2), index / 100.0)
            b = np.zeros((len(a), 3))
            wanted = (["ctr"], ["topic"], ["ctr", "topic"])[index % 3]
            answers = clients.predict({"a": a, "b": b}, outputs=wanted)
            assert set(answers) == set(wanted)
            if "ctr" in answers:
                expected = 1 / (1 + np.exp(-0.2 * a.sum(1, keepdims=True)))
                np.testing.assert_allclose(answers["ctr"], expected, rtol=1e-5)
            return len(answers)

        with clients, ThreadPoolExecutor(16) as pool:
            assert sum(pool.map(ask, range(400))) >= 400
