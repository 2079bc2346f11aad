"""Whether an English "her" is "his" (a determiner before a noun) or "him" (an object).

What stands around it tells in most places:

1. Nothing, a sign, a short word that begins no noun phrase ("her and", "her in", "her the") or an
   adverb behind it: an object. Some of these words can begin one all the same ("to her home", "her
   last name"): then what stands before them, or behind them, decides.
2. A verb that is no noun ("saw her go"): an object. One that may be a noun as well ("her cry") is a
   verb behind such as let, make, help, see and hear; and so are words in -ing behind verbs of
   seeing, finding and leaving.
3. An adjective that no noun follows ("made her happy."): an object.
4. What is given behind verbs of giving ("gave her money", "asked her questions"): an object, unless
   it is what people have of themselves ("gave her hand", "told her mother").
5. Else a determiner.

Measured where it is known, with "her" in the place of each "his" and "him" of a text: see
docs/balance.md. Words of a text alone decide; no grammar is parsed. Worker processes import this
module: it must not import torch.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# words that begin no noun phrase after a determiner
NO_NOUN = _words("""
    a about above abroad across after again against all almost alone along already also although
    always am among an and another any anyone anything anyway anyways anywhere apart are around as
    aside asleep at awake away back backstage be because been before behind being below beneath
    beside besides between beyond both but by can cannot cause could despite did do does down
    downstairs downtown during each either else enough even ever every everyone everything
    everywhere except for forever forward from had has have he hence her here hers herself him
    himself his hither home how however i if in indeed inside instead into is it its itself just
    last later less lest lots may me might more must my near neither never no nobody none nor not
    nothing now nowhere of off often on once one onto or our out outside over past per perhaps
    plenty quite rather shall she should since so some somehow someone something sometimes somewhere
    soon still straight than that the thee their them then thence there therefore these they thine
    this thither those thou though through throughout thus thy till to today together tomorrow
    tonight too toward towards twice under unless until up upon upstairs us was we well were what
    when whenever where whether which while who whom whose why will with within without would
    yesterday yet you your myself yourself ourselves themselves longer
""")
# of these, what begins a noun phrase behind a preposition ("to her home"), and what does where
# a noun may follow ("her last name")
BEHIND_PREPOSITIONS = _words("home back past inside outside straight cause will")
BEFORE_NOUNS = _words("last past later still then near straight well once")
PREPOSITIONS = _words("""
    about above across after against among around as at because before behind below beneath beside
    between beyond by down during for from in inside into like near of off on onto out outside over
    past since through throughout to toward towards under until upon with within without
""")
# adjectives and nouns that end like adverbs
NO_ADVERBS = _words("""
    ally anomaly assembly belly bodily bully butterfly chilly costly cuddly curly daily deadly
    disorderly early earthly elderly family fatherly fly folly friendly ghostly heavenly hilly holy
    homely hourly italy jelly jolly kindly likely lily lively lonely lovely lowly manly melancholy
    monopoly monthly motherly nightly only orderly princely quarterly rally reply scholarly sickly
    silly sisterly supply tally timely ugly unlikely weekly womanly worldly yearly
""")
# verbs that are no nouns and no adjectives
VERBS = _words("""
    accept achieve acquire admit agree allow appear apply arrive ask avoid became become began begin
    believe bethink bring brought build came choose clarify come complete confirm consider continue
    cried deal decide describe destroy die disappear discover do earn eat enjoy enter escape exist
    expect explain fall fed fell find finish fled flew forget forgot gave get give go grew grow
    happen hear heard hide identify ignore improve include join keep kept knew know learn leave lend
    levy lie listen live lose lost made maintain make marry meet obtain open pass pay perform perish
    pleaseth prepare prevent protect prove ran read realize receive recover regain rejoice remain
    remember remove renew repeat replied reply resolve retire return said sat saw say see seem
    seemed sell send settle sing sit sleep solve speak spend spoke stay stood succeed suffer suggest
    survive take teach tell think threw told took understand visit wait want wanted wear went win
    wore write wrote
