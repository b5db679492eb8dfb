"""Too few wrong answers with a span are told once, when there are enough to say so, and again after a recovery."""

from cal_grpo.runs.found_share import FoundShare


def row(asked, found, **missed):
    return {"cal/asked": float(asked), "cal/found": float(found)} | {f"cal/missed/{k}": float(n) for k, n in missed.items()}


def test_few_spans_are_told_when_there_are_ten_answers_to_tell_by():
    told = []
    spans = FoundShare(0.5, "zeros", told.append)
    spans.add(row(9, 0, timeout=9))
    assert (told, spans.low) == ([], False)
    spans.add(row(4, 1, timeout=1, quote_not_found=2, truncated=50))
    assert spans.low
    assert told == [
        "FEW SPANS: 1 of the 13 judged answers of the last 2 updates have one, less than oracle.min_found=0.5 (timeout 10, "
        "quote_not_found 2); the others get zeros"
    ]
    spans.add(row(5, 0))
    assert len(told) == 1


def test_it_is_told_again_where_it_was_better_meanwhile():
    told = []
    spans = FoundShare(0.5, "zeros", told.append)
    lows = []
    for found in (0, 10, 10, 0, 0, 0):  # of ten each; the share of the last five: 0, 1/2, 2/3, 1/2, 2/5, 2/5
        spans.add(row(10, found))
        lows.append(spans.low)
    assert lows == [True, False, False, False, True, True]
    assert len(told) == 2
    assert told[1].startswith("FEW SPANS: 20 of the 50 judged answers of the last 5 updates")


def test_the_end_looks_at_however_few_there_were():
    for asked, found, said in ((0, 0, 0), (1, 0, 1), (3, 2, 0)):
        told = []
        spans = FoundShare(0.5, "zeros", told.append)
        spans.add(row(asked, found))
        assert told == []
        spans.end()
        assert len(told) == said


def test_zero_never_tells():
    told = []
    spans = FoundShare(0.0, "zeros", told.append)
    spans.add(row(100, 0))
    spans.end()
    assert (told, spans.low) == ([], False)
