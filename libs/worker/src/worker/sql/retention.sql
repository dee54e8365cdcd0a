-- name: forget_inbox
delete from inbox where ctid = any (array(
    select ctid from inbox where state = 'finished' and received_at < %(before)s order by received_at limit %(rows)s))

-- name: forget_controls
delete from control_seen where ctid = any (array(
    select ctid from control_seen where seen_at < %(before)s order by seen_at limit %(rows)s))

-- name: forget_notes
delete from chain_note where ctid = any (array(
    select ctid from chain_note where finished_at < %(before)s order by finished_at limit %(rows)s))

-- name: forget_children
delete from chain_child where ctid = any (array(
    select ctid from chain_child where made_at < %(before)s order by made_at limit %(rows)s))