""") - _words(
    "fall find leave lie lost pass pay read reply return stay made sleep retire visit wait open"
)
# verbs that may be nouns, too, and adjectives that may be verbs
MAYBE_VERBS = _words("""
    answer attack bathe beat bleed bow breathe burn call care catch change charge check clean climb
    cook cough count cross cry cut dance do draw dress drink drive drop drown escape exercise fall
    feel fight find finish fish fix fixed fly follow guess hand hang hate help hold hope hurt jump
    kill kiss knock laugh lead leave lie lift look love march mend move need open order pass pay
    pick plan plant play pray pull push put reach read rehearse relax reply rest retire return ride
    rise rule run sail save scratch scream search serve share shine shoot shout show shower sign
    sink sleep slip smell smile smoke speak spell stand start stay steal step stop strike study
    swear sweat swim talk taste tear thank think throw touch train travel try turn use visit vote
    wait wake walk wash waste watch wear weep whisper whistle wish wonder work worry yell
""")
LETTING = _words("""
    bade bid bidding bids help helped helping helps let lets letting made make makes making
""")
SEEING = _words("""
    feel feeling feels felt hear heard hearing hears notice noticed notices noticing saw see seeing
    seen sees watch watched watches watching
""")
FINDING = SEEING | _words("""
    catch catches catching caught find finding finds found get gets got had have imagine imagined
    keep keeping keeps kept leave leaves leaving left remember remembered send sending sends sent
    spot spotted start started stop stopped
""")
# nouns in -ing
NOUNS_ING = _words("""
    anything beginning being belonging blessing breathing building calling clothing darling drawing
    dwelling earring evening everything feeling handwriting hearing king learning living longing
    meaning meeting morning nothing offering offspring opening painting reading ring savings saying
    something spring standing string suffering swing thing training understanding upbringing wedding
    wing writing
""")
# what people are, or are made; no nouns
ADJECTIVES = _words("""
    absent afraid alive aloud angry anxious ashamed aware bad beautiful blind bold brave breathless
    busy calm careful clean clever cold comfortable confident confused crazy curious dead deaf
    different difficult dirty drunk dumb eager empty excited exhausted fair famous fat fearful first
    foolish forgotten free frightened funny furious glad good grateful great guilty happy healthy
    helpless hopeful hot humble hungry ill immortal important independent innocent insane jealous
    late lazy loud mad mean miserable naked nervous nice obedient old own pale patient poor popular
    powerful pregnant pretty proud quiet ready responsible rich right rude sad safe scared sensible
    serious sick silent silly single sleepy slow sober sorry special speechless stiff strange strong
    stupid successful sure surprised suspicious tall thankful thin thirsty tired true ugly unable
    uncomfortable uneasy unhappy upset useful useless warm weak welcome welcomed well wet wise worse
    worthy wrong young
""") - _words("own first old young good right wrong")
MAKING = LETTING | _words("""
    call called calling calls consider considered considers drive drives driving drove find finding
    finds found get gets got hold keep keeping keeps kept leave leaves leaving left like liked likes
    made make makes making pronounce prove proved proves proving render rendered set strike struck
    think thinking thinks thought treat treated treats turn turned want wanted wants
""")
# behind these what is given is seldom a person's own
GIVING = _words("""
    afford allow allowed charge charged cost denied deny forgave forgive gave give given gives
    giving grant granted granting grants lend lending lends lent offer offered offering offers owe
    owed owes provide provided wish wished wishes
""")
TELLING = _words("""
    ask asked asking asks bought bring bringing brings brought buy buying buys fed feed hand handed
    paid pay paying pays promise promised promises read sell selling sells send sending sends sent
    serve served show showed showing shown shows sold taught teach teaches teaching tell telling
    tells threw throw told
""")
# what people have of themselves, or are related to
OWN = _words("""
    age all apology arm arms aunt baby beauty best blessing blood body boss boy boyfriend brain
    brother brothers captain car cat chief child children clothes coat coworker crown daughter
    daughters disposition dog dog's ear eye eyes face family father feet finger friend friends
    general girl girlfriend grandfather grandmother hair hand hands hat head heart honour house
    husband innocence job kin kingdom labour lady legs life lips lord love majesty master men mind
    mistress mother mouth name neighbour neighbours nephew niece noble oath opinion own parents part
    partner patience people phone place pleasure prince promise queen royal seat servant servants
    shoulder sister sisters son sons soul spirit story students sweet sword teacher teeth thoughts
    throne tongue uncle voice vote way wedding wife wit wits word words work
