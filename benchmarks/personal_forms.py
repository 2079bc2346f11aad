"""Personal data as the standards write them, and what looks alike, drawn at random.

Written from the standards, national conventions and providers' documentation, not from the patterns
that look for them: RFC 5322 and 6531, E.164 with E.123 and national plans (NANP, Ofcom, DIN 5008,
ARCEP), RFC 791 and 4291 with IANA's special-purpose registries, ISO/IEC 7812 with the networks'
prefixes, the registry of ISO 13616, the forms of keys that providers document.

A form is a function of dice that gives a text; where not all of it is personal data, the part that
is stands between the signs of MARKS.
"""

from __future__ import annotations

import base64
import json
import random
import string
from collections.abc import Callable
from typing import NamedTuple

MARKS = "\N{MATHEMATICAL LEFT WHITE SQUARE BRACKET}\N{MATHEMATICAL RIGHT WHITE SQUARE BRACKET}"
Make = Callable[[random.Random], str]
LETTERS = string.ascii_letters
BASE62 = LETTERS + string.digits
BASE64URL = BASE62 + "-_"


class Form(NamedTuple):
    """needs_label: digits alone, which are personal data only after a word that says so."""

    name: str
    kind: str
    make: Make
    needs_label: bool = False


FORMS: dict[str, list[Form]] = {}
NEGATIVES: list[Form] = []


def form(kind: str, needs_label: bool = False) -> Callable[[Make], Make]:
    """Adds a form of a kind of personal data."""

    def add(make: Make) -> Make:
        FORMS.setdefault(kind, []).append(Form(make.__name__, kind, make, needs_label))
        return make

    return add


def negative(make: Make) -> Make:
    """Adds a form of what is none."""
    NEGATIVES.append(Form(make.__name__, "", make))
    return make


def drawn(dice: random.Random, signs: str, length: int) -> str:
    return "".join(dice.choice(signs) for _ in range(length))


def digits(dice: random.Random, length: int) -> str:
    return drawn(dice, string.digits, length)


# --- e-mail
_FIRST = "jane john maria wei olga ahmed sofia lukas emma noah chloe ivan aiko pedro anna"
FIRST = _FIRST.split(" ")
_LAST = "doe smith garcia chen petrova khan rossi weber jones martin dubois sato silva novak"
LAST = _LAST.split(" ")
_HOSTS = (
    "example.com example.org gmail.com outlook.com web.de free.fr yahoo.co.uk firm.co.uk "
    "mail.uni-heidelberg.de cs.stanford.edu proton.me posteo.net company.io studio.photography "
    "consulting.agency nhs.uk acme-corp.com a.b.c.example.net x.test 1und1.de 3m.com a.gov.uk "
    "museum.amsterdam t-online.de 163.com mail.ru orange.fr uni.ac.jp startup.dev shop.online"
)
HOSTS = _HOSTS.split(" ")


def _host(dice: random.Random) -> str:
    return dice.choice(HOSTS)


@form("email")
def email_dotted(dice):
    return f"{dice.choice(FIRST)}.{dice.choice(LAST)}@{_host(dice)}"


@form("email")
def email_plain(dice):
    return f"{dice.choice(FIRST)}{digits(dice, dice.randint(0, 4))}@{_host(dice)}"


@form("email")
def email_initial(dice):
    return f"{dice.choice(FIRST)[0]}.{dice.choice(LAST)}@{_host(dice)}"


@form("email")
def email_tagged(dice):
    return f"{dice.choice(FIRST)}+{dice.choice(('news', 'list-3', 'a.b'))}@{_host(dice)}"


@form("email")
def email_underscore(dice):
    return f"{dice.choice(FIRST)}_{dice.choice(LAST)}{digits(dice, 2)}@{_host(dice)}"


@form("email")
def email_hyphen(dice):
    return f"{dice.choice(FIRST)}-{dice.choice(LAST)}@{_host(dice)}"


@form("email")
def email_apostrophe(dice):
    return f"{dice.choice(FIRST)}.o'{dice.choice(LAST)}@{_host(dice)}"


@form("email")
def email_capitals(dice):
    return f"{dice.choice(FIRST)}.{dice.choice(LAST)}@{_host(dice)}".upper()


@form("email")
def email_titled(dice):
    return f"{dice.choice(FIRST).title()}.{dice.choice(LAST).title()}@{_host(dice).title()}"


@form("email")
def email_digits(dice):
    return f"{digits(dice, dice.randint(5, 10))}@{_host(dice)}"


@form("email")
def email_one_letter(dice):
    return f"{dice.choice(string.ascii_lowercase)}@{_host(dice)}"


@form("email")
def email_quoted(dice):
    return f'"{dice.choice(FIRST)} {dice.choice(LAST)}"@{_host(dice)}'


@form("email")
def email_of_other_script(dice):
    local = dice.choice(
        ("j\u00fcrgen", "fran\u00e7ois", "\u0438\u0432\u0430\u043d", "\u7528\u6237")
    )
    host = dice.choice(("b\u00fccher.example", "m\u00fcller.de", "\u4f8b\u3048.jp", "example.org"))
    return f"{local}@{host}"


