"""Damaged texts contradict nobody, and no name that people have is taken for damaged."""

import random
from collections.abc import Callable
from operator import itemgetter

import pytest

from connectors.compare import Unreadable, compared, same_name, text
from connectors.connector import Claim, Form
from connectors.misread import is_misread
from connectors.record import Shape, judge, read_zone
from connectors.stanza import Stanza
from tests.connectors.people import NOW, ZHANG

SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何高林罗郑梁谢宋唐许韩冯邓曹彭曾肖田董袁潘于蒋蔡余杜叶程苏魏吕丁任沈姚卢姜崔钟谭陆汪"
    "范金石廖贾夏韦傅方白邹孟熊秦邱江尹薛闫段雷侯龙史陶黎贺顾毛郝龚邵万钱严覃武戴莫孔向汤宓濮逯娄缪佟邢岑桓滕浦湛骆漆粟璩"
)
TWO = ("欧阳", "司马", "上官", "诸葛", "尉迟", "皇甫", "慕容", "令狐", "东方", "夏侯")
GIVEN = (
    "伟芳娜秀英敏静丽强磊军洋勇艳杰娟涛明超兰霞平刚桂芬玲玉萍红梅建国华志文辉力鹏飞鑫波斌宇浩凯健俊帆雪琳晨旭宁欣怡佳慧婷"
    "雯倩颖洁莉燕云莲真环荣爱妹香月莺媛瑞凡素菁嘉琼勤珍贞瑾璐璇琪瑶婧妍娅婕娴祎玥珺喆堃淼垚昇煊赟骐骏峰锋海丰庆利清彬富顺"
    "信子心邦永胜学祥才发成康星光天达安岩中茂进林有坚和彪博诚先敬震振壮会思群豪承乐绍功松善厚裕河哲江亮政谦亨奇固之轮翰朗"
)
"""The usual characters, and among them those whose GBK bytes most often look like UTF-8."""
_CHANCE = random.Random(7)
NAMES = [
    *(surname + given for surname in SURNAMES for given in GIVEN),
    *(surname + _CHANCE.choice(GIVEN) + _CHANCE.choice(GIVEN) for surname in (*SURNAMES, *TWO) for _ in range(60)),
]
RARE = [surname + one + other for surname in "宓濮逯缪璩" for one in GIVEN for other in GIVEN]
"""The surnames whose bytes begin a Chinese character of UTF-8: whole, since chance would hardly hit any of these."""
OTHERS = [
    "買買提·艾力", "古丽·阿不都热合曼", "阿依古丽·买买提", "張曉明", "陳美玲", "歐陽娜娜", "𠮷田", "䶮芳", "José María",
    "Müller", "Ångström", "Иван Петров", "示例市示例路1号院2号楼3单元401室", "黑龙江省哈尔滨市南岗区中山路１号", "联通",
    "住宅", "①号楼", "（2026）京0105民初1号", "王芳（曾用名）", "金泳三", "김영삼", "田中角榮",
]  # fmt: skip

EUROPEAN = [
    "José María", "Müller", "Ångström", "Þór", "Þóra", "Þórður", "Óðinn", "Óðný", "Sääski", "Käär", "Pääkkönen",
    "Öz", "Ünal", "Özgür", "Éléa", "Zoé", "Žižek", "Šimon", "Đorđe", "Ås", "Øystein", "Håkon", "Søren",
    "François", "Groß", "Núñez", "Peña", "Íñigo", "Añón", "João", "Conceição", "Gonçalves", "Éric", "Noël",
    "Anaïs", "Maëlys", "Benoît", "António", "Côté", "D´Souza", "Gal·la", "Marcel·lí", "Çelik", "Dvořák",
    "Õunapuu", "Jõõts", "Vääri", "Ööbik", "Hämäläinen", "Ýr", "Guðrún", "Ægir", "Jón Þórðarson", "Þórólfur",
    "Hafþór", "Úlfur", "Nguyên", "Œuvray", "Ysaÿe", "L'Haÿ", "Ærø", "Ödön", "Iñaki", "Agüero",
]  # fmt: skip


