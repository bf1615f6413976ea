"""A reply is told from what it quotes, whatever program and language it was written in."""

from __future__ import annotations

import pytest

from seqgen.mail.cleaning import clean
from seqgen.mail.markup import text_of

ASKED = "Could you bring the ladder on Saturday?"
WHO = "Anna Berg <anna@berg.example>"

INTRODUCTIONS = {
    "gmail, english": f"On Mon, Mar 4, 2024 at 9:12 AM {WHO} wrote:\n\n> Q",
    "gmail, english, wrapped": f"On Mon, Mar 4, 2024 at 9:12 AM Anna-Magdalena Berg <\n{WHO[11:-1]}> wrote:\n\n> Q",
    "gmail, german": f"Am Mo., 4. März 2024 um 09:12 Uhr schrieb {WHO}:\n\n> Q",
    "gmail, german, wrapped": f"Am Mo., 4. März 2024 um 09:12 Uhr schrieb Anna Berg <\n{WHO[11:]}:\n\n> Q",
    "gmail, french": f"Le lun. 4 mars 2024 à 09:12, {WHO} a écrit :\n\n> Q",
    "gmail, spanish": "El lun, 4 mar 2024 a las 9:12, Anna Berg (<anna@berg.example>) escribió:\n\n> Q",
    "gmail, old": f"2024/3/4 {WHO}:\n> Q",
    "gmail, android": "On Mon, 4 Mar 2024, 09:12 Anna Berg, <anna@berg.example> wrote:\n\n> Q\n>",
    "outlook, english": f"{'_' * 32}\nFrom: {WHO}\nSent: Monday, March 4, 2024 9:12 AM\nTo: T <t@g.example>\nSubject: L\n\nQ",
    "outlook, german": f"Von: {WHO}\nGesendet: Montag, 4. März 2024 09:12\nAn: T <t@g.example>\nBetreff: L\n\nQ",
    "outlook, french": f"De : {WHO}\nEnvoyé : lundi 4 mars 2024 09:12\nÀ : T <t@g.example>\nObjet : L\n\nQ",
    "outlook, spanish": f"De: {WHO}\nEnviado: lunes, 4 de marzo de 2024 9:12\nPara: T <t@g.example>\nAsunto: L\n\nQ",
    "outlook, two levels": f"From: {WHO}\nSent: today\nTo: T\nSubject: L\n\nQ\n\nFrom: T\nSent: x\nTo: A\nSubject: L\n\nHello?",
    "outlook, many recipients": f"From: {WHO}\nSent: today\nTo: T <t@g.example>;\n E <e@g.example>\nCc: U\nSubject: L\n\nQ",
    "outlook, old": f"-----Original Message-----\nFrom: {WHO}\nSent: Monday, March 04, 2024\nTo: T\nSubject: L\n\nQ",
    "outlook, old, german": f"-----Ursprüngliche Nachricht-----\nVon: {WHO}\nGesendet: heute\nAn: T\nBetreff: L\n\nQ",
    "outlook, as text": f"*From:* {WHO}\n*Sent:* Monday, March 4, 2024 9:12 AM\n*To:* T\n*Subject:* L\n\nQ",
    "apple mail, english": f"> On 4 Mar 2024, at 09:12, {WHO} wrote:\n> \n> Q\n> ",
    "apple mail, german": f"> Am 04.03.2024 um 09:12 schrieb {WHO}:\n> \n> Q",
    "apple mail, french": f"> Le 4 mars 2024 à 09:12, {WHO} a écrit :\n> \n> Q",
    "apple mail, spanish": f"> El 4 mar 2024, a las 9:12, {WHO} escribió:\n> \n> Q",
    "yahoo, english": f"    On Monday, March 4, 2024 at 09:12:33 AM GMT+1, {WHO} wrote:  \n \n Q",
    "yahoo, german": f"    Am Montag, 4. März 2024 um 09:12:33 MEZ hat {WHO} Folgendes geschrieben:  \n \n Q",
    "yahoo, french": f"    Le lundi 4 mars 2024 à 09:12:33 UTC+1, {WHO} a écrit :  \n \n Q",
    "yahoo, spanish": f"    El lunes, 4 de marzo de 2024, 09:12:33 CET, {WHO} escribió:  \n \n Q",
    "yahoo, phone": "On Mon, Mar 4, 2024 at 9:12, Anna Berg<anna@berg.example> wrote:   Q",
    "iphone, english": f"Sent from my iPhone\n\n> On Mar 4, 2024, at 9:12 AM, {WHO} wrote:\n> \n> \ufeffQ",
    "iphone, german": f"Von meinem iPhone gesendet\n\n> Am 04.03.2024 um 09:12 schrieb {WHO}:\n> \n> Q",
    "iphone, french": f"Envoyé de mon iPhone\n\n> Le 4 mars 2024 à 09:12, {WHO} a écrit :\n> \n> Q",
    "iphone, spanish": f"Enviado desde mi iPhone\n\n> El 4 mar 2024, a las 9:12, {WHO} escribió:\n> \n> Q",
    "samsung": f"Sent from my Galaxy\n\n-------- Original message --------\nFrom: {WHO} \nDate: 3/4/24 \nSubject: L \n\nQ",
    "outlook, phone": f"Get Outlook for iOS<https://o.example>\n{'_' * 32}\nFrom: {WHO}\nSent: x\nTo: T\nSubject: L\n\nQ",
    "proton": f"Sent with Proton Mail secure email.\n\nOn Monday, March 4th, 2024 at 9:12 AM, {WHO} wrote:\n\n> Q",
    "gmx": 'Gesendet: Montag, 4. März 2024 um 09:12 Uhr\nVon: "Anna" <a@b.example>\nAn: T\nBetreff: L\n\nQ',
}