@form("email")
def email_punycode(dice):
    return f"{dice.choice(FIRST)}@xn--mller-kva.{dice.choice(('de', 'com', 'xn--p1ai'))}"


# --- telephone numbers
AREAS_US = "201 202 206 212 213 305 310 312 347 404 415 503 512 602 617 646 702 713 718 813 858 972"


def _american(dice: random.Random) -> tuple[str, str, str]:
    """Area, exchange and line of the North American plan."""
    exchange = digits(dice, 3)
    while exchange[0] in "01" or exchange[1:] == "11":
        exchange = digits(dice, 3)
    return dice.choice(AREAS_US.split(" ")), exchange, digits(dice, 4)


@form("phone")
def us_brackets(dice):
    area, exchange, line = _american(dice)
    return f"({area}) {exchange}-{line}"


@form("phone")
def us_brackets_close(dice):
    area, exchange, line = _american(dice)
    return f"({area}){exchange}-{line}"


@form("phone")
def us_hyphens(dice):
    return "-".join(_american(dice))


@form("phone")
def us_dots(dice):
    return ".".join(_american(dice))


@form("phone")
def us_spaces(dice):
    return " ".join(_american(dice))


@form("phone")
def us_slash(dice):
    area, exchange, line = _american(dice)
    return f"{area}/{exchange}-{line}"


@form("phone")
def us_with_one(dice):
    return "1-" + "-".join(_american(dice))


@form("phone")
def us_toll_free(dice):
    _, exchange, line = _american(dice)
    return f"1 ({dice.choice(('800', '888', '877'))}) {exchange}-{line}"


@form("phone")
def us_extension(dice):
    word = dice.choice((" x", " ext. ", ", ext. ", " ext "))
    return "-".join(_american(dice)) + word + digits(dice, dice.randint(2, 4))


@form("phone", needs_label=True)
def us_together(dice):
    return "".join(_american(dice))


def _british(dice: random.Random) -> tuple[str, ...]:
    """Groups of a British number, the 0 first."""
    plan = dice.randrange(7)
    if plan == 0:
        return dice.choice(("020", "023", "024", "028", "029")), digits(dice, 4), digits(dice, 4)
    if plan == 1:
        area = dice.choice(("0113", "0117", "0121", "0131", "0141", "0151", "0161", "0191"))
        return area, dice.choice("23456789") + digits(dice, 2), digits(dice, 4)
    if plan == 2:
        area = dice.choice(("01223", "01273", "01392", "01463", "01632", "01865", "01904"))
        return area, dice.choice("23456789") + digits(dice, 5)
    if plan in (3, 4):
        return "07" + dice.choice("45789") + digits(dice, 2), digits(dice, 6)
    if plan == 5:
        return "07" + dice.choice("45789") + digits(dice, 2), digits(dice, 3), digits(dice, 3)
    return dice.choice(("0300", "0330", "0345", "0800", "0808")), digits(dice, 3), digits(dice, 4)


@form("phone")
def uk_spaces(dice):
    return " ".join(_british(dice))


@form("phone")
def uk_hyphens(dice):
    return "-".join(_british(dice))


@form("phone")
def uk_brackets(dice):
    area, *rest = _british(dice)
    return f"({area}) {' '.join(rest)}"


@form("phone")
def uk_mobile_together(dice):
    return "07" + dice.choice("45789") + digits(dice, 8)


@form("phone", needs_label=True)
def uk_together(dice):
    return "".join(_british(dice))


def _german(dice: random.Random) -> tuple[str, str]:
    """Area code (or network) and number of a German number."""
    if dice.random() < 0.4:
        network = dice.choice(
            ("0151", "0152", "0157", "0160", "0162", "0170", "0173", "0176", "0179")
        )
        return network, dice.choice("123456789") + digits(dice, dice.choice((6, 7)))
    area = dice.choice(
        ("030", "040", "069", "089", "0221", "0211", "0341", "0551", "06221", "07071")
    )
    return area, dice.choice("23456789") + digits(dice, dice.randint(5, 7))


def _in_pairs(number: str) -> str:
    """In pairs from the right, as DIN 5008 had it until 2001 and many still write."""
    first = len(number) % 2
    parts = [number[:first]] if first else []
    parts += [number[at : at + 2] for at in range(first, len(number), 2)]
    if first:
        parts[:2] = [parts[0] + parts[1]]
    return " ".join(parts)


@form("phone")
def german_space(dice):
    return " ".join(_german(dice))


@form("phone")
def german_slash(dice):
    return dice.choice(("/", " / ")).join(_german(dice))


@form("phone")
def german_hyphen(dice):
    return "-".join(_german(dice))


@form("phone")
def german_brackets(dice):
    area, number = _german(dice)
    return f"({area}) {dice.choice((number, _in_pairs(number)))}"


