-- Purpose: cumulative counters of every statement of the current database; texts are not read.
-- Minimum version: pg_stat_statements 1.11. Permission: pg_read_all_stats (in pg_monitor) for statements of other roles.
-- A life begins when the first execution begins, but counts and shows only from its end: hence min_exec_time.
-- Units: microseconds and 8 KB pages; the server counts time in milliseconds.
SELECT /* dbplanmon */
    s.queryid AS query_hash,
    s.userid::bigint AS role_oid,
    s.userid || '/' || s.queryid || '/' || s.toplevel::int AS counter_key,
    (extract(epoch FROM s.stats_since) * 1000000)::bigint::text AS life,
    (extract(epoch FROM s.stats_since) * 1000000 + s.min_exec_time * 1000)::bigint AS life_began_us,
    (extract(epoch FROM statement_timestamp()) * 1000000)::bigint AS server_now_us,
    s.min_exec_time * 1000 AS elapsed_time_us_min,
    s.max_exec_time * 1000 AS elapsed_time_us_max,
    s.calls::float8 AS execution_count,
    s.total_exec_time * 1000 AS elapsed_time_us,
    s.calls * (s.stddev_exec_time ^ 2 + s.mean_exec_time ^ 2) * 1000000 AS elapsed_time_us_sumsq,
    (s.shared_blks_hit + s.shared_blks_read + s.local_blks_hit + s.local_blks_read)::float8 AS logical_reads_pages,
    (s.shared_blks_dirtied + s.local_blks_dirtied)::float8 AS logical_writes_pages,
    s.shared_blks_read::float8 AS physical_reads_pages,
    s.rows::float8 AS rows,
    s.temp_blks_written::float8 AS spill_pages,
    CASE WHEN current_setting('track_io_timing')::bool THEN (
        s.shared_blk_read_time + s.shared_blk_write_time + s.local_blk_read_time + s.local_blk_write_time
        + s.temp_blk_read_time + s.temp_blk_write_time
    ) * 1000 END AS io_time_us
FROM {schema}.pg_stat_statements(false) AS s
WHERE s.dbid = (SELECT d.oid FROM pg_catalog.pg_database AS d WHERE d.datname = current_database())
    AND s.calls > 0
