"""The public guide as pages: plain HTML in Chinese that needs no script, no other file and no network.

Accessible after WCAG 2.2 (level AA): language and titles, one heading of the first level, landmarks, a way to skip to
the content, tables with captions and scoped heads, text that nothing but its wording carries meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from gateway.catalogue.chinese import chinese
from gateway.catalogue.explanation import Explanation, explain
from gateway.catalogue.expression_words import Line
from gateway.catalogue.model import Basis, Catalogue, Item, Matter
from gateway.catalogue.words import Certainty, ItemState

_STYLE = """
:root{color-scheme:light dark}
body{font-family:system-ui,"Noto Sans CJK SC","Microsoft YaHei",sans-serif;line-height:1.7;
margin:0 auto;max-width:60rem;padding:0 1rem 3rem}
a:focus-visible{outline:3px solid currentColor;outline-offset:2px}
.skip{position:absolute;left:-100rem}
.skip:focus{position:static}
table{border-collapse:collapse;width:100%;margin:1rem 0}
caption{text-align:left;font-weight:bold;padding:.3rem 0}
th,td{border:1px solid #767676;padding:.4rem .6rem;text-align:left;vertical-align:top}
footer{border-top:1px solid #767676;margin-top:2rem;font-size:.9rem;overflow-wrap:anywhere}
@media print{.skip,nav{display:none}}
"""
_TO_CONFIRM = (Certainty.MEMORY, Certainty.INFERRED)


def index_page(catalogue: Catalogue) -> str:
    """Return the page that lists every item and every matter."""
    items = _table(
        "证明事项",
        ("序号", "名称", "状态", "核查单位"),
        (
            (
                str(item.number or ""),
                f'<a href="items/{escape(item.code)}.html">{escape(item.title)}</a>',
                escape(chinese(item.state)),
                escape(item.checked_by),
            )
            for item in catalogue.items.values()
        ),
    )
    matters = _table(
        "办理事项",
        ("编码", "名称", "办理单位", "可以核查的证明事项"),
        (_matter_row(catalogue, matter) for matter in catalogue.matters.values()),
    )
    lists = "".join(f"<li>{escape(one.title)}({escape(one.version)})</li>" for one in catalogue.lists)
    region = catalogue.region.name or catalogue.lists[-1].title
    body = (
        f"<h1>{escape(region)}证明事项公开指南</h1>"
        "<p>清单之外的证明,任何单位不得要求申请人提交。能够通过数据共享核查的,由行政审批部门核查,不再要求申请人提交证明。</p>"
        f"<h2>依据的清单</h2><ul>{lists}</ul><h2>证明事项</h2>{items}<h2>办理事项</h2>{matters}"
    )
    return _page(f"{region}证明事项公开指南", body, catalogue.version, home="")


def item_page(catalogue: Catalogue, item: Item) -> str:
    """Return the page of one item."""
    told = explain(catalogue, item)
    sections = [
        f"<h1>{escape(item.title)}</h1><p>{escape(item.guide)}</p>",
        _facts_of_the_item(item),
        f"<h2>设定依据</h2><ul>{''.join(_basis(one) for one in item.legal_basis)}</ul>",
        _issuing(item),
        _transition(item),
        _verification(told),
        _asking_matters(catalogue, item),
    ]
    return _page(f"{item.title} - 证明事项公开指南", "".join(sections), catalogue.version, home="../index.html")


def _facts_of_the_item(item: Item) -> str:
    return _pairs(
        "基本信息",
        (
            ("状态", chinese(item.state)),
            ("适用对象", chinese(item.applicants)),
            ("索要单位", item.demanded_by),
            ("开具单位", item.issued_by),
            ("核查单位", item.checked_by),
            ("信息类别", chinese(item.sensitivity)),
            ("编码", item.code),
        ),
    )


def _basis(basis: Basis) -> str:
    doubt = f"【{chinese(basis.certainty)}】" if basis.certainty in _TO_CONFIRM else ""
    return f"<li>{escape(basis.source)}:{escape(basis.text)}{doubt}</li>"


def _issuing(item: Item) -> str:
    issuing = item.issuing
    if issuing is None:
        return ""
    rows = [
        ("样式", issuing.form),
        ("程序", issuing.procedure),
        ("出具时限", issuing.time_limit),
        ("办理用途", issuing.use),
        ("流程", issuing.flow),
    ]
    if issuing.communal_interest:
        rows.append(("议事协商", issuing.deliberation))
    return f"<h2>出具办法</h2>{_pairs('出具办法', rows)}"


def _transition(item: Item) -> str:
    transition = item.transition
    if transition is None or item.state is not ItemState.TRANSITIONAL:
        return ""
    rows = (
        ("可以据实出具的范围", transition.scope),
        ("风险评估", transition.risk_assessment),
        ("复核日期", f"{transition.review_by.isoformat()} 前"),
    )
    return f"<h2>过渡期安排</h2>{_pairs('过渡期安排', rows)}"


def _verification(told: Explanation) -> str:
    if told.not_verified:
        return f"<h2>核查</h2><p>{escape(told.not_verified)}</p>"
    courses = _table(
        "核查结果与下一步",
        ("核查结果", "下一步"),
        ((escape(one.words), escape(one.steps_words)) for one in told.courses),
    )
    facts = _table(
        "核查所用数据",
        ("数据", "主管单位", "多个来源时", "查无记录时"),
        (
            (escape(fact.title), escape(fact.authority), escape(fact.weighing), escape(fact.absence))
            for fact in told.facts
        ),
    )
    questions = [f"{one.label}({one.type}{'' if one.required else ',可不填'})" for one in told.applicant] or [
        "除姓名和证件号码外,不需要申请人说明其他情况"
    ]
    ladder = list(told.ladder) or ["无"]
    return (
        f"<h2>怎样核查</h2>{_nested(told.asks)}{facts}"
        f"<h2>核查之后</h2>{courses}"
        f"<h2>申请人需要说明的</h2>{_list('ul', questions)}"
        f"<h2>数据缺失时依次采取的措施</h2>{_list('ol', ladder)}"
        f"<h2>告知承诺与核查规则</h2>{_list('ul', told.rules)}"
    )


def _nested(lines: Sequence[Line]) -> str:
    """Nest the lines as lists within lists, so that a screen reader tells the depth."""
    told, depth = "", -1
    for line in lines:
        told += "<ul>" * (line.depth - depth) if line.depth > depth else "</li>" + "</ul></li>" * (depth - line.depth)
        told += f"<li>{escape(line.text)}"
        depth = line.depth
    return told + "</li></ul>" * (depth + 1)


def _asking_matters(catalogue: Catalogue, item: Item) -> str:
    asking = [f"{one.title}({one.code})" for one in catalogue.matters.values() if item.code in one.items]
    return f"<h2>哪些办理事项会核查</h2>{_list('ul', asking or ['无'])}"


def _matter_row(catalogue: Catalogue, matter: Matter) -> Sequence[str]:
    items = "、".join(
        f'<a href="items/{escape(code)}.html">{escape(catalogue.item(code).title)}</a>' for code in matter.items
    )
    departments = "、".join(escape(one.name) for one in matter.departments)
    return escape(matter.code), escape(matter.title), departments, items


def _pairs(caption: str, rows: Iterable[tuple[str, str]]) -> str:
    told = "".join(f'<tr><th scope="row">{escape(head)}</th><td>{escape(text)}</td></tr>' for head, text in rows)
    return f"<table><caption>{escape(caption)}</caption><tbody>{told}</tbody></table>"


def _table(caption: str, heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Cells come escaped, since some of them are links."""
    top = "".join(f'<th scope="col">{escape(head)}</th>' for head in heads)
    told = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><caption>{escape(caption)}</caption><thead><tr>{top}</tr></thead><tbody>{told}</tbody></table>"


def _list(tag: str, texts: Iterable[str]) -> str:
    return f"<{tag}>" + "".join(f"<li>{escape(text)}</li>" for text in texts) + f"</{tag}>"


def _page(title: str, body: str, version: str, *, home: str) -> str:
    way_back = f'<nav aria-label="导航"><a href="{home}">返回全部证明事项</a></nav>' if home else ""
    return (
        '<!DOCTYPE html>\n<html lang="zh-CN">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">\n"
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n"
        f'<a class="skip" href="#main">跳到正文</a>\n{way_back}\n<main id="main">\n{body}\n</main>\n'
        f"<footer><p>目录版本(SHA-256):{escape(version)}</p></footer>\n</body>\n</html>\n"
    )