@form("phone")
def german_pairs(dice):
    area, number = _german(dice)
    return f"{area}{dice.choice((' ', '/', ' / '))}{_in_pairs(number)}"


@form("phone")
def german_extension(dice):
    area = dice.choice(("030", "089", "0221", "0341", "06221"))
    number = dice.choice("23456789") + digits(dice, dice.randint(4, 5))
    return f"{area} {number}-{digits(dice, dice.randint(1, 3))}"


@form("phone")
def french_spaces(dice):
    pairs = [digits(dice, 2) for _ in range(4)]
    return " ".join(["0" + dice.choice("12345679"), *pairs])


@form("phone")
def french_dots(dice):
    return french_spaces(dice).replace(" ", ".")


@form("phone")
def french_hyphens(dice):
    return french_spaces(dice).replace(" ", "-")


@form("phone")
def french_no_break(dice):
    return french_spaces(dice).replace(" ", "\u00a0")


@form("phone", needs_label=True)
def french_together(dice):
    return french_spaces(dice).replace(" ", "")


# country code -> groups after it, as the country writes them; # is any digit
ABROAD = {
    "33": ("6 ## ## ## ##", "1 ## ## ## ##", "7 ########"),
    "44": ("20 7### ####", "7700 9#####", "161 4## ####", "(0)20 7### ####", "1632 96####"),
    "49": (
        "30 2#####",
        "(0)30 2#####",
        "171 2######",
        "6221 5####",
        "89 2####-12",
        "(0) 69 / 2# ## ##",
    ),
    "1": ("212-55#-####", "(415) 22#-####", "202 45# ####", "617.55#.####"),
    "39": ("06 6### ####", "347 2######", "02 7######"),
    "34": ("91# ### ###", "6## ## ## ##"),
    "31": ("20 6## ####", "6 2### ####", "6-2#######"),
    "32": ("2 5## ## ##", "47# ## ## ##"),
    "41": ("44 6## ## ##", "79 2## ## ##"),
    "43": ("1 5####", "664 2######"),
    "45": ("33 ## ## ##", "2# ## ## ##"),
    "46": ("8 5## ### ##", "70 2## ## ##"),
    "47": ("22 ## ## ##", "9## ## ###"),
    "48": ("22 6## ## ##", "60# ### ###"),
    "351": ("21 3## ####", "91# ### ###"),
    "353": ("1 6## ####", "87 2## ####"),
    "358": ("9 6######", "40 2######"),
    "420": ("2## ### ###",),
    "7": ("495 2##-##-##", "(912) 2##-##-##"),
    "90": ("212 2## ## ##",),
    "91": ("98### #####", "11 2### ####"),
    "86": ("138 2### ####", "10 6### ####"),
    "81": ("3-5###-####", "90-2###-####"),
    "82": ("2-3##-####", "10-2###-####"),
    "61": ("2 9### ####", "4## ### ###"),
    "64": ("9 3## ####", "21 2## ###"),
    "55": ("11 9####-####", "(21) 2###-####"),
    "52": ("55 5### ####",),
    "27": ("11 4## ####", "82 2## ####"),
    "972": ("3-6##-####", "52-2##-####"),
    "971": ("4 3## ####", "50 2## ####"),
    "65": ("6### ####",),
    "852": ("2### ####",),
    "234": ("803 2## ####",),
    "254": ("722 2#####",),
}


def _abroad(dice: random.Random) -> tuple[str, str]:
    code = dice.choice(list(ABROAD))
    groups = dice.choice(ABROAD[code])
    while "#" in groups:
        groups = groups.replace("#", dice.choice(string.digits), 1)
    return code, groups


@form("phone")
def international_plus(dice):
    code, groups = _abroad(dice)
    return f"+{code} {groups}"


@form("phone")
def international_hyphen(dice):
    code, groups = _abroad(dice)
    return f"+{code}-{groups}"


@form("phone")
def international_together(dice):
    code, groups = _abroad(dice)
    return f"+{code}" + "".join(sign for sign in groups.replace("(0)", "") if sign.isdigit())


@form("phone")
def international_zeros(dice):
    code, groups = _abroad(dice)
    return f"00{code} {groups}"


@form("phone")
def international_dots(dice):
    code, groups = _abroad(dice)
    parts = groups.replace("(0)", "").replace("/", " ").replace("-", " ").split()
    return ".".join([f"+{code}", *(part.strip("()") for part in parts)]).replace("..", ".")


@form("phone")
def international_from_us(dice):
    code, groups = _abroad(dice)
    while code == "1":
        code, groups = _abroad(dice)
    return f"011 {code} {groups.replace('(0)', '').strip()}"


@form("phone")
def international_brackets(dice):
    code, groups = _abroad(dice)
    return f"(+{code}) {groups.replace('(', '').replace(')', '') if '(' in groups else groups}"


@form("phone")
def phone_uri(dice):
    area, exchange, line = _american(dice)
    return f"tel:{MARKS[0]}+1-{area}-{exchange}-{line}{MARKS[1]}"


