from mtlzoo.benchmarks import seeds


def test_mean_and_spread_of_several_seeds_as_they_are_written():
    assert seeds.cell([1.0, 2.0, 3.0]) == "2.000 ± 1.000"
    assert seeds.cell([1.0, 3.0], "+.2f") == "+2.00 ± 1.41"
    assert seeds.cell([2.0], "+.1f") == "+2.0"
    assert seeds.cell([]) == ""
