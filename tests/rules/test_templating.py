"""Placeholders are filled, escaped, and never more than that."""

import re
import time

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from lxml import html as lxml_html

from portal.rules.templating import (
    LONGEST_TEMPLATE,
    MOST_PLACEHOLDERS,
    PLACEHOLDERS,
    check,
    examples,
    fill,
    fill_text,
)

VALUES = {"customer.first_name": "Ada", "ticket.number": "10482", "customer.company": ""}


@pytest.mark.parametrize(
    ("template", "filled"),
    [
        ("<p>Hi {{ customer.first_name }},</p>", "<p>Hi Ada,</p>"),
        ("{{customer.first_name}}{{ ticket.number }}", "Ada10482"),
        ('{{ customer.company | default("your firm") }}', "your firm"),
        ("{{ customer.company|default('your firm') }}", "your firm"),
        ("{{ customer.company | default(&quot;your firm&quot;) }}", "your firm"),
        ("{{&nbsp;customer.first_name&nbsp;}}", "Ada"),
        ('{{ customer.first_name | default("there") }}', "Ada"),
        ('{{ customer.company | default("") }}!', "!"),
        ('{{ customer.company | default("<b>&amp;") }}', "&lt;b&gt;&amp;"),
        ('<a href="https://x.test/{{ ticket.number }}">', '<a href="https://x.test/10482">'),
        ("no placeholder at all { }", "no placeholder at all { }"),
    ],
)
def test_filling(template: str, filled: str) -> None:
    result = fill(template, VALUES)
    assert (result.html, result.unfilled) == (filled, ())
    assert check(template) == []


def test_what_has_no_value_is_marked_where_people_see_it_and_listed_once() -> None:
    result = fill("{{ customer.company }} {{ customer.company }} {{ agent.name }}", VALUES)
    assert result.unfilled == ("customer.company", "agent.name")
    assert '<mark data-unfilled="agent.name">agent.name</mark>' in result.html


def test_what_has_no_value_within_a_tag_breaks_no_tag() -> None:
    result = fill('<a href="https://x/{{ agent.name }}">{{ nonsense here }}</a>', VALUES)
    assert result.html.startswith('<a href="https://x/agent.name">')
    assert result.unfilled == ("agent.name", "nonsense here")


@pytest.mark.parametrize(
    "name",
    [
        "customer.__class__",
        "customer.first_name.__class__.__mro__",
        "config",
        "request.environ",
        "self",
        "customer",
        "customer.password",
    ],
)
def test_nothing_outside_the_list_is_ever_filled(name: str) -> None:
    result = fill(f"{{{{ {name} }}}}", {**VALUES, name: "secret"})
    assert "secret" not in result.html
    assert result.unfilled == (name,)
    assert check(f"{{{{ {name} }}}}")[0].name == name


@pytest.mark.parametrize(
    ("source", "position"),
    [
        ("{{ 7 * 7 }}", 3),
        ("{{ customer.first_name() }}", 3),
        ("{{ customer['first_name'] }}", 3),
        ("{{ customer.first_name | upper }}", 3),
        ("{% for x in y %}", 3),
        ("{{ customer.first_name", 3),
        ("customer.first_name }}", 23),
        ("{# note #}", 3),
        ("{{ <b>customer.first_name</b> }}", 3),
        ("{{}}", 3),
        ("{{ {{ customer.name }} }}", 3),
    ],
)
def test_everything_else_is_a_problem_with_words_and_place(source: str, position: int) -> None:
    problems = check(f"<p>{source}</p>")
    assert problems[0].position == position
    assert problems[0].message.endswith(".")
    assert "Ada" not in fill(source, VALUES).html


def test_a_name_nearly_right_gets_a_suggestion_and_its_place() -> None:
    (problem,) = check("<p>Hi {{ customer.firstname }}</p>")
    assert (problem.position, problem.suggestion) == (6, "customer.first_name")
    assert "Did you mean customer.first_name?" in problem.message


def test_a_placeholder_within_a_script_is_refused_and_stays_empty() -> None:
    template = "<script>var x = '{{ customer.first_name }}'</script>{{ customer.first_name }}"
    assert "script" in check(template)[0].message
    assert fill(template, VALUES).html == "<script>var x = ''</script>Ada"


