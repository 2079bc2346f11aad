"""Personal data: worked cases of the standards, what must not be found, and any text at all."""

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from genwright.contents.text.corpus_personal import KINDS, found, measured, personal_data
from genwright.contents.text.corpus_personal_numbers import iban_checks, issued, luhn
from genwright.core.corpus import attributes_of, edited, rules_of
from genwright.core.errors import GenwrightError


def hits(text):
    return [(text[hit.start : hit.stop], hit.kind) for hit in found(text)]


FOUND = [
    # RFC 5322, 3.4.1 and appendix A.1; RFC 6531
    ("jdoe@machine.example", "email"),
    ("mary@x.test", "email"),
    ("john.q.public@example.com", "email"),
    ("first.last+tag@sub.domain.co.uk", "email"),
    ("o'brien@firm.ie", "email"),
    ('"joe q public"@example.com', "email"),
    ("j\N{LATIN SMALL LETTER U WITH DIAERESIS}rgen@beispiel.de", "email"),
    ("x_y-z99@xn--bcher-kva.example", "email"),
    ("JANE@EXAMPLE.COM", "email"),
    # E.164, RFC 3966, E.123
    ("+1-201-555-0123", "phone"),
    ("+1 212 555 0123", "phone"),
    ("+1 (212) 555-0123", "phone"),
    ("+12125550123", "phone"),
    ("+44 20 7946 0958", "phone"),
    ("+44 (0)20 7946 0958", "phone"),
    ("(+44) 20 7946 0958", "phone"),
    ("+49 30 901820", "phone"),
    ("+49 (0) 30 / 90 18 20", "phone"),
    ("+33 1 23 45 67 89", "phone"),
    ("+33\N{NO-BREAK SPACE}6\N{NO-BREAK SPACE}12\N{NO-BREAK SPACE}34\N{NO-BREAK SPACE}56"
     "\N{NO-BREAK SPACE}78", "phone"),
    ("+81 3-1234-5678", "phone"),
    ("+358 40 1234567", "phone"),
    ("0044 20 7946 0958", "phone"),
    ("011 44 20 7946 0958", "phone"),
    # national: United States, United Kingdom (Ofcom's numbers for drama), Germany, France
    ("(212) 555-0123", "phone"),
    ("(212)555-0123", "phone"),
    ("212-555-0123", "phone"),
    ("212.555.0123", "phone"),
    ("212 555 0123", "phone"),
    ("1-800-555-0199", "phone"),
    ("212-555-0123 ext. 42", "phone"),
    ("020 7946 0958", "phone"),
    ("(020) 7946 0958", "phone"),
    ("0161 496 0123", "phone"),
    ("01632 960123", "phone"),
    ("07700 900123", "phone"),
    ("07700900123", "phone"),
    ("0808 157 0123", "phone"),
    ("030 901820", "phone"),
    ("030/901820", "phone"),
    ("(030) 23125 123", "phone"),
    ("0171 3920012", "phone"),
    ("0171-3920012", "phone"),
    ("089 99998-123", "phone"),
    ("01 99 00 12 34", "phone"),
    ("06.39.98.12.34", "phone"),
    ("06-39-98-12-34", "phone"),
    ("0639981234", "phone"),
    # global addresses
    ("8.8.8.8", "ip"),
    ("193.99.144.80", "ip"),
    ("2001:4860:4860::8888", "ip"),
    ("2a02:2e0:3fe:1001:302::", "ip"),
    ("2a00:1450:4001:0829:0000:0000:0000:200e", "ip"),
    # ISO/IEC 7812: numbers that networks publish for tests
    ("4111 1111 1111 1111", "card"),
    ("4012888888881881", "card"),
    ("5555-5555-5555-4444", "card"),
    ("2223003122003222", "card"),
    ("3782 822463 10005", "card"),
    ("371449635398431", "card"),
    ("6011111111111117", "card"),
    ("30569309025904", "card"),
    ("3530111333300000", "card"),
    ("6200000000000005", "card"),
    # ISO 13616: the examples of the registry
    ("DE89370400440532013000", "iban"),
    ("DE89 3704 0044 0532 0130 00", "iban"),
    ("GB29 NWBK 6016 1331 9268 19", "iban"),
    ("FR14 2004 1010 0505 0001 3M02 606", "iban"),
    ("NL91ABNA0417164300", "iban"),
    ("NO9386011117947", "iban"),
    ("MT84MALT011000012345MTLCAST001S", "iban"),
    # forms of the providers
    ("AKIAIOSFODNN7EXAMPLE", "key"),
    ("ghp_16C7e42F292c6912E7710c838347Ae178B4a", "key"),
    ("xoxb-2488210" "26-17653672481-JDoWlA2fG7xT9kQz", "key"),
    ("AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY", "key"),
    ("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0."
     "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U", "key"),
]  # fmt: skip
NOT_FOUND = [
    "version 1.2.3.4, v10.20.30.40, package==1.22.33.44, 120.0.6099.109, 1.2.3-4.5",
    "192.168.1.1 10.0.0.1 127.0.0.1 172.16.0.9 203.0.113.7 255.255.255.255 224.0.0.1 300.1.2.3",
    "OID 1.3.6.1.4.1, 2.5.4.3; section 3.2.1.4",
    '<path d="M4.7 4.1 2.15A4.01 4.01 0 0111 18c0 1.52-.87 2.83-2.12 3.51.98.32 2.03.5 3.11.5z">',
    "::1 fe80::1 2001:db8::1 std::abs(x) a[1::2] x[2001::2] 12:30:45 00:1b:44:11:3a:b7",
    "d41d8cd98f00b204e9800998ecf8427e da39a3ee5e6b4b0d3255bfef95601890afd80709",
    "sha256: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "2024-01-15 15.01.2024 01/15/2024 2024-01-15T10:20:30.123456Z 20240115 1704067200",
    "ISBN 978-3-16-148410-0, ISBN 0-306-40615-2, ISBN 0306406152, 9783161484100, ISSN 0317-8471",
    "10:20:30 23:59 T10:20:30+02:00 +0200",
    "40.712776, -74.005974; 52\N{DEGREE SIGN}31'12\"N 13\N{DEGREE SIGN}24'18\"E; -33.8688 151.2093",
    "order 2125550123, order no. 0612345678, invoice #212-555-0123, id 07700900123",
    "550e8400-e29b-41d4-a716-446655440000 123e4567-e89b-12d3-a456-426614174000",
    "3.14159265358979 2.718281828459045 0.4111111111111111 6.02214076e23 x = 123456789 + 987654",
    "a @ b, x@y.T, @property, icon@2x.png, W@x.shape, lodash@4.17.21, image@sha256:abc, root@local",
    "git@github.com:user/repo.git ssh://git@github.com/user/repo https://alice@host.org/",
    "1234567890 0000000000 9999999999999999 4111111111111112 5555555555554445",
    "1111 2222 3333 4444",
    "DE89370400440532013001 DE8937040044053201300 XX89370400440532013000",
    "GB00WEST12345698765432",
    "01 02 03 04 05 06 07 08 09 0a; 00 01 02 03 04; 7f 45 4c 46 02 01 01 00",
    "256 512 1024 2048; 100 200 300; 0644 0755; 0110 1001 0111",
    "password = get_password_from_keyring_v2(user); token = 'this-is-a-long-token-name-2'",
    "api_key = os.environ['API_KEY_2'], secret: ${SECRET_KEY_123456789012}, token: <your-token>",
    "token: 550e8400-e29b-41d4-a716-446655440000",
    "https://user:password@host.org postgres://user:${PASSWORD}@db.org:5432/x",
    "-----BEGIN PUBLIC KEY-----\nMIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEA\n-----END PUBLIC",
    "eyJub3QiOiJhIHRva2VuIn0.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc",
    "Boston, MA 02110-1301 USA; -2147417832; RPC_E_CALL: Final = -2147417832",
    "rng = default_rng(2435908729190400); seed = 4012888888881881; (1, 4012888888881881, -53)",
    'sp.check_call(["truncate", "-s", "5368709120"]);',
    "1.0.0.127.in-addr.arpa",
    "Python 4.36.15.3",
    'ObjectIdentifier("1.3.101.110") 00 43 49 82 71 25 29 21 3f',
    '"clientToken": "a1b2c3d4-5678-90ab-cdef-EXAMPLE22222", "nextToken": "aB3dE6gH9jK2mN5pQ8sT1"',
    "muon 206.766 9880, 1.648 777 2536 e-41, DFARS 252.227-7014, Monthly 77, 259-264 1970.",
    "1FC7; 0397 0342 0345; 0046 0066 0069; 0069 0307 0303; [0123 0123456]; 13,178,002.113936031",
    "[`0608873052`], merge 0650614982, octal 017700000001, Some text 0123456789, 01001000155",
    "upgrade to V8 5.0.71.47, is at 4.5.103.35; github://org:repo@/x; http://abc:abc@host.org/",
    "Content-ID: <20592.1022586929@example.com>; Decimal('+35236450.6')",
    "$1,234,567,890 12,345,678.90 1_000_000_000 50%",
]  # fmt: skip


