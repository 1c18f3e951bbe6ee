-- Who told of a finding, and more of who was at the client: logs of proxies know.

ALTER TABLE {database}.findings{local}{on_cluster}
    ADD COLUMN IF NOT EXISTS device String CODEC(ZSTD(1)),
    ADD COLUMN IF NOT EXISTS groups Array(LowCardinality(String)),
    ADD COLUMN IF NOT EXISTS sources Array(LowCardinality(String));

{cluster_only}ALTER TABLE {database}.findings{on_cluster}
    ADD COLUMN IF NOT EXISTS device String,
    ADD COLUMN IF NOT EXISTS groups Array(LowCardinality(String)),
    ADD COLUMN IF NOT EXISTS sources Array(LowCardinality(String));
