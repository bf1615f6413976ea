"""Of a mail what its sender said is left, whatever stands around it; and never nothing where something was said."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seqgen.mail.cleaning import clean

SAID = "The ladder stands in the yard."

GREETINGS = """
Hi Anna,|Hi Anna|Hello,|Hey Anna!|Dear Anna,|Dear Dr. Berg,|Dear Sir or Madam,|Dear all,|Good morning Anna,|Hi there,|Anna,
Hallo Anna,|Hallo zusammen,|Liebe Anna,|Lieber Tom, liebe Anna,|Guten Tag,|Guten Morgen Frau Berg,|Moin,|Servus Anna,
Sehr geehrte Frau Berg,|Sehr geehrte Damen und Herren,|Grüß Gott,|Liebe Kolleginnen und Kollegen,
Bonjour,|Bonjour Anna,|Bonsoir Madame Berg,|Salut Anna,|Coucou,|Chère Anna,|Cher Monsieur,|Madame, Monsieur,|Bonjour à tous,
Hola Anna:|Hola,|Buenos días, Anna:|Buenas tardes:|Estimada Sra. Berg:|Estimado señor Gray:|Querida Anna:|Hola a todos,
Ciao Anna,|Beste Anna,|Olá Anna,
"""
CLOSINGS = """
Best,|Best regards,|Kind regards|Regards,|Many thanks,|Thanks,|Thanks and best regards,|Cheers,|Yours sincerely,|All the best,
Take care|Love,|With best wishes,|BR|Thank you,|Thanks in advance!|Have a nice day!
Mit freundlichen Grüßen|Mit freundlichem Gruß|Viele Grüße|Liebe Grüße|Beste Grüße aus Köln|Gruß|LG|MfG|VG|Herzliche Grüße,
Freundliche Grüße|Danke und Grüße|Vielen Dank und viele Grüße|Schöne Grüße,|Bis bald und liebe Grüße? no
Cordialement,|Bien cordialement,|Bien à vous,|Amicalement,|Bises,|Bonne journée,|Merci et bonne journée,|Sincères salutations,
Un saludo,|Saludos,|Saludos cordiales,|Atentamente,|Un abrazo,|Abrazos|Gracias y un saludo,|Muchas gracias,
Cordiali saluti|Met vriendelijke groet,|Abraços,
"""


def cases(lines: str) -> list[str]:
    return [each for line in lines.strip().split("\n") for each in line.split("|") if not each.endswith(" no")]


@pytest.mark.parametrize("greeting", cases(GREETINGS))
@pytest.mark.parametrize("between", ["\n\n", "\n"])
def test_a_greeting_goes(greeting: str, between: str) -> None:
    assert clean(f"{greeting}{between}{SAID}\n") == (SAID, "")


@pytest.mark.parametrize("closing", cases(CLOSINGS))
@pytest.mark.parametrize(
    "below", ["", "\nAnna", "\n\nAnna Berg", "\nAnna\n\nBerg Ltd\n12 Yard Lane, York\nTel: +44 20 7946 0958"]
)
def test_a_closing_goes_with_all_that_stands_below_it(closing: str, below: str) -> None:
    assert clean(f"{SAID}\n\n{closing}{below}\n") == (SAID, "")


@pytest.mark.parametrize(
    "end",
    [
        "\n-- \nAnna Berg\nBerg Ltd",
        "\n__________\nAnna Berg",
        "\nSent from my iPhone",
        "\nVon meinem Samsung Galaxy Smartphone gesendet.",
        "\nEnvoyé de mon iPhone",
        "\nEnviado desde mi iPhone",
        "\nGet Outlook for Android<https://o.example>",
        "\nAnna",
        "\nAB",
        "- Anna",
        "\nAnna Berg\nBerg Ltd\nPhone: +44 20 7946 0958\nwww.berg.example",
        "\nThis e-mail is confidential. If you are not the intended recipient, delete it.",
        "\nDiese E-Mail enthält vertrauliche Informationen. Wenn Sie nicht der richtige Adressat sind, löschen Sie sie.",
        "\nLG Anna",
        "\nLiebe Grüße, Anna",
        "\nBest\n\nAnna\n\nThis message is confidential.",
    ],
)
def test_signatures_and_notices_go(end: str) -> None:
    assert clean(f"{SAID}\n{end}\n", "Anna Berg") == (SAID, "")


def test_the_warning_of_a_server_above_a_text_goes() -> None:
    banner = "CAUTION: This email originated from outside of the organization. Do not click links."
    assert clean(f"{banner}\n\nHi Anna,\n\n{SAID}\n") == (SAID, "")


@pytest.mark.parametrize(
    ("mail", "said"),
    [
        ("Thanks!", "Thanks!"),
        ("Thanks!\n\nTom\n\n-- \nTom Gray", "Thanks!"),
        ("Hi Anna,\n\nthank you so much!\n\nBest,\nTom", "thank you so much!"),
        ("Thanks Anna!\n\nBest,\nTom", "Thanks Anna!"),
        ("Cheers\nTom", "Cheers"),
        ("Danke!\n\nViele Grüße\nTom", "Danke!"),
        ("Vielen Dank!", "Vielen Dank!"),
        ("Merci beaucoup !\n\nCordialement,\nTom", "Merci beaucoup !"),
        ("Hola Anna,\n\n¡Gracias!\n\nUn saludo,\nTom", "¡Gracias!"),
        ("Have a great day!", "Have a great day!"),
        ("Hello there", "Hello there"),
        ("Hello?", "Hello?"),
        ("Yes", "Yes"),
        ("Ok\n\nSent from my iPhone", "Ok"),
        ("No", "No"),
        ("👍", "👍"),
        ("5", "5"),
    ],
)
def test_a_reply_of_a_word_survives(mail: str, said: str) -> None:
    assert clean(mail, "Tom Gray") == (said, "")


@pytest.mark.parametrize("mail", ["", " \n\n", "Hi Anna,\n\nBest regards,\nTom", "-- \nTom", "Sent from my iPhone"])
def test_a_mail_that_says_nothing_is_empty(mail: str) -> None:
    assert clean(mail, "Tom Gray") == ("", "")


@pytest.mark.parametrize(
    "text",
    [
        "Please give my best regards to your sister. She has helped us.",
        "Love,\nactually, is all that we need. So says the film that we saw yesterday.",
        "Best\nis the second one, I think, because it is cheaper.",
        "Good morning is what she said.",
        "Send it to:\n\nTom Gray\n12 Yard Lane\nYork",
        "You can call me:\n\nTom Gray\n+44 20 7946 0958",
        "We need:\n- bread\n- milk",
        "We need\n- Bread\n- Milk",
        "1. Yes\n2. No",
        "The result is confidential, as you know.",
        "It is -- as they say -- here.",
        "Thanks for the ladder, it stands in the yard.",
        "Yes, I will.",
    ],
)
def test_what_is_said_stays_where_it_looks_like_a_phrase(text: str) -> None:
    assert clean(text, "Tom Gray") == (text, "")


def test_a_greeting_on_the_line_of_what_is_said_goes() -> None:
    assert clean("Hi Tom, do you have time?") == ("do you have time?", "")


def test_a_postscript_stays() -> None:
    assert clean(f"{SAID}\n\nCheers\nTom\n\nPS: bring milk") == (f"{SAID}\n\nPS: bring milk", "")


def test_lines_that_a_program_wrapped_become_paragraphs_and_others_stay() -> None:
    wrapped = "This is a paragraph of a letter that some program has wrapped at about\nseventy characters, as they did, and it"
    whole = (
        "This is a paragraph of a letter that some program has wrapped at about seventy characters, as they did, and it"
    )
    assert clean(f"{wrapped} ends.\n\nShort.\nLines.")[0] == f"{whole} ends.\n\nShort.\nLines."


def test_what_cannot_be_seen_goes_and_odd_blanks_and_line_ends_become_plain() -> None:
    assert clean("It\u200b\u00a0is\u202fhere\ufeff.\r\nAnd\tthere.\u2028Now \x07 and\x0bthen.\ue000") == (
        "It is here.\nAnd there.\nNow and\nthen.",
        "",
    )


def test_a_lone_surrogate_becomes_what_utf_8_can_hold() -> None:
    assert clean("It is \ud83d here.")[0] == "It is \ufffd here."


@settings(max_examples=300)
@given(
    st.lists(
        st.sampled_from(
            [*cases(GREETINGS), *cases(CLOSINGS), SAID, "> a", ">> b", "", "-- ", "Anna", "wrote:", "From: a"]
        )
        | st.text(max_size=30),
        max_size=15,
    ).map("\n".join)
)
def test_nothing_is_made_up_and_all_that_is_left_can_be_written(text: str) -> None:
    for part in clean(text, "Anna Berg"):
        part.encode()
        assert part == part.strip()
        assert set(re.findall(r"\w+", part)) <= set(
            re.findall(r"\w+", re.sub("[\xad\u200b-\u200f\u202a-\u202e]", "", text))
        )
