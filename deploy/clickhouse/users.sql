-- Users of the store. Run it as an administrator, after the tables are there, with passwords of
-- your own in place of CHANGE-ME.
--
--   shadowtap            writes; reads only what describes the tables
--   shadowtap_reader     people and dashboards: reads, within limits
--   shadowtap_migrator   makes and changes the tables, and nothing else; it must stay: the views
--                        that fill endpoints act as the user that made them

CREATE ROLE IF NOT EXISTS shadowtap_sensor{on_cluster};

GRANT{on_cluster} INSERT ON {database}.* TO shadowtap_sensor;

-- Inserts name their columns, and the server describes the table for that.
GRANT{on_cluster} SHOW TABLES, SHOW COLUMNS ON {database}.* TO shadowtap_sensor;

GRANT{on_cluster} SELECT ON {database}.schema_migrations TO shadowtap_sensor;

CREATE ROLE IF NOT EXISTS shadowtap_dashboard{on_cluster};

GRANT{on_cluster} SELECT, SHOW TABLES, SHOW COLUMNS ON {database}.* TO shadowtap_dashboard;

GRANT{on_cluster} SELECT ON system.parts TO shadowtap_dashboard;

CREATE ROLE IF NOT EXISTS shadowtap_owner{on_cluster};

GRANT{on_cluster} CREATE DATABASE, CREATE TABLE, CREATE VIEW, ALTER, DROP TABLE, DROP VIEW, TRUNCATE,
    OPTIMIZE, SELECT, INSERT, SHOW TABLES, SHOW COLUMNS
    ON {database}.* TO shadowtap_owner;

GRANT{on_cluster} SELECT ON system.parts TO shadowtap_owner;

GRANT{on_cluster} TABLE ENGINE ON MergeTree, TABLE ENGINE ON ReplacingMergeTree,
    TABLE ENGINE ON AggregatingMergeTree TO shadowtap_owner;

{cluster_only}GRANT{on_cluster} TABLE ENGINE ON ReplicatedMergeTree,
    TABLE ENGINE ON ReplicatedReplacingMergeTree, TABLE ENGINE ON ReplicatedAggregatingMergeTree,
    TABLE ENGINE ON Distributed TO shadowtap_owner;

{cluster_only}GRANT{on_cluster} CLUSTER, REMOTE ON *.* TO shadowtap_owner;

-- Batches are kept in order and stored once because of settings that come with each of them.
CREATE SETTINGS PROFILE IF NOT EXISTS shadowtap_sensor{on_cluster}
SETTINGS max_memory_usage = 4000000000, async_insert = 0, wait_for_async_insert = 1
TO shadowtap_sensor;

-- 2 forbids writing and lets a query say how it wants its answer.
CREATE SETTINGS PROFILE IF NOT EXISTS shadowtap_dashboard{on_cluster}
SETTINGS readonly = 2 READONLY, max_execution_time = 60 MAX 300,
    max_memory_usage = 4000000000 MAX 8000000000, max_result_rows = 1000000 MAX 10000000
TO shadowtap_dashboard;

CREATE QUOTA IF NOT EXISTS shadowtap_dashboard{on_cluster} KEYED BY user_name
FOR INTERVAL 1 minute MAX queries = 600, execution_time = 300
TO shadowtap_dashboard;

CREATE USER IF NOT EXISTS shadowtap{on_cluster}
IDENTIFIED WITH sha256_password BY 'CHANGE-ME' DEFAULT ROLE shadowtap_sensor;

GRANT{on_cluster} shadowtap_sensor TO shadowtap;

CREATE USER IF NOT EXISTS shadowtap_reader{on_cluster}
IDENTIFIED WITH sha256_password BY 'CHANGE-ME' DEFAULT ROLE shadowtap_dashboard;

GRANT{on_cluster} shadowtap_dashboard TO shadowtap_reader;

CREATE USER IF NOT EXISTS shadowtap_migrator{on_cluster}
IDENTIFIED WITH sha256_password BY 'CHANGE-ME' DEFAULT ROLE shadowtap_owner;

GRANT{on_cluster} shadowtap_owner TO shadowtap_migrator;