""")
# what is told, shown or sent without a determiner
TOLD = _words("""
    advice certain credit directions evidence food goods hello help information kindness language
    lies love's mail math maths medicine mercy messages money music news proof questions respect
    science secrets stories support thanks time trouble truth water word
""")
NUMBERS = _words("""
    eight fifty five forty four hundred many nine seven several six ten thirty thousand three twelve
    twenty two
""")
BEFORE = re.compile(r"([^\W\d_]+)[^\S\n]*\n?[^\S\n]*$")
AFTER = re.compile(r"[^\S\n]*\n?[^\S\n]*([^\W\d_]+|\d+)")
NEAR = 40  # characters before a word in which the word before it is looked for


class _Around(NamedTuple):
    """Words around a pronoun, in small letters, "" where a sign or nothing parts them. before: in
    front; after, then: behind."""

    before: str
    after: str
    then: str


def begins_noun(text: str, stop: int, partner: Mapping[str, str]) -> bool:
    """Whether what follows a pronoun that ends at `stop` can be a noun, or an adjective before one,
    by itself. partner: of listed words, the words that stand in their place in a twin: the two are
    judged alike."""
    around = _Around("-", *_behind(text, stop))
    return _noun_can_follow(around, partner)


def is_determiner(text: str, start: int, stop: int, partner: Mapping[str, str]) -> bool:
    """Whether the "her" between `start` and `stop` is a determiner. partner: as of
    `begins_noun`."""
    found = BEFORE.search(text, max(0, start - NEAR), start)
    before = "" if found is None else found.group(1).casefold()
    around = _Around(before, *_behind(text, stop))
    if not _noun_can_follow(around, partner):
        return False
    return not (_is_verb(around) or _is_made(around, partner) or _is_given(around))


def _behind(text: str, stop: int) -> tuple[str, str]:
    first = AFTER.match(text, stop)
    if first is None:
        return "", ""
    second = AFTER.match(text, first.end())
    return first.group(1).casefold(), "" if second is None else second.group(1).casefold()


def _noun_can_follow(around: _Around, partner: Mapping[str, str]) -> bool:
    """Step 1."""
    if not around.after:
        return False
    for each in (around.after, partner.get(around.after, around.after)):
        begins = not around.before or around.before in PREPOSITIONS
        if each in BEHIND_PREPOSITIONS and begins:
            continue
        if each in BEFORE_NOUNS and not _ends(around.then, partner):
            continue
        is_adverb = each.endswith("ly") and len(each) > 3 and each not in NO_ADVERBS
        if each in NO_NOUN or is_adverb:
            return False
    return True


def _ends(word: str, partner: Mapping[str, str]) -> bool:
    """Whether a noun phrase cannot go on with a word."""
    if not word:
        return True
    if word in BEHIND_PREPOSITIONS:  # "her bad back"
        return False
    return word in NO_NOUN or partner.get(word, word) in NO_NOUN


def _is_verb(around: _Around) -> bool:
    """Step 2."""
    if around.before in PREPOSITIONS:
        return False
    if around.after in VERBS:
        return True
    if around.after in MAYBE_VERBS:
        return around.before in LETTING | SEEING
    is_doing = around.after.endswith("ing") and len(around.after) > 4
    return is_doing and around.after not in NOUNS_ING and around.before in FINDING


def _is_made(around: _Around, partner: Mapping[str, str]) -> bool:
    """Step 3."""
    if not _ends(around.then, partner):
        return False
    if around.after in ADJECTIVES:
        return True
    return around.before in MAKING and around.after.endswith("ed")


def _is_given(around: _Around) -> bool:
    """Step 4."""
    if around.before not in GIVING | TELLING:
        return False
    if around.after.isdigit() or around.after in NUMBERS:
        return True
    if around.before in GIVING:
        return around.after not in OWN and around.then not in OWN
    return around.after in TOLD or (around.then in TOLD and around.after not in OWN)