@pytest.mark.parametrize(("written", "kind"), FOUND)
def test_worked_cases_are_found_whole(written, kind):
    for text in (
        f"see {written} here",
        f"({written})",
        f'"{written}",',
        f"a\n{written}\nb",
        written,
    ):
        if kind == "phone" and written.startswith("(") and text.startswith("("):
            continue
        assert hits(text) == [(written, kind)], text


@pytest.mark.parametrize("text", NOT_FOUND)
def test_what_looks_alike_is_not_found(text):
    assert hits(text) == []


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("phone 2125550123", "2125550123"),
        ("Tel. 0306 40615", "0306 40615"),
        ("call us at 0301234567 now", "0301234567"),
        ("fax: 212 555 0123 7", "212 555 0123"),
    ],
)
def test_a_word_before_says_what_digits_are(text, written):
    assert hits(text) == [(written, "phone")]


def test_an_order_number_that_is_a_telephone_number_elsewhere_is_not_found():
    assert hits("ring 07700900123") and not hits("order 07700900123")


PEM = (
    "-----BEGIN RSA PRIVATE KEY-----\n"
    + "MIIEowIBAAKCAQEAx3k5mQ9v7b1T8nY2pR4sW6uZ0aC3eG5iK7mO9qS1uW3yA5cE\n" * 3
    + "-----END RSA PRIVATE KEY-----"
)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        (f"key:\n{PEM}\nend", PEM),
        (PEM[:160], PEM[:160]),
        ("aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
         "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        ('"api_key": "9f8b2c4d6e1a3b5c7d9e0f1a2b3c4d5e"', "9f8b2c4d6e1a3b5c7d9e0f1a2b3c4d5e"),
        ("postgres://alice:s3cr3tPw9@db.host.org/x", "s3cr3tPw9"),
        ("Authorization: Bearer aB3dE6gH9jK2mN5pQ8sT1vW4", "aB3dE6gH9jK2mN5pQ8sT1vW4"),
    ],
)  # fmt: skip
def test_secrets_are_found_by_their_names_and_places(text, written):
    assert hits(text) == [(written, "key")]