# --- addresses of the internet
def _global_v4(dice: random.Random) -> list[int]:
    """Four numbers outside IANA's special-purpose registry and multicast."""
    while True:
        parts = [dice.randint(1, 223), *(dice.randint(0, 255) for _ in range(3))]
        first, second, third, _ = parts
        special = (
            first in (10, 127)
            or (first == 100 and 64 <= second <= 127)
            or (first == 169 and second == 254)
            or (first == 172 and 16 <= second <= 31)
            or (first == 192 and second in (0, 88, 168))
            or (first == 198 and (second in (18, 19) or (second == 51 and third == 100)))
            or (first == 203 and second == 0 and third == 113)
        )
        if not special:
            return parts


@form("ip")
def v4(dice):
    return ".".join(map(str, _global_v4(dice)))


@form("ip")
def v4_port(dice):
    return f"{MARKS[0]}{v4(dice)}{MARKS[1]}:{dice.randint(20, 65535)}"


@form("ip")
def v4_network(dice):
    return f"{MARKS[0]}{v4(dice)}{MARKS[1]}/{dice.choice((24, 28, 32))}"


@form("ip")
def v4_address(dice):
    return f"http://{MARKS[0]}{v4(dice)}{MARKS[1]}/index.html"


@form("ip")
def v4_of_log(dice):
    return f'{MARKS[0]}{v4(dice)}{MARKS[1]} - - [10/Oct/2000:13:55:36 -0700] "GET / HTTP/1.0" 200'


def _groups_v6(dice: random.Random) -> list[str]:
    beginnings = (
        "2a02",
        "2a00",
        "2606",
        "2600",
        "2400",
        "2800",
        "2c0f",
        "2620",
        "2001:4860",
        "2a01",
    )
    groups = dice.choice(beginnings).split(":")
    return groups + [f"{dice.randint(1, 0xFFFF):x}" for _ in range(8 - len(groups))]


@form("ip")
def v6_full(dice):
    return ":".join(group.zfill(4) for group in _groups_v6(dice))


@form("ip")
def v6_short(dice):
    groups = _groups_v6(dice)
    first = dice.randint(2, 4)
    return ":".join(groups[:first]) + "::" + ":".join(groups[8 - dice.randint(1, 3) :])


@form("ip")
def v6_capitals(dice):
    return ":".join(_groups_v6(dice)).upper()


@form("ip")
def v6_brackets(dice):
    return f"[{MARKS[0]}{v6_short(dice)}{MARKS[1]}]:443"


# --- payment cards
def _with_check(body: str) -> str:
    """Digits with the check digit of Luhn's formula behind them."""
    total = 0
    for place, sign in enumerate(reversed(body)):
        value = int(sign) * (2 if place % 2 == 0 else 1)
        total += value // 10 + value % 10
    return body + str(-total % 10)


def _card(dice: random.Random) -> str:
    prefixes = {
        "4": 16,
        str(dice.randint(51, 55)): 16,
        str(dice.randint(2221, 2720)): 16,
        dice.choice(("34", "37")): 15,
        "6011": 16,
        str(dice.randint(644, 659)): 16,
        dice.choice(("300", "305", "36", "38")): 14,
        str(dice.randint(3528, 3589)): 16,
        "62": dice.choice((16, 19)),
        "2200": 16,
        dice.choice(("5018", "6759", "6304")): 16,
    }
    prefix = dice.choice(list(prefixes))
    return _with_check(prefix + digits(dice, prefixes[prefix] - 1 - len(prefix)))


def _card_in_groups(dice: random.Random, between: str) -> str:
    number = _card(dice)
    if len(number) in (14, 15):
        return between.join((number[:4], number[4:10], number[10:]))
    return between.join(number[at : at + 4] for at in range(0, len(number), 4))


@form("card")
def card_together(dice):
    return _card(dice)


@form("card")
def card_spaces(dice):
    return _card_in_groups(dice, " ")


@form("card")
def card_hyphens(dice):
    return _card_in_groups(dice, "-")


# --- bank accounts: country -> structure, n digits, a capitals, c both (registry of ISO 13616)
ACCOUNTS = {
    "AT": "16n",
    "BE": "12n",
    "BG": "4a6n8c",
    "CH": "5n12c",
    "CZ": "20n",
    "DE": "18n",
    "DK": "14n",
    "ES": "20n",
    "FI": "14n",
    "FR": "10n11c2n",
    "GB": "4a14n",
    "GR": "7n16c",
    "HU": "24n",
    "IE": "4a14n",
    "IT": "1a10n12c",
    "LU": "3n13c",
    "MT": "4a5n18c",
    "NL": "4a10n",
    "NO": "11n",
    "PL": "24n",
    "PT": "21n",
    "RO": "4a16c",
    "SA": "2n18c",
    "SE": "20n",
    "TR": "5n1n16c",
    "AE": "19n",
}


