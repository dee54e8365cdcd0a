"""AUTO_MATCH_CUSTOMERS by an owner and an agent in processes of their own."""


def test_phones_link_then_emails_and_contradictions_wait_for_people(room, ended):
    room.put_customers(
        "nhanh",
        {
            "1": {"name": "Nguyễn Văn An", "phone": "0162 123 4567"},
            "2": {"name": "Trần Thị Bình", "phone": "'0912.345.699 (zalo)"},
            "3": {"name": "Lê Cường", "email": "Le.Cuong@gmail.com"},
            "4": {"name": "Phạm Dung", "phone": "0987654399", "email": "dung@firma.vn"},
            "5": {"name": "Không có gì"},
            "6": {"name": "Khách lẻ", "phone": "0999999999"},
        },
    )
    room.put_customers(
        "shopify",
        {
            "a": {"name": "An Nguyen", "phone": "+84321234567"},
            "b": {"name": "Binh", "phone": "84912345699"},
            "c": {"name": "Cuong", "email": "lecuong@gmail.com"},
            "d": {"name": "Dung", "phone": "+84987654399"},
            "e": {"name": "D.", "email": "dung@firma.vn"},
            "f": {"name": "X", "phone": "0999999999"},
        },
    )
    room.start("agent")
    room.start()
    end = ended(room.request("AUTO_MATCH_CUSTOMERS")).data
    assert room.matches() == {
        ("1", "a"): "auto",
        ("2", "b"): "auto",
        ("3", "c"): "auto",
        ("4", "d"): "review",
        ("4", "e"): "review",
    }
    assert (end.counters.total, end.counters.successful, end.counters.skipped) == (6, 3, 3)
    told = end.metadata
    assert (told["nhanhCustomersLoaded"], told["shopifyCustomersLoaded"], told["phoneVariations"]) == (6, 6, 6)
    assert (told["potentialMatches"], told["exactMatches"], told["matched"], told["review"]) == (5, 3, 3, 1)
    reasons = room.reasons()
    assert all("a chain of shared phones and e-mails" in reason for reason in reasons.values())
    again = ended(room.request("AUTO_MATCH_CUSTOMERS")).data.metadata
    assert (again["created"], again["unchanged"]) == (0, 3)


def test_two_people_with_one_phone_wait_for_a_person(room, ended):
    room.put_customers(
        "nhanh",
        {"1": {"name": "Nguyễn Văn Nam", "phone": "0912345699"}, "2": {"name": "N. V. Hùng", "phone": "0387654399"}},
    )
    room.put_customers(
        "shopify",
        {"a": {"name": "Lan Tran", "phone": "+84912345699"}, "b": {"name": "Hung Nguyen", "phone": "+84387654399"}},
    )
    room.start("agent")
    room.start()
    ended(room.request("AUTO_MATCH_CUSTOMERS"))
    assert room.matches() == {("1", "a"): "review", ("2", "b"): "auto"}
    assert room.reasons() == {("1", "a"): "both have the phone, the names differ"}