@pytest.mark.parametrize("program", INTRODUCTIONS)
def test_a_reply_above_a_quote_is_told_from_it(program: str) -> None:
    quote = INTRODUCTIONS[program].replace("Q", ASKED)
    assert clean(f"Yes, I bring it.\n\nAnd the rope.\n\n{quote}\n") == ("Yes, I bring it.\n\nAnd the rope.", ASKED)


@pytest.mark.parametrize(
    "introduction",
    [
        "On 3/4/24 09:12, Anna Berg wrote:",
        "Am 04.03.24 um 09:12 schrieb Anna Berg:",
        "Le 04/03/2024 à 09:12, Anna Berg a écrit :",
        "El 4/3/24 a las 9:12, Anna Berg escribió:",
        "On Mon, Mar 04, 2024 at 09:12:00AM +0100, Anna Berg wrote:",
        "Anna Berg writes:",
        "",
    ],
)
def test_a_reply_below_a_quote_is_told_from_it(introduction: str) -> None:
    mail = f"{introduction}\n> Hi Tom,\n>\n> {ASKED}\n>\n> Cheers, Anna\n\nYes, I bring it.\n\n-- \nTom\n"
    assert clean(mail) == ("Yes, I bring it.", ASKED)


def test_a_reply_between_quotes_keeps_its_order() -> None:
    mail = f"On 4 Mar 2024, at 09:12, {WHO} wrote:\n\n> {ASKED}\n\nYes.\n\n> And the rope?\n\nNo, it is torn.\n\nTom\n"
    assert clean(mail, "Tom Gray") == ("Yes.\n\nNo, it is torn.", f"{ASKED}\n\nAnd the rope?")


def test_of_quotes_in_quotes_only_the_outermost_is_answered() -> None:
    mail = f"Yes.\n\nOn 5 Mar 2024, at 10:00, {WHO} wrote:\n\n> {ASKED}\n>\n> On 4 Mar 2024, at 09:12, T <t@g.example> wrote:\n"
    assert clean(mail + ">\n>> Hello?\n>>> Old.\n") == ("Yes.", ASKED)


def test_what_is_quoted_is_cleaned_as_well() -> None:
    quote = f"> Hi Tom,\n>\n> {ASKED}\n>\n> Anna\n> -- \n> Anna Berg\n> Berg Ltd\n"
    assert clean(f"Yes.\n\nOn 4 Mar 2024, at 09:12, {WHO} wrote:\n{quote}") == ("Yes.", ASKED)


@pytest.mark.parametrize(
    "forwarded",
    [
        f"---------- Forwarded message ---------\nFrom: {WHO}\nDate: Mon, Mar 4, 2024 at 9:12 AM\nSubject: L\nTo: T\n\nTorn.",
        f"-------- Weitergeleitete Nachricht --------\nBetreff: \tL\nDatum: \theute\nVon: \t{WHO}\nAn: \tT\n\nGerissen.",
        f"Begin forwarded message:\n\n> From: {WHO}\n> Subject: L\n> Date: today\n> To: T\n> \n> Torn.",
    ],
)
def test_what_is_forwarded_is_neither_written_nor_answered(forwarded: str) -> None:
    assert clean(f"See below.\n\n{forwarded}\n") == ("See below.", "")