def test_check_digits_by_the_worked_examples_of_the_standards():
    assert luhn("79927398713") and not luhn("79927398710")  # the example in common use of annex B
    assert iban_checks("GB82WEST12345698765432") and not iban_checks("GB82WEST12345698765431")
    assert issued("4111111111111111") and not issued("1111111111111117")


def test_one_changed_digit_of_a_card_or_an_account_is_noticed():
    for place in range(16):
        number = list("4012888888881881")
        number[place] = str((int(number[place]) + 1) % 10)
        assert not luhn("".join(number))


def test_redacting_puts_the_kind_in_place():
    text = "Write to jane@firm.org or call (212) 555-0123 from 8.8.8.8."
    values = measured([text, "nothing here"])
    assert (
        edited(text, values["personal_edits"][0]) == "Write to <email> or call <phone> from <ip>."
    )
    assert values["personal_email"].tolist() == [1, 0] and values["personal_card"].tolist() == [
        0,
        0,
    ]
    assert values["personal_edits"][1] == []


def test_the_rule_set_redacts_or_drops():
    known = rules_of("text")["personal-data"]
    assert known == personal_data("redact") and known.rules == () and known.edits
    drop = known.make("drop")
    assert [rule.reason for rule in drop.rules] == [f"personal-data.{kind}" for kind in KINDS]
    assert drop.edits == () and drop.attributes == ("personal",)
    columns = {column.name for column in attributes_of("text")["personal"].columns}
    assert {rule.attribute for rule in drop.rules} | set(known.edits) == columns
    values = measured(["a", "mail jane@firm.org"])
    broken = {rule.reason: rule.breaks(values[rule.attribute]).tolist() for rule in drop.rules}
    assert broken["personal-data.email"] == [False, True]
    assert not np.any([broken[reason] for reason in broken if reason != "personal-data.email"])


