"""What has once stopped, blinded or misled a recorder, and the test that keeps it from doing so
again. A line each: what goes wrong, the file (under tests/), the test's name or how it begins.
`test_crash.py` checks that each is there.

A header as long as a server takes          property/test_redact_cost.py test_shapes_cost_what_their
Names in a header as long as that           property/test_redact_cost.py test_names_cost_what_their
A worker hangs, or dies                     fault/test_processes.py test_a_worker_that_hangs_or_dies
A worker gets no processor                  fault/test_processes.py test_a_worker_that_gets_no
A stop while a worker gets no processor     fault/test_endings.py   test_a_stop_waits_for_a_worker
Everything hangs, and it is to end          fault/test_endings.py   test_a_duration_ends_in_time
An exception in a thread of the reader      fault/test_processes.py test_a_thread_that_fails_ends
An exception in one connection              fault/test_processes.py test_an_exception_that_nobody
A header beyond ASCII                       fault/test_processes.py test_a_header_beyond_ascii
An address at which nothing can answer      fault/test_processes.py test_an_address_at_which
Housekeeping fails, and the disk fills      fault/test_housekeeping.py test_old_hours_are_deleted
One hour cannot be read                     fault/test_housekeeping.py test_an_unreadable_segment
A seal has no room on the disk              fault/test_housekeeping.py test_a_seal_that_does_not_fit
A file of an older version is merged        fault/test_housekeeping.py test_a_segment_of_before
A rollup fails                              fault/test_housekeeping.py test_a_rollup_that_fails
There is always more to do than time        fault/test_housekeeping.py test_a_recorder_at_its_limit
An event on which our own code fails        unit/test_worker.py test_an_event_that_nobody_foresaw
A statement without its type                unit/test_worker.py test_a_database_call_without_its
An event over which a worker dies           fault/test_processes.py test_an_event_over_which
Modules in the working directory            fault/test_processes.py test_the_working_directory
The source's clock steps                    fault/test_clocks.py test_after_any_step
A gap of decades in the source's time       unit/test_coverage_ledger.py test_a_gap_of_decades
A clock goes back by hours                  unit/test_coverage_ledger.py test_a_step_back_of_hours
A clock goes back a little                  unit/test_coverage_ledger.py test_a_clock_that_went_back
A clock is years ahead, and old hours go    unit/test_retention.py test_a_clock_that_is_years_ahead
Hours of the year 9999                      unit/test_retention.py test_hours_of_broken_clocks
An hour too large for memory is sealed      fault/test_housekeeping.py test_a_large_hour_is_sealed
The same body in a million rows is sealed   unit/test_sorting.py test_one_body_over_and_over
stderr takes nothing more                   fault/test_endings.py   test_narration_that_fails
The terminal hangs up                       fault/test_endings.py   test_a_signal_ends_a_recording
A recorder is killed beside stopped ones     fault/test_endings.py   test_stopped_processes_end
Clients of the metrics that never ask       unit/test_metrics.py test_clients_that_only_connect
The port of the metrics is taken            e2e/test_operations.py test_a_port_that_is_taken
Few files may be open                       fault/test_processes.py test_a_recorder_may_open
A block is lost, and what it held           fault/test_processes.py test_a_block_that_costs_every
A line of marks or pins that is torn        unit/test_append.py test_a_line_that_was_cut_short
A disk that takes half a line               unit/test_append.py test_a_write_that_fails_leaves
A stop amid what comes over TLS             fault/test_endings.py   test_what_the_kernel_holds
A stop while a worker is slow               fault/test_endings.py   test_a_worker_that_is_slow
The order to stop long before the end       fault/test_endings.py   test_what_is_written_after
A question that outlives merged files       fault/test_readers.py test_a_query_that_outlives
A rejected event's sample tells its values  unit/test_worker.py test_nothing_of_a_statement
Headers that never come again               unit/test_redact_transactions.py test_headers_in_use
A new cookie beside known ones              unit/test_redact_transactions.py test_a_cookie_seen
A filter is refused more than once          fault/test_source.py test_a_source_that_does_not_take
A refusal that never says why               fault/test_answers.py test_a_refusal_that_never
An event larger than any                    fault/test_source.py test_a_line_without_end_is_cut
A probe's answer has no end                 fault/test_source.py test_an_answer_without_end
A reconnect beside a backlog                fault/test_processes.py test_connecting_again_waits
A storm of connections                      fault/test_source.py test_a_storm_of_connections
Each connection ends at once                fault/test_source.py test_a_connection_must_live
A source of this host that starts again     fault/test_source.py test_a_source_of_this_host
A source that does not take the filter      fault/test_source.py test_a_source_that_does_not_take
A round of housekeeping over a large store  fault/test_housekeeping.py test_a_round_looks_at
A round of deletion over a large store      unit/test_retention.py test_it_looks_once_a_minute
Rollups of files that were sealed again     fault/test_housekeeping.py test_what_a_later_seal
What a killed seal left                     fault/test_housekeeping.py test_what_a_crash_left
A store deleted under its recorder          fault/test_disk.py test_who_deletes_a_store
A manifest deleted under its recorder       fault/test_disk.py test_a_deleted_manifest
Hours of several recorders are deleted      unit/test_retention.py test_deleting_takes_every_table
A line that goes on for ever                fault/test_source.py test_a_line_without_end_is_a_broken
A head that comes a byte at a time          fault/test_source.py test_a_head_that_comes
A proxy keeps a dead stream open            fault/test_source.py test_a_stream_that_was_silent
A stop while an hour is sealed              fault/test_endings.py   test_an_end_does_not_wait
Much in the kernel when a stop comes         fault/test_endings.py   test_what_the_kernel_holds
An end in the middle of Arrow or DuckDB     fault/test_endings.py   test_an_end_beside_a_seal
Processes that end now and then             fault/test_processes.py test_processes_that_end_now
The machine sleeps, or a recorder stands    fault/test_clocks.py test_the_time_in_which_a_machine
Losses that nobody tells of                 unit/test_loss.py test_a_burst_that_was_dropped
A clock that stands still in sleep          fault/test_clocks.py test_the_clock_of_coverage_goes_on
One id in two tables, or at two times       unit/test_worker.py test_one_id_with_two_times
One event twice, by way of two workers      fault/test_processes.py test_what_comes_again_is_stored
A filter that an event leaves open          fault/test_source.py test_events_that_lack_a_field
Rows that fit no file                       unit/test_worker.py test_rows_that_fit_no_file
A seal fails half-way                       fault/test_housekeeping.py test_a_seal_that_fails_leaves
A file system without hard links            fault/test_disk.py test_a_key_is_made
A file system without locks                 fault/test_disk.py test_a_file_system_without_locks
A store of somebody else                    fault/test_disk.py test_a_store_that_somebody_else
A symbolic link in a store                  fault/test_disk.py test_nothing_is_written_through
A start while somebody asks who records     fault/test_disk.py test_who_asks_whether
Coverage that a full disk refuses           fault/test_disk.py test_coverage_that_cannot
All of it at once                           fault/test_chaos.py test_whatever_was_sent
"""