@pytest.mark.parametrize(
    "text",
    [
        "I spoke to her on 4 March 2024 and this is what Anna wrote:\n\nwe cannot come.",
        "Here is the plan:\nTime: nine\nPlace: the yard\n\nSee you there",
        "Write to Anna <anna@berg.example> and ask.",
        "On Monday we walk.\n\nOn Tuesday she wrote: nothing.",
        "On 4 March 2024 I wrote:\n\nbring the rope.",
        "a > b, and b < c",
        "From: the yard\n\nis where we begin.",
    ],
)
def test_what_only_looks_like_a_quote_stays(text: str) -> None:
    assert clean(text) == (text, "")


def test_a_mail_of_nothing_but_a_quote_says_nothing() -> None:
    assert clean(f"> {ASKED}\n") == ("", ASKED)


def test_a_long_quote_is_not_cut() -> None:
    long = "\n\n".join(["the water rises"] * 1000)
    assert clean(f"Yes.\n\nOn 4 Mar 2024, at 09:12, {WHO} wrote:\n\n{long}\n") == ("Yes.", long)


PAGES = {
    "gmail": "<div dir=ltr>Yes, I bring it.<div><br></div><div>Best,<br>Tom</div><div dir=ltr class=gmail_signature>Gray"
    "<br>Ltd</div></div><br><div class=gmail_quote><div dir=ltr class=gmail_attr>On Mon, Mar 4, 2024 at 9:12 AM Anna &lt;"
    "<a href=mailto:a@b.example>a@b.example</a>&gt; wrote:<br></div><blockquote class=gmail_quote>Hi Tom,<br><br>Q<br>"
    "<br>Anna</blockquote></div>",
    "outlook": "<html xmlns:o=x><style><!-- p.MsoNormal {margin:0} --></style><!--[if gte mso 9]><xml></xml><![endif]-->"
    "<p class=MsoNormal>Hi Anna,<o:p></o:p></p><p class=MsoNormal><o:p>&nbsp;</o:p></p><p class=MsoNormal>Yes, I bring it."
    "</p><p class=MsoNormal>Kind regards,</p><p class=MsoNormal>Tom</p><div style='border-top:solid #E1E1E1'><p><b>From:"
    "</b> Anna &lt;a@b.example&gt; <br><b>Sent:</b> Monday, 4 March 2024 09:12<br><b>To:</b> T<br><b>Subject:</b> L</p>"
    "</div><p class=MsoNormal>Q</p>",
    "outlook, in a browser": "<style style='display:none'> P {} </style><div>Yes, I bring it.</div><div><br></div><div "
    "id=Signature><p>Tom</p><p>Gray Ltd</p></div><hr><div id=divRplyFwdMsg><b>Von:</b> Anna &lt;a@b.example&gt;<br><b>"
    "Gesendet:</b> Montag, 4. März 2024<br><b>An:</b> T<br><b>Betreff:</b> L<div>&nbsp;</div></div><div>Q</div>",
    "apple mail": "Yes, I bring it.<div><br></div><div>Tom<br><div><blockquote type=cite><div>On 4 Mar 2024, at 09:12, Anna "
    "&lt;a@b.example&gt; wrote:</div><br class=Apple-interchange-newline><div>Q</div></blockquote></div></div>",
    "thunderbird": "<div class=moz-cite-prefix>Am 04.03.24 um 09:12 schrieb Anna:<br></div><blockquote type=cite><p>Q</p>"
    "</blockquote><p>Yes, I bring it.</p><pre class=moz-signature>-- \nTom Gray</pre>",
    "yahoo": "<div>Yes, I bring it.</div><div><br></div><div class=yahoo_quoted><div>El lunes, 4 de marzo de 2024, 09:12:33 "
    "CET, Anna &lt;a@b.example&gt; escribió: </div><div><br></div><div>Q</div></div>",
    "iphone": "Yes, I bring it.<br><br><div>Envoyé de mon iPhone</div><div><br><blockquote type=cite>Le 4 mars 2024 à 09:12, "
    "Anna &lt;a@b.example&gt; a écrit :<br><br></blockquote></div><blockquote type=cite><div>\ufeffQ</div></blockquote>",
}


@pytest.mark.parametrize("program", PAGES)
def test_a_reply_in_html_is_told_from_what_it_quotes(program: str) -> None:
    page = PAGES[program].replace("Q", ASKED)
    assert clean(text_of(page), "Tom Gray") == ("Yes, I bring it.", ASKED)
