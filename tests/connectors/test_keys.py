import pytest

from connectors.compare import bare
from connectors.keys import is_number
from gateway.rules.identifiers import resident_id_check_character, uscc_check_character

NUMBER, OLD, CODE = "230199198001010072", "230199800101007", "91230199MA18CXYJ3B"
SPOILT = {
    "rounded by a spreadsheet": "2.30199E+17",
    "rounded by a spreadsheet, in whole": "2.30199E17",
    "rounded by a spreadsheet, and written out": "230199198001010000",
    "an organisation's, rounded and written out": "112300000000003000",
    "a formula": f'="{NUMBER}"',
    "an apostrophe": f"'{NUMBER}",
    "a digit lost": NUMBER[:17],
    "a digit more": f"{NUMBER}0",
    "masked": "2301**********0072",
    "masked with crosses": "2301××××××××××0072",
    "masked with letters": "230199198001XXXX72",
    "masked at its end": "23019919800101XXXX",
    "null": "null",
    "none": "无",
    "nothing known": "不详",
    "read in another character set": "锟斤拷",
    "letters for digits": NUMBER.replace("0", "O"),
    "a small l for a one": NUMBER.replace("1", "l").replace("0", "O"),
    "one digit throughout": "1" * 18,
    "zeroes": "0" * 18,
    "a decimal": f"{NUMBER}.0",
    "a number twice": NUMBER * 2,
    "a name": "王芳",
    "a label before it": f"身份证{NUMBER}",
    "a label before another": "护照E12345678",
    "zeroes of another length": "00000000",
}


@pytest.mark.parametrize("others", [False, True])
@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_stands_in_place_of_a_number_is_none(spoilt: str, others: bool) -> None:
    assert not is_number(bare(SPOILT[spoilt]), old=True, others=others)


@pytest.mark.parametrize(
    "written",
    [NUMBER, "23010319870910234x", "２３０１９９198001010072", "230199-19800101-0072", f" {NUMBER}\t",
     "230199 19800101 0072", CODE, "112300000000002027", "11230000000000404Q", "830000198507041236",
     "230199198001010073"],
)  # fmt: skip
def test_numbers_of_people_and_organisations_are_some_however_they_are_written(written: str) -> None:
    assert is_number(bare(written))


@pytest.mark.parametrize("first", ["230199198001010", "112300000000002"])
def test_of_all_numbers_that_end_in_zeroes_those_with_their_check_character_are_some(first: str) -> None:
    kinds = {"112300000000002": uscc_check_character, "230199198001010": resident_id_check_character}
    body = next(body for one in range(10**4) if kinds[first](body := f"{first[:11]}{one:04}00") == "0")
    assert is_number(f"{body}0")


def test_old_numbers_are_numbers_where_they_are_declared() -> None:
    assert is_number(OLD, old=True)
    assert not is_number(OLD)


@pytest.mark.parametrize(
    "written", ["E12345678", "H0123456789", "CHN320085010101", "A123456(7)", "军字第2001988号", OLD]
)
def test_numbers_of_other_documents_are_numbers_where_they_are_declared(written: str) -> None:
    assert is_number(bare(written), others=True)
    assert not is_number(bare(written))
