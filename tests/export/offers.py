"""An export written and run in one process, which is quick."""

from mtlzoo.export import ExportedModel
from mtlzoo.export._compare import compare
from mtlzoo.export._offer import Offer


def check_offer(model, x, folder):
    """Write all signatures of `model`, compare what each answers, and return them."""
    offer = Offer(model)
    offer.write(folder)
    golden = offer.inputs(x)
    expected = offer.expected(golden)
    assert set(expected["serving_default"]) == set(model.output)
    with ExportedModel(folder) as exported:
        assert set(exported.signatures) == set(offer.forms) == set(expected)
        assert set(exported.inputs) == set(x)
        types = {spec.dtype.name for spec in exported.outputs.values()}
        assert types == {"float32"}
        answers = {}
        for signature, form in offer.forms.items():
            first = {key: rows[:1] for key, rows in golden[form].items()}
            for suffix, rows in (("", golden[form]), ("/0", first)):
                for output, array in exported(rows, signature).items():
                    answers[f"{signature}/{output}{suffix}"] = array
        compare(expected, answers, 1e-5)
        return exported.signatures
