import re

from livegrad.view.github import annotations


def test_a_finding_becomes_a_command_beside_its_line(vanishing):
    (line,) = annotations(vanishing)
    assert line.startswith(
        "::error file=train.py,line=27,title=LG101 vanishing-gradient::The gradient shrinks"
    )
    assert "%0AWhy: Sigmoid ×24 loses 14.2 decades%0AReplace the sigmoids" in line


def test_the_most_severe_comes_first_and_no_place_is_invented(adversarial):
    error, warning = annotations(adversarial)
    assert error.startswith("::error title=LG102 exploding-gradient::")
    assert warning.startswith("::warning file=train.py,line=27,title=LG201")


def test_nothing_in_a_name_ends_or_starts_a_command(hostile):
    (line,) = annotations(hostile)
    assert not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u202e]", line)
    properties = line.removeprefix("::error ").split("::")[0]
    assert properties.count(",") == 2


def test_percent_signs_colons_and_commas_are_escaped(vanishing):
    vanishing["findings"][0] |= {
        "source": "C:/a,b%/train.py:3",
        "message": "100 % at\r\nonce",
        "next": "",
        "cause": None,
    }
    assert annotations(vanishing) == [
        "::error file=C%3A/a%2Cb%25/train.py,line=3,title=LG101 vanishing-gradient::100 %25 at%0Aonce"
    ]


def test_info_is_a_notice_and_health_is_silent(healthy, vanishing):
    assert annotations(healthy) == []
    vanishing["findings"][0]["severity"] = "info"
    assert annotations(vanishing)[0].startswith("::notice ")