@pytest.mark.parametrize("name", [spelt for name in EUROPEAN for spelt in (name, name.upper(), name.lower())])
def test_no_european_name_is_taken_for_damaged(name: str) -> None:
    assert text(name) == name
    assert compared("王芳", name, Form.NAME).kind.value == "MISMATCH"


@pytest.mark.parametrize("name", ["Ñáñez", "Ção", "Çîçek", "Æø", "Ôå"])
def test_a_name_that_could_be_misread_is_that_of_who_bears_it_and_nobodys_contradiction(name: str) -> None:
    assert compared(name, name, Form.NAME).kind.value == "MATCH"
    with pytest.raises(Unreadable):
        compared("王芳", name, Form.NAME)


@pytest.mark.parametrize("name", ["锟斤拷", "鐜嬭姵", "王?", "ÍõÓ¢", "王\ufffd"])
def test_a_damaged_name_is_nobodys_even_if_somebody_claims_to_be_called_so(name: str) -> None:
    with pytest.raises(Unreadable):
        compared(name, name, Form.NAME)


GBK = [
    *(surname + given for surname in SURNAMES for given in "玥喆堃珺瑀祎旸镕亓䶮煊赟垚芃翀晞昉"),
    *(
        "王玥彤",
        "朱镕基",
        "玥珺",
        "阿卜杜拉·买买提",
        "男",
        "已婚",
        "A类",
        "O型",
        "AB座",
        "堃A座",
        "中山路1号2单元301室",
        "José",
        "Иван",
    ),
]


@pytest.mark.parametrize("believed", ["latin-1", "cp1252"])
@pytest.mark.parametrize("written", ["gbk", "gb18030"])
def test_gbk_read_in_a_latin_charset_is_not_another_text(written: str, believed: str) -> None:
    for meant in [*GBK, *NAMES]:
        try:
            misread = meant.encode(written).decode(believed)
        except UnicodeError:
            continue
        with pytest.raises(Unreadable):
            text(misread)


@pytest.mark.parametrize("names", [NAMES, RARE, OTHERS], ids=["usual", "rare", "others"])
def test_no_text_that_people_write_is_taken_for_damaged(names: list[str]) -> None:
    assert [name for name in names if is_misread(name)] == []
    assert all(compared(name, name, Form.NAME).kind.value == "MATCH" for name in names)


def _as(charset: str, errors: str = "replace") -> Callable[[str], str]:
    return lambda name: name.encode().decode(charset, errors)


@pytest.mark.parametrize(
    "misread",
    [
        _as("gbk"),
        _as("gb18030"),
        lambda name: _as("gbk")(name).replace("\ufffd", "?"),
        lambda name: _as("gb18030")(name).replace("\ufffd", "?"),
        lambda name: _as("gbk")(name).replace("\ufffd", "€") if "\ufffd" not in _as("gbk")(name)[-1:] else "锟斤拷",
        _as("latin-1"),
        lambda name: name.encode().decode("latin-1").encode("latin-1").decode("cp1252", "replace"),
        lambda name: "".join("\ufffd" for _ in name).encode().decode("gbk", "replace"),
    ],
    ids=["GBK", "GB 18030", "GBK with ?", "GB 18030 with ?", "GBK with the euro", "Latin-1", "Windows", "twice lost"],
)
def test_utf_8_read_in_another_charset_is_not_another_name(misread: Callable[[str], str]) -> None:
    believed = []
    for name in NAMES:
        try:
            believed += [name] if same_name(name, misread(name)) in (True, False) else []
        except Unreadable:
            continue
    assert len(believed) <= len(NAMES) / 100


