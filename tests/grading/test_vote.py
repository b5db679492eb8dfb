from cal_grpo.grading import grade_answer, majority, vote


def voted(reference, *responses):
    return majority([grade_answer(response, reference) for response in responses])


def test_most_votes_win_and_the_first_way_of_writing_is_shown():
    outcome = voted("18", "#### 17", "#### $18.00", "#### 18", "no idea")
    assert (outcome.answer, outcome.votes, outcome.correct) == ("$18.00", 2, True)


def test_wrong_answers_are_grouped_as_the_grader_compares_them():
    outcome = voted("3/4", "\\boxed{\\frac{1}{2}}", "#### 0.5", "#### 0.75")
    assert (outcome.answer, outcome.votes, outcome.correct) == ("\\frac{1}{2}", 2, False)
    outcome = voted("x+3", "\\boxed{x+1}", "\\boxed{x+3}", "\\boxed{1+x}")
    assert (outcome.answer, outcome.votes) == ("x+1", 2)


def test_a_tie_goes_to_the_answer_that_came_first():
    assert voted("18", "#### 18", "#### 17", "#### 17", "#### 18").correct
    assert not voted("18", "#### 17", "#### 18", "#### 18", "#### 17").correct


def test_a_sample_without_an_answer_has_no_vote():
    outcome = voted("18", "no idea", "none", "#### 18")
    assert (outcome.answer, outcome.votes, outcome.correct) == ("18", 1, True)
    outcome = voted("18", "no idea", "none")
    assert (outcome.answer, outcome.votes, outcome.correct) == (None, 0, False)


def test_when_time_is_up_expressions_count_as_they_are_written(monkeypatch):
    monkeypatch.setattr(vote, "TIME_LIMIT_S", -1.0)
    outcome = voted("x+9", "\\boxed{x+1}", "\\boxed{1+x}", "\\boxed{1+x}", "#### 3", "#### 6/2")
    assert (outcome.answer, outcome.votes) == ("1+x", 2)  # numbers are compared all the same; first of two with two votes