def _account(dice: random.Random) -> str:
    country = dice.choice(list(ACCOUNTS))
    body = ""
    length = ""
    for sign in ACCOUNTS[country]:
        if sign.isdigit():
            length += sign
            continue
        signs = {"n": string.digits, "a": string.ascii_uppercase}.get(
            sign, string.digits + string.ascii_uppercase
        )
        body += drawn(dice, signs, int(length))
        length = ""
    number = "".join(
        str(string.digits.find(s) if s.isdigit() else ord(s) - 55) for s in body + country
    )
    check = 98 - int(number + "00") % 97
    return f"{country}{check:02}{body}"


@form("iban")
def iban_electronic(dice):
    return _account(dice)


@form("iban")
def iban_print(dice):
    account = _account(dice)
    return " ".join(account[at : at + 4] for at in range(0, len(account), 4))


@form("iban")
def iban_no_break(dice):
    return iban_print(dice).replace(" ", "\u00a0")


# --- keys
@form("key")
def aws_key_id(dice):
    return "AKIA" + drawn(dice, string.ascii_uppercase + "234567", 16)


@form("key")
def aws_secret(dice):
    value = drawn(dice, BASE62 + "/+", 40)
    name = dice.choice(("aws_secret_access_key", "AWS_SECRET_ACCESS_KEY", "secretAccessKey"))
    return f"{name}{dice.choice(('=', ' = ', ': '))}{MARKS[0]}{value}{MARKS[1]}"


@form("key")
def github_token(dice):
    return dice.choice(("ghp_", "gho_", "ghs_", "ghu_", "ghr_")) + drawn(dice, BASE62, 36)


@form("key")
def github_fine_grained(dice):
    return f"github_pat_{drawn(dice, BASE62, 22)}_{drawn(dice, BASE62, 59)}"


@form("key")
def slack_token(dice):
    return f"xox{dice.choice('bp')}-{digits(dice, 12)}-{digits(dice, 13)}-{drawn(dice, BASE62, 24)}"


@form("key")
def slack_hook(dice):
    upper = string.ascii_uppercase + string.digits
    path = f"T{drawn(dice, upper, 8)}/B{drawn(dice, upper, 10)}/{drawn(dice, BASE62, 24)}"
    return f"https://{MARKS[0]}hooks.slack.com/services/{path}{MARKS[1]}"


@form("key")
def google_key(dice):
    return "AIza" + drawn(dice, BASE64URL, 34) + dice.choice(BASE62)


@form("key")
def google_secret(dice):
    return "GOCSPX-" + drawn(dice, BASE64URL, 28)


@form("key")
def stripe_key(dice):
    return f"{dice.choice(('sk', 'rk'))}_live_" + drawn(dice, BASE62, dice.choice((24, 99)))


@form("key")
def gitlab_token(dice):
    return "glpat-" + drawn(dice, BASE64URL, 19) + dice.choice(BASE62)


@form("key")
def hub_token(dice):
    return "hf_" + drawn(dice, LETTERS, 34)


@form("key")
def private_key(dice):
    name = dice.choice(("RSA ", "EC ", "", "OPENSSH ", "ENCRYPTED "))
    data = base64.b64encode(dice.randbytes(dice.randint(200, 1200))).decode()
    lines = "\n".join(data[at : at + 64] for at in range(0, len(data), 64))
    return f"-----BEGIN {name}PRIVATE KEY-----\n{lines}\n-----END {name}PRIVATE KEY-----"


@form("key")
def private_key_in_json(dice):
    return private_key(dice).replace("\n", "\\n")


@form("key")
def web_token(dice):
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).decode().rstrip("=")

    header = json.dumps({"alg": dice.choice(("HS256", "RS256")), "typ": "JWT"}).encode()
    claims = json.dumps({"sub": digits(dice, 10), "iat": 1516239022}).encode()
    return ".".join((part(header), part(claims), part(dice.randbytes(32))))


_NAMES = (
    "api_key API_KEY apiKey token access_token ACCESS_TOKEN auth_token secret client_secret "
    "SECRET_KEY db_password DB_PASSWORD password secret_key"
)
NAMES = _NAMES.split(" ")


def _secret(dice: random.Random) -> str:
    length = dice.choice((24, 32, 40, 48))
    plan = dice.randrange(3)
    if plan == 0:
        return drawn(dice, "0123456789abcdef", max(32, length))
    return drawn(dice, BASE62 if plan == 1 else BASE64URL, length - 1) + dice.choice(BASE62)


def _value(dice: random.Random, pattern: str) -> str:
    value = f"{MARKS[0]}{_secret(dice)}{MARKS[1]}"
    return pattern.replace("%N", dice.choice(NAMES)).replace("%S", value)


@form("key")
def named_in_environment(dice):
    return _value(dice, "export %N=%S")


@form("key")
def named_in_yaml(dice):
    return _value(dice, "  %N: %S")


@form("key")
def named_in_json(dice):
    return _value(dice, '{"%N": "%S"}')