@pytest.mark.parametrize(
    "held",
    [
        "鐜嬭姵",
        "璁茬煫?",
        "锟斤拷",
        "锟斤拷芳",
        "王锟斤",
        "ä¹°ä¹°",
        "çŽ‹èŠ³",
        "王\ufffd",
        "涓?灞辫矾1鍙?",
        "绀轰緥璺?鍙烽櫌",
    ],
)
def test_damaged_texts_are_unreadable(held: str) -> None:
    with pytest.raises(Unreadable):
        text(held)


@pytest.mark.parametrize("held", ["王?", "?芳", "王?芳", "王？"])
def test_a_name_that_lost_a_character_is_unreadable(held: str) -> None:
    with pytest.raises(Unreadable):
        same_name("王芳", held)


NOTHING = [
    "null",
    "NULL",
    "None",
    "(null)",
    "N/A",
    "-",
    "－",
    "——",
    "/",
    "\\N",
    "无",
    "暂无",
    "不详",
    " 未知 ",
    "undefined",
]
HIDDEN = [
    "□□",
    "王■",
    "王〓",
    "○○",
    "***",
    "××",
    "王*",
    "＊芳",
    "王××",
    "2301**********0072",
    "230199xxxxxxxx0072",
]


@pytest.mark.parametrize("held", NOTHING + HIDDEN)
@pytest.mark.parametrize(
    ("expected", "form"),
    [("王芳", Form.NAME), ("230199198001010072", Form.ID_NUMBER), ("MARRIED", None), (5, None), (True, None)],
)
def test_what_stands_for_nothing_or_hides_something_is_not_held(
    held: str, expected: str | int, form: Form | None
) -> None:
    assert compared(expected, held, form).kind.value == "NOT_HELD"


@pytest.mark.parametrize(
    "held",
    [
        "张某",
        "张某某",
        "某某",
        "张XX",
        "张Ｘ",
        "张x",
        "王·",
        "王〇",
        "王#",
        "王_",
        "王○",
        "王●",
        "张○○",
        "王◎",
        "张●芳",
    ],
)
def test_what_hides_a_name_is_not_held(held: str) -> None:
    assert compared("王芳", held, Form.NAME).kind.value == "NOT_HELD"


@pytest.mark.parametrize(
    ("said", "held", "expected"),
    [
        ("示例路二〇一号", "示例路二○一号", "MATCH"),
        ("二〇二〇年", "二○二○年", "MATCH"),
        ("一〇〇一室", "一◯◯一室", "MATCH"),
        ("二○○五年", "二〇〇五年", "MATCH"),
        ("示例路一百号", "示例路二○一号", "MISMATCH"),
        ("示政规〔二〇二〇〕5号", "示政规〔二○二一〕9号", "MISMATCH"),
        ("甲楼●乙", "甲楼●丙", "MISMATCH"),
        ("甲楼○乙", "甲楼○乙", "MATCH"),
        ("甲楼乙", "甲楼○乙", "MISMATCH"),
        ("示例路二号", "示例路□号", "NOT_HELD"),
    ],
)
def test_a_circle_hides_nothing_but_in_a_name(said: str, held: str, expected: str) -> None:
    assert compared(said, held).kind.value == expected


def test_a_circle_hides_a_part_of_a_number() -> None:
    assert compared("230199198001010072", "2301○○○○○○○○○○0072", Form.ID_NUMBER).kind.value == "NOT_HELD"


@pytest.mark.parametrize("held", ["买买提●吐尔逊", "买买提 ● 吐尔逊", "买买提▪吐尔逊", "阿卜杜拉●买买提●艾力"])
def test_a_dot_between_two_parts_of_a_name_hides_nothing(held: str) -> None:
    assert compared(held.replace("●", "·").replace("▪", "·"), held, Form.NAME).kind.value == "MATCH"
    for other in ("王芳", "阿里·买买提"):
        assert compared(other, held, Form.NAME).kind.value == "MISMATCH"


@pytest.mark.parametrize("held", ["张●芳", "张●●芳", "张●小芳", "张小●", "●小芳", "买买提●●吐尔逊", "阿里●*"])
def test_a_dot_that_parts_no_name_hides_a_character(held: str) -> None:
    assert compared("王芳", held, Form.NAME).kind.value == "NOT_HELD"


