"""A published table, against which both metrics are checked."""

import pytest

METRICS = {
    "miou": True,
    "pixel_accuracy": True,
    "absolute_error": False,
    "relative_error": False,
    "mean_angle": False,
    "median_angle": False,
    "within_11": True,
    "within_22": True,
    "within_30": True,
}

# NYUv2 with SegNet-MTAN: results, mean rank and delta_m, as published in Table 1 of
# Shen et al., "GO4Align", NeurIPS 2024.
NYUV2 = """
STL        38.30 63.76 .6754 .2780 25.01 19.21 30.14 57.20 69.15     -     -
LS         39.29 65.33 .5493 .2263 28.15 23.96 22.09 47.50 61.08  9.89  5.59
SI         38.45 64.27 .5354 .2201 27.60 23.37 22.53 48.57 62.32  8.78  4.39
RLW        37.17 63.77 .5759 .2410 28.27 24.18 22.26 47.05 60.62 12.22  7.78
DWA        39.11 65.31 .5510 .2285 27.61 23.18 24.17 50.18 62.39  8.67  3.57
UW         36.87 63.17 .5446 .2260 27.04 22.61 23.54 49.05 63.65  8.33  4.05
MGDA       30.47 59.90 .6070 .2555 24.88 19.45 29.18 56.88 69.36  7.00  1.38
PCGrad     38.06 64.64 .5550 .2325 27.41 22.80 23.86 49.83 63.14  9.00  3.97
GradDrop   39.39 65.12 .5455 .2279 27.48 22.96 23.38 49.44 62.87  7.89  3.58
CAGrad     39.79 65.49 .5486 .2250 26.31 21.58 25.61 52.36 65.58  5.33  0.20
IMTL-G     39.35 65.60 .5426 .2256 26.02 21.19 26.20 53.13 66.24  4.56 -0.76
Nash-MTL   40.13 65.93 .5261 .2171 25.26 20.08 28.40 55.47 68.15  2.89 -4.04
FAMO       38.88 64.90 .5474 .2194 25.06 19.57 29.21 56.61 68.98  4.33 -4.10
GO4Align   40.42 65.37 .5492 .2167 24.76 18.94 30.54 57.87 69.84  2.11 -6.08
"""


class Table:
    """Results, mean ranks and delta_m by method, as published."""

    def __init__(self, text: str) -> None:
        self.higher_is_better = METRICS
        self.results: dict[str, dict[str, float]] = {}
        self.mean_rank: dict[str, float] = {}
        self.delta_m: dict[str, float] = {}
        for line in text.strip().splitlines():
            method, *cells = line.split()
            self.results[method] = dict(
                zip(METRICS, map(float, cells[:9]), strict=True)
            )
            if cells[9] != "-":
                self.mean_rank[method] = float(cells[9])
                self.delta_m[method] = float(cells[10])
        self.single_task = self.results.pop("STL")


@pytest.fixture(scope="session")
def nyuv2() -> Table:
    return Table(NYUV2)