@form("key")
def named_in_program(dice):
    return _value(dice, "%N = '%S'")


@form("key")
def named_in_call(dice):
    return _value(dice, 'Client(%N="%S")')


@form("key")
def named_in_settings(dice):
    return _value(dice, "%N=%S")


@form("key")
def bearer(dice):
    return _value(dice, "Authorization: Bearer %S")


@form("key")
def password_in_address(dice):
    word = drawn(dice, BASE62, dice.randint(8, 20))
    scheme = dice.choice(("postgres", "https", "amqp", "redis", "mongodb+srv"))
    return f"{scheme}://{dice.choice(FIRST)}:{MARKS[0]}{word}{MARKS[1]}@db.host.org/main"


# --- where they stand
LABELS = {
    "email": ("E-mail", "email", "Mail", "Contact", "From", "courriel"),
    "phone": ("Tel", "Phone", "phone", "Mobile", "Telefon", "T\u00e9l.", "Fax", "Call", "cell"),
    "ip": ("IP", "host", "client", "from", "Address", "remote_addr"),
    "card": ("Card", "Visa", "card number", "Karte", "PAN", "payment"),
    "iban": ("IBAN", "Konto", "Account", "Bank", "compte"),
    "key": ("key", "use", "#", "config", "see", "credentials"),
}
LABELLED = (
    "LABEL: VALUE",
    "LABEL VALUE",
    "Please use LABEL: VALUE (weekdays only).",
    "<td>LABEL:</td> VALUE<br>",
    "{'name': 'Jane', 'LABEL': 'VALUE'}",
    "Jane Doe, 12 High Street, LABEL: VALUE, London",
    "# LABEL: VALUE",
    '"LABEL": "VALUE",',
    "LABEL=VALUE",
    "WORDS\n\nLABEL: VALUE\nWORDS",
)
BARE = (
    "VALUE",
    "WORDS VALUE WORDS",
    "WORDS (VALUE) WORDS",
    "WORDS: VALUE.",
    "WORDS VALUE, WORDS",
    'x = "VALUE"',
    "x = ['VALUE', 'WORDS']",
    "Jane,VALUE,London,NUMBER",
    "NUMBER\tVALUE\tWORDS",
    "| Jane | VALUE | NUMBER |",
    "<li>VALUE</li>",
    "WORDS\nVALUE\nWORDS",
    "Ihr erreicht uns unter VALUE oder im B\u00fcro.",
    "Vous pouvez me joindre au VALUE le matin.",
    "reach us on VALUE or in the office",
    "print('VALUE')  # WORDS",
    "- VALUE\n- WORDS",
    "{VALUE}",
    "DATE VALUE WORDS",
)
_WORDS = (
    "the quick brown fox jumps over a lazy dog while many people wait for a train "
    "talk about models data weather numbers music and how the report was written by someone else"
)
WORDS = _WORDS.split(" ")


def filled(text: str, dice: random.Random) -> str:
    """WORDS, NUMBER and DATE in a text, drawn."""
    while "WORDS" in text:
        text = text.replace("WORDS", " ".join(dice.choices(WORDS, k=dice.randint(2, 12))), 1)
    text = text.replace("NUMBER", str(dice.randint(1, 9999)))
    return text.replace("DATE", f"2024-{dice.randint(1, 12):02}-{dice.randint(1, 28):02}")


# --- what looks alike
def _among(dice: random.Random, value: str) -> str:
    return filled(dice.choice(BARE).replace("VALUE", value), dice)


@negative
def versions(dice):
    parts = ".".join(str(dice.randint(0, 40)) for _ in range(dice.randint(2, 5)))
    before = dice.choice(
        ("version ", "v", "Python ", "numpy==", "release ", "package-", ">=", "Version: ")
    )
    return _among(dice, before + parts + dice.choice(("", "", "-beta", "rc1", ".tar.gz", "+cpu")))


@negative
def hashes(dice):
    name = dice.choice(("sha256:", "md5 ", "commit ", "etag ", "sha1=", "", "integrity: sha512-"))
    return _among(dice, name + drawn(dice, "0123456789abcdef", dice.choice((7, 32, 40, 64))))


@negative
def hashes_of_digits(dice):
    return _among(dice, "hash " + digits(dice, dice.choice((8, 12, 20, 32))))


@negative
def dates(dice):
    year, month, day = dice.randint(1900, 2030), dice.randint(1, 12), dice.randint(1, 28)
    forms = (
        f"{year}-{month:02}-{day:02}",
        f"{day:02}.{month:02}.{year}",
        f"{month}/{day}/{year}",
        f"{day:02}-{month:02}-{year} {day:02}:{month:02}",
        f"{year}{month:02}{day:02}",
        f"{year}{month:02}{day:02}{day:02}{month:02}{day:02}",
        f"{year}-{month:02}-{day:02}T{day:02}:{month:02}:00.{digits(dice, 6)}Z",
        f"{year}-{month:02}-{day:02} to {year + 1}-{month:02}-{day:02}",
        f"{day:02}/{month:02}/{year} - {day:02}/{month:02}/{year}",
    )
    return _among(dice, dice.choice(forms))