def test_an_unknown_option_is_refused():
    with pytest.raises(GenwrightError, match="did you mean 'redact'"):
        personal_data("redacted")


PIECES = st.sampled_from(
    [written for written, _ in FOUND]
    + NOT_FOUND
    + [PEM, "tel ", "order ", "@", "<phone>", "\n", " ", ".", "-", "/", ":", ",", "(", "0", "="]
    + ["://u:", "password=", "-----BEGIN PRIVATE KEY-----", "\N{ARABIC-INDIC DIGIT ONE}", "::", "x"]
)  # fmt: skip
SIGNS = st.text(alphabet="0123456789 .-/()+:@abcdefABCDEF=\n'\"<>\N{NO-BREAK SPACE}", max_size=80)
WILD = st.one_of(st.text(), SIGNS, st.lists(st.one_of(PIECES, SIGNS), max_size=8).map("".join))


@given(WILD)
def test_any_text_gives_edits_in_order_and_apart_and_nothing_is_left(text):
    at = 0
    for hit in found(text):
        assert at <= hit.start < hit.stop <= len(text) and hit.kind in KINDS
        at = hit.stop
    redacted = edited(text, measured([text])["personal_edits"][0])
    assert found(redacted) == [], redacted


@given(st.lists(WILD, max_size=4))
def test_a_text_is_measured_the_same_whatever_is_beside_it(texts):
    together = measured(texts)
    for number, text in enumerate(texts):
        alone = measured([text])
        assert together["personal_edits"][number] == alone["personal_edits"][0]
        for kind in KINDS:
            assert together[f"personal_{kind}"][number] == alone[f"personal_{kind}"][0]


def test_time_grows_with_the_length_alone():
    pieces = [
        "1",
        "0171 ",
        "@",
        "a@",
        ":",
        "+1 ",
        "4111-",
        "a.b@c.",
        "=",
        "eyJ.eyJ",
        "://a:",
        "1.1.",
    ]
    pieces += ["-----BEGIN PRIVATE KEY-----", "password=", "0 0(0)", "1 ", "12 34"]
    texts = [piece * (60_000 // len(piece)) for piece in pieces]
    texts.append("-----BEGIN PRIVATE KEY-----\n" + "A" * 60_000)
    code = (
        "import json, resource, sys; from genwright.contents.text.corpus_personal import found;"
        "texts = json.load(sys.stdin); resource.setrlimit(resource.RLIMIT_CPU, (30, 30));"
        "[found(text) for text in texts]"
    )
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, input=json.dumps(texts), text=True, capture_output=True)
    assert done.returncode == 0, done.stderr[-500:]


def test_worker_processes_find_without_torch():
    code = (
        "import sys; from genwright.contents.text.corpus_personal import found;"
        "found('a@b.de'); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_addresses_in_a_row_of_addresses_are_found() -> None:
    text = "load 1.25 74.125.79.104 74.125.79.105 74.125.79.106 0.75"
    listed = [text[hit.start : hit.stop] for hit in found(text)]
    assert listed == ["74.125.79.104", "74.125.79.105", "74.125.79.106"]