@pytest.mark.parametrize("name", ["王*", "**", "王○", "张某某", "王□"])
def test_a_masked_name_is_nobodys_even_if_somebody_claims_to_be_called_so(name: str) -> None:
    assert compared(name, name, Form.NAME).kind.value == "NOT_HELD"


def test_a_name_with_a_circle_of_its_own_is_a_name() -> None:
    assert compared("王〇", "王〇", Form.NAME).kind.value == "MATCH"


CODED = [
    "王&#29605;",
    "王&#x73a5;",
    "王\\u73a5",
    "王\\u{73a5}",
    "王%u73A5",
    "王{73A5}",
    "王<73a5>",
    "王0x73A5",
    "王0x20087",
    "王U+73A5",
    "王%E7%8E%A5",
    "王&nbsp;",
    "王\ue123",
    "王\U000f1234",
    "王⿰王月",
]


@pytest.mark.parametrize("held", CODED)
@pytest.mark.parametrize("form", [Form.NAME, Form.ID_NUMBER, None])
def test_a_character_in_a_code_contradicts_nobody(held: str, form: Form | None) -> None:
    with pytest.raises(Unreadable):
        compared("王玥", held, form)


def test_a_code_that_everybody_knows_is_the_character() -> None:
    assert compared("龴学", "\ue81e学", Form.NAME).kind.value == "MATCH"
    assert compared("王学", "\ue816学", Form.NAME).kind.value == "MISMATCH"


RECORD = {"name": "张小明", "status": "1", "mother": "王芳", "other": "230199198203040018"}
SHAPE = Shape(
    attributes={"status": itemgetter("status"), "mother": itemgetter("mother")},
    values={"status": {"1": "MARRIED", "无": "UNMARRIED"}},
    narrow={"relative_id_number": itemgetter("other")},
    name=itemgetter("name"),
    zone=read_zone(Stanza("s", {})),
)


@pytest.mark.parametrize(
    ("held", "expected"),
    [
        ({}, "MATCH"),
        ({"name": "张*"}, "NOT_HELD"),
        ({"name": "null"}, "NOT_HELD"),
        ({"name": "寮犲皬鏄?"}, "UNAVAILABLE"),
        ({"name": "张?明"}, "UNAVAILABLE"),
        ({"name": "李四"}, "MISMATCH"),
        ({"status": "null"}, "NOT_HELD"),
        ({"status": "*"}, "NOT_HELD"),
        ({"status": "无"}, "MISMATCH"),
        ({"status": "9"}, "UNAVAILABLE"),
        ({"mother": "王*"}, "NOT_HELD"),
        ({"mother": "鐜嬭姵"}, "UNAVAILABLE"),
        ({"mother": "王*", "status": "无"}, "MISMATCH"),
        ({"other": "2301**********0018"}, "NOT_HELD"),
        ({"other": "无"}, "NOT_HELD"),
    ],
)
def test_a_record_with_such_texts_contradicts_nobody_by_them(held: dict[str, str], expected: str) -> None:
    claim = Claim(
        fact_type="f",
        subject=ZHANG,
        expected={"status": "MARRIED", "mother": "王芳"},
        given={"relative_id_number": "230199198203040018"},
        forms={"mother": Form.NAME, "relative_id_number": Form.ID_NUMBER},
    )
    assert judge(claim, [{**RECORD, **held}], SHAPE, now=NOW)[0].kind.value == expected


@pytest.mark.parametrize("said", ["无", "-", "A*12", "Null", "未知"])
def test_what_is_just_expected_agrees_even_so(said: str) -> None:
    assert compared(said, f" {said}").kind.value == "MATCH"


@pytest.mark.parametrize("held", ["吴芳", "XX路", "无锡市", "×", "未知路1号", "0", "NA"])
def test_what_only_looks_like_it_still_contradicts(held: str) -> None:
    assert compared("王芳", held).kind.value == "MISMATCH"