@negative
def times(dice):
    hour, minute, second = dice.randint(0, 23), dice.randint(0, 59), dice.randint(0, 59)
    forms = (
        f"{hour:02}:{minute:02}:{second:02}",
        f"{hour}:{minute:02}",
        f"{hour:02}:{minute:02}:{second:02},{digits(dice, 3)}",
        f"T{hour:02}{minute:02}{second:02}+0{dice.randint(0, 9)}00",
        str(dice.randint(1_000_000_000, 1_800_000_000)),
        str(dice.randint(1_000_000_000_000, 1_800_000_000_000)),
    )
    return _among(dice, dice.choice(forms))


@negative
def books(dice):
    body = digits(dice, 9)
    total = sum((10 - place) * int(sign) for place, sign in enumerate(body))
    last = -total % 11
    old = body + ("X" if last == 10 else str(last))
    new = "978" + body
    check = -sum(int(sign) * (3 if place % 2 else 1) for place, sign in enumerate(new)) % 10
    forms = (
        f"ISBN {old}",
        f"ISBN {old[0]}-{old[1:4]}-{old[4:9]}-{old[9]}",
        f"ISBN-13: 978-{body[0]}-{body[1:4]}-{body[4:9]}-{check}",
        f"{new}{check}",
        f"978-{body[0]}-{body[1:3]}-{body[3:9]}-{check}",
        f"ISBN: 978 {body[0]} {body[1:4]} {body[4:9]} {check}",
        f"ISSN {digits(dice, 4)}-{digits(dice, 4)}",
        f"doi:10.{digits(dice, 4)}/{digits(dice, 4)}.{digits(dice, 8)}",
        f"arXiv:{digits(dice, 4)}.{digits(dice, 5)}",
    )
    return _among(dice, dice.choice(forms))


@negative
def coordinates(dice):
    north, east = dice.uniform(-90, 90), dice.uniform(-180, 180)
    forms = (
        f"{north:.4f}, {east:.4f}",
        f"({north:.6f},{east:.6f})",
        f"{abs(north):.0f}\u00b0{dice.randint(0, 59)}'{dice.randint(0, 59)}\"N",
        f"POINT({east:.7f} {north:.7f})",
        f"geo:{north:.5f},{east:.5f}",
    )
    return _among(dice, dice.choice(forms))


@negative
def orders(dice):
    name = dice.choice(
        ("order ", "Order #", "invoice no. ", "Rechnung Nr. ", "ticket ", "SKU ", "ref. ")
    )
    forms = (
        digits(dice, 8),
        digits(dice, 10),
        digits(dice, 11),
        f"{digits(dice, 3)}-{digits(dice, 7)}",
    )
    return _among(
        dice, name + dice.choice((*forms, f"AB-{digits(dice, 6)}", f"2024-{digits(dice, 6)}"))
    )


@negative
def unique_names(dice):
    hexadecimal = drawn(dice, "0123456789abcdef", 32)
    parts = (
        hexadecimal[:8],
        hexadecimal[8:12],
        hexadecimal[12:16],
        hexadecimal[16:20],
        hexadecimal[20:],
    )
    return _among(dice, dice.choice(("", "id=", "urn:uuid:", "token: ")) + "-".join(parts))


@negative
def mathematics(dice):
    a, b = dice.randint(10, 99999), dice.randint(100, 999999)
    forms = (
        f"{a} + {b} = {a + b}",
        f"{a} - {b}",
        f"({a} * {b}) / {dice.randint(2, 99)}",
        f"x_{a} = {b / 7:.9f}",
        f"{a * b:,}",
        f"{b}^{dice.randint(2, 9)}",
        f"{dice.random():.16f}",
        f"-{dice.random():.12e}",
        f"{dice.randint(1, 9)}.{digits(dice, 15)}",
        f"0.{digits(dice, 16)} {dice.randint(2, 9)}.{digits(dice, 12)}",
        f"n={b}, k={a}, p<0.{digits(dice, 3)}",
    )
    return _among(dice, dice.choice(forms))


@negative
def tables(dice):
    rows = []
    style = dice.choice((" ", ", ", "\t", "  "))
    widths = [dice.randint(1, 6) for _ in range(6)]
    for _ in range(5):
        rows.append(style.join(str(dice.randint(0, 10**width)) for width in widths))
    return "\n".join(rows)


@negative
def tables_of_fractions(dice):
    return "\n".join(" ".join(f"{dice.uniform(-9, 9):.6f}" for _ in range(5)) for _ in range(5))


@negative
def powers_of_two(dice):
    first = dice.randint(3, 8)
    return _among(
        dice, dice.choice((" ", ", ", " x ")).join(str(2**n) for n in range(first, first + 4))
    )