def test_a_link_cannot_be_made_to_run_something() -> None:
    result = fill('<a href="{{ customer.first_name }}">x</a>', {"customer.first_name": "javascript:alert(1)"})
    assert result.html == '<a href="javascript%3Aalert%281%29">x</a>'


def test_values_are_not_templates() -> None:
    result = fill(
        "{{ customer.first_name }}", {"customer.first_name": "{{ agent.email }}", "agent.email": "a@b"}
    )
    assert result.html == "{{ agent.email }}"


def test_plain_text_is_filled_without_escaping() -> None:
    result = fill_text("Re: {{ ticket.subject }} {{ agent.name }}", {"ticket.subject": "a < b"})
    assert (result.html, result.unfilled) == ("Re: a < b [agent.name]", ("agent.name",))


def test_every_placeholder_has_a_description_and_an_example_that_fills_it() -> None:
    template = " ".join(f"{{{{ {name} }}}}" for name in PLACEHOLDERS)
    assert check(template) == []
    assert fill(template, examples()).unfilled == ()
    assert all(placeholder.description for placeholder in PLACEHOLDERS.values())


PLACES = [
    "<p>{}</p>",
    '<a href="https://x.test/{}" title="a > b">link</a>',
    "<a href='{}'>link</a>",
    '<p title="{}">x</p>',
    "<img src={} alt=x>",
    "<!-- {} --><p>x</p>",
    '<a title="1 > 0" href="{}">x</a>',
    "<p>1 < 2 and {}</p>",
]
NASTY = st.text(alphabet="<>\"'&/=:;()- \n\tabonclick{}%#!`", max_size=60) | st.sampled_from(
    [
        "<script>alert(1)</script>",
        '" onmouseover="alert(1)',
        "' onmouseover='alert(1)",
        "x onmouseover=alert(1)",
        "--><script>alert(1)</script>",
        "javascript:alert(1)",
        "</p><iframe>",
    ]
)


@settings(max_examples=300)
@given(st.sampled_from(PLACES), NASTY)
@example("<img src={} alt=x>", " ")
def test_no_value_makes_an_element_an_attribute_or_a_scheme(place: str, value: str) -> None:
    template = place.replace("{}", "{{ customer.name }}")
    plain = _shape(fill(template, {"customer.name": "plain"}).html)
    assert _shape(fill(template, {"customer.name": value}).html) == plain


def _shape(markup: str) -> list[tuple[str, tuple[str, ...]]]:
    """Elements with the names of their attributes; a scheme in a link counts as one."""
    tree = lxml_html.fragment_fromstring(markup, create_parent="div")
    return [
        (
            str(element.tag),
            (*sorted(element.keys()), *re.findall(r"^\s*(javascript):", element.get("href", ""))),
        )
        for element in tree.iter()
        if isinstance(element.tag, str) and element.tag != "mark"
    ]


@given(st.text(alphabet="{}|() \"'abc.<>&;-!/=", max_size=80))
def test_no_template_raises_and_what_is_checked_fine_can_be_filled(template: str) -> None:
    problems = check(template)
    result = fill(template, examples())
    if not problems:
        assert result.unfilled == ()


def test_sizes_are_bounded() -> None:
    assert "longer" in check("x" * (LONGEST_TEMPLATE + 1))[0].message
    many = "{{ today }}" * (MOST_PLACEHOLDERS + 1)
    assert "at most" in check(many)[0].message
    with pytest.raises(ValueError, match="longer"):
        fill("x" * (LONGEST_TEMPLATE + 1), {})
    with pytest.raises(ValueError, match="at most"):
        fill(many, {})


@pytest.mark.parametrize(
    "bomb",
    [
        "{{" + " " * 490_000,
        "{{ " * 499 + "}}",
        "<a b='" * 70_000,
        "{{ x | default(" * 400,
        "<!--" * 100_000,
        "<script>" * 50_000,
    ],
)
def test_hostile_templates_cost_no_time(bomb: str) -> None:
    started = time.perf_counter()
    check(bomb[:LONGEST_TEMPLATE])
    fill_text(bomb[:900], {})
    assert time.perf_counter() - started < 2
