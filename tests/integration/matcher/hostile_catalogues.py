"""Small hostile catalogues and what happens to them: shared and damaged codes, two people with one phone, accents."""

from typing import Any

from hypothesis import strategies as st

Catalogue = dict[str, dict[str, dict[str, Any]]]  # platform -> id -> fields
PRODUCTS = {
    "title": [
        "Áo thun nam cổ tròn",
        "Ao thun nam co tron",
        "Bát sứ trắng",
        "Bát sứ xanh",
        "Xà phòng thơm",
        "Dép lê trẻ em",
    ],
    "brand": [None, None, "Biti's", "Sharp"],
    "sku": [None, "AT-01", "at-01", "AT01", "XP-02", "BS-03", "không có"],
    "barcode": [None, None, "8934563138165", "036000291452", "0036000291452", "2000000000015"],
}
CUSTOMERS = {
    "name": ["Nguyễn Văn An", "Nguyen Van An", "Trần Thị Bình", "Lê Cường", "Khách lẻ", "Cty An Phát"],
    "phone": [None, "0912345699", "+84912345699", "0387654399", "0838251234", "0987654321 / 0912345699"],
    "email": [None, None, "an@firma.vn", "An+1@firma.vn", "binh@firma.vn"],
}
HUB, CHANNEL = ("1", "2", "3", "4"), ("a", "b", "c", "d")


def records(fields: dict[str, list[Any]], ids: tuple[str, ...]) -> st.SearchStrategy[dict[str, dict[str, Any]]]:
    record = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in fields.items()})
    return st.dictionaries(st.sampled_from(ids), record, max_size=len(ids))


def steps(fields: dict[str, list[Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Each step: edits of single fields, records that come and go, a person's decision; which records are chosen."""
    places = st.tuples(st.just("nhanh"), st.sampled_from(HUB)) | st.tuples(st.just("shopify"), st.sampled_from(CHANNEL))
    edit = st.one_of(*(st.tuples(places, st.just(name), st.sampled_from(values)) for name, values in fields.items()))
    codes = [name for name in fields if name not in {"title"}]
    code_edit = st.one_of(*(st.tuples(places, st.just(name), st.sampled_from(fields[name])) for name in codes))
    step = st.fixed_dictionaries(
        {
            "edits": st.lists(code_edit, max_size=3) | st.lists(edit, max_size=3),
            "gone": st.lists(places, max_size=1) | st.just([]),
            "decision": st.none()
            | st.tuples(st.sampled_from(["create", "delete"]), *map(st.sampled_from, (HUB, CHANNEL))),
            "chosen": st.lists(st.sampled_from((*HUB, "unknown")), min_size=1, max_size=2, unique=True),
        }
    )
    return st.lists(step, min_size=3, max_size=3)


def edited(catalogue: Catalogue, step: dict[str, Any], blank: dict[str, Any]) -> Catalogue:
    changed = {platform: dict(listed) for platform, listed in catalogue.items()}
    for (platform, record_id), name, value in step["edits"]:
        changed[platform][record_id] = {**changed[platform].get(record_id, blank), name: value}
    for platform, record_id in step["gone"]:
        changed[platform].pop(record_id, None)
    return changed