@negative
def special_addresses(dice):
    forms = (
        f"192.168.{dice.randint(0, 255)}.{dice.randint(0, 255)}",
        f"10.{dice.randint(0, 255)}.{dice.randint(0, 255)}.{dice.randint(0, 255)}",
        f"172.{dice.randint(16, 31)}.0.{dice.randint(1, 254)}",
        f"127.0.0.{dice.randint(1, 9)}",
        "0.0.0.0",
        "255.255.255.0",
        f"192.0.2.{dice.randint(1, 254)}",
        f"fe80::{dice.randint(1, 65535):x}",
        "::1",
        f"2001:db8::{dice.randint(1, 65535):x}",
        f"fd00::{dice.randint(1, 65535):x}",
    )
    return _among(dice, dice.choice(forms))


@negative
def times_and_hardware(dice):
    return _among(dice, ":".join(drawn(dice, "0123456789abcdef", 2) for _ in range(6)))


@negative
def dumps(dice):
    return "\n".join(
        f"{row * 16:08x}  " + " ".join(f"{dice.randint(0, 255):02x}" for _ in range(16))
        for row in range(dice.randint(1, 4))
    )


@negative
def wrong_checks(dice):
    number = _card(dice)
    wrong = number[:-1] + str((int(number[-1]) + dice.randint(1, 9)) % 10)
    account = _account(dice)
    other = f"{account[:2]}{(int(account[2:4]) + 1) % 100:02}{account[4:]}"
    return _among(dice, dice.choice((wrong, other)))


@negative
def long_numbers(dice):
    return _among(
        dice, dice.choice("12356789") + digits(dice, dice.choice((6, 7, 9, 11, 14, 17, 20)))
    )


@negative
def drawings(dice):
    points = " ".join(f"{dice.uniform(0, 99):.3f},{dice.uniform(0, 99):.3f}" for _ in range(6))
    return (
        f'<path d="M {points} Z"/> <rect x="{dice.randint(0, 999)}" width="{digits(dice, 3)}.5"/>'
    )


@negative
def programs(dice):
    lines = (
        "result = weights @ inputs.T",
        "@dataclass\nclass Point: pass",
        "std::vector<int> v; x = a::b::c(1, 2);",
        "values[::2], values[1::3], values[a:b:c]",
        "token = tokenizer.encode(text, max_length=1024)",
        "password = getpass.getpass('Password: ')",
        "api_key = os.environ['API_KEY']",
        "secret_key: str = Field(default_factory=make_secret)",
        "icon@2x.png, logo@3x.jpg",
        "npm install lodash@4.17.21 react@^18.2.0",
        "git clone git@github.com:user/project.git",
        "docker pull image@sha256:" + drawn(dice, "0123456789abcdef", 64),
        "next_token = 'eos_token_id_50256'",
        "for i in range(0, 1000, 100): print(i, i + 1)",
        "mask = 0xFFFF0000FFFF0000 | 0b1010101010101010",
        "x@y.shape and self.weight@self.inputs",
        "dtype='<f8', shape=(1024, 768, 3), seed=1234567890",
        "password_hash = '" + drawn(dice, "0123456789abcdef", 64) + "'",
        "AUTH_TOKEN=<your token>  API_KEY=xxxxxxxxxxxxxxxxxxxxxxxx",
        "https://user:password@host.org/ and https://$USER:$TOKEN@host.org/",
    )
    return "\n".join(dice.sample(lines, 4))


@negative
def money(dice):
    forms = (
        f"${dice.randint(1, 999)},{digits(dice, 3)},{digits(dice, 3)}.00",
        f"{dice.randint(1, 99)}.{digits(dice, 3)}.{digits(dice, 3)},50 EUR",
        f"{dice.randint(1, 99)} {digits(dice, 3)} {digits(dice, 3)} kr",
        f"{dice.randint(1, 99)}%, {dice.randint(100, 999)} kg, {dice.randint(1000, 9999)} mm",
    )
    return _among(dice, dice.choice(forms))


@negative
def references(dice):
    forms = (
        f"pp. {dice.randint(100, 500)}-{dice.randint(501, 999)}, {dice.randint(1950, 2024)}",
        "section " + ".".join(str(dice.randint(1, 9)) for _ in range(4)),
        f"RFC {digits(dice, 4)}, U+{drawn(dice, '0123456789ABCDEF', 4)}",
        f"US patent {dice.randint(4, 11)},{digits(dice, 3)},{digits(dice, 3)}",
        f"1.3.6.1.4.1.{digits(dice, 5)}.{dice.randint(1, 99)}",
        f"ZIP {digits(dice, 5)}-{digits(dice, 4)}",
        f"CVE-2024-{digits(dice, 5)}",
        f"bug {digits(dice, 7)}, line {digits(dice, 4)}",
        f"{digits(dice, 3)}-{digits(dice, 2)}-{digits(dice, 2)}",
    )
    return _among(dice, dice.choice(forms))


@negative
def words_alone(dice):
    return filled("WORDS. WORDS, WORDS; WORDS!", dice)
