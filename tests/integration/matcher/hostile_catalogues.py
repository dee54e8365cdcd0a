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
    "phone": [None, "0912345699", "+84912345699", "0387654399", "0838251234", "0987654399 / 0912345699"],
    "email": [None, "an@firma.vn", "An+1@firma.vn", "binh@firma.vn", "cuong@firma.vn"],
}
HUB, CHANNEL = ("1", "2", "3", "4", "5"), ("a", "b", "c", "d", "e")


def records(fields: dict[str, list[Any]], ids: tuple[str, ...]) -> st.SearchStrategy[dict[str, dict[str, Any]]]:
    """A record for each id."""
    record = st.fixed_dictionaries({name: st.sampled_from(values) for name, values in fields.items()})
    return st.fixed_dictionaries(dict.fromkeys(ids, record))


def steps(fields: dict[str, list[Any]]) -> st.SearchStrategy[list[dict[str, Any]]]:
    """Each step: edits of fields, records that come and go, a person's decision; which records are chosen.

    Half of the steps change codes alone, so that little is scored again.
    """
    places = st.tuples(st.just("nhanh"), st.sampled_from(HUB)) | st.tuples(st.just("shopify"), st.sampled_from(CHANNEL))

    def edits(names: list[str]) -> st.SearchStrategy[Any]:
        return st.lists(
            st.one_of(*(st.tuples(places, st.just(name), st.sampled_from(fields[name])) for name in names)),
            min_size=1,
            max_size=2,
        )

    pair = st.sampled_from(HUB), st.sampled_from(CHANNEL)
    decision = st.none() | st.tuples(st.sampled_from(["create", "delete"]), *pair)
    chosen = st.lists(st.sampled_from((*HUB, "unknown")), min_size=1, max_size=2, unique=True)
    codes = edits([name for name in fields if name not in {"title", "name"}])
    gone = st.lists(places, max_size=1)
    few = st.fixed_dictionaries({"edits": codes, "gone": st.just([]), "decision": decision, "chosen": chosen})
    more = st.fixed_dictionaries({"edits": edits([*fields]), "gone": gone, "decision": decision, "chosen": chosen})
    return st.tuples(few, few | more, few, few | more).map(list)


def edited(catalogue: Catalogue, step: dict[str, Any], blank: dict[str, Any]) -> Catalogue:
    changed = {platform: dict(listed) for platform, listed in catalogue.items()}
    for (platform, record_id), name, value in step["edits"]:
        changed[platform][record_id] = {**changed[platform].get(record_id, blank), name: value}
    for platform, record_id in step["gone"]:
        changed[platform].pop(record_id, None)
    return changed
