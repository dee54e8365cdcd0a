"""MATCH_EXACT_PRODUCTS and limited matches, by an owner in a process of its own."""

import signal

import pytest


@pytest.mark.long
def test_codes_link_what_names_found_stays_and_a_kill_changes_nothing(room, ended, wait_until):
    room.set_settings({"link_by_name": "auto"})
    room.put_products(
        "nhanh",
        {
            "1": {"title": "Nồi cơm điện Sharp KS18", "sku": "NC-1"},
            "2": {"title": "Bát sứ trắng hoa văn"},
            "3": {"title": "Chảo gang chống dính"},
            "4": {"title": "Dép lê trẻ em", "sku": "DL-4"},
            "5": {"title": "Dép lê người lớn", "sku": "DL-4"},
            "6": {"title": "Máy xay sinh tố Philips", "sku": "PH-77", "brand": "Philips"},
        },
    )
    room.put_products(
        "shopify",
        {
            "a": {"title": "Nồi cơm điện Sharp KS18", "sku": "nc-1"},
            "b": {"title": "Bát sứ trắng hoa văn"},
            "c": {"title": "Chảo gang chống dính"},
            "d": {"title": "Dép lê trẻ em", "sku": "DL-4"},
            "e": {"title": "Áo khoác gió", "sku": "PH-77", "brand": "Biti's"},
            "f": {"title": "Bát sứ trắng hoa văn loại hai", "sku": "BS-9"},
        },
    )
    room.start("agent")
    owner = room.start()
    ended(room.request("AUTO_MATCH_PRODUCTS"))
    named = room.matches()
    assert (named["1", "a"], named["2", "b"], named["3", "c"]) == ("auto", "auto", "auto")

    # Codes appear: one for a pair that names linked, one that leads a record elsewhere.
    room.set_product("3", sku="CG-3")
    room.set_product("c", sku="CG-3")
    room.set_product("2", sku="BS-9")
    room.run(
        "create function matcher.dawdle() returns trigger language plpgsql as"
        " $$ begin perform pg_sleep(30); return new; end $$"
    )
    room.run("create trigger dawdle before insert on matcher.match for each row execute function matcher.dawdle()")
    job_id = room.request("MATCH_EXACT_PRODUCTS")
    sleeping = (
        "select count(*) as n from pg_stat_activity where datname = current_database() and wait_event = 'PgSleep'"
    )
    wait_until(lambda: room.rows(sleeping)[0]["n"] == 1, "nothing was written")
    owner.send_signal(signal.SIGKILL)
    owner.wait()
    room.run(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and wait_event = 'PgSleep'"
    )
    assert room.matches() == named
    room.run("drop trigger dawdle on matcher.match")
    room.start()
    end = ended(job_id)
    assert (end.data.outcome, end.data.attempt) == ("success", 2)
    told = end.data.metadata
    assert (told["exactMatches"], told["linkedByName"], told["nhanhProductsLoaded"]) == (2, 2, 6)
    found = room.matches()
    assert (found["1", "a"], found["2", "b"], found["3", "c"]) == ("auto", "auto", "auto")
    assert found["6", "e"] == "review"
    methods = {row["hub_id"]: row["method"] for row in room.rows("select * from matcher.match where status = 'auto'")}
    assert methods == {"1": "sku", "2": "title", "3": "sku", "4": "title"}
    assert room.reasons()["2", "f"] == "the SKU agrees, but 2 is linked to b by its name"

    # One chosen record whose partner another link holds, though that link's record of the hub is gone.
    room.drop("nhanh", "1")
    room.put_products("nhanh", {"7": {"title": "Nồi cơm điện Sharp KS18", "sku": "NC-1"}})
    job = ended(room.request("AUTO_MATCH_PRODUCTS", only=["7", "nobody"]))
    assert (job.data.outcome, job.data.counters.total, job.data.counters.failed) == ("partial", 2, 1)
    assert room.reasons()["7", "a"] == "the SKU agrees, but a is linked to 1, which is not one of the chosen records"
    assert room.matches()["1", "a"] == "auto"
    none = ended(room.request("AUTO_MATCH_PRODUCTS", only=["nobody"]))
    assert (none.data.outcome, none.data.error.code) == ("failure", "NOT_IN_CATALOGUE")
    ended(room.request("AUTO_MATCH_PRODUCTS"))
    assert room.matches()["7", "a"] == "auto"
