"""The words around what people say in a mail: greetings, closings, signatures, and what programs put into it.

In English, German, French, Spanish, Italian, Dutch and Portuguese. All are matched against single short lines without
white space at their ends.
"""

from __future__ import annotations

import re


def _any(*choices: str) -> str:
    return f"(?:{'|'.join(choices)})"


def _line(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


_WORD = r"(?-i:[A-ZÀ-ÖØ-ÞĀĆČĎĐĘĚĞĽŁŃŇŐŘŚŞŠŤŮŰŹŻŽ][\w'’.-]*)"
_NAME = rf"{_WORD}(?: (?:(?:de|da|di|la|le|van|von|der|den|zu|y|e)\b )?{_WORD}){{0,3}}"

_HELLO = _any(
    "hi+|hello|hey+|hiya|dear|greetings|good (?:morning|afternoon|evening|day)",
    "hallo|hallöchen|liebe[rs]?|guten (?:tag|morgen|abend)|sehr geehrte[rs]?|moin(?: moin)?|servus",
    "grüß (?:dich|gott)|grüezi|werte[rs]?",
    "bonjour|bonsoir|salut|coucou|chère?s?|chers|madame|mesdames|monsieur|messieurs",
    "hola|buen(?:os|as)? (?:días|dias|tardes|noches)|buenas|estimad[oa]s?|querid[oa]s?",
    "ciao|salve|buongiorno|buonasera|gentil(?:e|i|issim[oaie])|egregi[oa]?",
    "hoi|geachte|goede(?:morgen|middag|navond)|olá|oi|bo(?:m dia|a tarde|a noite)|prezad[oa]s?",
    "(?:beste|lieve|dag|car[oaie]s?)(?= [^!.:]{1,30},$)",
)
_EVERYBODY = _any(
    "all|everyone|everybody|team|folks|there|both|guys|sir(?: or madam)?|madam|mr|mrs|ms|miss|dr|prof",
    r"zusammen|alle|allerseits|ihr(?: lieben| zwei| beiden)?|lieben|beide|leute|damen und herren|kolleg\w+|herr|frau",
    "à (?:tous|toutes|vous)|tous|toutes|tout le monde|m|mme|monsieur|madame",
    "(?:a )?(?:todos|todas)|señor(?:a|es|as)?|sra?|don|doña",
    "(?:a )?tutti|signor[ae]?|allemaal|mevrouw|meneer",
    "and|und|et|y|e|en|&",
)
_YES_OR_NO = _any(
    "yes|no|ok|okay|sure|fine|great|perfect|thanks|sorry|right|well|so|now|maybe|hm+|ja|nein|gut|klar|danke|genau|super|prima",
    "oui|non|bien|merci|sí|si|vale|claro|gracias|perfecto|certo|grazie|nee|goed|sim|não",
)
_ADDRESSED = rf"(?:[ ,]+(?:{_HELLO}\b|{_EVERYBODY}\b\.?|{_WORD}))"
_TO_SOMEBODY = rf"{_HELLO}\b(?:{_ADDRESSED}{{0,7}}|(?: \w+){{1,2}}(?=,))"
GREETING = _line(rf"(?:{_TO_SOMEBODY}|(?!{_YES_OR_NO}\b){_WORD}(?: {_WORD})?(?=,))[\s,!.:;–-]*")
"""A line that only greets; a name alone needs a comma."""
GREETING_BEFORE = _line(rf"{_HELLO}\b{_ADDRESSED}{{0,7}}\s*[,!.:–-]+\s+(?=\S)")
"""A greeting before what is said on the same line."""

_THANKS = _any(
    "(?:many |with (?:many )?)?thanks(?: (?:again|in advance|a lot|a million|(?:so|very) much|for (?:your|the) help))?",
    "thank you(?: (?:again|in advance|(?:so|very) much|for your help))?|thx|tia|cheers|much appreciated",
    "danke(?: (?:schön|sehr|dir|ihnen|euch|nochmals|vorab|im voraus))?|dankeschön",
    "(?:vielen|besten|herzlichen|lieben|tausend)(?: lieben| herzlichen)? dank(?: (?:im voraus|vorab|nochmals|für .{3,25}))?",
    "(?:un grand |mille )?mercis?(?: (?:beaucoup|d'avance|encore|à vous|par avance))?|avec mes remerciements",
    "(?:muchas |mil )?gracias(?: (?:de antemano|por todo|de nuevo|otra vez))?",
    "(?:molte |mille )?grazie(?: (?:mille|ancora|in anticipo))?",
    "(?:alvast )?bedankt(?: alvast)?|(?:hartelijk )?dank(?: (?:je|u)(?: wel)?)?|dankjewel|(?:muito )?obrigad[oa]",
)
_WISHES = _any(
    "have a (?:nice|great|good|lovely|wonderful) (?:day|week|weekend|evening|one|time)",
    "(?:ein(?:en)? )?schöne[ns]? (?:tag|abend|feierabend|wochenende|woche|sonntag)(?: noch)?",
    "bonne (?:journée|soirée|semaine|fin de journée)|bon week-?end|buen (?:día|fin de semana)",
    "(?:buona|bella) (?:giornata|serata)|buon weekend|fijne (?:dag|avond)|fijn weekend|bom fim de semana",
)
_FORMAL = _any(
    "(?:with )?(?:my |our )?(?:very )?(?:(?:best|kind(?:est)?|warm(?:est)?|many|friendly|with) )?regards",
    "best|(?:with )?(?:my |our )?(?:very )?(?:best|warm|kind) wishes",
    "all (?:the|my) best|sincerely(?: yours)?|yours(?: (?:sincerely|faithfully|truly|ever))?",
    "cordially|warmly|respectfully|take care|(?:lots of |with )?love|xx+|xoxo|br|kr|rgds",
    "(?:mit )?(?:(?:ganz )?(?:freundlich|best|herzlich|lieb|viel|schön|sonnig)e[nmr]? )+gr(?:u|ü|ue)(?:ß|ss)e?n?"
    "(?: (?:aus|von) .{2,25})?",
    "gr(?:ü|ue)(?:ß|ss)e|gru(?:ß|ss)|m[ -]?f[ -]?g|lg|vg|bg|glg|hochachtungsvoll|herzlichst|alles (?:gute|liebe)",
    "(?:(?:bien|très) )?cordialement(?: vôtre)?|bien à (?:vous|toi)|sincèrement|amicalement|amitiés|bises|bisous?",
    r"(?:(?:meilleures|sincères|amicales|cordiales) )?salutations(?: (?:distinguées|cordiales))?|gros(?:ses)? bis\w+",
    "(?:je vous prie|veuillez) .{0,30}(?:agréer|recevoir|croire).{0,60}",
    "(?:un )?(?:cordial |afectuoso )?saludos?(?: (?:cordial(?:es)?|a todos))?|(?:un )?(?:fuerte )?abrazos?|atte",
    "besos|un beso|(?:muy )?atentamente|cordialmente|(?:cordiali|distinti|cari) saluti|saluti|un (?:caro )?saluto",
    "un abbraccio|baci|met (?:vriendelijke|hartelijke) groet(?:en)?|(?:(?:vriendelijke|hartelijke|veel) )?groet(?:en|jes)?",
    "mvg|hoogachtend|liefs|(?:com os )?(?:melhores )?cumprimentos|atenciosamente|(?:um )?abraços?|beijos?|att",
)
_PART = _any(_FORMAL, _THANKS, _WISHES)
_CLOSING = rf"{_PART}(?:(?:,? (?:and|und|et|y|e|en) |[,!.&/ –-]+){_PART}){{0,2}}"
CLOSING = _line(
    rf"{_CLOSING}(?:[\s,;!–-]+(?:(?:your|yours|dein|deine|ihr|ihre|euer|eure|from|von) )?{_NAME})?[\s,.!;:~*)-]*"
)
"""A line that only closes, with or without the name of who writes."""
SAYING = _line(rf"(?:{_THANKS}|{_WISHES})\b.*")
"""A closing that says something where nothing else is said."""
NAME = _line(rf"[-–—~/* ]{{0,3}}(?:(?:your|dein|deine|ihr|ihre|euer) )?(?:{_NAME}|\w+)[ ,.*]*")
"""A line that can be the name under a closing."""
POSTSCRIPT = _line(r"p\. ?s\.?\b.*|ps\b[ :.,-].*")

SIGNATURE = re.compile(r"--|__+|—")
"""The line above a signature."""
CONTACT = _line(
    r"(?:\W*(?:tel|phone|mobile?|cell|fax|office|direct|e-?mail|web|website|skype|tél|téléphone|portable|móvil|teléfono"
    r"|telefono|handy|telefon|durchwahl|[tmpfewd])\b ?[.:]+.*)|\W*(?:www\.|https?://)\S+\W*|\W*\S+@\S+\.\w+\W*"
    r"|\W*\+?\d[\d ()/.-]{6,}(?: .{0,12})?"
)
"""A line that says how to reach somebody."""
_FROM = r"(?:from|via|with|using|von|mit|über|de|depuis|à partir de|desde|con|do|da|dal|van|vanaf)"
_DEVICE = _any(
    r"my|mein\w+|meu|mi|mon|ma|mijn|mio|il mio|the all[ -]new|outlook|mail|yahoo|proton|aol|gmail|gmx|web\.de|samsung",
    "blackberry|thunderbird|android|iphone|ipad|tuta|mobile|huawei|galaxy|windows|spark|superhuman|der mobilen|der gmx",
)
ADVERT = _line(
    rf"\W*(?:(?:sent|gesendet|verschickt|envoyée?|enviado|inviato|verzonden) {_FROM} \W?{_DEVICE}\b.{{0,80}}"
    r"|von mein\w+ .{2,50} gesendet\W*|diese nachricht wurde von mein\w+ .{2,80} gesendet\W*"
    r"|(?:get|download|obtenir|télécharge[rz]|obtener|descargar|scarica|ottieni|holen sie sich|baixar) outlook .{0,80}"
    r"|outlook für .{2,20} (?:herunterladen|beziehen).{0,60}|please consider the environment .{0,100}"
    r"|(?:virus-?free|virenfrei|sans virus|libre de virus).{0,60}(?:avast|avg).{0,60}"
    r"|\[(?:image: .{0,80}|cid:.{0,100}|https?:.{0,100}|external|ext|extern)\]\W*)"
)
"""A line that a program wrote."""
BANNER = _line(
    r"\W*(?:caution|warning|attention|achtung|external|externe e-?mail|atención)\b.{0,60}"
    r"(?:e-?mail|message|nachricht|mensaje|courriel).{0,30}(?:outside|external|extern|extérieur|außerhalb|fuera).*"
    r"|\W*you don['’]t often get email from .*|sie erhalten nicht (?:häufig|oft) (?:eine )?e-mails? von .*"
)
"""The first line of a warning that a mail server put above the text."""
DISCLAIMING = _line(
    r"confidential|privileged|intended (?:solely|only|for)|intended recipient|disclaimer|legally protected"
    r"|vertraulich|bestimmungsgemäß|richtige adressat|irrtümlich|unbefugt|rechtlich geschützt"
    r"|confidentiel|destinataire|à titre exclusif|confidencial|destinatari[oa]|exclusivamente|por error"
    r"|riservat[eoai]|per errore|vertrouwelijk|geadresseerde|this (?:e-?mail|message)|diese (?:e-?mail|nachricht)"
    r"|ce (?:message|courriel)|este (?:mensaje|correo)|questo messaggio|dit bericht"
)
"""What legal notices say; several of these make a notice."""
