"""Many backends, one ordered answer. This is the way of a row from job to result.

1. **Asked.** `pool.py` expands the job to circuits (`work.py`), strikes out those that the store knows, and tells the
   state of the rest: `Asked(batch, count, members)`. `PoolState.assign` says who may run them, one noise domain a call,
   and which jobs end here, run as a whole in the caller (`whole.py`).
2. **Shared out.** `state.py` turns every event into actions; nothing else decides. For the circuits that wait
   (`slices.Parcel`), `dispatch.next_cut` takes how members stand (`members.Load`: speed, backlog, free places) and
   `policy` computes when all would end together, whom price and priority prefer, and how large the next slice is.
3. **Sent.** `Send(slice, member, batch, numbers)`: `driver.py` hands it to `delivery.py`, which has the intent and the
   budget committed (`books.py`), and `carriage.py` sends it; `Accepted`. `watch.py` polls.
4. **Answered.** Results are stored, then `Answered` is said; `Keep` names the circuits whose answers count. Speeds
   (`speed.py`), windows and breakers learn from it.
5. **Or not.** `Broke`, or circuits missing: back to the queue, marked with who failed them (`Parcel.failed_at`), so
   that others are asked first; round again only as far as `quota.py` has tokens; else `GiveUp`. What is perhaps paid is
   `UNCERTAIN` and never sent again. Members that fail are taken out by `breaker.py` and probed; with nobody left
   `Starve` is said once. Free members help out late free ones (`dispatch.next_hedge`): the first answer counts.
6. **Finished.** Every circuit was kept or given up exactly once; `work.py` puts the rows together in the order asked.

The deciding part (2, and what `events.py` and `actions.py` say) is pure, without a clock: the tests run a pool in
virtual time.
"""
